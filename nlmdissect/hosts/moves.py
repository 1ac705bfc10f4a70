"""Addresses that moved to another network card at a restart, as in a failover between the nodes of a cluster.

An address that answers with another link-layer address from a restart on is another node, or the same one with a new
card. ARP for it is proof that it lives on this link; without ARP the change may be one of routers on the way, as is one
of a link-layer address that many endpoints share.
"""

from __future__ import annotations

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
    found = {boot.number: _move(boot, claims[boot.host], endpoints) for boot in boots}
    return {number: move for number, move in found.items() if move is not None}


def _move(boot: Boot, claims: list[tuple[At, bytes]], endpoints: Endpoints) -> Move | None:
    start = boot.not_before
    before = [mac for at, mac in claims if start is not None and at <= start]
    for at, mac in claims:
        if before and mac != before[-1] and start is not None and start < at:
            if at.time <= boot.not_after.time + AFTER:
                return Move(_text(before[-1]), _text(mac), at)
            break
    cards = sorted((first, mac) for mac, first in endpoints.macs[boot.host].items() if not endpoints.is_router(mac))
    for (_, old), (first, new) in pairwise(cards):
        place = first >> 40, first & FRAME
        late_enough = start is None or place > (start.capture, start.frame)
        if late_enough and place <= (boot.not_after.capture, boot.not_after.frame):
            told = (at for at, mac in claims if mac == new and at.time <= boot.not_after.time + AFTER)
            return Move(_text(old), _text(new), next(told, None))
    return None


def _text(mac: bytes) -> str:
    return mac.hex(":")
