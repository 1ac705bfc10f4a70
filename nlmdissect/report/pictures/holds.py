"""What each hold was at each time, as spans: held, orphaned by a restart, lost.

Theory of operation. The walk left the steps of the hold machine. A hold may have been split, so its steps are those
of several pieces: a step moves the hold only if it is about the part that is in the worst state, or makes a part
worse. An orphan that nothing decided is lost once the server was out of its grace period, if a finding says so;
where none does, nobody can tell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from nlmdissect.analysis import Analysis
from nlmdissect.findings import Severity
from nlmdissect.history.fates import Outcome, Row
from nlmdissect.machines.hold import HOLD, H
from nlmdissect.machines.machine import Step
from nlmdissect.report.pictures.chart import SEVERITY, Tone

# fmt: off
TONES = {
    H.HELD: Tone.HELD, H.HANDED: Tone.HELD, H.RELEASING: Tone.HELD, H.ORPHANED: Tone.ORPHANED,
    H.RECLAIMING: Tone.ORPHANED, H.LOST: Tone.LOST, H.STOLEN: Tone.LOST, H.EXPOSED: Tone.UNSURE,
    H.DOUBTED: Tone.UNSURE, H.DEAD: Tone.STALE,
}
# fmt: on
SAYS = {
    Tone.HELD: "held",
    Tone.ORPHANED: "not reclaimed yet",
    Tone.LOST: "lost: the client believes to hold it",
    Tone.UNSURE: "cannot tell whether it is held",
    Tone.STALE: "left behind by the client's old life",
}


class State(NamedTuple):
    """A hold from ``start`` to ``end`` (ns; the end of the recording where it is not over)."""

    row: Row
    start: int
    end: int
    tone: Tone


def states(analysis: Analysis) -> Iterator[State]:
    """The states of every hold, each hold in time order."""
    walked, last = analysis.history.walked, analysis.history.extent.last
    steps: dict[int, list[Step]] = defaultdict(list)
    for step in walked.steps:
        if step.machine == HOLD.name:
            steps[step.thing].append(step)
    never = _never_reclaimed(analysis)
    for row in walked.holds:
        until = row.released.time if row.released else last
        found = list(_of_hold(row, steps[row.hold], until))
        for place, state in enumerate(found):
            lost_at = never.get(row.hold)
            if state.tone is Tone.ORPHANED and lost_at and place == len(found) - 1:
                yield from _given_up(state, *lost_at)
            else:
                yield state


def _of_hold(row: Row, steps: list[Step], until: int) -> Iterator[State]:
    start, tone = row.granted.time, Tone.HELD
    for step in steps:
        after = TONES.get(H(step.after))
        if after is None or after is tone or step.at.time > until:
            continue
        if TONES.get(H(step.before)) is not tone and SEVERITY[after] < SEVERITY[tone]:
            continue
        if step.at.time > start:
            yield State(row, start, step.at.time, tone)
        start, tone = max(step.at.time, start), after
    yield State(row, start, max(until, start), tone)


def _never_reclaimed(analysis: Analysis) -> dict[int, tuple[int | None, Tone]]:
    """Hold -> (the moment (ns) from which it was too late, what it is from then on)."""
    found: dict[int, tuple[int | None, Tone]] = {}
    blamed = {
        (f.boot, f.client) for f in analysis.findings if f.boot is not None and (f.severity or 0) >= Severity.ERROR
    }
    for row in analysis.history.recoveries:
        over = row.boot.grace_over.time if row.boot.grace_over else None
        tone = Tone.LOST if (row.boot.number, row.peer) in blamed else Tone.UNSURE
        found |= {fate.piece.hold: (over, tone) for fate in row.having(Outcome.MISSING, Outcome.UNANSWERED)}
    return found


def _given_up(state: State, over: int | None, tone: Tone) -> Iterator[State]:
    at = state.start if over is None else min(max(over, state.start), state.end)
    if at > state.start:
        yield state._replace(end=at)
    yield state._replace(start=at, tone=tone)
