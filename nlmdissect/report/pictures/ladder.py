"""The ladder of a conversation: who sent what to whom, message by message, and the one that never came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nlmdissect.analysis import Analysis
from nlmdissect.errors import UsageError
from nlmdissect.findings import At, Finding
from nlmdissect.protocols import NLM, NSM, PORTMAP
from nlmdissect.report.lines import hosts as find_hosts
from nlmdissect.report.lines import procedure, result, what
from nlmdissect.report.pictures import broken
from nlmdissect.report.pictures.chart import Tone
from nlmdissect.report.times import duration
from nlmdissect.report.verdict import ABOUT_THE_CAPTURE
from nlmdissect.report.voice import Voice, count
from nlmdissect.rpc.calls import NONE
from nlmdissect.rpc.requests import GRANTED

HOSTS = 6  # columns; more is no ladder any more


class Rung(NamedTuple):
    """One message, from column to column. ``skipped``: so many messages were left out before it. ``proof``: it is
    evidence. ``at`` has frame 0 for a message that is missing.
    """

    at: At
    source: int
    target: int
    text: str
    words: str
    tone: Tone
    broken: bool = False
    proof: bool = False
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Ladder:
    """``hosts`` are the names of the columns, servers first."""

    title: str
    hosts: tuple[str, ...]
    rungs: tuple[Rung, ...]
    notes: tuple[str, ...] = ()


class _Half(NamedTuple):
    """A call or an answer: its place in the recording, and its row in the table of calls."""

    order: int
    row: int
    answer: bool


def ladder(
    analysis: Analysis,
    finding: int | str | None = None,
    hosts: Sequence[str] = (),
    start: int | None = None,
    end: int | None = None,
    most: int = 60,
) -> Ladder:
    """See ``Capture.plot_ladder``; times in ns. Raises UsageError for a finding or a host that is not there."""
    chosen = _finding(analysis, finding) if finding is not None or not (hosts or start or end) else None
    of = find_hosts(analysis.history, list(hosts))
    about = frozenset(_about(analysis, chosen)) if chosen else frozenset()
    return _Ladder(analysis, chosen, of or about or None, start, end, most).ladder()


def _finding(analysis: Analysis, which: int | str | None) -> Finding | None:
    findings = analysis.findings
    if which is None:
        about = [n for n in analysis.roots if not findings[n].code.startswith(ABOUT_THE_CAPTURE)]
        return findings[about[0]] if about else None
    if isinstance(which, str) and not which.isdecimal():
        named = [f for f in findings if which.upper() in (f.code, f.name.upper())]
        if not named:
            known = ", ".join(sorted({f.code for f in findings}))
            raise UsageError(f"there is no finding {which}", f"Found was {known}." if known else "Nothing was found.")
        return named[0]
    if not 0 <= int(which) < len(findings):
        raise UsageError(f"there is no finding {which}", f"capture.findings has {count(len(findings), 'row')}.")
    return findings[int(which)]


def _about(analysis: Analysis, finding: Finding) -> set[int]:
    """The hosts that a finding names; where it names but one, all that its evidence went to or came from."""
    calls, boot = analysis.history.calls, analysis.history.boot(finding.boot)
    every = (finding.server, finding.client, finding.other, boot.host if boot else None)
    found = {host for host in every if host is not None}
    if len(found) < 2:
        for at in (e.at for e in finding.evidence):
            here = (calls.capture == at.capture) & (calls.frame == at.frame)
            here |= (calls.reply_capture == at.capture) & (calls.reply_frame == at.frame)
            found |= {*calls.src[here].tolist(), *calls.dst[here].tolist()}
    return found


class _Ladder:
    def __init__(
        self, analysis: Analysis, finding: Finding | None, hosts: frozenset[int] | None, start: int | None,
        end: int | None, most: int,
    ) -> None:  # fmt: skip
        self.history, self.finding, self.most = analysis.history, finding, max(most, 1)
        extent = self.history.extent
        self.start, self.end = extent.first if start is None else start, extent.last if end is None else end
        self.voice = Voice(self.history)
        self.halves = self._halves(hosts)
        calls, roles = self.history.calls, self.history.names.roles
        talk = [int(host[half.row]) for half in self.halves for host in (calls.src, calls.dst)]
        kept = sorted(hosts or set(talk), key=lambda h: (-talk.count(h) if not hosts else 0, h))[:HOSTS]
        self.hosts = sorted(kept, key=lambda h: ("server" not in roles.get(h, ()), h))

    def ladder(self) -> Ladder:
        calls = self.history.calls
        inside = set(self.hosts)
        halves = [h for h in self.halves if int(calls.src[h.row]) in inside and int(calls.dst[h.row]) in inside]
        chosen, skipped = self._nearest(halves)
        rungs = [self._rung(half)._replace(skipped=n) for half, n in zip(chosen, skipped, strict=True)]
        rungs += self._missing()
        rungs.sort(key=lambda rung: rung.at.time)
        notes = []
        if len(chosen) < len(halves):
            notes.append(f"{len(chosen)} of {len(halves)} messages are shown, those nearest to the evidence.")
        if not rungs:
            raise UsageError("these hosts said nothing to each other then", "Widen the time, or name other hosts.")
        names = tuple(self.voice.short(host) for host in self.hosts)
        title = f"{self.finding.code}: {self.finding.title}" if self.finding else f"Messages between {', '.join(names)}"
        return Ladder(title, names, tuple(rungs), tuple(notes))

    def _halves(self, hosts: frozenset[int] | None) -> list[_Half]:
        """All messages of these hosts in that time, in order."""
        c = self.history.calls
        asks = np.isin(c.asked_program, (NLM, NSM, NONE))  # where mountd is concerns nobody here
        ours = (c.program == NLM) | (c.program == NSM) | ((c.program == PORTMAP) & asks)
        if hosts is not None:
            known = np.array(sorted(hosts))
            ours &= np.isin(c.src, known) | np.isin(c.dst, known)
        found = []
        for frame, time, order, answer in (
            (c.frame, c.time, c.order, False),
            (c.reply_frame, c.reply_time, c.reply_order, True),
        ):
            rows = np.flatnonzero(ours & (frame != 0) & (time >= self.start) & (time <= self.end))
            found += [_Half(int(order[row]), row, answer) for row in rows.tolist()]
        return sorted(found)

    def _proofs(self) -> set[tuple[int, int]]:
        return {(e.at.capture, e.at.frame) for e in self.finding.evidence if e.at.frame} if self.finding else set()

    def _nearest(self, halves: list[_Half]) -> tuple[list[_Half], list[int]]:
        """Those nearest to the evidence, and before each of them how many were left out."""
        proofs = self._proofs()
        rows = {half.row for half in halves if self._place(half)[1:] in proofs}
        anchors = np.array([n for n, half in enumerate(halves) if half.row in rows], np.int64)
        places = np.arange(len(halves))
        far = places
        if len(anchors):
            after = np.searchsorted(anchors, places)
            right, left = anchors[np.minimum(after, len(anchors) - 1)], anchors[np.maximum(after - 1, 0)]
            far = np.minimum(abs(right - places), abs(places - left))
        kept = np.sort(np.argsort(far, kind="stable")[: self.most])
        gaps = np.diff(kept, prepend=-1) - 1
        return [halves[n] for n in kept.tolist()], gaps.tolist()

    def _place(self, half: _Half) -> At:
        return self.history.calls.reply_at(half.row) if half.answer else self.history.calls.at(half.row)

    def _rung(self, half: _Half) -> Rung:
        c, row, at = self.history.calls, half.row, self._place(half)
        ends = [self.hosts.index(int(host[row])) for host in ((c.dst, c.src) if half.answer else (c.src, c.dst))]
        if half.answer:
            said = result(c, row)
            took = duration_of(int(c.reply_time[row]) - int(c.time[row])) if c.frame[row] else "its call is not here"
            text = f"{procedure(c, row).partition(' ')[2]}: {said}" if said != "answered" else "answered"
            words = f"{procedure(c, row)} answered: {said} ({took})"
            tone = Tone.GOOD if said == GRANTED else Tone.PLAIN
        else:
            text = words = what(self.history, row)
            tone = Tone.NOTICE if c.program[row] == NSM else Tone.PLAIN
        silent = not half.answer and not c.reply_frame[row]
        if silent:
            words += " (no answer)"
        proof = at[1:] in self._proofs()
        return Rung(at, ends[0], ends[1], text, f"{words} ({self.voice.cite([at])})", tone, silent, proof)

    def _missing(self) -> list[Rung]:
        f = self.finding
        link = broken.link(f) if f else None
        ends = broken.ends(self.history, f) if f and link and link.broken else None
        if f is None or ends is None or not set(ends) <= set(self.hosts):
            return []
        at = At(broken.when(self.history, f), 0, 0)
        a, b = (self.hosts.index(host) for host in ends)
        return [Rung(at, a, b, broken.words(self.voice, f), f.title, Tone.BAD, True, True)]


def duration_of(ns: int) -> str:
    """A response time: ``0.4 ms``, else as ``duration`` writes it."""
    return f"{ns / 1e6:.1f} ms" if ns < 10**9 else duration(ns)
