"""A piece of one large file, to be read on its own: from one record to another, and on into what follows.

Theory of operation. Where a record begins in the middle of a file nobody says: it is guessed, as the first place from
which records follow each other that make sense. Both neighbours make the same guess, and who reads the piece before
finds out whether it was right: its last record has to end exactly there. As the first piece begins where the file says,
all are right if each ends well; otherwise the file is read whole. So is one that is described anew behind its
beginning, or that says something which is only known for all of it. Frames are counted from the beginning of the piece:
who joins the pieces knows how many there were before (``history.parts``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import SEEK_SET, RawIOBase
from typing import Any, BinaryIO, cast

from ..errors import CaptureError
from . import pcap
from .block import Block, Source
from .files import Progress, open_file, open_recording, read_source
from .part import OVERLAP, Enough
from .records import ENHANCED_PACKET, INTERFACE_DESCRIPTION, OBSOLETE_PACKET, SECTION_HEADER, SIMPLE_PACKET

CHAIN = 12  # records in a row that are no accident
WINDOW = 4 << 20  # bytes that are looked through for them
HEAD = 1 << 20  # bytes in which what describes a pcapng file has to end
DAYS = 100 * 86400 * 10**9  # ns between the first frame and any other one

Next = Callable[[bytes, int], int]
"""Where the record ends that begins at a place of some bytes; 0 if none does, or if its header is not all there."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file begins: ``head`` has what describes all that follows, in ``described`` blocks (pcapng). Records begin
    at multiples of ``step``.
    """

    head: bytes
    described: int
    step: int
    next: Next


@dataclass(slots=True)
class Piece:
    """Read as a ``Recording`` is, once. ``tail``: another piece follows, of which the beginning is read too, as if it
    were another file; ``read_on`` has how many frames of it were.
    """

    sources: tuple[Source, ...]
    layout: Layout
    begin: int
    end: int
    tail: bool
    overlap: tuple[int, int] = OVERLAP
    read_on: list[int] = field(default_factory=list)

    @property
    def inside(self) -> bool:
        """Does another piece come before it?"""
        return self.begin > len(self.layout.head)

    def blocks(self, progress: Progress | None = None) -> Iterator[Block]:
        """All frames. Errors: CaptureError as ``Recording.blocks``, and for a piece that has to be read with the rest.
        """
        (source,) = self.sources
        size = source.bytes
        for block in read_source(source, 0, self._open(self.begin, self.end)):
            if progress:
                progress(len(block.buf), None)
            yield block
        alone = source.descriptions == self.layout.described and not any(defect.frame == 0 for defect in source.defects)
        if not alone or (self.tail and (source.truncated or source.defects or source.dropped is not None)):
            raise CaptureError(f"{source.path}: cannot be read in pieces")
        if self.tail:
            self.read_on.append(0)
            enough = Enough(self.overlap)
            for block in read_source(Source(source.path, source.format), 1, self._open(self.end, size)):
                if len(block.at):
                    self.read_on[0] += len(block.at)
                    yield block
                    if enough(block):
                        return

    def _open(self, begin: int, end: int) -> BinaryIO:
        return cast(BinaryIO, _Stretch(open_file(self.sources[0].path), self.layout.head, begin, end))


class _Stretch(RawIOBase):
    """The head of a file, and behind it some of its bytes."""

    def __init__(self, file: BinaryIO, head: bytes, begin: int, end: int) -> None:
        self._file, self._head, self._left = file, head, end - begin
        file.seek(begin, SEEK_SET)

    def readable(self) -> bool:
        return True

    def readinto(self, place: Any) -> int:
        size = len(place)
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
        else:
            data = self._file.read(min(size, self._left))
            self._left -= len(data)
        place[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def open_piece(path: str, begin: int, end: int | None, overlap: tuple[int, int] = OVERLAP) -> Piece:
    """The frames of a plain file from about one byte to about another one; None: to its end. Raises CaptureError."""
    (source,) = open_recording([path]).sources
    with open_file(path) as file:
        layout = _layout(source, file)
        first = _find(file, layout, begin) if begin else len(layout.head)
        last = source.bytes if end is None else _find(file, layout, end)
    if first is None or last is None or first >= last:
        raise CaptureError(f"{path}: cannot be read in pieces")
    return Piece((source,), layout, first, last, end is not None, overlap)


def _find(file: BinaryIO, layout: Layout, at: int) -> int | None:
    """The first place from there on at which records begin."""
    at = -(-at // layout.step) * layout.step
    file.seek(at, SEEK_SET)
    window = _read(file, WINDOW)
    for start in range(0, len(window), layout.step):
        place = start
        for _ in range(CHAIN):
            place = layout.next(window, place)
            if not place:
                break
        else:
            return at + start
    return None


def _read(file: BinaryIO, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def _layout(source: Source, file: BinaryIO) -> Layout:
    start = _read(file, HEAD)
    return _of_pcap(source.path, start) if source.format == "pcap" else _of_pcapng(source.path, start)


def _of_pcap(path: str, start: bytes) -> Layout:
    header = pcap.read_header(path, start)
    unpack = struct.Struct((">" if header.big else "<") + "II").unpack_from
    size = header.record

    def time(data: bytes, at: int) -> int | None:
        seconds, fraction = unpack(data, at)
        return None if fraction * header.tick >= 10**9 else int(seconds * 10**9 + fraction * header.tick)

    first = time(start, pcap.FILE_HEADER) if len(start) >= pcap.FILE_HEADER + size else None

    def following(data: bytes, at: int) -> int:
        if at + size > len(data) or first is None:
            return 0
        now, captured, wire = time(data, at), *(unpack(data, at + n)[0] for n in (header.captured_at, header.wire_at))
        good = now is not None and abs(now - first) < DAYS and 0 < captured <= wire <= pcap.MAX_RECORD
        return at + size + captured if good else 0

    return Layout(start[: pcap.FILE_HEADER], 0, 1, following)


def _of_pcapng(path: str, start: bytes) -> Layout:
    order = "big" if start[8:12] == b"\x1a\x2b\x3c\x4d" else "little"

    def word(data: bytes, at: int) -> int:
        return int.from_bytes(data[at : at + 4], order)  # type: ignore[arg-type]

    def following(data: bytes, at: int) -> int:
        length = word(data, at + 4)
        end = at + length
        good = 12 <= length <= pcap.MAX_RECORD and not length & 3 and end <= len(data) and word(data, end - 4) == length
        return end if good else 0

    at, described = 0, 0
    while (end := following(start, at)) and word(start, at) not in (ENHANCED_PACKET, SIMPLE_PACKET, OBSOLETE_PACKET):
        described += word(start, at) in (SECTION_HEADER, INTERFACE_DESCRIPTION)
        at = end
    if not end:
        raise CaptureError(f"{path}: cannot be read in pieces")
    return Layout(start[:at], described, 4, following)
