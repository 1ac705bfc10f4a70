"""One part of a recording, read by itself: what a reading of the whole has at that place."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nlmdissect.capture.block import Source
from nlmdissect.capture.messages import Messages, Signal, Traffic, join
from nlmdissect.capture.part import Part
from nlmdissect.capture.piece import Piece
from nlmdissect.capture.reader import MessageReader
from nlmdissect.history.history import ARENA, uncollected
from nlmdissect.rpc.names import KEEP, NameReader
from nlmdissect.rpc.told import Told


@dataclass(slots=True)
class Scan:
    """What one part holds. Files are numbered within the part, those that were read on into behind its own.

    ``read_on`` has the frames that were read of each of those; ``forgotten`` the calls that were given up. ``piece``:
    it is one of a file, and its frames are counted from its beginning; ``inside``: there is one before it.
    """

    sources: tuple[Source, ...]
    traffic: Traffic
    messages: Messages
    signals: list[Signal]
    told: Told
    read_on: list[int]
    forgotten: int
    piece: bool
    inside: bool


def scan(part: Part | Piece) -> Scan:
    """Read a part. Raises CaptureError."""
    with uncollected():
        reader, told = MessageReader(part, KEEP), Told()
        names = NameReader(told)
        kept: list[Messages] = []
        waiting: list[Messages] = []
        signals: list[Signal] = []
        for batch in reader:
            messages = batch.messages
            if reader.ended and part.tail:  # what is cut here goes on behind the overlap
                whole = messages.length == messages.end - messages.at
                messages = only(messages, np.flatnonzero(whole))
            waiting.append(messages)
            signals += batch.signals
            if sum(len(m.arena) for m in waiting) > ARENA:
                kept.append(_packed(names.take(join(waiting))))
                waiting = []
        kept.append(_packed(names.take(join(waiting))))
        return Scan(part.sources, reader.traffic, join(kept), signals, told.done(), part.read_on, names.forgotten,
                    isinstance(part, Piece), isinstance(part, Piece) and part.inside)  # fmt: skip


def only(m: Messages, rows: NDArray[np.int64]) -> Messages:
    return replace(m, **{name: getattr(m, name)[rows] for name in Messages.__slots__ if name != "arena"})


def _packed(m: Messages) -> Messages:
    """The same with nothing in the arena but its bodies."""
    size = m.end - m.at
    end = np.cumsum(size, dtype=np.int64)
    arena = b"".join(m.arena[a:b] for a, b in zip(m.at.tolist(), m.end.tolist(), strict=True))
    return replace(m, arena=arena, at=end - size, end=end)
