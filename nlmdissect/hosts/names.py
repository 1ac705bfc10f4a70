"""Which names an endpoint claimed, and what a reader calls it.

Machines are keyed by endpoint: a scope and an address (127.0.0.1 exists on every host). Names are attributes, never
keys: clones share them, and short and full names mean one host. They answer one question: who may notify for whom.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address

import numpy as np

from nlmdissect.capture.dns import Answer
from nlmdissect.capture.endpoints import NETWORK, Endpoints
from nlmdissect.capture.messages import Kind, Signal
from nlmdissect.groups import groups
from nlmdissect.hosts.called import Called, OneHost, few, first_label
from nlmdissect.hosts.resolved import Resolved, Said, resolved
from nlmdissect.protocols import MOUNT, NLM, NSM, PORTMAP
from nlmdissect.rpc.calls import NONE, Calls, Texts
from nlmdissect.rpc.requests import Op, Requests

SM_NOTIFY = 6


@dataclass(slots=True)
class Names:
    """``claimed[endpoint]`` are the names an endpoint gave itself, in order of appearance, and ``unannounced`` those of
    them that do not come from SM_NOTIFY; ``owners`` the name that a lock owner (endpoint, oh, svid) first went by: not
    the endpoint's first where a router hides several hosts; ``announced`` the first name in an endpoint's SM_NOTIFYs
    with each NSM state; ``roles`` what it was seen to do; ``cards`` are the link-layer addresses that it claimed by
    ARP, which no router does for others; ``resolved`` is what DNS says, which is no claim of anybody.
    """

    endpoints: Endpoints
    claimed: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    unannounced: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    owners: dict[tuple[int, int, int], str] = field(default_factory=dict)
    announced: dict[tuple[int, int], str] = field(default_factory=dict)
    cards: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    roles: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    resolved: Resolved = field(default_factory=Resolved)
    _own: dict[int, OneHost] = field(default_factory=dict)
    # made when somebody asks: all names are there by then
    _claimed: Called | None = None
    _unannounced: Called | None = None
    _alike: dict[int, set[int]] = field(default_factory=dict)
    _notifiers: dict[int, list[int]] = field(default_factory=dict)
    _claimers: dict[int, list[int]] = field(default_factory=dict)  # hosts by the link-layer addresses in ``cards``
    _servers: frozenset[bytes] | None = None  # their addresses
    _elsewhere: dict[int, list[tuple[str, str]]] = field(default_factory=dict)

    def address(self, endpoint: int) -> str:
        """The address as text: the ``id`` of a host in reports."""
        return self.endpoints.text(endpoint)

    def label(self, endpoint: int | None) -> str:
        """``client-a (10.77.0.21)``: name and address, for people. A name that only DNS gives it is marked as such."""
        if endpoint is None:
            return "an unknown host"
        names = self.claimed.get(endpoint)
        if names:
            return f"{names[0]} ({self.address(endpoint)})"
        told = self.in_dns(endpoint)
        return f"{self.address(endpoint)} (in DNS: {told[0]})" if told else self.address(endpoint)

    def caller(self, endpoint: int, oh: int, svid: int) -> str:
        """The caller_name of a lock owner; empty if its host has none."""
        names = self.claimed.get(endpoint) or [""]
        return self.owners.get((endpoint, oh, svid), names[0])

    def in_dns(self, endpoint: int) -> list[str]:
        """The names that DNS connects with an address of the network."""
        if self.endpoints.scopes[endpoint] != NETWORK:
            return []
        return self.resolved.names(self.endpoints.addresses[endpoint])

    def known_as(self, endpoint: int, name: str) -> bool:
        """Whether an endpoint used ``name`` for itself, as NSM compares names: without case, full or cut at the
        first dot.
        """
        own, claimed = self._own.setdefault(endpoint, OneHost()), self.claimed.get(endpoint, [])
        for other in claimed[own.count :]:
            own.add(other)
        return name in own

    def notifies_for(self, sender: int, host: int) -> bool:
        """Whether an SM_NOTIFY from ``sender`` can be about ``host``.

        It is the host itself, claims one of its names, or takes no locks of its own and is another address of the same
        network card (the node of a cluster, beside the service address), or calls itself by a name that DNS gives to
        the host and to no other server. A name, or a card, of too many (``called.MANY``) tells nothing.
        """
        if host in self.alike(sender):
            return True
        if self.roles.get(sender):
            return False
        if "server" in self.roles.get(host, ()) and self._one_card(sender, host):
            return True
        own = (name for name in self.claimed.get(sender, ()) if self.resolved.said and sender in self.known(name))
        return any(self._alone(name, host) for name in own)

    def notifiers(self, host: int) -> list[int]:
        """The endpoints for which ``notifies_for`` is true, in order, without a look at all."""
        if host not in self._notifiers:
            address = self.endpoints.addresses[host]
            macs = (mac.to_bytes(6, "big") for mac in self.cards.get(host, ()))
            near = self.alike(host).union(*(self._at_card(mac) for mac in macs))
            if self.resolved.said:
                said = {name for s in self.resolved.having(address) for name in s.names}
                said |= {first_label(name) for name in said}
                near = near.union(*(self.known(form) for name in said for form in (name, f"{name}.")))
            self._notifiers[host] = [end for end in sorted(near) if self.notifies_for(end, host)]
        return self._notifiers[host]

    def may_notify_for(self, sender: int) -> set[int] | None:
        """The endpoints among which are all for which ``sender`` can notify; None where that can be any."""
        if self.roles.get(sender):
            return self.alike(sender)
        if self.resolved.said:
            return None
        if not self._claimers:
            for host, macs in self.cards.items():
                for mac in macs:
                    self._claimers.setdefault(mac, []).append(host)
        own = (int.from_bytes(mac, "big") for mac in self.endpoints.macs[sender] if self._at_card(mac))
        return self.alike(sender).union(*(self._claimers.get(mac, ()) for mac in own))

    def called(self, name: str) -> dict[int, None]:
        """The endpoints that called themselves so in anything but an SM_NOTIFY, as keys, in order."""
        return self._not_announced()[name]

    def _not_announced(self) -> Called:
        if self._unannounced is None:
            self._unannounced = Called(self.unannounced)
        return self._unannounced

    def called_otherwise(self, host: int, name: str) -> bool:
        """Whether a host called itself something in anything but an SM_NOTIFY, and others, but never it, so."""
        return bool(self.unannounced.get(host)) and self._not_announced().others_alone(host, name)

    def crowded(self) -> int:
        """How many hosts have a name that too many have for it to tell anything."""
        return self._all().crowded

    def alike(self, host: int) -> set[int]:
        """The endpoints that have one of this one's names (``same_host``), itself among them."""
        if host not in self._alike:
            self._alike[host] = {host}.union(*(self.known(name) for name in self.claimed.get(host, ())))
        return self._alike[host]

    def known(self, name: str) -> dict[int, None]:
        """The endpoints that ever called themselves so, as keys, in order."""
        return self._all()[name]

    def _all(self) -> Called:
        if self._claimed is None:
            self._claimed = Called(self.claimed)
        return self._claimed

    def elsewhere(self, host: int) -> list[tuple[str, str]]:
        """(name, address) of the addresses that DNS gives to a name of ``host`` and that the capture does not show."""
        if host not in self._elsewhere:
            self._elsewhere[host] = [*self._hidden(host)] if self.resolved.said else []
        return self._elsewhere[host]

    def _hidden(self, host: int) -> Iterator[tuple[str, str]]:
        for name in self.claimed.get(host, ()):
            said = self.leads_to(name, host)
            hidden = (address for address in sorted(said.addresses if said else ()) if address not in self.endpoints)
            yield from ((name, str(ip_address(address))) for address in hidden)

    def leads_to(self, name: str, host: int) -> Said | None:
        """An answer of DNS, to anybody, that gives ``name`` the address of ``host``."""
        address = self.endpoints.addresses[host]
        said = self.resolved.leads_to(name, address) if self.endpoints.scopes[host] == NETWORK else None
        return said if said is not None and address in said.addresses else None

    def _alone(self, name: str, host: int) -> bool:
        """Whether DNS gives a name to ``host``, and to no other server: a service of several is nobody's name."""
        said = self.leads_to(name, host)
        if said is None:
            return False
        if self._servers is None:
            servers = (h for h, roles in self.roles.items() if "server" in roles)
            self._servers = frozenset(self.endpoints.addresses[h] for h in servers)
        return said.addresses & self._servers <= {self.endpoints.addresses[host]}

    def at_one_card(self, a: int, b: int) -> bool:
        """Whether the frames of both come from one card, which does not look like a router's."""
        macs = self.endpoints.macs
        return any(not self.endpoints.is_router(mac) for mac in macs[a].keys() & macs[b].keys())

    def at_its_card(self, end: int) -> set[int]:
        """An endpoint, and all that are at one card with it."""
        macs = (mac for mac in self.endpoints.macs[end] if not self.endpoints.is_router(mac))
        return {end}.union(*(self.endpoints.behind[mac] for mac in macs))

    def _one_card(self, a: int, b: int) -> bool:
        """Whether the frames of ``a`` come from a card that ``b`` has claimed."""
        macs = (mac for mac in self.endpoints.macs[a] if self._at_card(mac))
        return any(int.from_bytes(mac, "big") in self.cards[b] for mac in macs)

    def _at_card(self, mac: bytes) -> Collection[int]:
        """The endpoints whose frames come from a card, if they are not too many."""
        return few(self.endpoints.behind.get(mac, ()))


def names(
    endpoints: Endpoints,
    calls: Calls,
    texts: Texts,
    requests: Requests,
    signals: Iterable[Signal] = (),
    answers: Iterable[Answer] = (),
) -> Names:
    """Collect names from caller_name, AUTH_SYS machinename and the mon_name of SM_NOTIFY; beside them, what DNS says.

    A GRANTED callback carries the server's own name on Linux and the client's on FreeBSD, illumos, macOS and
    Ganesha, so it names nobody whose name the client has claimed.
    """
    found = Names(endpoints)
    for signal in signals:
        if signal.kind is Kind.ARP:
            found.cards[signal.src].add(signal.b)
    said, callback = requests.said, requests.is_a(Op.GRANTED)
    told = (said.server, said.client, callback, said.caller_name, said.oh, said.svid)
    first, _ = groups(*told)
    for server, client, granted, name, oh, svid in zip(*(column[first].tolist() for column in told), strict=True):
        found.roles[server].add("server")
        found.roles[client].add("client")
        if not granted:
            _claim(found, client, texts[name])
            if texts[name]:
                found.owners.setdefault((client, oh, svid), _text(texts[name]))
    for request in requests.where(callback):
        if not found.known_as(request.client, _text(texts[request.caller_name])):
            for sender in {request.server, *(int(calls.src[send.row]) for send in request.sends)}:
                _claim(found, sender, texts[request.caller_name])
    for row in (
        ((calls.program == NSM) & (calls.procedure == SM_NOTIFY) & (calls.mon_name != NONE)).nonzero()[0].tolist()
    ):
        sender, told_name = int(calls.src[row]), texts[int(calls.mon_name[row])]
        _claim(found, sender, told_name, announced=True)
        found.announced.setdefault((sender, int(calls.state[row])), _text(told_name))
    # a client whose own statd refuses to monitor sends no NLM call at all, but it does mount
    signed = ((calls.program == NLM) | (calls.program == MOUNT)) & (calls.machinename != NONE)
    host, machine = calls.src[signed], calls.machinename[signed]
    first, _ = groups(host, machine)
    for sender, number in zip(host[first].tolist(), machine[first].tolist(), strict=True):
        _claim(found, sender, texts[number])
    ours = (calls.program == NLM) | (calls.program == NSM) | (calls.program == PORTMAP)
    hosts = {*np.unique(calls.src[ours]).tolist(), *np.unique(calls.dst[ours]).tolist(), *found.roles}
    claimed = {name for names in found.claimed.values() for name in names}
    found.resolved = resolved(answers, endpoints, hosts, claimed)
    return found


def _claim(found: Names, endpoint: int, name: bytes, announced: bool = False) -> None:
    text = _text(name)
    if text and not announced:
        found.unannounced[endpoint].add(text)
    if text and text not in found.claimed[endpoint]:
        found.claimed[endpoint].append(text)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
