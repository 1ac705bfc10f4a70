"""The timeline of a recovery: hosts as lanes, what they held, restarts, the grace period, notices, reclaims, and where
the chain broke.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from nlmdissect.analysis import Analysis
from nlmdissect.errors import UsageError
from nlmdissect.findings import At, Severity
from nlmdissect.history.waits import Wait
from nlmdissect.hosts.boot import Boot
from nlmdissect.report.lines import hosts as find_hosts
from nlmdissect.report.pictures.chart import SEVERITY, Band, Chart, Lane, Mark, Span, Tone
from nlmdissect.report.pictures.exchanges import Exchanges
from nlmdissect.report.pictures.holds import SAYS, State, states
from nlmdissect.report.pictures.lanes import Lanes, choose, relevant
from nlmdissect.report.times import SECOND, duration
from nlmdissect.report.voice import Voice, count, kind, nsm_states, span

BARS = 4  # a host with more holds than that has them in one bar
PIECES = 240  # of one bar; more could not be told apart
FEW = 8  # lanes; where there are more, what goes well has no label
WHOLE = 5  # a recording that is at most this many times as long as the recovery is shown whole


def timeline(
    analysis: Analysis,
    boot: int | None = None,
    hosts: Sequence[str] = (),
    start: int | None = None,
    end: int | None = None,
    lanes: int = 24,
) -> Chart:
    """See ``Capture.plot_recovery``; times in ns. Raises UsageError for a restart or a host that is not there."""
    history = analysis.history
    if boot is not None and not 0 <= boot < len(history.boots):
        known = f"They are numbered 0 to {len(history.boots) - 1}." if history.boots else "It shows no restart."
        raise UsageError(f"the recording shows no restart {boot}", known)
    one = history.boots[boot] if boot is not None else _worst(analysis)
    where = choose(analysis, one, find_hosts(history, list(hosts)), lanes)
    first, last = _window(analysis, one)
    return _Timeline(analysis, one, where, first if start is None else start, last if end is None else end).chart()


def _worst(analysis: Analysis) -> Boot | None:
    """The restart that did most harm; the first of equals."""
    harm: Counter[int] = Counter()
    for finding in analysis.findings:
        if finding.boot is not None:
            harm[finding.boot] += 1000 if (finding.severity or 0) >= Severity.ERROR else 1
    for row in analysis.history.recoveries:
        counts = row.counts()
        harm[row.boot.number] += 10 * (counts["stolen"] + counts["refused"] + counts["missing"])
    return max(analysis.history.boots, key=lambda b: (harm[b.number], len(b.evidence)), default=None)


def _window(analysis: Analysis, boot: Boot | None) -> tuple[int, int]:
    """From when to when (ns) to look: around the restart and all that it led to, or the whole recording."""
    extent = analysis.history.extent
    first, last = extent.first, max(extent.last, extent.first + SECOND // 1000)
    if boot is None:
        return first, last
    moments = [at.time for at in (boot.not_before, boot.not_after, boot.told, boot.in_grace, boot.grace_over) if at]
    old = boot.not_before.time if boot.not_before else boot.not_after.time
    moments += [e.at.time for f in relevant(analysis, boot) if f.boot is not None for e in f.evidence]
    for row in analysis.history.recoveries:
        if row.boot is boot:
            moments += [t.at.time for t in row.tries] + [fate.at.time for fate in row.fates if fate.at]
    moments = [m for m in moments if m >= old]
    margin = max((max(moments) - min(moments)) // 6, SECOND)
    if last - first <= WHOLE * (max(moments) - min(moments) + 2 * margin):
        return first, last
    return max(first, min(moments) - margin), min(last, max(moments) + margin)


class _Timeline:
    def __init__(self, analysis: Analysis, boot: Boot | None, lanes: Lanes, start: int, end: int) -> None:
        self.analysis, self.history, self.boot, self.lanes = analysis, analysis.history, boot, lanes
        self.start, self.end = start, max(end, start + 1)
        self.voice = Voice(self.history)
        self.rows: Counter[int] = Counter()
        self.lost: dict[int, set[int]] = defaultdict(set)  # lane -> holds
        self.stale: dict[int, set[int]] = defaultdict(set)

    def chart(self) -> Chart:
        held = list(self._held())
        waits = list(self._waits())
        said = Exchanges(self.analysis, self.lanes, self.boot)
        arrows, marks = list(said.arrows()), [*self._restarts(), *said.marks(), *self._losses(held)]
        lanes = tuple(self._lanes())
        if len(lanes) > FEW:
            arrows = [a if a.tone is Tone.BAD else a._replace(label="") for a in arrows]
        about = "The locks of this recording"
        if self.boot:
            about = f"Recovery after the restart of {self.voice.host(self.boot.host)}"
        return (
            Chart(
                about,
                self.start,
                self.end,
                lanes,
                (*self._down(), *held, *waits),
                tuple(marks),
                tuple(arrows),
                tuple(grace(self.voice, self.boot) if self.boot else ()),
                tuple(self._notes()),
            )
            .within()
            .cited(self.voice)
        )

    def _lanes(self) -> Iterator[Lane]:
        roles = self.history.names.roles
        for lane, host in enumerate(self.lanes.hosts):
            role = "server" if "server" in roles.get(host, ()) else "client"
            yield self._lane(lane, self.voice.short(host), role)
        if self.lanes.folded:
            yield self._lane(len(self.lanes.hosts), f"{count(len(self.lanes.folded), 'more host')}", "")

    def _lane(self, lane: int, name: str, role: str) -> Lane:
        lost, stale = len(self.lost[lane]), len(self.stale[lane])
        notes = [f"{word} {count(n, 'lock')}" for word, n in (("lost", lost), ("left", stale)) if n]
        return Lane(name, ", ".join(notes) or role, bool(lost or stale), max(self.rows[lane], 1))

    def _held(self) -> Iterator[Span]:
        of: dict[int, list[State]] = defaultdict(list)
        for state in states(self.analysis):
            lane = self.lanes.of(state.row.owner.client)
            if lane is not None and state.start <= self.end and state.end >= self.start:
                of[lane].append(state)
        for lane, found in of.items():
            self.lost[lane] |= {state.row.hold for state in found if state.tone is Tone.LOST}
            self.stale[lane] |= {state.row.hold for state in found if state.tone is Tone.STALE}
            holds = list(dict.fromkeys(state.row.hold for state in found))
            if len(holds) <= BARS and lane < len(self.lanes.hosts):
                rows = pack((state.row.hold, state.start, state.end) for state in found)
                self.rows[lane] = max(rows.values(), default=0) + 1
                yield from (self._bar(lane, state, rows[state.row.hold]) for state in found)
            else:
                self.rows[lane] = 1
                yield from self._together(lane, found)

    def _waits(self) -> Iterator[Span]:
        """Who was answered BLOCKED, below what is held; many of one lane lie on each other."""
        of: dict[int, list[Wait]] = defaultdict(list)
        for wait in self.history.walked.waits:
            lane = self.lanes.of(wait.request.client)
            if lane is not None and wait.since.time <= self.end and (not wait.ended or wait.ended.time >= self.start):
                of[lane].append(wait)
        last = self.history.extent.last
        for lane, waits in of.items():
            spans = [(n, w.since.time, w.ended.time if w.ended else last) for n, w in enumerate(waits)]
            rows = pack(spans) if len(waits) <= BARS else dict.fromkeys(range(len(waits)), 0)
            first = self.rows[lane]
            self.rows[lane] += 1 + max(rows.values())
            for (number, start, end), wait in zip(spans, waits, strict=True):
                r, how = wait.request, wait.how or "still waiting at the end"
                where = self.voice.file(self.history.texts[r.fh])
                words = f"{kind(r.exclusive)} {span(r.start, r.end)} on {where}, svid {r.svid}: waits, {how}"
                yield Span(lane, start, end, Tone.WAITING, words, (wait.since,), first + rows[number])

    def _bar(self, lane: int, state: State, row: int) -> Span:
        words = f"{self._name(state)}: {SAYS[state.tone]}"
        return Span(lane, state.start, state.end, state.tone, words, (state.row.granted,), row)

    def _name(self, state: State) -> str:
        row = state.row
        where = self.voice.file(self.history.texts[row.file.fh])
        return f"{kind(row.exclusive)} {span(row.start, row.end)} on {where}, svid {row.owner.svid}"

    def _together(self, lane: int, found: list[State]) -> Iterator[Span]:
        """One bar for many holds: at each time the worst of them, and how many there are of each kind."""
        grain = max((self.end - self.start) // PIECES, 1)
        changes: dict[int, Counter[Tone]] = defaultdict(Counter)
        for state in found:
            first, last = (max(self.start, t) // grain * grain for t in (state.start, state.end))
            changes[first][state.tone] += 1
            changes[max(last, first + grain)][state.tone] -= 1
        now: Counter[Tone] = Counter()
        runs: list[tuple[Tone | None, int, str]] = []  # what, from when, in words
        for at in sorted(changes):
            now.update(changes[at])
            worst_first = sorted((tone for tone, n in now.items() if n > 0), key=SEVERITY.__getitem__, reverse=True)
            words = ", ".join(f"{count(now[tone], 'lock')} {SAYS[tone]}" for tone in worst_first)
            tone = worst_first[0] if worst_first else None
            if not runs or runs[-1][0] is not tone:
                runs.append((tone, at, f"at first {words}"))
        for (tone, at, words), (_, until, _) in pairwise([*runs, (None, self.end, "")]):
            if tone is not None and until > at:
                yield Span(lane, at, until, tone, words)

    def _losses(self, held: Iterable[Span]) -> Iterator[Mark]:
        """The first moment of each lane's losses."""
        first: dict[tuple[int, Tone], Span] = {}
        for bar in held:
            key = bar.lane, bar.tone
            if bar.tone in (Tone.LOST, Tone.STALE) and (key not in first or bar.start < first[key].start):
                first[key] = bar
        for (lane, tone), bar in first.items():
            holds = self.lost[lane] if tone is Tone.LOST else self.stale[lane]
            one = len(holds) == 1 and bar.frames  # a bar of its own
            what = bar.words.partition(",")[0] if one else count(len(holds), "lock")
            words = "LOST" if tone is Tone.LOST else "left behind"
            label = f"{words}: {what}"
            yield Mark(lane, max(bar.start, self.start), tone, label, bar.words, bar.frames)

    def _restarts(self) -> Iterator[Mark]:
        for boot in self.history.boots:
            lane = self.lanes.of(boot.host)
            if lane is not None:
                state = f", NSM state {nsm_states(boot)}" if nsm_states(boot) else ""
                label = f"{'lockd restarted' if boot.lived_on else 'restart'}{state}"
                words = f"{self.voice.restart(boot)}: {boot.evidence[0].what}"
                yield Mark(lane, boot.not_after.time, Tone.BOOT, label, words, (boot.evidence[0].at,))

    def _down(self) -> Iterator[Span]:
        for boot in self.history.boots:
            lane = self.lanes.of(boot.host)
            if lane is not None and boot.not_before is not None and lane < self.lanes.servers:
                words = f"{self.voice.host(boot.host)} restarts between these two"
                yield Span(lane, boot.not_before.time, boot.not_after.time, Tone.DOWN, words, _both(boot))

    def _notes(self) -> Iterator[str]:
        folded = self.lanes.folded
        if folded:
            lost = len(self.lost[len(self.lanes.hosts)])
            what = f"{count(lost, 'lock')} lost among them" if lost else "none of them lost a lock here"
            yield f"{count(len(folded), 'host')} with less trouble share the last lane: {what}."
        others = len(self.history.boots) - 1
        if self.boot is not None and others > 0:
            yield f"{count(others, 'other restart')} in this recording: plot_recovery(boot=N) shows each."
        extent = self.history.extent
        if (self.start, self.end) != (extent.first, max(extent.last, self.start + 1)) and self.boot is not None:
            yield f"{duration(self.end - self.start)} of {duration(extent.last - extent.first)} are shown."


def grace(voice: Voice, boot: Boot) -> Iterator[Band]:
    """The grace period that a restart began, as far as it is known: of a server, and nothing of a client."""
    if "server" not in voice.history.names.roles.get(boot.host, ()):
        return
    begin, sure = boot.not_after.time, boot.in_grace.time if boot.in_grace else None
    if sure is not None:
        yield Band(begin, sure, Tone.GRACE, f"in grace until {voice.time(sure)[:8]} at least")
    if boot.grace_over is not None:
        over = boot.grace_over.time
        yield Band(sure or begin, over, Tone.GRACE_MAYBE, f"grace over by {voice.time(over)[:8]}")


def pack(found: Iterable[tuple[int, int, int]]) -> dict[int, int]:
    """(number, start, end) -> the first row that is free for all that a number has."""
    ends: dict[int, tuple[int, int]] = {}
    for number, start, end in found:
        begin, until = ends.get(number, (start, end))
        ends[number] = min(begin, start), max(until, end)
    rows: dict[int, int] = {}
    free: list[int] = []
    for number, (begin, end) in sorted(ends.items(), key=lambda item: item[1]):
        row = next((n for n, t in enumerate(free) if t <= begin), len(free))
        free[row : row + 1] = [end]
        rows[number] = row
    return rows


def _both(boot: Boot) -> tuple[At, ...]:
    return tuple(at for at in (boot.not_before, boot.not_after) if at is not None)
