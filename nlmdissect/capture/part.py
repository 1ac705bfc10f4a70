"""A part of a recording, to be read on its own: some of its files, and the beginning of what follows.

Theory of operation. What is under way when a file ends goes on in the next one: a record of which half is there, a call
that waits for its answer. So who reads a part reads on into the next part for a while (``OVERLAP``), as if nothing had
ended. Who reads the next part begins without all that; by the end of the overlap it has caught up. Of the frames in the
overlap what the first reader says is true, of those behind it what the second says (``history.parts``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .block import Block, Source
from .files import Progress, open_recording, read_source
from .unpack import EXPANSION

OVERLAP = 8 << 20, 10 * 10**9
"""Bytes and ns that are read on: both, but at most ``LONGEST`` bytes. Calls are answered and connections speak within
that time, or their callers ask again."""

LONGEST = 64 << 20


@dataclass(slots=True)
class Part:
    """Read as a ``Recording`` is, once. ``sources`` are its own files, in time order; ``tail`` those behind them, of
    which the beginning is read: as many of them as that takes. ``read_on`` has the frames that were read of each.
    """

    sources: tuple[Source, ...]
    tail: tuple[str, ...] = ()
    overlap: tuple[int, int] = OVERLAP
    expansion: int = EXPANSION
    read_on: list[int] = field(default_factory=list)

    def blocks(self, progress: Progress | None = None) -> Iterator[Block]:
        """All frames, file after file. ``progress`` is told of each block, and of no total. Errors: CaptureError, as
        ``Recording.blocks``.
        """
        for capture, source in enumerate(self.sources):
            for block in read_source(source, capture):
                if progress:
                    progress(len(block.buf), None)
                yield block
        enough = Enough(self.overlap)
        for place, path in enumerate(self.tail):
            recording = open_recording([path], expansion=self.expansion)
            (source,) = recording.sources
            self.read_on.append(0)
            for block in read_source(source, len(self.sources) + place):
                if len(block.at):
                    self.read_on[-1] += len(block.at)
                    yield block
                    if enough(block):
                        return


class Enough:
    """Has been read on far enough?"""

    def __init__(self, overlap: tuple[int, int]) -> None:
        self._overlap, self._size = overlap, 0
        self._first: int | None = None

    def __call__(self, block: Block) -> bool:
        """Behind this block, which has frames."""
        self._first = int(block.time[0]) if self._first is None else self._first
        self._size += int(block.captured.sum())
        long = self._size >= self._overlap[0] and int(block.time[-1]) - self._first >= self._overlap[1]
        return long or self._size >= LONGEST


def open_part(
    paths: Sequence[str], tail: Sequence[str], overlap: tuple[int, int] = OVERLAP, expansion: int = EXPANSION
) -> Part:
    """Files in time order, that follow each other; ``expansion`` as in ``open_recording``. Raises CaptureError."""
    sources = (open_recording([path], expansion=expansion).sources[0] for path in paths)
    return Part(tuple(sources), tuple(tail), overlap, expansion)
