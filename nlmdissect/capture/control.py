"""ICMP errors and ARP: the packets around RPC that tell that nobody is there, or somebody else."""

from __future__ import annotations

from typing import NamedTuple

from .probe import be16, be32

UNREACHABLE = {False: 3, True: 1}
"""ICMP type "destination unreachable" (RFC 792, RFC 4443), by "is it IPv6"."""


class Unreachable(NamedTuple):
    """What an ICMP error says, and whom the packet it quotes was from and for."""

    type: int
    code: int
    source: bytes
    destination: bytes
    protocol: int
    sport: int
    dport: int


class Arp(NamedTuple):
    """An ARP packet for IPv4 (RFC 826). ``op`` 1 asks, 2 answers."""

    op: int
    mac: int
    source: bytes
    destination: bytes


def read_unreachable(b: bytes, at: int, have: int, v6: bool) -> Unreachable | None:
    """Read an ICMP message; None if it is of another type, or cut before the quoted addresses."""
    end = at + have
    inner = at + 8
    if inner + (40 if v6 else 20) > end or b[at] != UNREACHABLE[v6]:
        return None
    if v6:
        protocol, ports = b[inner + 6], inner + 40
        source, destination = b[inner + 8 : inner + 24], b[inner + 24 : inner + 40]
    else:
        protocol, ports = b[inner + 9], inner + (b[inner] & 15) * 4
        source, destination = b[inner + 12 : inner + 16], b[inner + 16 : inner + 20]
    named = protocol in (6, 17) and ports + 4 <= end
    sport, dport = (be16(b, ports), be16(b, ports + 2)) if named else (0, 0)
    return Unreachable(b[at], b[at + 1], source, destination, protocol, sport, dport)


def read_arp(b: bytes, at: int, have: int) -> Arp | None:
    """Read an ARP packet; None if it is not about IPv4 on Ethernet, or cut."""
    if have < 28 or be16(b, at + 2) != 0x800 or b[at + 4] != 6 or b[at + 5] != 4:
        return None
    mac = be16(b, at + 8) << 32 | be32(b, at + 10)
    return Arp(be16(b, at + 6), mac, b[at + 14 : at + 18], b[at + 24 : at + 28])
