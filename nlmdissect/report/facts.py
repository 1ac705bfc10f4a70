"""What was read, in lines: the files, the frames, the time they cover, and what of it was judged."""

from __future__ import annotations

from nlmdissect.analysis import Analysis
from nlmdissect.escape import show
from nlmdissect.report.times import clock, day, duration


def facts(analysis: Analysis) -> list[str]:
    """One line a file, then one about all of them, then the bounds that the user set, if any."""
    history, messages, asked = analysis.history, analysis.messages(), analysis.asked
    sources, extent = history.sources, history.extent
    frames = sum(source.frames for source in sources)
    lines = [
        f"{show(source.path)}" if len(sources) == 1 else f"{number}: {show(source.path)}"
        for number, source in enumerate(sources)
    ]
    span = ""
    if frames:
        first, last = (f"{day(t)} {clock(t)[:8]}" for t in (extent.first, extent.last))
        until = last if day(extent.first) != day(extent.last) else clock(extent.last)[:8]
        span = f", {first} to {until} UTC ({duration(extent.last - extent.first)})"
    seen = ", ".join(
        f"{messages[name]} {word}" for name, word in (("nlm", "NLM"), ("nsm", "NSM"), ("portmap", "portmap"))
    )
    lines.append(f"{frames} frames{span}; {seen} messages")
    bounds = [f"{w} {day(t)} {clock(t)}" for w, t in (("from", asked.since), ("until", asked.until)) if t is not None]
    return [*lines, f"judged only {' '.join(bounds)} UTC"] if bounds else lines
