"""Recordings, damaged on purpose: what capture points, filters, ring buffers and mirror ports do to them.

A damaged recording is the truth with something missing or doubled. What it shows may be less, never something else.
"""

from __future__ import annotations

import lzma
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

IPV4, IPV6 = b"\x08\x00", b"\x86\xdd"
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
SYN, RST = 2, 4
NFS, PORTMAP = 2049, 111
PARTS = 12
SEEDS = 6
CUTS = (68, 96, 112, 120, 128, 144, 160, 180, 200)  # in the headers, in the credential, in the arguments
ECHO = 5_000_000  # ns: how much later a second copy comes
ORDERS = {b"\xd4\xc3\xb2\xa1": ("<", 1000), b"\xa1\xb2\xc3\xd4": (">", 1000), b"\x4d\x3c\xb2\xa1": ("<", 1)}


class Frame(NamedTuple):
    """Units: ``time`` is in ns."""

    time: int
    wire: int
    data: bytes


class Packet(NamedTuple):
    """As much of a frame as tells what it is. ``flags`` and ``payload`` (its length) of TCP and UDP."""

    src: bytes
    dst: bytes
    protocol: int
    ports: tuple[int, int]
    flags: int
    payload: int

    @property
    def matters(self) -> bool:
        """Whether it carries RPC (but for NFS, of which there is much), SYN, RST or ICMP."""
        if self.protocol in (ICMP, ICMPV6) or self.flags & (SYN | RST):
            return True
        return self.payload > 0 and NFS not in self.ports


@dataclass(frozen=True, slots=True)
class Recording:
    """A pcap file of Ethernet frames. ``packets`` has one entry a frame, None where it is not IP."""

    frames: list[Frame]
    packets: list[Packet | None]

    def where(self, wanted: Callable[[Packet], bool]) -> list[Frame]:
        """The frames of these packets, and those that are not IP."""
        return [f for f, p in zip(self.frames, self.packets, strict=True) if p is None or wanted(p)]


def load(path: Path) -> Recording | None:
    """Read a pcap file; None if it is anything else than pcap on Ethernet."""
    data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    if data[:4] not in ORDERS or len(data) < 24:
        return None
    order, unit = ORDERS[data[:4]]
    if struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF != 1:
        return None
    frames, at = [], 24
    while at + 16 <= len(data):
        seconds, fraction, captured, wire = struct.unpack_from(order + "IIII", data, at)
        frames.append(Frame(seconds * 10**9 + fraction * unit, wire, data[at + 16 : at + 16 + captured]))
        at += 16 + captured
    return Recording(frames, [_packet(frame.data) for frame in frames])


def save(frames: list[Frame], path: Path) -> None:
    """Write a pcap file with times in ns."""
    out = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 1 << 18, 1)]
    for time, wire, data in frames:
        out.append(struct.pack("<IIII", *divmod(time, 10**9), len(data), wire) + data)
    path.write_bytes(b"".join(out))


def damages(recording: Recording) -> Iterator[tuple[str, list[Frame]]]:
    """Every damage: its name, and what is left."""
    yield from _single(recording)
    yield from _one_way(recording)
    yield from _filtered(recording)
    yield from _lossy(recording)
    yield from _doubled(recording)


def _single(recording: Recording) -> Iterator[tuple[str, list[Frame]]]:
    frames = recording.frames
    for place, packet in enumerate(recording.packets):
        if packet is not None and packet.matters:
            yield f"without frame {place + 1}", frames[:place] + frames[place + 1 :]


def _one_way(recording: Recording) -> Iterator[tuple[str, list[Frame]]]:
    pairs = sorted({(p.src, p.dst) for p in recording.packets if p is not None})
    for pair in pairs:
        if pair[::-1] in pairs:
            yield f"nothing from {_text(pair[0])} to {_text(pair[1])}", recording.where(lambda p: p[:2] != pair)  # noqa: B023
    for host in sorted({end for pair in pairs for end in pair}):
        yield f"nothing from {_text(host)}", recording.where(lambda p: p.src != host)  # noqa: B023
        yield f"nothing to {_text(host)}", recording.where(lambda p: p.dst != host)  # noqa: B023


def _filtered(recording: Recording) -> Iterator[tuple[str, list[Frame]]]:
    for length in CUTS:
        yield f"cut at {length}", [Frame(time, wire, data[:length]) for time, wire, data in recording.frames]
    yield "only port 2049", recording.where(lambda p: NFS in p.ports)
    yield "only TCP", recording.where(lambda p: p.protocol == TCP)
    yield "only UDP", recording.where(lambda p: p.protocol == UDP)
    yield "no port 111", recording.where(lambda p: PORTMAP not in p.ports)


def _lossy(recording: Recording) -> Iterator[tuple[str, list[Frame]]]:
    frames = recording.frames
    for percent in (1, 5):
        for seed in range(SEEDS):
            chance = random.Random(seed * 100 + percent)
            left = [frame for frame in frames if chance.random() > percent / 100]
            yield f"{percent} % lost ({seed})", left
    for part in range(1, PARTS):
        yield f"begins at {part}/{PARTS}", frames[len(frames) * part // PARTS :]
        yield f"ends at {part}/{PARTS}", frames[: len(frames) * part // PARTS]


def _doubled(recording: Recording) -> Iterator[tuple[str, list[Frame]]]:
    frames = recording.frames
    yield "every frame twice", [frame for frame in frames for _ in range(2)]
    later = [frame._replace(time=frame.time + ECHO) for frame in frames]
    yield "every frame again 5 ms later", sorted([*frames, *later], key=lambda frame: frame.time)


def _packet(data: bytes) -> Packet | None:
    at, kind = 14, data[12:14]
    while kind in (b"\x81\x00", b"\x88\xa8"):
        at, kind = at + 4, data[at + 2 : at + 4]
    if kind == IPV4 and len(data) >= at + 20:
        src, dst, protocol, body = (
            data[at + 12 : at + 16],
            data[at + 16 : at + 20],
            data[at + 9],
            at + (data[at] & 15) * 4,
        )
        end = at + int.from_bytes(data[at + 2 : at + 4], "big")
    elif kind == IPV6 and len(data) >= at + 40:
        src, dst, protocol, body = data[at + 8 : at + 24], data[at + 24 : at + 40], data[at + 6], at + 40
        end = body + int.from_bytes(data[at + 4 : at + 6], "big")
    else:
        return None
    head = data[body : body + 20]
    if protocol == UDP and len(head) >= 8:
        return Packet(src, dst, protocol, struct.unpack_from(">HH", head), 0, end - body - 8)  # type: ignore[arg-type]
    if protocol == TCP and len(head) >= 14:
        ports, size = struct.unpack_from(">HH", head), (head[12] >> 4) * 4
        return Packet(src, dst, protocol, ports, head[13], end - body - size)  # type: ignore[arg-type]
    return Packet(src, dst, protocol, (0, 0), 0, 0)


def _text(address: bytes) -> str:
    return ".".join(map(str, address)) if len(address) == 4 else address.hex(":", 2)
