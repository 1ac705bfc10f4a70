"""Where the layers of a frame are, and their checksums. Nothing is judged here: what does not fit is no such layer."""

from __future__ import annotations

import struct
from typing import NamedTuple

from nlmdissect.capture.probe import be16, be32

IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
VLAN = frozenset({0x8100, 0x88A8, 0x9100})
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
EXTENSIONS = frozenset({0, 43, 44, 51, 60, 135})
FRAGMENT = 44
RAW = frozenset({101, 12, 14, 228, 229})


class Ip(NamedTuple):
    """An IP packet from ``at`` on: addresses, and where its payload begins and ends in what was captured.

    ``size`` is the payload's length on the wire; ``offset`` and ``more`` are those of a fragment.
    """

    at: int
    six: bool
    source: bytes
    target: bytes
    protocol: int
    payload: int
    end: int
    size: int
    ident: int
    offset: int
    more: bool
    counted: bool  # the header says how long the packet is

    @property
    def fragment(self) -> bool:
        return self.offset > 0 or self.more


def network(link: int, data: bytes) -> tuple[int, int]:
    """(EtherType, where what it names begins) of a frame; the type is 0 for what is not known."""
    kind, at = 0, 0
    if link == 1 and len(data) >= 14:
        kind, at = be16(data, 12), 14
    elif link == 113 and len(data) >= 16:
        kind, at = be16(data, 14), 16
    elif link == 276 and len(data) >= 20:
        kind, at = be16(data, 0), 20
    elif link in (0, 108) and len(data) >= 4:
        family = be16(data, 2) if be16(data, 0) == 0 else data[0] + data[1] * 256
        kind, at = IPV4 if family == 2 else IPV6 if family in (10, 24, 28, 30) else 0, 4
    elif link in RAW and data:
        kind = {4: IPV4, 6: IPV6}.get(data[0] >> 4, 0)
    while kind in VLAN and at + 4 <= len(data):
        kind, at = be16(data, at + 2), at + 4
    if 0 < kind <= 1500 and at + 8 <= len(data) and be32(data, at) == 0xAAAA0300 and be16(data, at + 4) == 0:
        kind, at = be16(data, at + 6), at + 8
    return kind, at


def ip(data: bytes, at: int, wire: int, kind: int) -> Ip | None:
    """The IP packet at ``at`` of a frame that had ``wire`` bytes; None if there is none."""
    if kind == IPV4:
        return _four(data, at, wire)
    return _six(data, at, wire) if kind == IPV6 else None


def _four(data: bytes, at: int, wire: int) -> Ip | None:
    if at + 20 > len(data) or data[at] >> 4 != 4:
        return None
    head, total, part = (data[at] & 15) * 4, be16(data, at + 2), be16(data, at + 6)
    counted = total > 0
    total = total or max(wire, len(data)) - at
    if head < 20 or total < head:
        return None
    end = min(len(data), at + total)
    return Ip(
        at, False, data[at + 12 : at + 16], data[at + 16 : at + 20], data[at + 9], at + head, max(end, at + head),
        total - head, be16(data, at + 4), (part & 0x1FFF) * 8, bool(part & 0x2000), counted,
    )  # fmt: skip


def _six(data: bytes, at: int, wire: int) -> Ip | None:
    if at + 40 > len(data) or data[at] >> 4 != 6:
        return None
    protocol, size, payload = data[at + 6], be16(data, at + 4), at + 40
    counted = size > 0 or protocol == 59
    size = size if counted else max(wire, len(data)) - payload
    end, part, ident = min(len(data), payload + size), 0, 0
    while protocol in EXTENSIONS and payload + 8 <= end and not part:
        if protocol == FRAGMENT:
            part, ident, step = be16(data, payload + 2), be32(data, payload + 4), 8
        else:
            step = data[payload + 1] * (4 if protocol == 51 else 8) + 8
        protocol, payload, size = data[payload], payload + step, size - step
    if size < 0:
        return None
    return Ip(
        at, True, data[at + 8 : at + 24], data[at + 24 : at + 40], protocol, min(payload, end), end, size, ident,
        part & 0xFFF8, bool(part & 1), counted,
    )  # fmt: skip


def total(data: bytes | bytearray, start: int = 0) -> int:
    """The sum that Internet checksums are made of (RFC 1071)."""
    padded = bytes(data) + bytes(len(data) & 1)
    value: int = start + sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


def checksum(source: bytes, target: bytes, protocol: int, segment: bytes | bytearray) -> int:
    """Of a TCP, UDP or ICMPv6 packet, whose own checksum field is zero."""
    pseudo = source + target + len(segment).to_bytes(4, "big") + protocol.to_bytes(4, "big")
    return 0xFFFF ^ total(segment, total(pseudo))
