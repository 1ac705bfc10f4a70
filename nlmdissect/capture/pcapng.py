"""The next generation format (draft-ietf-opsawg-pcapng): sections, each with its byte order and its interfaces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from ..errors import CaptureError
from . import records, walks
from .block import Block, Defect, Source
from .formats import NO_PACKET, SUPPORTED, link_name, refuse_link
from .interfaces import OptionsCutError, Section, drop_count, nanoseconds, read_interface, read_statistics
from .pcap import BLOCK, FIRST_BLOCK, MAX_RECORD, Words, note_frames, words
from .unpack import Unpacked

MAX_INTERFACES = 1 << 16  # in one section
MAX_NAMED = 64  # link types and unsupported interfaces that are listed

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
Bools = np.ndarray[tuple[int], np.dtype[np.bool_]]


def read_section(buf: bytes, at: int) -> tuple[Section, int] | str:
    """Read the Section Header Block at ``at`` (28 bytes are there): (section, block length), or what is wrong."""
    mark = buf[at + 8 : at + 12]
    if mark not in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a"):
        return "section_without_byte_order"
    section = Section(big=mark[0] == 0x1A)
    length = int.from_bytes(buf[at + 4 : at + 8], section.order)
    major = int.from_bytes(buf[at + 12 : at + 14], section.order)
    minor = int.from_bytes(buf[at + 14 : at + 16], section.order)
    # Minor version 2 was written by some and is the same format (draft-ietf-opsawg-pcapng, 4.1).
    if major != 1 or minor not in (0, 2):
        return f"section_version_{major}_{minor}"
    if length < 28 or length & 3:
        return "block_length_wrong"
    if length > MAX_RECORD:
        return "block_too_long"
    return section, length


def check_start(path: str, head: bytes) -> None:
    """Errors: CaptureError when the first section header cannot be read."""
    if len(head) < 28:
        raise CaptureError(f"{path}: is cut after {len(head)} bytes, inside the section header", "Nothing can be read.")
    match read_section(head, 0):
        case str(reason):
            raise CaptureError(
                f"{path}: the pcapng section header cannot be read ({reason.replace('_', ' ')})",
                "The file is damaged, or newer than pcapng 1.0.",
            )


def blocks(stream: Unpacked, source: Source, capture: int) -> Iterator[Block]:
    """The frames of one pcapng file, block by block; fills in ``source``.

    Never raises on bytes after the first section header, with one exception: CaptureError at the end when interfaces
    were described and no link type among them is supported.
    """
    reader = _Reader(source, capture)
    rest, size = b"", FIRST_BLOCK
    while True:
        buf = stream.read(max(size, len(rest)), rest)
        ended, size = len(buf) == len(rest), BLOCK
        at = 0
        starts, kinds = walks.room(len(buf) // 12), walks.room(len(buf) // 12)
        while True:
            block, at, more = reader.step(buf, at, starts, kinds)
            if block is not None:
                note_frames(source, block)
                yield block
            if more:
                break
        if reader.fault:
            source.defects.append(Defect(capture, source.frames + 1, "file", reader.fault))
            source.truncated = True
            break
        rest = buf[at:]
        if ended:
            if rest:
                source.defects.append(Defect(capture, source.frames + 1, "file", "block_cut"))
                source.truncated = True
            break
    reader.finish()


class _Reader:
    """The state that is carried from block to block of one file."""

    def __init__(self, source: Source, capture: int) -> None:
        self.source = source
        self.capture = capture
        self.section = Section(big=False)
        self.fault = ""
        self.time = 0  # of the last frame that had one
        self.counts: Counter[str] = Counter()
        self.links: dict[int, None] = {}  # link types in order of appearance, over all sections
        self.unsupported: Counter[tuple[int, int]] = Counter()  # frames by (number of the interface, link type)

    def step(self, buf: bytes, at: int, starts: walks.Room, kinds: walks.Room) -> tuple[Block | None, int, bool]:
        """Read on from ``at``: (frames if any, where it stands, True when more bytes are needed or ``fault`` is set).

        ``starts`` and ``kinds`` are room to work in, made once per buffer: a step may be as short as one block.
        """
        section = self.section
        count, at, stop = walks.walk_pcapng(buf, at, section.big, MAX_RECORD, starts, kinds)
        block = self._frames(buf, starts[:count], kinds[:count]) if count else None
        if self.fault:
            return block, at, True
        match stop:
            case records.SECTION:
                return block, *self._new_section(buf, at)
            case records.INTERFACE:
                length = int.from_bytes(buf[at + 4 : at + 8], section.order)
                try:
                    interface = read_interface(buf, at, length, section.order)
                except OptionsCutError:
                    # Without its options the unit of its time stamps is unknown: all that follows would be guessed.
                    self.fault = "interface_options_cut"
                    return block, at, True
                if len(section.interfaces) >= MAX_INTERFACES:
                    self.fault = "too_many_interfaces"
                    return block, at, True
                section.interfaces.append(interface)
                self.source.descriptions += 1
                self.links[interface.link] = None
                if interface.snaplen:
                    self.source.snaplen = min(self.source.snaplen or interface.snaplen, interface.snaplen)
                return block, at + length, False
            case records.TOO_LONG:
                self.fault = "block_too_long"
            case records.BAD_LENGTH:
                self.fault = "block_length_wrong"
        return block, at, True

    def _new_section(self, buf: bytes, at: int) -> tuple[int, bool]:
        if at + 28 > len(buf):
            return at, True
        match read_section(buf, at):
            case str(reason):
                self.fault = reason
                return at, True
            case section, length:
                if at + length > len(buf):
                    return at, True
                self._close_section()
                self.section = section
                self.source.descriptions += 1
                return at + length, False
        raise AssertionError

    def _frames(self, buf: bytes, first: walks.Room, second: walks.Room) -> Block | None:
        """The records that the walk found, as columns; stops before the first one that contradicts itself."""
        section = self.section
        word = words(buf, section.big)
        last = len(word) - 1
        starts, kinds = np.array(first, dtype=np.int64), np.array(second, dtype=np.int64)
        length = word[starts + 4].astype(np.int64)
        timed = (kinds == records.ENHANCED_PACKET) | (kinds == records.OBSOLETE_PACKET)
        simple = kinds == records.SIMPLE_PACKET
        # np.minimum: a short record at the end of the buffer has no such field, and its value is not used.
        at_most = np.minimum
        interface = word[at_most(starts + 8, last)].astype(np.int64)
        obsolete = kinds == records.OBSOLETE_PACKET
        interface = np.where(obsolete, interface >> 16 if section.big else interface & 0xFFFF, interface)
        interface[simple] = 0
        captured = np.where(timed, word[at_most(starts + 20, last)], 0).astype(np.int64)
        wire = np.where(timed, word[at_most(starts + 24, last)], 0).astype(np.int64)
        if simple.any():
            limit = section.interfaces[0].snaplen if section.interfaces else 0
            wire[simple] = word[starts[simple] + 8]
            captured[simple] = np.minimum(np.minimum(wire, length - 16), limit or MAX_RECORD)[simple]
        packet = timed | simple
        wrong = {
            "block_lengths_differ": word[starts + length - 4] != length,
            "captured_length_wrong": timed & (captured > length - 32),
            "unknown_interface": packet & (interface >= len(section.interfaces)),
        }
        good = len(starts)
        for reason, bad in wrong.items():
            if bad.any() and (place := int(bad.argmax())) < good:
                good, self.fault = place, reason
        options = timed & (length >= 36 + (captured + 3 & ~3))
        for i in np.flatnonzero((options | obsolete | (kinds == records.INTERFACE_STATISTICS))[:good]).tolist():
            self._note(buf, int(first[i]), int(second[i]), int(length[i]), int(captured[i]), int(interface[i]))
        keep = np.flatnonzero((kinds != records.INTERFACE_STATISTICS)[:good])
        if not len(keep):
            return None
        interface, packet, timed = interface[keep], packet[keep], timed[keep]
        starts = starts[keep]
        return Block(
            buf=buf,
            capture=self.capture,
            first_frame=self.source.frames + 1,
            at=starts + np.where(simple[keep], 12, np.where(packet, 28, 0)),
            captured=captured[keep],
            wire=wire[keep],
            time=self._times(word, starts, interface, timed),
            link=self._link(interface, packet),
        )

    def _times(self, word: Words, starts: Ints, of: Ints, timed: Bools) -> Ints:
        time = np.zeros(len(starts), dtype=np.int64)
        for number in np.unique(of[timed]).tolist():
            mine = timed & (of == number)
            ticks = word[starts[mine] + 12].astype(np.uint64) << np.uint64(32) | word[starts[mine] + 16]
            time[mine], bad = nanoseconds(ticks, self.section.interfaces[number])
            self.counts["time_out_of_range"] += bad
        if not timed.all():
            # A Simple Packet Block has no time: it gets that of the frame before it, which is the best that is known.
            before = np.maximum.accumulate(np.where(timed, np.arange(len(time)), -1))
            time = np.where(before >= 0, time[before], self.time)
            self.counts["frame_without_time"] += int((~timed).sum())
        self.time = int(time[-1])
        return time

    def _link(self, of: Ints, packet: Bools) -> Ints:
        if packet.all() and len(self.section.interfaces) == 1:
            only = self.section.interfaces[0]
            only.frames += len(of)
            return np.full(len(of), only.link, np.int64)
        for number, count in zip(*np.unique(of[packet], return_counts=True), strict=True):
            self.section.interfaces[int(number)].frames += int(count)
        links = np.array([interface.link for interface in self.section.interfaces] or [NO_PACKET], np.int64)
        return np.where(packet, links[np.where(packet, of, 0)], NO_PACKET)

    def _note(self, buf: bytes, at: int, kind: int, length: int, captured: int, interface: int) -> None:
        """Read the drop counters of one statistics block or packet."""
        section = self.section
        if kind == records.INTERFACE_STATISTICS:
            try:
                read_statistics(section, buf, at, length)
            except OptionsCutError:
                self.counts["options_cut"] += 1
            except IndexError:
                self.counts["statistics_of_unknown_interface"] += 1
            return
        lost: int | None
        if kind == records.OBSOLETE_PACKET:
            lost = int.from_bytes(buf[at + 10 : at + 12], section.order)
            lost = None if lost == 0xFFFF else lost
        else:
            try:
                lost = drop_count(buf, at + 28 + (captured + 3 & ~3), at + length - 4, section.order)
            except OptionsCutError:
                self.counts["options_cut"] += 1
                return
        if lost is not None:
            mine = section.interfaces[interface]
            mine.lost = (mine.lost or 0) + lost

    def _close_section(self) -> None:
        source = self.source
        for number, interface in enumerate(self.section.interfaces):
            dropped = interface.dropped()
            if dropped is not None:
                source.dropped = (source.dropped or 0) + dropped
            key = number, interface.link
            if interface.link not in SUPPORTED and (key in self.unsupported or len(self.unsupported) < MAX_NAMED):
                self.unsupported[key] += interface.frames

    def finish(self) -> None:
        """Complete the source. Errors: CaptureError when no interface has a supported link type."""
        self._close_section()
        source, links = self.source, list(self.links)[:MAX_NAMED]
        source.link_types = [link_name(link) for link in links]
        if links and not any(link in SUPPORTED for link in self.links):
            raise refuse_link(source.path, links)
        for (number, link), frames in self.unsupported.items():
            where = f"interface {number}: {link_name(link)}"
            source.defects.append(Defect(self.capture, 0, "link", "unsupported_link_type", frames, where))
        for reason, count in self.counts.items():
            if count:
                source.defects.append(Defect(self.capture, 0, "file", reason, count))
