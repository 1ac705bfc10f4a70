"""The bytes of one input, unpacked on the way: a plain file, gzip, zstd or xz, never more than a little at a time.

A packed file that is cut or broken gives what came before the fault; ``fault`` then says what happened. The heavy
libraries are imported when a file needs them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from io import FileIO, RawIOBase
from select import select
from typing import BinaryIO, TypeVar, cast

from ..errors import CaptureError
from .formats import compression_of

MAGIC = 6  # bytes that tell the compression
PACKED = 1 << 16  # bytes read at a time
# A decoder that fails gives nothing for the call in which it failed, so each call is to give little. zstd has no limit
# for its output: 4 KiB of input can become 128 MiB at worst, 64 KiB could become 2 GiB.
XZ_OUTPUT = 1 << 12
ZSTD_INPUT = 1 << 12
XZ_MEMORY = 1 << 29  # xz -9 needs 65 MiB; a dictionary of 4 GiB is an attack
EXPANSION = 1000  # bytes that one packed byte may become; gzip cannot make more, and no recording does
FREE = 256 << 20  # bytes that are unpacked whatever the expansion


A = TypeVar("A")
R = TypeVar("R")
Pieces = Generator["bytes | memoryview", None, None]


class Unpacked:
    """Reads one binary stream; ``consumed`` counts what was read of it, packed."""

    def __init__(self, raw: BinaryIO, path: str, expansion: int = EXPANSION) -> None:
        """``expansion``: a fault ends it where a packed byte has become more than so many, behind the first FREE."""
        self.path = path
        self._expansion = expansion
        self._unpacked = 0
        self.consumed = 0
        self.fault = ""
        self._raw = raw
        self._wanted = 0
        self._ahead = first = b""
        while len(first) < MAGIC and (more := self._fetch(PACKED)):
            first += more
        self._ahead = first
        self.compression = compression_of(self._ahead)
        plain_file = isinstance(raw, FileIO) and raw.seekable()
        match self.compression:
            case "gzip":
                self._pieces: Pieces = self._gzip()
            case "zstd":
                self._pieces = self._zstd()
            case "xz":
                self._pieces = self._xz()
            case _:
                self._pieces = self._file() if plain_file else self._pipe()
        self._rest = memoryview(b"")
        self._plain_file = not self.compression and plain_file

    def read(self, size: int, before: bytes = b"") -> bytes:
        """``before``, which was read last, and the next ``size`` bytes; fewer only at the end."""
        if self._plain_file and before and not self._rest:
            return self._again(before, size)
        # A view: one zstd piece can be as long as many reads, and is not to be copied for each of them.
        rest, pieces, have = self._rest, [memoryview(before)], 0
        while True:
            pieces.append(rest[: size - have])
            have += len(pieces[-1])
            if have == size:
                self._rest = rest[len(pieces[-1]) :]
                return b"".join(pieces)
            self._wanted = size - have
            rest = self._next_piece()
            if not rest:
                self._rest = rest
                return b"".join(pieces)

    def _next_piece(self) -> memoryview:
        piece = memoryview(next(self._pieces, b""))
        allowed = FREE + self._expansion * self.consumed - self._unpacked
        self._unpacked += len(piece)
        if self.compression and len(piece) > allowed:
            self.fault = f"{self.compression}_expands_beyond_limit"
            self._pieces.close()
            return piece[: max(allowed, 0)]
        return piece

    def _again(self, before: bytes, size: int) -> bytes:
        """The last bytes of a plain file and the next: to read a few once more is cheaper than to copy many."""
        back = len(before)
        try:
            self._raw.seek(-back, os.SEEK_CUR)
        except OSError as error:
            raise CaptureError(f"{self.path}: cannot be read: {error.strerror}") from error
        self.consumed -= back
        data = self._fetch(back + size)
        return data if len(data) >= back else before  # the file has become shorter

    def put_back(self, data: bytes) -> None:
        """Give ``data`` again at the next read: for the first bytes, which tell the format."""
        self._rest = memoryview(data + self._rest)

    def close(self) -> None:
        self._pieces.close()
        self._raw.close()

    def _fetch(self, size: int) -> bytes:
        data: bytes = self._ahead
        if data:
            self._ahead = b""
            return data
        data = self._wait(self._raw.read, size)
        self.consumed += len(data)
        return data

    def _wait(self, read: Callable[[A], R | None], argument: A) -> R:
        """What a read gives. None is "nothing yet": somebody has told the pipe not to wait."""
        try:
            while (done := read(argument)) is None:
                select([self._raw], [], [])
        except OSError as error:
            raise CaptureError(f"{self.path}: cannot be read: {error.strerror}") from error
        return done

    def _file(self) -> Pieces:
        while data := self._fetch(self._wanted):
            yield data

    def _pipe(self) -> Pieces:
        """A pipe gives little at a time: it is gathered in one place, which is used again for the next piece."""
        if self._ahead:
            yield self._fetch(0)
        place = bytearray()
        read = cast(RawIOBase, self._raw).readinto
        while True:
            if len(place) < self._wanted:
                place = bytearray(self._wanted)
            view, have = memoryview(place)[: self._wanted], 0
            while got := self._wait(read, view[have:]):
                have += got
            if not have:
                return
            self.consumed += have
            yield view[:have]

    def _gzip(self) -> Pieces:
        import zlib

        data = self._fetch(PACKED)
        while data:
            member = zlib.decompressobj(wbits=31)
            while not member.eof:
                if not data and not (data := self._fetch(PACKED)):
                    self.fault = "gzip_cut"
                    return
                before = member.copy()
                try:
                    piece = member.decompress(data, PACKED)
                except zlib.error:
                    self.fault = "gzip_corrupt"
                    yield from _salvage(before, data)
                    return
                data = member.unconsumed_tail
                if piece:
                    yield piece
            data = self._next_member(member.unused_data, "gzip")

    def _xz(self) -> Pieces:
        import lzma

        data = self._fetch(PACKED)
        while data:
            stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
            while not stream.eof:
                if stream.needs_input and not data and not (data := self._fetch(PACKED)):
                    self.fault = "xz_cut"
                    return
                try:
                    piece = stream.decompress(data, XZ_OUTPUT)
                except lzma.LZMAError:
                    self.fault = "xz_corrupt"
                    return
                data = b""
                if piece:
                    yield piece
            data = self._next_member(stream.unused_data, "xz")

    def _zstd(self) -> Pieces:
        import zstandard

        data = self._fetch(PACKED)
        while data:
            frame = zstandard.ZstdDecompressor().decompressobj()
            while not frame.eof:
                if not data and not (data := self._fetch(PACKED)):
                    self.fault = "zstd_cut"
                    return
                try:
                    piece = frame.decompress(data[:ZSTD_INPUT])
                except zstandard.ZstdError:
                    self.fault = "zstd_corrupt"
                    return
                data = data[ZSTD_INPUT:]
                if piece:
                    yield piece
            data = self._next_member(frame.unused_data + data, "zstd")

    def _next_member(self, data: bytes, compression: str) -> bytes:
        """Where the next member starts. Zeros between or after members are padding (tape blocks, xz stream padding)."""
        while not (data := data.lstrip(b"\0")):
            if not (data := self._fetch(PACKED)):
                return b""
        if len(data) < MAGIC:
            data += self._fetch(PACKED)
        if compression_of(data) != compression:
            self.fault = f"{compression}_trailing_garbage"
            return b""
        return data


def _salvage(member: object, data: bytes) -> Iterator[bytes]:
    """What a gzip member gives before the byte at which it breaks: byte by byte, once, at the end of a broken file."""
    import zlib

    decompress = member.decompress  # type: ignore[attr-defined]
    for position in range(len(data)):
        try:
            piece = decompress(data[position : position + 1])
        except zlib.error:
            return
        if piece:
            yield piece
