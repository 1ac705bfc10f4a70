"""Headers with other names in them: link layer, ARP, IP, UDP, ICMP. What has no rule here becomes zeros."""

from __future__ import annotations

from collections.abc import Callable

from nlmdissect.capture.probe import be16
from nlmdissect.evidence.anonymise.pseudonyms import Pseudonyms
from nlmdissect.evidence.packet import FRAGMENT, ICMP, ICMPV6, TCP, UDP, Ip, checksum, ip, total

Payload = Callable[[bytes, int, bytes, int, bytes, int], bytes]
"""(data, wire length, source, port, target, port) of a datagram -> new data."""

QUOTING = {False: (3, 4, 5, 11, 12), True: (1, 2, 3, 4)}  # types of ICMP that quote a packet, by "is it IPv6"
REDIRECT = 5  # names a router
NEIGHBOUR = {133: 8, 134: 16, 135: 24, 136: 24}  # ICMPv6 type -> where its options begin, RFC 4861
KEPT_OPTIONS = frozenset({2, 3, 4, 8})  # of TCP: segment size, window scale, SACK permitted, time stamps
SACK = 5


def link_layer(names: Pseudonyms, link: int, data: bytes, end: int) -> bytes:
    """What stands before the packet; nothing where there is no packet, since the frame is too short."""
    head = bytearray(data[:end])
    if not head:
        return b""
    if link == 1:
        for at in (0, 6):
            head[at : at + 6] = names.mac(data[at : at + 6])
    elif link in (113, 276):
        size_at, at = (5, 6) if link == 113 else (11, 12)
        size = 6 if data[size_at] == 6 and data[size_at - 1 : size_at] else 0
        head[at : at + 8] = names.mac(data[at : at + size]) + bytes(8 - size)
    return bytes(head)


def arp(names: Pseudonyms, data: bytes) -> bytes:
    """An ARP packet (RFC 826) and what follows it."""
    if len(data) < 28 or be16(data, 2) != 0x800 or data[4] != 6 or data[5] != 4:
        return bytes(len(data))
    parts = [data[:8]]
    for at in (8, 18):
        parts += names.mac(data[at : at + 6]), names.address(data[at + 6 : at + 10])
    return b"".join(parts) + bytes(len(data) - 28)


def ip_header(names: Pseudonyms, data: bytes, packet: Ip, size: int) -> bytes:
    """The header of a packet whose payload has ``size`` bytes on the wire now. Options say nothing any more."""
    by = size - packet.size
    source, target = names.address(packet.source), names.address(packet.target)
    if packet.six:
        length = be16(data, packet.at + 4) + by if packet.counted else 0
        head = data[packet.at : packet.at + 4] + length.to_bytes(2, "big") + data[packet.at + 6 : packet.at + 8]
        return head + source + target + _extensions(data, packet)
    length = be16(data, packet.at + 2) + by if packet.counted else 0
    four = bytearray(data[packet.at : packet.at + 20])
    four[2:4] = length.to_bytes(2, "big")
    four[10:20] = bytes(2) + source + target
    four += b"\1" * (min(packet.payload, len(data)) - packet.at - 20)  # "no operation"
    if packet.payload <= len(data):
        four[10:12] = (0xFFFF ^ total(four)).to_bytes(2, "big")
    return bytes(four)


def _extensions(data: bytes, packet: Ip) -> bytes:
    kind, at, out = data[packet.at + 6], packet.at + 40, b""
    while at + 8 <= packet.payload:
        step = 8 if kind == FRAGMENT else data[at + 1] * (4 if kind == 51 else 8) + 8
        here = data[at : min(at + step, packet.payload)]
        out += here if kind == FRAGMENT else here[:2] + bytes(len(here) - 2)
        kind, at = data[at], at + step
    return out + bytes(packet.payload - packet.at - 40 - len(out))


def udp(names: Pseudonyms, data: bytes, size: int, source: bytes, target: bytes, payload: Payload) -> tuple[bytes, int]:
    """A datagram of ``size`` bytes on the wire, as much of it as was captured: (new bytes, new size)."""
    if len(data) < 8:
        return bytes(len(data)), size
    told = be16(data, 4)
    inner = max(min(size, told or size) - 8, 0)
    body = data[8 : 8 + inner]
    new = payload(body, inner, source, be16(data, 0), target, be16(data, 2))
    by = len(new) - len(body)
    head = bytearray(data[:4] + ((told + by) & 0xFFFF if told else 0).to_bytes(2, "big") + bytes(2))
    out = head + new + bytes(len(data) - 8 - len(body))
    if be16(data, 6) and len(body) == inner:
        value = checksum(names.address(source), names.address(target), UDP, out[: 8 + len(new)])
        out[6:8] = (value or 0xFFFF).to_bytes(2, "big")
    return bytes(out), size + by


def tcp_options(options: bytes, moved: Callable[[int], int]) -> bytes:
    """Those that a stream needs; the others become "no operation"."""
    out, at = bytearray(b"\1" * len(options)), 0
    while at < len(options):
        kind = options[at]
        size = 1 if kind < 2 else options[at + 1] if at + 1 < len(options) else 0
        if size < (1 if kind < 2 else 2) or at + size > len(options):
            break
        if kind == 0:
            out[at:] = bytes(len(options) - at)
            break
        if kind in KEPT_OPTIONS:
            out[at : at + size] = options[at : at + size]
        elif kind == SACK:
            edges = [int.from_bytes(options[i : i + 4], "big") for i in range(at + 2, at + size - 3, 4)]
            new = b"".join(moved(edge).to_bytes(4, "big") for edge in edges)
            out[at : at + size] = (options[at : at + 2] + new).ljust(size, b"\0")
        at += size
    return bytes(out)


def icmp(names: Pseudonyms, data: bytes, packet: Ip, payload: Payload, *, whole: bool) -> bytes:
    """An ICMP or ICMPv6 message. What it quotes is rewritten as what it is."""
    if len(data) < 8:
        return bytes(len(data))
    kind = data[0]
    head = bytearray(data[:2] + bytes(2) + data[4:8])
    if kind in QUOTING[packet.six]:
        if kind == REDIRECT and not packet.six:
            head[4:8] = names.address(data[4:8])
        body = quoted(names, data[8:], packet.six, payload)
    elif packet.six and kind in NEIGHBOUR:
        options = NEIGHBOUR[kind]
        body = (names.address(data[8:24]) if options == 24 and len(data) >= 24 else data[8:options]) + _neighbour(
            names, data[options:]
        )
    else:
        head[4:] = bytes(4)
        body = b""
    out = head + body.ljust(len(data) - 8, b"\0")
    if whole:
        value = checksum(*_ends(names, packet), ICMPV6, out) if packet.six else 0xFFFF ^ total(out)
        out[2:4] = value.to_bytes(2, "big")
    return bytes(out)


def _neighbour(names: Pseudonyms, options: bytes) -> bytes:
    """Options of neighbour discovery: only link-layer addresses stay, as others."""
    out, at = b"", 0
    while at + 8 <= len(options) and options[at + 1]:
        kind, size = options[at], options[at + 1] * 8
        here = options[at : at + size]
        out += here[:2] + (names.mac(here[2:8]) if kind in (1, 2) and size == 8 else bytes(len(here) - 2))
        at += size
    return out


def quoted(names: Pseudonyms, data: bytes, six: bool, payload: Payload) -> bytes:
    """The beginning of a packet."""
    inner = ip(data, 0, len(data), 0x86DD if six else 0x800)
    if inner is None:
        return bytes(len(data))
    body = data[inner.payload : inner.end]
    if inner.protocol == UDP and not inner.offset:
        new, size = udp(names, body, inner.size, inner.source, inner.target, payload)
    elif inner.protocol == TCP and not inner.offset:
        new, size = body[:8] + bytes(max(len(body) - 8, 0)), inner.size
    elif inner.protocol in (ICMP, ICMPV6) and not inner.offset:
        new, size = body[:2] + bytes(max(len(body) - 2, 0)), inner.size
    else:
        new, size = bytes(len(body)), inner.size
    return ip_header(names, data, inner, size) + new + bytes(len(data) - inner.end)


def _ends(names: Pseudonyms, packet: Ip) -> tuple[bytes, bytes]:
    return names.address(packet.source), names.address(packet.target)

