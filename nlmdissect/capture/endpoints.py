"""Addresses as small numbers.

An endpoint is a scope and an address: 127.0.0.1 exists on every host, fe80:: on every link.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address

NETWORK = 0
"""The scope of ordinary addresses. Loopback and link-local ones have the scope ``capture + 1`` of the file they are in;
files of one rotated set count as the first of them."""

ADDRESSES_OF_A_CARD = 4
"""More than that come through a router."""


@dataclass(slots=True)
class Endpoints:
    """Endpoint numbers are positions in ``scopes`` and ``addresses`` (4 bytes for IPv4, 16 for IPv6)."""

    scopes: list[int] = field(default_factory=list)
    addresses: list[bytes] = field(default_factory=list)
    macs: list[dict[bytes, int]] = field(default_factory=list)
    """For each endpoint the link-layer addresses that its frames came from, with ``capture << 40 | frame`` of the
    first. The last router's, if the endpoint is not on the link. Written by ``sent_from`` alone."""
    behind: dict[bytes, list[int]] = field(init=False, default_factory=lambda: defaultdict(list))
    """The same the other way round: the endpoints by the link-layer address that their frames came from."""

    _numbers: dict[tuple[int, bytes], int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for number, (scope, address, macs) in enumerate(zip(self.scopes, self.addresses, self.macs, strict=True)):
            self._numbers.setdefault((scope, address), number)
            for mac in macs:
                self.behind[mac].append(number)

    def __len__(self) -> int:
        return len(self.addresses)

    def __contains__(self, address: bytes) -> bool:
        """Whether the network has an address."""
        return (NETWORK, address) in self._numbers

    def add(self, scope: int, address: bytes) -> int:
        """Append an endpoint that is not there yet."""
        self.scopes.append(scope)
        self.addresses.append(address)
        self.macs.append({})
        self._numbers.setdefault((scope, address), len(self.addresses) - 1)
        return len(self.addresses) - 1

    def sent_from(self, number: int, mac: bytes, frame: int) -> None:
        """A frame of an endpoint came from a link-layer address."""
        if mac not in self.macs[number]:
            self.macs[number][mac] = frame
            self.behind[mac].append(number)

    def is_router(self, mac: bytes) -> bool:
        """Whether more addresses send from here than a host has."""
        return len(self.behind.get(mac, ())) > ADDRESSES_OF_A_CARD

    def find(self, address: str, scope: int = NETWORK) -> int | None:
        """The number of an address given as text, None if it was never seen."""
        return self._numbers.get((scope, ip_address(address).packed))

    def text(self, number: int) -> str:
        """The address as people write it."""
        return _text(self.addresses[number])


@lru_cache(1 << 16)
def _text(address: bytes) -> str:
    return str(ip_address(address))
