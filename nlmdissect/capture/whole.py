"""Every block of a capture file as it stands there: for those who write captures, not for those who read them.

A pcap file is given as the pcapng file that says the same: one section, one interface, one Enhanced Packet Block a
record, in the byte order and the unit of time of the original. So there is one format to write, and the blocks of a
pcapng file can be passed on byte by byte.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from . import pcap, pcapng, records
from .block import Source
from .formats import NO_PACKET
from .interfaces import FAR, IF_TSRESOL, Interface, OptionsCutError, Section, read_interface
from .unpack import Unpacked

IF_FCSLEN = 13
CHUNK = 1 << 20  # bytes
NUMBERED = frozenset({records.OBSOLETE_PACKET, records.SIMPLE_PACKET, records.ENHANCED_PACKET, records.JOURNAL,
                      records.CUSTOM, records.CUSTOM_NO_COPY})  # fmt: skip


class Record(NamedTuple):
    """One block. ``frame`` is Wireshark's number, 0 for what it does not number; the packet is
    ``block[at : at + captured]``, with ``at`` 0 and ``link`` NO_PACKET where there is none. ``capture`` counts files.

    Units: ``time`` is in ns since 1970, as in ``Block``; that of the frame before where a block has none.
    """

    kind: int
    big: bool
    block: bytes
    frame: int = 0
    time: int = 0
    interface: int = 0
    link: int = NO_PACKET
    at: int = 0
    captured: int = 0
    wire: int = 0
    capture: int = 0

    @property
    def order(self) -> str:
        """For ``struct``."""
        return ">" if self.big else "<"

    @property
    def packet(self) -> bytes:
        return self.block[self.at : self.at + self.captured]


def read(stream: Unpacked, source: Source, skip: bytes = b"") -> Iterator[Record]:
    """The blocks of a file, up to the place where it is broken. Never raises on bytes after the file's header.

    ``skip`` has one byte a frame, in their order: frames of pcap for which it is not 0 may be left out.
    """
    return _pcap(stream, source, skip) if source.format == "pcap" else _pcapng(stream)


def block(kind: int, body: bytes, order: str) -> bytes:
    """A pcapng block around a body, which is padded."""
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def option(code: int, value: bytes, order: str) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section_header(order: str, options: bytes = b"") -> bytes:
    """A Section Header Block that does not say how long its section is."""
    return block(records.SECTION_HEADER, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options, order)


def _pcap(stream: Unpacked, source: Source, skip: bytes) -> Iterator[Record]:
    head = stream.read(pcap.FILE_HEADER)
    header = pcap.read_header(source.path, head)
    order = ">" if header.big else "<"
    yield Record(records.SECTION_HEADER, header.big, section_header(order))
    power = 9 if header.tick == 1 else 6
    options = option(IF_TSRESOL, bytes((power,)), order)
    field = int.from_bytes(head[20:24], "big" if header.big else "little")
    if field & 1 << 26:  # the length of the frame check sequence, in units of 16 bits, is given
        options += option(IF_FCSLEN, bytes(((field >> 28) * 16,)), order)
    body = struct.pack(order + "HHI", header.link, 0, header.snaplen) + options + bytes(4)
    yield Record(records.INTERFACE_DESCRIPTION, header.big, block(records.INTERFACE_DESCRIPTION, body, order))
    words, start, frame = struct.Struct(order + "IIIII"), struct.Struct(order + "4I"), 0
    rest = b""
    while more := stream.read(CHUNK):
        buf, at = rest + more, 0
        while at + header.record <= len(buf):
            seconds, fraction, *sizes = start.unpack_from(buf, at)
            captured, wire = sizes if header.captured_at == 8 else sizes[::-1]
            if captured > pcap.MAX_RECORD:
                return
            begin = at + header.record
            if begin + captured > len(buf):
                break
            frame += 1
            at = begin + captured
            if frame <= len(skip) and skip[frame - 1]:
                continue
            ticks = seconds * 10**power + fraction
            body = words.pack(0, ticks >> 32, ticks & 0xFFFFFFFF, captured, wire) + buf[begin : begin + captured]
            packed = block(records.ENHANCED_PACKET, body, order)
            time = seconds * 10**9 + fraction * header.tick
            yield Record(
                records.ENHANCED_PACKET, header.big, packed, frame, time, 0, header.link, 28, captured, wire
            )  # fmt: skip
        rest = buf[at:]


def _pcapng(stream: Unpacked) -> Iterator[Record]:
    reader, rest = _Numbers(), b""
    while more := stream.read(CHUNK):
        buf, at = rest + more, 0
        while at + 12 <= len(buf):
            section = reader.section if buf[at : at + 4] != b"\n\r\r\n" else None
            if section is None:
                if at + 28 > len(buf):
                    break
                found = pcapng.read_section(buf, at)
                if isinstance(found, str):
                    return
                section, size = found
            else:
                size = int.from_bytes(buf[at + 4 : at + 8], section.order)
                if size < 12 or size & 3 or size > pcap.MAX_RECORD:
                    return
            if at + size > len(buf):
                break
            record = reader.read(section, buf[at : at + size])
            if record is None:
                return
            yield record
            at += size
        rest = buf[at:]


class _Numbers:
    """Counts frames, and knows the interfaces of the section."""

    def __init__(self) -> None:
        self.section = Section(big=False)
        self.frame = 0
        self.time = 0

    def read(self, section: Section, block: bytes) -> Record | None:
        """The next block; None where the file contradicts itself."""
        order = section.order
        kind, size = (int.from_bytes(block[at : at + 4], order) for at in (0, 4))
        if int.from_bytes(block[-4:], order) != size:
            return None
        if kind == records.SECTION_HEADER:
            self.section = section
            return Record(kind, section.big, block)
        if kind == records.INTERFACE_DESCRIPTION:
            try:
                section.interfaces.append(read_interface(block, 0, size, order))
            except OptionsCutError:
                return None
            return Record(kind, section.big, block)
        if kind not in NUMBERED:
            return Record(kind, section.big, block)
        self.frame += 1
        if kind not in (records.ENHANCED_PACKET, records.OBSOLETE_PACKET, records.SIMPLE_PACKET):
            return Record(kind, section.big, block, self.frame, self.time)
        return self._packet(section, kind, block, size)

    def _packet(self, section: Section, kind: int, block: bytes, size: int) -> Record | None:
        order = ">" if section.big else "<"
        if kind == records.SIMPLE_PACKET:
            if size < 16 or not section.interfaces:
                return None
            only = section.interfaces[0]
            (wire,) = struct.unpack_from(order + "I", block, 8)
            captured = min(wire, size - 16, only.snaplen or size)
            return Record(kind, section.big, block, self.frame, self.time, 0, only.link, 12, captured, wire)
        if size < 32:
            return None
        number, high, low, captured, wire = struct.unpack_from(order + "5I", block, 8)
        if kind == records.OBSOLETE_PACKET:
            (number,) = struct.unpack_from(order + "H", block, 8)
        if number >= len(section.interfaces) or captured > size - 32:
            return None
        of = section.interfaces[number]
        self.time = _time(high << 32 | low, of)
        return Record(kind, section.big, block, self.frame, self.time, number, of.link, 28, captured, wire)


def _time(ticks: int, interface: Interface) -> int:
    """As ``interfaces.nanoseconds``, for one stamp."""
    unit = 1 << interface.power if interface.binary else 10**interface.power
    return max(-FAR, min(FAR, ticks * 10**9 // unit + interface.offset * 10**9))
