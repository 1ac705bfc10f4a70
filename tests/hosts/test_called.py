"""Hosts are found by name as if each were asked; a name that hundreds have makes them no one host."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlmdissect.capture.endpoints import NETWORK, Endpoints
from nlmdissect.findings import At
from nlmdissect.hosts import called
from nlmdissect.hosts.called import MANY, Called, same_host
from nlmdissect.hosts.names import Names
from nlmdissect.hosts.resolved import Said

NAMES = st.sampled_from(("a", "A", "a.x.net", "A.X.NET", "a.y.net", "b", "b.x.net", ".net", "10.0.0.1", "10.0.0.2", "10"))


@given(st.dictionaries(st.integers(0, 20), st.lists(NAMES, max_size=3)), NAMES)
def test_as_if_each_host_were_asked(names: dict[int, list[str]], name: str) -> None:
    expected = [host for host in sorted(names) if any(same_host(name, other) for other in names[host])]
    assert list(Called(names)[name]) == expected


@pytest.mark.parametrize(
    ("common", "others"),
    [
        ("localhost", 0),
        ("localhost.localdomain", 0),
        ("db", 1),  # all are db, and each has a full name of its own
    ],
)
def test_too_many_with_one_name(common: str, others: int) -> None:
    few = {host: [common, f"{common}.site{host}.net"][: 1 + others] for host in range(MANY)}
    assert len(Called(few)[common]) == MANY
    many = few | {MANY: [common]}
    assert not Called(many)[common]
    if others:  # its full name is still its own
        assert list(Called(many)["db.site7.net"]) == [7]


def test_notifiers_are_those_who_notify(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, by card and by DNS, with names and cards that too many have, and whoever is asked."""
    monkeypatch.setattr(called, "MANY", 3)
    chance, found = random.Random(7), 0
    forms = ("a", "A.x.net", "a.x.net.", "a.y.net", "b", "b.x.net", "b.", "c.x.net")
    for _ in range(200):
        ends = Endpoints()
        names = Names(ends)
        for n in range(12):
            ends.add(NETWORK, bytes((10, 0, 0, n)))
            ends.sent_from(n, bytes((2, 0, 0, 0, 0, chance.randrange(4))), 1)
            names.claimed[n] += chance.sample(forms, chance.choice((0, 1, 1, 2)))
            names.roles[n] |= set(chance.choice(((), ("server",), ("client",))))
            names.cards[n].add(0x020000000000 + chance.randrange(4))
        for _ in range(chance.choice((0, 0, 3))):
            has = frozenset(bytes((10, 0, 0, chance.randrange(12))) for _ in range(chance.choice((1, 2))))
            names.resolved.said.append(Said(At(0, 0, 1), 0, (chance.choice(("a.x.net", "b.x.net", "c.x.net")),), has, 4))
        every = range(12)
        notifies = {(a, b) for a in every for b in every if names.notifies_for(a, b)}
        for host in every:
            assert names.notifiers(host) == [end for end in every if (end, host) in notifies]
            meant = names.may_notify_for(host)
            assert meant is None or {other for other in every if (host, other) in notifies} <= meant
            assert all(host in names.alike(other) for other in names.alike(host))
        found += len(notifies) - 12
    assert found > 200


@pytest.mark.parametrize("hosts", [3, 4])
def test_who_notifies_for_whom(hosts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four hosts of one name, where three are enough to make it nobody's: each speaks for itself alone."""
    monkeypatch.setattr(called, "MANY", 3)
    ends = Endpoints()
    names = Names(ends)
    for n in range(hosts):
        ends.add(NETWORK, bytes((10, 0, 0, n)))
        names.claimed[n].append("localhost")
        names.roles[n].add("client")
    expected = [0, 1, 2] if hosts == 3 else [1]
    assert names.notifiers(1) == expected
    assert names.may_notify_for(1) == set(expected)
    assert [n for n in range(hosts) if names.notifies_for(n, 1)] == expected
