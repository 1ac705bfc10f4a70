"""Files in, blocks of frames out. The only module that opens a file to read."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ..errors import CaptureError
from . import pcap, pcapng
from .block import Block, Source
from .formats import identify
from .unpack import Unpacked

HEAD = 64  # bytes that tell the format

Progress = Callable[[int, "int | None"], None]


@dataclass(slots=True)
class Recording:
    """One or more captures of one story, in time order.

    ``sources`` are in recording order; their counts are complete when the blocks have been read. A pipe can be read
    once only; files are opened again for each reading.
    """

    sources: tuple[Source, ...]
    _pipe: Unpacked | None = field(default=None, repr=False)
    _pipe_used: bool = field(default=False, repr=False)

    def blocks(self, progress: Progress | None = None) -> Iterator[Block]:
        """All frames, file after file, in blocks of about 4 MiB.

        ``progress(done, total)`` is called after each block with the (packed) bytes consumed so far; ``total`` is None
        for a pipe. Errors: CaptureError when a file cannot be read, or has no supported link type at all.
        """
        total = None if self._pipe else sum(source.bytes for source in self.sources)
        before = 0
        for capture, source in enumerate(self.sources):
            stream = self._open(source)
            try:
                for block in _blocks(stream, source, capture):
                    if progress:
                        progress(before + stream.consumed, total)
                    yield block
            finally:
                stream.close()
            before += stream.consumed
            if self._pipe:
                source.bytes = stream.consumed
            if progress:
                progress(before, total)

    def _open(self, source: Source) -> Unpacked:
        if self._pipe is None:
            _forget(source)
            return Unpacked(_open_file(source.path), source.path)
        if self._pipe_used:
            raise CaptureError(f"{source.path}: can be read only once", "Save it to a file first.")
        self._pipe_used = True
        return self._pipe


def open_recording(paths: Sequence[str | Path], *, stdin: BinaryIO | None = None) -> Recording:
    """Open capture files as one recording. "-" is standard input (or ``stdin``).

    Errors: CaptureError, with what to do, for anything that is not a readable capture in pcap or pcapng form.
    """
    if not paths:
        raise CaptureError("no capture given", "Give a capture file, or - for standard input.")
    names = [str(path) for path in paths]
    if len(names) == 1 and _is_pipe(names[0]):
        name = names[0]
        raw = (stdin or sys.stdin.buffer) if name == "-" else _open_file(name)
        stream = Unpacked(raw, "standard input" if name == "-" else name)
        return Recording((_identify(stream),), stream)
    for name in names:
        if _is_pipe(name):
            raise CaptureError(
                f"{name}: a pipe cannot be combined with other captures", "Save it to a file first: cat > FILE"
            )
    sources = []
    for name in names:
        stream = Unpacked(_open_file(name), name)
        try:
            source = _identify(stream)
        finally:
            stream.close()
        source.bytes = os.stat(name).st_size
        sources.append(source)
    return Recording(tuple(sources))


def _is_pipe(name: str) -> bool:
    """Can this be read only once? True for standard input, named pipes and a shell's <(...)."""
    if name == "-":
        return True
    try:
        mode = os.stat(name).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)


def _open_file(name: str) -> BinaryIO:
    try:
        return open(name, "rb", buffering=0)
    except FileNotFoundError:
        raise CaptureError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise CaptureError(f"{name}: is a directory", f"Give the files in it: {name.rstrip('/')}/*.pcap") from None
    except PermissionError:
        raise CaptureError(f"{name}: permission denied", "tcpdump writes as another user; see chmod or sudo.") from None
    except (OSError, ValueError) as error:
        raise CaptureError(f"{name}: cannot be opened: {error}") from None


def _identify(stream: Unpacked) -> Source:
    """A new source for the stream, which stands at its first byte again afterwards."""
    head = stream.read(HEAD)
    if not head and stream.fault:
        what, _, how = stream.fault.partition("_")
        raise CaptureError(
            f"{stream.path}: the {what} data is {how.replace('_', ' ')} at the very start", "Copy the file again."
        )
    source = Source(path=stream.path, format=identify(stream.path, head), compression=stream.compression)
    if source.format == "pcap":
        pcap.read_header(stream.path, head)
    else:
        pcapng.check_start(stream.path, head)
    stream.put_back(head)
    return source


def _forget(source: Source) -> None:
    """Counts start again when a file is read again."""
    source.link_types, source.defects = [], []
    source.snaplen, source.frames = 0, 0
    source.first = source.last = source.dropped = None
    source.truncated = False


def _blocks(stream: Unpacked, source: Source, capture: int) -> Iterator[Block]:
    read = pcap.blocks if source.format == "pcap" else pcapng.blocks
    yield from read(stream, source, capture)
