"""Hosts that share an address with one that restarted: behind a router that translates addresses, or in containers."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

from nlmdissect.findings import At
from nlmdissect.history.fates import Owner
from nlmdissect.hosts.boot import Boot
from nlmdissect.hosts.called import OneHost, same_host
from nlmdissect.hosts.names import Names
from nlmdissect.rpc.requests import Op, Requests


class Neighbours:
    """Finds them, with one look at what each address asked."""

    def __init__(self, requests: Requests, names: Names) -> None:
        self._requests, self._names = requests, names
        self._hosts: dict[int, _Behind] = {}
        self._callers: dict[int, OneHost] = {}

    def of(self, boot: Boot) -> Container[Owner]:
        """Lock owners at the restarted address whose host is another one than that which announced the restart: they go
        by another name, and it is still in use afterwards. Empty where the address has one name, or nothing was
        announced.
        """
        name = self._names.announced.get((boot.host, boot.state_after or 0), "")
        if boot.host not in self._callers:
            self._callers[boot.host] = OneHost(self._names.unannounced.get(boot.host, ()))
        callers = self._callers[boot.host]
        if callers.count < 2 or name not in callers:
            return ()
        if boot.host not in self._hosts:
            self._hosts[boot.host] = _behind(boot.host, self._requests, self._names)
        return _Others(self._hosts[boot.host], name, boot.not_after)


@dataclass(slots=True)
class _Behind:
    """The lock owners at one address: by which name each goes, and when each name was last in use."""

    callers: dict[Owner, str] = field(default_factory=dict)
    used: dict[str, At] = field(default_factory=dict)


def _behind(host: int, requests: Requests, names: Names) -> _Behind:
    found = _Behind()
    for r in requests.where((requests.said.client == host) & ~requests.is_a(Op.GRANTED)):
        caller = names.caller(r.client, r.oh, r.svid)
        found.callers[Owner(r.client, r.oh, r.svid)] = caller
        found.used[caller] = max(r.sends[-1].at, found.used.get(caller, r.sends[-1].at))
    return found


@dataclass(frozen=True, slots=True)
class _Others:
    behind: _Behind
    name: str
    since: At

    def __contains__(self, owner: object) -> bool:
        caller = self.behind.callers.get(owner) if isinstance(owner, Owner) else None
        return caller is not None and self.behind.used[caller] > self.since and not same_host(caller, self.name)
