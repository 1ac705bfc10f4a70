"""Which implementation a host is, as far as its owners, cookies and procedures show it."""

from __future__ import annotations

import pytest
from support.story import capture_of
from support.told import history_of


def kinds(text):
    data, hosts = capture_of(text)
    history = history_of(data)
    return {
        name: history.kind(number).name
        for name, host in hosts.items()
        if (number := history.traffic.endpoints.find(host.addresses[0])) is not None
    }


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("oh=0 svid=0 cookie=35120000", "linux"),  # svid@nodename, owners and cookies counted from small numbers
        ("oh=7 svid=7 cookie=00001235", "linux"),
        ("oh=7 svid=7 reclaim state=0", "linux"),
        ("oh=2345 svid=2345 cookie=11223344", "freebsd"),  # pid@hostname
        ("oh=2345 svid=2345 reclaim state=5", "freebsd"),
        ("oh=ab svid=2345", "illumos"),  # two bytes: a number of the server in the client's own table
        ("oh=4711xyz svid=2345 cookie=11223344", "unknown"),
    ],
)
def test_a_client(words, name):
    assert kinds(f"1 client1 > server NLM_LOCK {words}")["client1"] == name


@pytest.mark.parametrize(("oh", "name"), [("12345678", "macos"), ("1234567890123456", "macos"), ("abc", "unknown")])
def test_a_client_that_asks_by_msg(oh, name):
    assert kinds(f"1 client1 > server NLM_LOCK_MSG oh=x{oh[1:]} svid=99")["client1"] == name


def test_ganesha_calls_back_with_a_long_cookie():
    assert kinds(f"1 server > client1 NLM_GRANTED_MSG cookie={'ab' * 24}")["server"] == "ganesha"


def test_the_majority_counts():
    lines = [f"{n} client1 > server NLM_LOCK fh=F{n} oh=ab svid=5" for n in (1, 2)]
    assert kinds("\n".join(lines) + "\n3 client1 > server NLM_LOCK oh=1")["client1"] == "illumos"


def test_no_sign_no_guess():
    assert kinds("1 client1 > server NLM_LOCK")["server"] == "unknown"
