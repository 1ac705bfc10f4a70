"""Capture files made by hand, and where the recorded ones are."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

SHARED = Path(__file__).resolve().parents[3] / "shared" / "captures"
OWN = Path(__file__).resolve().parents[2] / "captures"

SECOND = 1_000_000_000


def recordings() -> list[Path]:
    """Every capture there is: the recordings with known causes, other people's, and the project's own (which are copies of
    some of the first)."""
    endings = {".pcap", ".pcapng", ".snoop"}
    found = [path for folder in (OWN, SHARED) for path in sorted(folder.rglob("*")) if endings & set(path.suffixes)]
    return list({(path.name, path.stat().st_size): path for path in reversed(found)}.values())[::-1]


def pcap(
    records: Iterable[tuple[int, int, bytes]] = (),
    *,
    order: str = "<",
    magic: int = 0xA1B2C3D4,
    version: tuple[int, int] = (2, 4),
    snaplen: int = 65535,
    link: int = 1,
) -> bytes:
    """A pcap file of (seconds, fraction, data) records, all captured whole."""
    out = [struct.pack(order + "IHHiIII", magic, *version, 0, 0, snaplen, link)]
    for seconds, fraction, data in records:
        out.append(struct.pack(order + "IIII", seconds, fraction, len(data), len(data)) + data)
    return b"".join(out)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A pcapng block."""
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def shb(order: str = "<", version: tuple[int, int] = (1, 0)) -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, *version, -1), order)


def idb(order: str = "<", link: int = 1, snaplen: int = 0, options: bytes = b"") -> bytes:
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + options, order)


def epb(
    data: bytes, ticks: int = 0, order: str = "<", interface: int = 0, wire: int | None = None, options: bytes = b""
) -> bytes:
    head = struct.pack(
        order + "IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data) if wire is None else wire
    )
    return block(6, head + data + bytes(-len(data) % 4) + options, order)


def ipv4(source: str, target: str, payload: bytes, *, protocol: int, mark: int = 0, ttl: int = 64) -> bytes:
    """An IPv4 packet (RFC 791) with a header checksum of zero."""
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), mark, 0, ttl, protocol, 0)
    return head + bytes(map(int, source.split("."))) + bytes(map(int, target.split("."))) + payload


def udp(source: str, target: str, payload: bytes, *, mark: int = 0, ttl: int = 64, ports: tuple[int, int]) -> bytes:
    """An Ethernet frame with UDP (RFC 768)."""
    datagram = struct.pack(">HHHH", *ports, 8 + len(payload), 0) + payload
    return bytes(12) + b"\x08\x00" + ipv4(source, target, datagram, protocol=17, mark=mark, ttl=ttl)
