"""Hosts are found by name as if each were asked; a name that hundreds have makes them no one host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlmdissect.capture.endpoints import NETWORK, Endpoints
from nlmdissect.hosts import called
from nlmdissect.hosts.called import MANY, Called, same_host
from nlmdissect.hosts.names import Names

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
