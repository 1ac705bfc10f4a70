"""The classic format (draft-ietf-opsawg-pcap): a file header of 24 bytes, then records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import CaptureError
from . import records, walks
from .block import Block, Defect, Source
from .formats import SUPPORTED, link_name, refuse_link
from .unpack import Unpacked

BLOCK = 2 << 20  # bytes of file per block, which caches hold; one record longer than this gets a block of its own
FIRST_BLOCK = 1 << 18  # tells how fast this capture is read
MAX_RECORD = 256 << 20  # a longer record is a broken length, not a packet

FILE_HEADER = 24

Words = np.ndarray[tuple[int], np.dtype[np.uint32]]


@dataclass(frozen=True, slots=True)
class Header:
    """What the file header says. ``tick`` is ns per unit of the fraction."""

    big: bool
    tick: int
    link: int
    snaplen: int
    record: int  # bytes of a record's header
    captured_at: int  # where in it the captured length is
    wire_at: int


def read_header(path: str, head: bytes) -> Header:
    """Read the file header. Errors: CaptureError for a version or link type that is not known here."""
    if len(head) < FILE_HEADER:
        raise CaptureError(f"{path}: is cut after {len(head)} bytes, inside the file header", "Nothing can be read.")
    big = head[0] == 0xA1
    order = "big" if big else "little"

    def number(at: int, size: int) -> int:
        return int.from_bytes(head[at : at + size], "big" if big else "little")

    magic = number(0, 4)
    major, minor = number(4, 2), number(6, 2)
    if major != 2:
        raise CaptureError(
            f"{path}: pcap version {major}.{minor} is not known (read in {order}-endian order)",
            "The file header is damaged, or something else wrote it. tcpdump has written 2.4 since 1998.",
        )
    field = number(20, 4)
    # The upper bits: 4 for the length of the frame check sequence, 1 "that length is given", the rest must be zero.
    if field & 0x03FF0000:
        raise CaptureError(
            f"{path}: the link type field 0x{field:08x} has reserved bits set", "The file header is damaged."
        )
    link = field & 0xFFFF
    if link not in SUPPORTED:
        raise refuse_link(path, [link])
    # Before version 2.3 the two lengths stood the other way round. Alexey Kuznetsov's patched libpcap (magic a1b2cd34)
    # put interface, protocol and packet type behind them.
    old = minor < 3
    return Header(
        big=big,
        tick=1 if magic == 0xA1B23C4D else 1000,
        link=link,
        snaplen=number(16, 4),
        record=24 if magic == 0xA1B2CD34 else 16,
        captured_at=12 if old else 8,
        wire_at=8 if old else 12,
    )


def blocks(stream: Unpacked, source: Source, capture: int) -> Iterator[Block]:
    """The frames of one pcap file, block by block; fills in ``source``.

    Never raises on bytes after the file header: a broken place is a defect, and what came before it is used.
    """
    header = read_header(source.path, stream.read(FILE_HEADER))
    source.link_types.append(link_name(header.link))
    source.snaplen = header.snaplen
    rest, size = b"", FIRST_BLOCK
    while True:
        buf = stream.read(max(size, len(rest)), rest)
        ended, size = len(buf) == len(rest), BLOCK
        starts = walks.room(len(buf) // header.record)
        count, at, stop = walks.walk_pcap(buf, header.big, header.record, header.captured_at, MAX_RECORD, starts)
        if count:
            block = _block(buf, np.array(starts[:count], dtype=np.int64), header, capture, source.frames + 1)
            note_frames(source, block)
            yield block
        rest = buf[at:]
        if stop == records.TOO_LONG:
            source.defects.append(Defect(capture, source.frames + 1, "file", "record_too_long"))
            source.truncated = True
            return
        if ended:
            break
    if rest:
        source.defects.append(Defect(capture, source.frames + 1, "file", "record_cut"))
        source.truncated = True


def note_frames(source: Source, block: Block) -> None:
    """Add a block to the counts of its source."""
    source.frames += len(block.at)
    low, high = int(block.time.min()), int(block.time.max())
    source.first = low if source.first is None else min(source.first, low)
    source.last = high if source.last is None else max(source.last, high)


def words(buf: bytes, big: bool) -> Words:
    """A view of ``buf`` in which ``[at]`` is the 32-bit number that starts at byte ``at``."""
    return np.ndarray((max(len(buf) - 3, 0),), dtype=">u4" if big else "<u4", buffer=buf, strides=(1,))


def _block(
    buf: bytes, starts: np.ndarray[tuple[int], np.dtype[np.int64]], header: Header, capture: int, first_frame: int
) -> Block:
    word = words(buf, header.big)
    seconds = word[starts].astype(np.int64)
    fraction = word[starts + 4].astype(np.int64)
    # Exact: seconds have 32 bits, so the largest value is 4.3e18, below 2**62.
    time = seconds * 1_000_000_000 + fraction * header.tick
    return Block(
        buf=buf,
        capture=capture,
        first_frame=first_frame,
        at=starts + header.record,
        captured=word[starts + header.captured_at].astype(np.int64),
        wire=word[starts + header.wire_at].astype(np.int64),
        time=time,
        link=np.full(len(starts), header.link, np.int64),
    )
