"""Names are attributes, never keys; they say who may notify for whom."""

from __future__ import annotations

import pytest
from support.story import capture_of
from support.told import history_of

from nlmdissect.hosts.called import same_host


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("filer", "filer", True),
        ("filer", "FILER", True),
        ("filer", "filer.example.com", True),
        ("Filer.Example.Com", "filer", True),
        ("filer.example.com", "filer.EXAMPLE.com", True),
        ("filer.example.com", "filer.example.org", False),  # two full names
        ("filer", "filer2", False),
        ("filer1.example.com", "filer", False),
        ("10.0.0.1", "10.0.0.2", False),
    ],
)
def test_one_name(a, b, same):
    assert same_host(a, b) is same
    assert same_host(b, a) is same


def names(text):
    data, hosts = capture_of(text)
    history = history_of(data)
    number = {name: history.traffic.endpoints.find(host.addresses[0]) for name, host in hosts.items()}
    return history.names, number


def test_where_names_come_from():
    found, at = names("""
        1  client1 > server   NLM_LOCK caller=alpha machine=beta block
        2  server  > client1  NLM4_BLOCKED
        3  server  > client1  NLM_GRANTED_MSG caller=filer machine=filer.example.com
        4  server  > client1  SM_NOTIFY mon_name=service state=5
    """)
    assert found.claimed[at["client1"]] == ["alpha", "beta"]
    assert set(found.claimed[at["server"]]) == {"filer", "filer.example.com", "service"}


def test_a_callback_may_carry_the_name_of_the_client():
    """FreeBSD, illumos, macOS and Ganesha servers put it there; it does not name the server."""
    found, at = names("""
        1  client1 > server   NLM_LOCK caller=alpha machine=alpha block
        2  server  > client1  NLM4_BLOCKED
        3  server  > client1  NLM_GRANTED_MSG caller=alpha machine=filer
    """)
    assert found.claimed[at["server"]] == ["filer"]


def test_clones_are_two_hosts():
    found, at = names("""
        1  client1 > server   NLM_LOCK caller=clone machine=clone
        2  client2 > server   NLM_LOCK caller=clone machine=clone
    """)
    assert at["client1"] != at["client2"]
    assert found.label(at["client1"]) == "clone (10.0.0.21)"
    assert found.label(at["client2"]) == "clone (10.0.0.22)"


def test_who_may_notify_for_whom():
    found, at = names("""
        host other 10.0.0.50 name=alpha
        1  client1 > server   NLM_LOCK caller=alpha.example.com machine=alpha
        2  other   > server   SM_NOTIFY mon_name=ALPHA state=3
        3  client2 > server   SM_NOTIFY mon_name=gamma state=3
    """)
    assert found.notifies_for(at["other"], at["client1"])
    assert found.notifies_for(at["client1"], at["client1"])
    assert not found.notifies_for(at["client2"], at["client1"])
    assert not found.notifies_for(at["server"], at["client1"])


def test_roles():
    found, at = names("""
        1  client1 > server   NLM_LOCK
        2  server  > server2  NLM_LOCK
    """)
    assert found.roles[at["client1"]] == {"client"}
    assert found.roles[at["server"]] == {"server", "client"}


def test_a_host_without_a_name():
    found, at = names("1 client1 > server NLM_LOCK")
    assert found.label(at["server"]) == "10.0.0.1"
    assert found.label(None) == "an unknown host"


def test_names_are_hostile_bytes():
    found, at = names("1 client1 > server NLM_LOCK caller=\udc80x machine=ok".replace("\udc80", "\u00e9"))
    assert found.claimed[at["client1"]][0] == "\u00e9x"


def test_whose_a_lock_is_behind_a_router():
    found, at = names("""
        1  client1 > server   NLM_LOCK caller=vm1 oh=1@vm1 svid=1
        2  client1 > server   NLM_LOCK caller=vm2 oh=1@vm2 svid=1
    """)
    owners = {owner: name for owner, name in found.owners.items() if owner[0] == at["client1"]}
    assert sorted(owners.values()) == ["vm1", "vm2"]
    assert [found.caller(*owner) for owner in owners] == list(owners.values())
    assert found.caller(at["client1"], 999, 9) == found.claimed[at["client1"]][0]
