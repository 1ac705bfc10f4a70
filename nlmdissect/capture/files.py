"""Files in, blocks of frames out. The only module that opens a file to read; URLs are opened by ``remote``."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ..errors import CaptureError
from . import pcap, pcapng, related, remote, vantage, whole
from .ahead import ahead
from .block import Block, Defect, Source
from .formats import identify
from .sample import Sketch
from .unpack import EXPANSION, Unpacked

PIPE = 1 << 20  # bytes; what anybody may ask for
HEAD = 64  # bytes that tell the format
SAMPLE = 64 << 20  # bytes (unpacked) that are read of all files together to see what they are of each other
FINGERPRINTS = 1 << 20  # kept for all files together
COMPARED = 1 << 20  # bytes compared at three places to tell that two large files are the same

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
    _watch: bool = field(default=False, repr=False)  # larger than the sample: keep looking while reading

    def blocks(self, progress: Progress | None = None) -> Iterator[Block]:
        """All frames, file after file, in blocks of about 2 MiB.

        ``progress(done, total)`` is called after each block with the (packed) bytes consumed so far; ``total`` is None
        for a pipe. Errors: CaptureError when a file cannot be read or has no supported link type at all, and, at the
        end of a file, when it turns out to be another vantage point of one before it.
        """
        total = None if self._pipe else sum(source.bytes for source in self.sources)
        before = 0
        sketches: list[Sketch] = []
        for capture, source in enumerate(self.sources):
            consumed = 0
            sketches.append(Sketch(FINGERPRINTS // len(self.sources), with_hosts=False))
            with closing(ahead(self._read(source, capture), here=1)) as read:
                for block, consumed in read:
                    if self._watch and block is not None:
                        sketches[-1].add(block)
                    if progress:
                        progress(before + consumed, total)
                    if block is not None:
                        yield block
            sketches[-1].whole = True
            # each look passes over all, and there may be thousands: behind file 2, 4, 8, ... and the last
            look = capture and (capture + 1 == len(self.sources) or not capture & capture + 1)
            if self._watch and look and (shift := vantage.find_shift(sketches)):
                raise vantage.refuse(shift, [source.path for source in self.sources], sketches)
            before += consumed
            if self._pipe:
                source.bytes = consumed

    def _read(self, source: Source, capture: int) -> Generator[tuple[Block | None, int], None, None]:
        """The blocks of a source, each with the (packed) bytes consumed so far, and None behind the last one."""
        stream = self._open(source, capture)
        try:
            for block in _blocks(stream, source, capture):
                yield block, stream.consumed
            yield None, stream.consumed
        finally:
            stream.close()

    def _open(self, source: Source, capture: int) -> Unpacked:
        if self._pipe is None:
            _forget(source, capture)
            return _unpacked(source)
        if self._pipe_used:
            raise CaptureError(f"{source.path}: can be read only once", "Save it to a file first.")
        self._pipe_used = True
        return self._pipe


def open_recording(
    paths: Sequence[str | Path], *, stdin: BinaryIO | None = None, expansion: int = EXPANSION
) -> Recording:
    """Open capture files as one recording. "-" is standard input (or ``stdin``).

    Several files may be given in any order; they come out by the time of their first frame, file after file. To see
    that they belong together, the beginning of each is read: SAMPLE bytes over all, at least one block of each. What
    lies behind that is compared while the recording is read, so that no large file is read twice. ``expansion`` is how
    many bytes a packed byte may become (see ``Unpacked``).

    Errors: CaptureError, with what to do, for anything that is not a readable capture in pcap or pcapng form, for
    captures of different networks, and for two vantage points of one.
    """
    if not paths:
        raise CaptureError("no capture given", "Give a capture file, or - for standard input.")
    names = [str(path) for path in paths]
    if len(names) == 1 and is_pipe(names[0]):
        name = names[0]
        raw = (stdin or _standard_input()) if name == "-" else open_file(name)
        _widen(raw)
        stream = Unpacked(raw, "standard input" if name == "-" else name, expansion)
        return Recording((_identify(stream),), stream)
    for name in names:
        if is_pipe(name):
            raise CaptureError(
                f"{name}: a pipe cannot be combined with other captures", "Save it to a file first: cat > FILE"
            )
    sources = []
    for name in names:
        with closing(Unpacked(open_file(name), name)) as stream:
            source = _identify(stream)
        source.bytes = remote.stat(name).size if remote.is_url(name) else os.stat(name).st_size
        source.expansion = expansion
        sources.append(source)
    return _join(_without_copies(sources))


def records(source: Source, capture: int = 0, skip: bytes = b"") -> Iterator[whole.Record]:
    """Every block of a file that was read before, as it stands there; ``skip`` is as in ``whole.read``.

    Errors: CaptureError when it cannot be opened.
    """
    with closing(_unpacked(source)) as stream:
        for record in whole.read(stream, source, skip):
            yield record._replace(capture=capture) if capture else record


def frames(source: Source) -> Iterator[Block]:
    """The frames of a file that was read before, once more. Errors: CaptureError when it cannot be opened."""
    with closing(_unpacked(source)) as stream:
        yield from _blocks(stream, Source(source.path, source.format), 0)


def _join(sources: list[Source]) -> Recording:
    """The sources in time order. Errors: CaptureError when they are not one recording."""
    if len(sources) == 1:
        return Recording(tuple(sources))
    sketches = [_sketch(source, len(sources)) for source in sources]
    names = [source.path for source in sources]
    related.check_related(names, sketches)
    if shift := vantage.find_shift(sketches):
        raise vantage.refuse(shift, names, sketches)
    starts = [sketch.first for sketch in sketches]
    # A file without frames has no time and nothing to say: it comes last.
    order = sorted(range(len(sources)), key=lambda i: (starts[i] is None, starts[i] or 0))
    watch = not all(sketch.whole for sketch in sketches)
    return Recording(tuple(sources[i] for i in order), _watch=watch)


def _sketch(source: Source, files: int) -> Sketch:
    """The picture of the beginning of one of so many files."""
    sketch = Sketch(FINGERPRINTS // files)
    scratch = Source(source.path, source.format)
    stream = _unpacked(source)
    seen = 0
    try:
        for block in _blocks(stream, scratch, 0):
            sketch.add(block)
            seen += len(block.buf)
            if seen >= SAMPLE // files:
                return sketch
    finally:
        stream.close()
    sketch.whole = True
    return sketch


def _without_copies(sources: list[Source]) -> list[Source]:
    """Leave out files that are the same, byte for byte, as one before: the same name twice, a link, a copy."""
    kept: dict[tuple[int, bytes], Source] = {}
    sizes = [source.bytes for source in sources]
    for source in sources:
        alone = sizes.count(source.bytes) == 1
        key = source.bytes, source.path.encode("utf-8", "surrogateescape") if alone else _digest(source)
        if key in kept:
            kept[key].copies.append(source.path)
        else:
            kept[key] = source
    return list(kept.values())


def _digest(source: Source) -> bytes:
    """A hash of a file; of a large one, of its beginning, middle and end, which hold times and sequence numbers."""
    digest = hashlib.sha256()
    with open_file(source.path) as file:
        for at in (0, source.bytes // 2, max(0, source.bytes - COMPARED)):
            file.seek(at)
            digest.update(file.read(COMPARED))
    return digest.digest()


def _widen(raw: BinaryIO) -> None:
    """Let a pipe hold more at a time, where the system can (Linux): fewer turns between its two ends."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(raw.fileno(), fcntl.F_SETPIPE_SZ, PIPE)


def _standard_input() -> BinaryIO:
    """Without the buffer of Python, which a thread that waits for more would hold locked."""
    buffer = sys.stdin.buffer
    raw: BinaryIO = getattr(buffer, "raw", buffer)
    return raw


def is_pipe(name: str) -> bool:
    """Can this be read only once? True for standard input, named pipes and a shell's <(...)."""
    if name == "-":
        return True
    try:
        mode = os.stat(name).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)


def open_file(name: str) -> BinaryIO:
    """Open a path or a URL to read. Raises CaptureError."""
    if remote.is_url(name):
        return remote.open_url(name)
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


def _unpacked(source: Source) -> Unpacked:
    return Unpacked(open_file(source.path), source.path, source.expansion)


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


def read_source(source: Source, capture: int, raw: BinaryIO | None = None) -> Iterator[Block]:
    """The blocks of one file, which is number ``capture`` of its recording; fills in ``source``. ``raw`` is read
    instead of all of it. Raises CaptureError.
    """
    _forget(source, capture)
    with closing(_unpacked(source) if raw is None else Unpacked(raw, source.path)) as stream:
        yield from _blocks(stream, source, capture)


def _forget(source: Source, capture: int) -> None:
    """Counts start again when a file is read again."""
    source.link_types = []
    source.defects = [Defect(capture, 0, "file", "same_file_again", 1, path) for path in source.copies]
    source.snaplen, source.frames, source.descriptions = 0, 0, 0
    source.first = source.last = source.dropped = None
    source.truncated = False


def _blocks(stream: Unpacked, source: Source, capture: int) -> Iterator[Block]:
    read = pcap.blocks if source.format == "pcap" else pcapng.blocks
    yield from read(stream, source, capture)
    if stream.fault:
        # Trailing garbage is no loss; the other faults are.
        source.truncated |= not stream.fault.endswith("garbage")
        source.defects.append(Defect(capture, source.frames + 1, "file", stream.fault))
