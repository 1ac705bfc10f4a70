"""What pictures along a time axis are made of: lanes with spans and marks on them, arrows between them.

The timeline of a recovery and the lock history of a file are both such charts. They are drawn by ``report/plots``
(Plotly) and by the HTML report (SVG), after ``arrange.py`` has found a place for everything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum, auto
from typing import NamedTuple

from nlmdissect.findings import At
from nlmdissect.report.voice import Voice


class Tone(StrEnum):
    """What something means. Each has a colour, a shape and words of its own (``palette.py``); the later the worse."""

    GRACE = auto()  # the server is in its grace period
    GRACE_MAYBE = auto()  # it may be
    DOWN = auto()  # between the last sign of the old life and the first of the new one
    BOOT = auto()  # the first sign of a new life
    HELD = auto()  # the server holds the lock, the client knows
    WAITING = auto()  # answered BLOCKED
    ORPHANED = auto()  # the server restarted and forgot the lock, the client believes to hold it
    NOTICE = auto()  # SM_NOTIFY, answered
    PLAIN = auto()  # any other message
    GOOD = auto()  # a reclaim that was granted
    UNSURE = auto()  # the recording does not tell
    STALE = auto()  # the client restarted and forgot the lock, the server still holds it
    LOST = auto()  # the client believes, the server does not hold
    BAD = auto()  # where the chain broke


SEVERITY = {tone: number for number, tone in enumerate(Tone)}


@dataclass(frozen=True, slots=True)
class Lane:
    """A host, an owner. ``note`` stands under the name; ``rows`` are its bars, one over the other."""

    name: str
    note: str = ""
    bad: bool = False
    rows: int = 1


class Span(NamedTuple):
    """A bar on a lane. Units: ns. ``words`` are said on hover, with ``frames``."""

    lane: int
    start: int
    end: int
    tone: Tone
    words: str
    frames: tuple[At, ...] = ()
    row: int = 0


class Mark(NamedTuple):
    """A moment on a lane. ``label`` is written beside it; empty for hover alone."""

    lane: int
    time: int
    tone: Tone
    label: str
    words: str
    frames: tuple[At, ...] = ()


class Arrow(NamedTuple):
    """A message from lane to lane. ``broken``: it never got there, or was never sent."""

    source: int
    target: int
    time: int
    tone: Tone
    label: str
    words: str
    frames: tuple[At, ...] = ()
    broken: bool = False


class Band(NamedTuple):
    """A span of time behind all lanes."""

    start: int
    end: int
    tone: Tone
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """``start`` and ``end`` (ns) bound what is seen; ``notes`` say what was left out."""

    title: str
    start: int
    end: int
    lanes: tuple[Lane, ...]
    spans: tuple[Span, ...] = ()
    marks: tuple[Mark, ...] = ()
    arrows: tuple[Arrow, ...] = ()
    bands: tuple[Band, ...] = ()
    notes: tuple[str, ...] = ()

    def within(self) -> Chart:
        """The same without what lies outside of its time; spans and bands end at its bounds."""
        spans = (
            span._replace(start=max(span.start, self.start), end=min(span.end, self.end))
            for span in self.spans
            if span.start <= self.end and span.end >= self.start
        )
        bands = (
            band._replace(start=max(band.start, self.start), end=min(band.end, self.end))
            for band in self.bands
            if band.start <= self.end and band.end >= self.start
        )
        return replace(
            self,
            spans=tuple(spans),
            bands=tuple(bands),
            marks=tuple(mark for mark in self.marks if self.start <= mark.time <= self.end),
            arrows=tuple(arrow for arrow in self.arrows if self.start <= arrow.time <= self.end),
        )

    def cited(self, voice: Voice) -> Chart:
        """The same, with the frames in the words."""

        def with_frames(words: str, frames: tuple[At, ...]) -> str:
            return f"{words} ({cited})" if (cited := voice.cite(frames)) else words

        return replace(
            self,
            spans=tuple(item._replace(words=with_frames(item.words, item.frames)) for item in self.spans),
            marks=tuple(item._replace(words=with_frames(item.words, item.frames)) for item in self.marks),
            arrows=tuple(item._replace(words=with_frames(item.words, item.frames)) for item in self.arrows),
        )

    def tones(self) -> list[Tone]:
        """Those that are used, for the legend: worst first."""
        used = {item.tone for items in (self.spans, self.marks, self.arrows, self.bands) for item in items}
        return sorted(used, key=SEVERITY.__getitem__, reverse=True)
