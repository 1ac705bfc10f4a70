"""The conversation behind a finding, as data: hosts side by side, what they said in the order of the recording, and
what should have been said and was not. Drawn by ``ladder_text.py``.

Theory of operation. A rung is a call with its answer, a signal (a RST, a SYN without an answer), a restart, or a
missing message. Those that prove the finding come first, then those that prove what follows from it, then what else
was said about its files and its notices, the nearest in time first, until there are enough; equal ones in a row are
one. An answer stands with its call: NLM's _RES with its _MSG.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum, auto
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nlmdissect.analysis import Analysis
from nlmdissect.capture.messages import Signal
from nlmdissect.findings import At, Evidence, Finding
from nlmdissect.hosts.names import SM_NOTIFY
from nlmdissect.protocols import NLM, NSM, PORTMAP
from nlmdissect.report.lines import brief, result
from nlmdissect.report.pictures import broken
from nlmdissect.rpc.requests import Request, Send

ENOUGH = 12
LANES = 4
MOST = 200  # of the calls around the evidence that are looked at


class Kind(StrEnum):
    CALL = auto()  # with its answer, if there was one
    SIGNAL = auto()  # a packet without a message in it
    EVENT = auto()  # something that befell ``source``: a restart
    MISSING = auto()  # should have been sent, and was not


@dataclass(frozen=True, slots=True)
class Rung:
    """One line of the ladder. ``at`` is its first frame (``frame`` 0: none), ``answered`` that of the answer.

    ``source`` and ``target`` are endpoints; None where it is not known between whom it was. ``proof``: it is evidence
    of the finding itself or of what follows from it. ``fh`` is the file that it is about. ``times``: so often in a row.
    """

    kind: Kind
    at: At
    source: int | None
    target: int | None
    what: str
    answer: str = ""
    answered: At | None = None
    proof: bool = False
    fh: bytes = b""
    times: int = 1


@dataclass(frozen=True, slots=True)
class Ladder:
    """``hosts`` are the lanes, from left to right; ``left_out`` counts the calls between them that are not shown."""

    hosts: tuple[int, ...]
    rungs: tuple[Rung, ...]
    left_out: int


def ladder(analysis: Analysis, number: int, most: int = ENOUGH) -> Ladder:
    """The ladder of a finding (its index in the analysis), at most ``most`` rungs."""
    return _Maker(analysis, number, most).ladder()


class _Maker:
    def __init__(self, analysis: Analysis, number: int, most: int) -> None:
        self._history, self._most = analysis.history, most
        self._finding = analysis.findings[number]
        self._family = [self._finding, *(analysis.findings[n] for n in _below(analysis, number))]
        asynchronous = self._history.requests.where(self._history.requests.said.asynchronous)
        self._requests = {send.row: request for request in asynchronous for send in request.sends}
        self._results = {  # row of a _RES -> row of the _MSG that it answers
            answer.row: _before(request, answer.order).row
            for request in asynchronous
            for answer in request.answers
            if answer.row not in self._requests
        }
        self._frames = {at: rank for rank, at in enumerate(self._evidence())}
        self._call = cache(self._rung)

    def ladder(self) -> Ladder:
        rows, signals = self._proofs()
        hosts = self._hosts(rows)
        between = self._between(hosts)
        fixed = [*self._missing(), *self._restarts(hosts), *self._signals(signals, hosts)]
        signs = [row for row in rows if self._asks_for_statd(row)]
        proven = [row for row in rows if (between[row] or self._local(row)) and row not in signs]
        rungs = self._merged(fixed, proven)
        for row in [*self._around(between, rows), *(row for row in signs if between[row])]:
            more = self._merged(fixed, [*proven, row])
            if len(more) > self._most:
                break
            proven.append(row)
            rungs = more
        shown = rungs if len(rungs) <= self._most else self._best(rungs)
        told = sum(rung.times for rung in shown if rung.kind is Kind.CALL and rung.source is not None)
        return Ladder(hosts, tuple(shown), int(between.sum()) - told)

    def _evidence(self) -> Iterator[At]:
        """The frames that prove something, the most telling first; signs of a restart last, for it has its own rung."""
        boot = self._history.boot(self._finding.boot)
        signs = {evidence.at for evidence in boot.evidence} if boot else set()
        of = [evidence.at for finding in self._family for evidence in finding.evidence]
        yield from dict.fromkeys([*(at for at in of if at not in signs), *(at for at in of if at in signs)])

    def _proofs(self) -> tuple[list[int], list[Evidence]]:
        """The calls that are evidence, the most telling first, and the evidence that is no call or answer."""
        calls = self._history.calls
        found: dict[At, list[int]] = {}
        for frames, at in ((calls.frame, calls.at), (calls.reply_frame, calls.reply_at)):
            wanted = np.isin(frames, [place.frame for place in self._frames]) & (calls.frame != 0)
            for row in wanted.nonzero()[0].tolist():
                found.setdefault(at(row), []).append(self._results.get(row, row))
        rows = dict.fromkeys(row for at in self._frames for row in found.get(at, ()))
        said = {e.at: e for finding in reversed(self._family) for e in finding.evidence}
        return list(rows), [said[at] for at in self._frames if at not in found and at.frame]

    def _hosts(self, rows: list[int]) -> tuple[int, ...]:
        """The client, its server, and the others: lanes from left to right."""
        calls = self._history.calls
        named = dict.fromkeys(h for f in self._family for h in (f.client, f.server, f.other) if h is not None)
        said = [row for row in rows if calls.program[row] == NLM and not self._local(row)] if len(named) > 1 else rows
        named |= dict.fromkeys(
            int(host[row]) for row in said for host in (calls.src, calls.dst) if host[row] not in named
        )
        hosts = list(named)[:LANES]
        server = self._finding.server
        if server in hosts and len(hosts) > 1:  # in the middle: everybody speaks with it
            hosts.remove(server)
            hosts.insert(1, server)
        return tuple(hosts)

    def _between(self, hosts: tuple[int, ...]) -> NDArray[np.bool_]:
        calls = self._history.calls
        between: NDArray[np.bool_] = (calls.frame != 0) & np.isin(calls.src, hosts) & np.isin(calls.dst, hosts)
        between[list(self._results)] = False
        return between

    def _local(self, row: int) -> bool:
        """Whether a host says it to itself: its statd and its lockd."""
        return bool(self._history.calls.src[row] == self._history.calls.dst[row])

    def _asks_for_statd(self, row: int) -> bool:
        """Whether it is only a sign of a restart: a host that comes up asks its peers for the port of statd."""
        calls = self._history.calls
        boot = self._history.boot(self._finding.boot)
        return (
            boot is not None
            and calls.program[row] == PORTMAP
            and calls.at(row) in {evidence.at for evidence in boot.evidence}
            and calls.port[row] != 0
        )

    def _around(self, between: NDArray[np.bool_], rows: list[int]) -> list[int]:
        """What else was said about the files and the notices, the nearest in time first."""
        calls = self._history.calls
        files = [int(calls.fh[row]) for row in rows if calls.fh[row] >= 0]
        of = (calls.program == NLM) & np.isin(calls.fh, files)
        of |= (calls.program == NSM) & (calls.procedure == SM_NOTIFY)
        of[rows] = False
        near = (between & of).nonzero()[0]
        proven = np.array(sorted(at.time for at in self._frames), np.int64)
        time = calls.time[near]
        place = np.clip(np.searchsorted(proven, time), 1, len(proven) - 1) if len(proven) > 1 else np.zeros_like(near)
        distance = np.minimum(abs(time - proven[place]), abs(time - proven[place - 1]))
        nearest: list[int] = near[np.argsort(distance, kind="stable")[:MOST]].tolist()
        return nearest

    def _missing(self) -> Iterator[Rung]:
        for finding in self._family:
            link = broken.LINKS.get(finding.code)
            ends = broken.ends(self._history, finding) if link else None
            if link is None or ends is None or not link.words.startswith(("no ", "never ")):
                continue  # the call is there, and says by itself what became of it
            at = self._gap(finding)
            yield Rung(Kind.MISSING, At(at.time, at.capture, 0), *ends, link.words.split(":")[0], proof=True)

    def _gap(self, finding: Finding) -> At:
        """What the missing message should have followed: the signs of a restart, a notice, or the frame to open."""
        boot = self._history.boot(finding.boot)
        if boot is None:
            return finding.evidence[0].at
        signs = {evidence.at for evidence in boot.evidence}
        if finding.code == "NSM002":  # its evidence goes on with those who wait for the lock
            return max((e.at for e in finding.evidence if e.at in signs), default=boot.not_after)
        return max(e.at for e in finding.evidence if e.at != boot.grace_over or e is finding.evidence[0])

    def _restarts(self, hosts: tuple[int, ...]) -> Iterator[Rung]:
        for number in dict.fromkeys(f.boot for f in self._family if f.boot is not None):
            boot = self._history.boots[number]
            if boot.host in hosts:
                only = "lockd restarted" if boot.lived_on else "restarted"
                at = boot.not_after
                yield Rung(Kind.EVENT, At(at.time, at.capture, 0), boot.host, None, only, proof=True)

    def _signals(self, evidence: list[Evidence], hosts: tuple[int, ...]) -> Iterator[Rung]:
        wanted = {proof.at for proof in evidence}
        known: dict[At, Signal] = {signal.at: signal for signal in self._history.signals if signal.at in wanted}
        for proof in evidence:
            signal = known.get(proof.at)
            seen = signal if signal and {signal.src, signal.dst} <= set(hosts) else None
            source, target = (seen.src, seen.dst) if seen else (None, None)
            words = proof.what.partition(": ")[2] if proof.what.startswith("restart of ") else proof.what
            yield Rung(Kind.SIGNAL, proof.at, source, target, words, proof=True)

    def _merged(self, fixed: Iterable[Rung], rows: Iterable[int]) -> list[Rung]:
        """All of them in order; equal ones in a row are one."""
        rungs: list[Rung] = []
        for rung in sorted([*fixed, *map(self._call, rows)], key=_order):
            last = rungs[-1] if rungs else None
            if last and _same(last, rung):
                rungs[-1] = replace(last, times=last.times + 1, proof=last.proof or rung.proof)
            else:
                rungs.append(rung)
        return rungs

    def _best(self, rungs: list[Rung]) -> list[Rung]:
        """As many as there is room for: what the finding says first is kept."""
        last = len(self._frames)

        def rank(rung: Rung) -> int:
            places = [self._frames.get(at, last) for at in (rung.at, rung.answered) if at is not None]
            return -1 if rung.kind in (Kind.MISSING, Kind.EVENT) else min(places)

        return sorted(sorted(rungs, key=rank)[: self._most], key=_order)

    def _rung(self, row: int) -> Rung:
        calls = self._history.calls
        at = calls.at(row)
        answer, answered = self._answer(row)
        proof = at in self._frames or answered in self._frames
        source, target = int(calls.src[row]), int(calls.dst[row])
        what = brief(self._history, row)
        if self._local(row):
            return Rung(Kind.CALL, at, None, None, f"{what} (loopback)", answer, answered, proof)
        fh = self._history.texts[int(calls.fh[row])]
        return Rung(Kind.CALL, at, source, target, what, answer, answered, proof, fh)

    def _answer(self, row: int) -> tuple[str, At | None]:
        calls, request = self._history.calls, self._requests.get(row)
        if request is not None and request.asynchronous:
            order = int(calls.order[row])
            following = min((s.order for s in request.sends if s.order > order), default=2**62)
            for answer in request.answers:
                if order < answer.order < following:
                    return answer.status, answer.at
            return "no answer", None
        if not calls.reply_frame[row]:
            return "no answer", None
        return result(calls, row), calls.reply_at(row)


def _below(analysis: Analysis, number: int) -> list[int]:
    """What follows from a finding, directly or not."""
    found = [number]
    for cause in found:
        found += [other for other in analysis.consequences(cause) if other not in found]
    return found[1:]


def _before(request: Request, order: int) -> Send:
    sends = [send for send in request.sends if send.order < order]
    return sends[-1] if sends else request.sends[0]


def _order(rung: Rung) -> tuple[int, int, int]:
    """In time; a restart before its first sign, a missing message behind what it should follow."""
    return rung.at.time, rung.kind is Kind.MISSING, rung.at.frame


def _same(a: Rung, b: Rung) -> bool:
    return replace(a, at=b.at, answered=b.answered, proof=b.proof, times=b.times) == b
