"""The lock history of one file: its owners as lanes, what they held and waited for, and where two wanted the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from nlmdissect.analysis import Analysis
from nlmdissect.errors import UsageError
from nlmdissect.findings import At
from nlmdissect.history.fates import File, Grant, Owner
from nlmdissect.history.waits import Wait
from nlmdissect.report.pictures.chart import Arrow, Chart, Lane, Mark, Span, Tone
from nlmdissect.report.pictures.holds import SAYS, State, states
from nlmdissect.report.pictures.timeline import grace, pack
from nlmdissect.report.times import SECOND
from nlmdissect.report.voice import Voice, count, kind, nsm_states, span
from nlmdissect.rpc.requests import Op

DENIED = "DENIED"


def file(
    analysis: Analysis, name: str | None = None, start: int | None = None, end: int | None = None, lanes: int = 24
) -> Chart:
    """See ``Capture.plot_file``; times in ns. Raises UsageError for a file that is not there, or not one."""
    extent = analysis.history.extent
    first = extent.first if start is None else start
    last = max(extent.last, extent.first + SECOND // 1000) if end is None else end
    return _History(analysis, find(analysis, name), first, max(last, first + 1), lanes).chart()


def find(analysis: Analysis, name: str | None) -> File:
    """The file of a path or a handle in hex, or the end of one; for None that of the worst finding, or the busiest."""
    history = analysis.history
    busy = Counter(row.file for row in history.walked.holds)
    busy.update(File(wait.request.server, wait.request.fh) for wait in history.walked.waits)
    if not busy:
        raise UsageError("the recording shows no lock on any file", "See capture.messages for what it does show.")
    if name is None:
        locks = [lock for finding in analysis.findings for lock in finding.locks]
        named = [file for file in busy if locks and history.texts[file.fh] == locks[0].fh]
        return max(named or busy, key=lambda file: busy[file])
    wanted = name.strip()
    found = {file for file in busy if _is_handle(history.texts[file.fh], wanted)}
    for row in history.walked.holds:
        path = history.path(*row.file, row.granted) or ""
        if path == wanted or path.endswith(f"/{wanted.lstrip('/')}"):
            found.add(row.file)
    if not found:
        raise UsageError(
            f"the recording shows no lock on a file {name}", "Give the path or the fh of a row of capture.locks."
        )
    if len({file.fh for file in found}) > 1:
        raise UsageError(f"{len(found)} files end in {name}", "Give more of the path or the fh, as in capture.locks.")
    return max(found, key=lambda file: busy[file])


def _is_handle(fh: bytes, name: str) -> bool:
    wanted = name.lower().removeprefix("fh ").lstrip(".")
    return bool(wanted) and (fh.hex().endswith(wanted) or fh.rstrip(b"\0").hex().endswith(wanted))


class _History:
    def __init__(self, analysis: Analysis, file: File, start: int, end: int, most: int) -> None:
        self.analysis, self.history, self.file = analysis, analysis.history, file
        self.start, self.end = start, end
        self.voice = Voice(self.history)
        table = self.history.walked.table
        self.grants = [g for g in (*table.thefts, *table.collisions) if g.file == file]
        self.waits = [w for w in self.history.walked.waits if File(w.request.server, w.request.fh) == file]
        self.of: dict[Owner, list[State]] = defaultdict(list)
        for state in states(analysis):
            if state.row.file == file and state.start <= end and state.end >= start:
                self.of[state.row.owner].append(state)
        self.denied = [
            (Owner(r.client, r.oh, r.svid), r, answer)
            for r in self.history.requests.where(self.history.requests.about(*file))
            if r.op is Op.LOCK
            for answer in r.answers
            if answer.status == DENIED
        ]
        harmed = Counter(owner for g in self.grants for owner in (g.owner, g.by))
        waited = Counter(_owner(wait) for wait in self.waits)
        owners = sorted(
            {*self.of, *waited, *(owner for owner, _, _ in self.denied)},
            key=lambda o: (-harmed[o], -any(s.tone is Tone.LOST for s in self.of[o]), -waited[o], -len(self.of[o]), o),
        )
        self.owners, self.folded = owners[: most - 1], owners[most - 1 :]

    def chart(self) -> Chart:
        spans = [span for lane, owner in enumerate(self.owners, 1) for span in self._spans(lane, owner)]
        for owner in self.folded:
            spans += [bar._replace(lane=len(self.owners) + 1, row=0) for bar in self._spans(0, owner)]
        boots = [boot for boot in self.history.boots if boot.host == self.file.server]
        lanes = [Lane(self.voice.short(self.file.server), "server")]
        for lane, owner in enumerate(self.owners, 1):
            lost = any(state.tone is Tone.LOST for state in self.of[owner])
            rows = 1 + max((bar.row for bar in spans if bar.lane == lane), default=0)
            note = f"{'lost, ' if lost else ''}svid {owner.svid}: {self._wants(owner)}"
            lanes.append(Lane(self.voice.short(owner.client), note, lost, rows))
        notes = []
        if self.folded:
            lanes.append(Lane(f"{count(len(self.folded), 'more owner')}"))
            notes.append(f"{count(len(self.folded), 'owner')} with fewer conflicts share the last lane.")
        return (
            Chart(
                f"Locks on {self.voice.file(*self.file, At(self.end, 0, 0))} at {self.voice.host(self.file.server)}",
                self.start,
                self.end,
                tuple(lanes),
                tuple(spans),
                (*self._restarts(), *self._denials()),
                tuple(self._conflicts()),
                tuple(band for boot in boots for band in grace(self.voice, boot)),
                tuple(notes),
            )
            .within()
            .cited(self.voice)
        )

    def _wants(self, owner: Owner) -> str:
        """The first range of an owner, and how many others it has."""
        ranges = [span(s.row.start, s.row.end) for s in self.of[owner]]
        ranges += [span(w.request.start, w.request.end) for w in self.waits if _owner(w) == owner]
        ranges += [span(r.start, r.end) for of, r, _ in self.denied if of == owner]
        more = len(set(ranges)) - 1
        return f"{ranges[0]}{f' and {more} more' if more else ''}"

    def _spans(self, lane: int, owner: Owner) -> Iterator[Span]:
        rows = pack([(s.row.hold, s.start, s.end) for s in self.of[owner]])
        for state in self.of[owner]:
            row = state.row
            words = f"{kind(row.exclusive)} {span(row.start, row.end)}: {SAYS[state.tone]}"
            yield Span(lane, state.start, state.end, state.tone, words, (row.granted,), rows[row.hold])
        waits = [wait for wait in self.waits if _owner(wait) == owner]
        below = 1 + max(rows.values(), default=-1)
        last = self.history.extent.last
        places = pack([(n, w.since.time, w.ended.time if w.ended else last) for n, w in enumerate(waits)])
        for number, wait in enumerate(waits):
            r, end = wait.request, wait.ended.time if wait.ended else last
            how = wait.how or "still waiting at the end"
            words = f"{kind(r.exclusive)} {span(r.start, r.end)}: waits, asked {count(wait.polls, 'time')}, {how}"
            frames = (wait.since, *([wait.ended] if wait.ended else []))
            yield Span(lane, wait.since.time, end, Tone.WAITING, words, frames, below + places[number])

    def _conflicts(self) -> Iterator[Arrow]:
        for g in self.grants:
            a, b = self._lane(g.owner), self._lane(g.by)
            if a != b:
                words = f"{kind(g.exclusive)} {span(g.start, g.end)} granted to {self.voice.host(g.by.client)}"
                words += f" while {self.voice.host(g.owner.client)} believes to hold {span(g.piece.start, g.piece.end)}"
                label = f"conflict: {span(g.start, g.end)} granted to {self.voice.short(g.by.client)}"
                yield Arrow(a, b, g.at.time, Tone.BAD, label, words, _frames(g))

    def _denials(self) -> Iterator[Mark]:
        for owner, r, answer in self.denied:
            words = f"{kind(r.exclusive)} {span(r.start, r.end)}: {DENIED}"
            yield Mark(self._lane(owner), answer.at.time, Tone.PLAIN, DENIED, words, (r.at, answer.at))

    def _restarts(self) -> Iterator[Mark]:
        for boot in self.history.boots:
            if boot.host == self.file.server:
                state = f", NSM state {nsm_states(boot)}" if nsm_states(boot) else ""
                words, frames = self.voice.restart(boot), (boot.evidence[0].at,)
                yield Mark(0, boot.not_after.time, Tone.BOOT, f"restart{state}", words, frames)

    def _lane(self, owner: Owner) -> int:
        return 1 + (self.owners.index(owner) if owner in self.owners else len(self.owners))


def _owner(wait: Wait) -> Owner:
    r = wait.request
    return Owner(r.client, r.oh, r.svid)


def _frames(g: Grant) -> tuple[At, ...]:
    return (g.asked, g.at, g.piece.granted)
