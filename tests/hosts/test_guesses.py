"""Which implementation a host is, as far as its packets show it, and what it is that shows it."""

from __future__ import annotations

import pytest
from support.story import capture_of
from support.told import history_of

from nlmdissect.hosts.guesses import NOTHING


def guesses(text):
    data, hosts = capture_of(text)
    history = history_of(data)
    return {
        name: history.guess(number)
        for name, host in hosts.items()
        if (number := history.traffic.endpoints.find(host.addresses[0])) is not None
    }


def kinds(text):
    return {name: guess.kind.name for name, guess in guesses(text).items()}


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


WAITS = "1 client1 > server {} fh=A block cookie={}\n2 server > client1 {} fh=A cookie={} {}"


@pytest.mark.parametrize(
    ("lock", "cookie", "callback", "its", "words", "name"),
    [
        ("NLM_LOCK", "35120000", "NLM_GRANTED_MSG", "36120000", "caller=server", "linux"),
        ("NLM_LOCK", "35120000", "NLM_GRANTED_MSG", "36120000", "caller=client1", "unknown"),
        ("NLM_LOCK", "11223344", "NLM_GRANTED", "11223344", "caller=client1", "illumos"),
        ("NLM_LOCK", "11223344", "NLM_GRANTED", "11223355", "caller=client1", "unknown"),
        ("NLM_LOCK", "11223344", "NLM_GRANTED_MSG", "1122334455667788", "caller=client1", "freebsd"),
        ("NLM_LOCK", "11223344", "NLM_GRANTED", "1122334455667788", "caller=client1", "macos"),
        ("NLM_LOCK_MSG", "11223344", "NLM_GRANTED_MSG", "1122334455667788", "caller=client1", "unknown"),
    ],
)
def test_a_callback(lock, cookie, callback, its, words, name):
    assert kinds(WAITS.format(lock, cookie, callback, its, words))["server"] == name


SM_NOTIFY = """
    1  server  > client1  GETPORT statd xid=100 sport=900
    2  client1 > server   port 662
    3  server  > client1  SM_NOTIFY state=5 xid={} sport={}
"""


def test_sm_notify_of_linux():
    """It asks and tells from one socket; others make a new one for each, with xids of its own."""
    linux = guesses(SM_NOTIFY.format(101, 40001))["server"]
    assert linux.kind.name == "linux"
    assert linux.why == ("its sm-notify asks and tells from one port, with xids that count up (frame 3)",)
    assert kinds(SM_NOTIFY.format(177, 40001))["server"] == "unknown"
    assert kinds(SM_NOTIFY.format(101, 40002))["server"] == "unknown"


def test_what_locks_tell_comes_before_the_statd():
    """Ganesha runs beside the statd of Linux."""
    callback = f"4 server > client1 NLM_GRANTED_MSG cookie={'ab' * 24}"
    assert kinds(SM_NOTIFY.format(101, 40001) + callback)["server"] == "ganesha"


def test_the_maker_of_the_network_card():
    text = "host filer 10.0.0.9 mac={}\n1 client1 > filer NLM_LOCK\n2 filer > client1 NLM4_GRANTED"
    netapp = guesses(text.format("00:a0:98:01:02:03"))["filer"]
    assert netapp.kind.name == "netapp"
    assert netapp.why == ("its network card 00:a0:98:01:02:03 is made by NetApp",)
    assert kinds(text.format("00:a0:99:01:02:03"))["filer"] == "unknown"
    others = "".join(f"host h{n} 10.0.1.{n} mac=00:a0:98:01:02:03\n" for n in range(9))
    spoke = "".join(f"\n{n + 3} h{n} > client1 NFS" for n in range(9))
    assert kinds(others + text.format("00:a0:98:01:02:03") + spoke)["filer"] == "unknown"


def test_the_majority_counts():
    lines = [f"{n} client1 > server NLM_LOCK fh=F{n} oh=ab svid=5" for n in (1, 2)]
    assert kinds("\n".join(lines) + "\n3 client1 > server NLM_LOCK oh=1")["client1"] == "illumos"


def test_no_sign_no_guess():
    assert kinds("1 client1 > server NLM_LOCK")["server"] == "unknown"


def test_why_the_most_frequent_sign_first():
    guess = guesses("""
        1  client1 > server NLM_LOCK fh=A oh=1 svid=1 reclaim state=0
        2  client1 > server NLM_LOCK fh=B oh=2 svid=2 cookie=35120000
        3  client1 > server NLM_LOCK fh=C oh=3 svid=3 cookie=36120000
    """)["client1"]
    assert guess.why == (
        "its oh is svid@name, and its cookies are small little-endian numbers (2 times, first in frame 2)",
        "its oh is svid@name, and its reclaims have state 0 (frame 1)",
    )


def test_nothing_shows_why():
    assert guesses("1 client1 > server NLM_LOCK")["server"].why == (NOTHING,)
