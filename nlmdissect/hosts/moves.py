"""Addresses that moved to another network card at a restart, as in a failover between the nodes of a cluster.

An address that answers with another link-layer address from a restart on is another node, or the same one with a new
card. ARP for it is proof that it lives on this link; without ARP the change may be one of routers on the way, as is one
of a link-layer address that many endpoints share.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

from nlmdissect.capture.endpoints import Endpoints
from nlmdissect.capture.messages import Kind, Signal
from nlmdissect.findings import At
from nlmdissect.hosts.boot import Boot, Boots
from nlmdissect.hosts.signs import SECOND

AFTER = 5 * SECOND  # the new node may announce itself a little later than it first shows
FRAME = (1 << 40) - 1


@dataclass(frozen=True, slots=True)
class Move:
    """``old`` and ``new`` are link-layer addresses as people write them; ``announced`` is the ARP that names the new.
    """

    old: str
    new: str
    announced: At | None


def moves(boots: Boots, signals: list[Signal], endpoints: Endpoints) -> dict[int, Move]:
    """The restarts, by number, at which an address moved."""
    claims: dict[int, list[tuple[At, bytes]]] = defaultdict(list)
    for s in signals:
        if s.kind is Kind.ARP:
            claims[s.src].append((s.at, s.b.to_bytes(6, "big")))
    hosts: dict[int, _Cards] = {}
    found = {}
    for boot in boots:
        if boot.host not in hosts:
            hosts[boot.host] = _Cards(claims[boot.host], boot.host, endpoints)
        found[boot.number] = hosts[boot.host].move(boot)
    return {number: move for number, move in found.items() if move is not None}


class _Cards:
    """The network cards of one host: when it claimed each by ARP, and when its frames first came from it."""

    def __init__(self, claims: list[tuple[At, bytes]], host: int, endpoints: Endpoints) -> None:
        self._claims = sorted(claims, key=_at)
        self._changes = [n for n, (a, b) in enumerate(pairwise(self._claims), 1) if a[1] != b[1]]
        self._first: dict[bytes, At] = {}  # claims
        for at, mac in self._claims:
            self._first.setdefault(mac, at)
        cards = sorted((first, mac) for mac, first in endpoints.macs[host].items() if not endpoints.is_router(mac))
        self._seen = [(first >> 40, first & FRAME) for first, _ in cards]
        self._macs = [mac for _, mac in cards]

    def move(self, boot: Boot) -> Move | None:
        start, soon = boot.not_before, boot.not_after.time + AFTER
        before = bisect_right(self._claims, start, key=_at) if start is not None else 0
        change = bisect_left(self._changes, before)
        if before and change < len(self._changes):
            at, mac = self._claims[self._changes[change]]
            if at.time <= soon:
                return Move(_text(self._claims[before - 1][1]), _text(mac), at)
        place = 1 if start is None else max(bisect_right(self._seen, (start.capture, start.frame)), 1)
        if place < len(self._seen) and self._seen[place] <= (boot.not_after.capture, boot.not_after.frame):
            old, new = self._macs[place - 1 : place + 1]
            told = self._first.get(new)
            return Move(_text(old), _text(new), told if told is not None and told.time <= soon else None)
        return None


def _at(claim: tuple[At, bytes]) -> At:
    return claim[0]


def _text(mac: bytes) -> str:
    return mac.hex(":")
