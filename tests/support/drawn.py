"""Pictures of stories, said in words that a test can compare."""

from __future__ import annotations

from pathlib import Path

from support.incidents import write

import nlmdissect
from nlmdissect.report.pictures.chart import Chart


def read(folder: Path, story: str, **names: bytes) -> nlmdissect.Capture:
    """A story as a capture."""
    return nlmdissect.read(write(folder / "story.pcap", story, **names))


def spans(chart: Chart, lane: str) -> list[tuple[str, float, float]]:
    """The bars of a lane: what it is, and from when to when in seconds from the first frame."""
    number = next(n for n, one in enumerate(chart.lanes) if one.name == lane)
    return [
        (span.tone.value, (span.start - chart.start) / 1e9, (span.end - chart.start) / 1e9)
        for span in chart.spans
        if span.lane == number
    ]


def arrows(chart: Chart) -> list[str]:
    """``server > client1 bad no SM_NOTIFY: 5 6``, with ``-x`` for one that is broken; frames in order."""
    names = [lane.name for lane in chart.lanes]
    return [
        f"{names[a.source]} {'-x' if a.broken else '>'} {names[a.target]} {a.tone} {a.label}: "
        + " ".join(str(at.frame) for at in a.frames)
        for a in chart.arrows
    ]
