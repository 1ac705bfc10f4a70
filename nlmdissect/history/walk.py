"""Events through machines, in the order of the recording.

Restarts are found in retrospect, so the order is: all calls, then boots, then this walk. A restart stands just
before the first sign of the new life; what the machines hear of it is an event like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nlmdissect.findings import At
from nlmdissect.history.fates import Claim, File, Owner
from nlmdissect.history.table import LockTable
from nlmdissect.history.waits import Wait as Wait
from nlmdissect.history.waits import Waiting
from nlmdissect.hosts.boots import Boot, life_at
from nlmdissect.hosts.names import SM_NOTIFY, Names
from nlmdissect.hosts.signs import SECOND
from nlmdissect.machines import events, hold, monitor, request
from nlmdissect.machines.machine import Step
from nlmdissect.machines.ranges import Piece
from nlmdissect.protocols import NSM
from nlmdissect.rpc.calls import NONE, Calls
from nlmdissect.rpc.requests import BLOCKED, UNREADABLE, Answer, Op, Request

MARGIN = 10 * SECOND  # a process that ends in the grace period has its UNLOCK held back until after it
UNDECIDED = frozenset({request.R.ASKED, request.R.WAITING, request.R.HELD_OFF})


@dataclass(frozen=True, slots=True)
class Reclaim:
    """A reclaim and its last answer. ``boot`` is the server's restart that it came after, ``pieces`` what it named,
    as it was.
    """

    request: Request
    answer: Answer | None
    boot: int | None
    pieces: tuple[Piece, ...]
    in_grace: bool | None  # at the answer: whether the server was in its grace period; None: cannot tell


@dataclass(slots=True)
class Edge:
    """``watcher`` monitors ``watched``."""

    watcher: int
    watched: int
    state: monitor.M = monitor.M.UNSEEN
    since: At | None = None


@dataclass(slots=True)
class Walked:
    """Everything that the walk leaves behind."""

    table: LockTable
    waits: list[Wait] = field(default_factory=list)
    reclaims: list[Reclaim] = field(default_factory=list)
    edges: dict[tuple[int, int], Edge] = field(default_factory=dict)
    left_behind: dict[int, list[tuple[File, Owner, Piece]]] = field(
        default_factory=dict
    )  # boot -> locks of the restarted client
    steps: list[Step] = field(default_factory=list)


class _Event(NamedTuple):
    order: float
    run: Callable[[], None]


def walk(calls: Calls, requests: list[Request], boots: list[Boot], names: Names, until: int | None = None) -> Walked:
    """Run every event up to ``until`` (ns; None: to the end) through the machines."""
    walker = _Walker(requests, boots, names)
    agenda: list[_Event] = []
    for number, r in enumerate(requests):
        agenda += walker.agenda_of(number, r)
    times = np.sort(np.concatenate([calls.time[calls.frame > 0], calls.reply_time[calls.reply_frame > 0]]))
    for boot in boots:
        place = float(np.searchsorted(times, boot.not_after.time)) - 0.5
        agenda.append(_Event(place, lambda boot=boot: walker.restarted(boot)))  # type: ignore[misc]
    agenda += walker.notices(calls)
    agenda.sort(key=lambda event: event.order)
    stop = float("inf") if until is None else float(np.searchsorted(times, until, side="right")) - 0.25
    for event in agenda:
        if event.order > stop:
            break
        event.run()
    walker.done.table.finish()
    walker.done.steps += walker.done.table.steps
    walker.done.steps.sort(key=lambda step: step.at)
    return walker.done


class _Walker:
    def __init__(self, requests: list[Request], boots: list[Boot], names: Names) -> None:
        self.requests, self.boots, self.names = requests, boots, names
        self.table = LockTable()
        self.waits = Waiting()
        self.done = Walked(self.table, self.waits.all)
        self.states: dict[int, request.R] = {}
        self.open: dict[int, Request] = {}  # requests that were asked and not decided

    def agenda_of(self, number: int, r: Request) -> list[_Event]:
        """The events of one request: its transmissions and its answers."""
        if not r.readable:
            return []
        if r.op in (Op.LOCK, Op.NM_LOCK):
            self.states[number] = request.R.UNSEEN
        agenda = []
        for index, send in enumerate(r.sends):
            agenda.append(_Event(send.order, lambda at=send.at, first=index == 0: self.sent(number, r, at, first)))  # type: ignore[misc]
        agenda += [_Event(a.order, lambda answer=a: self.answered(number, r, answer)) for a in r.answers]  # type: ignore[misc]
        if r.reclaim and not r.answers:
            self.done.reclaims.append(self._reclaim(r, None, ()))
        return agenda

    def sent(self, number: int, r: Request, at: At, first: bool) -> None:
        """A call was sent, for the first time or again."""
        self._request_step(number, request.E.ASK, at)
        match events.of_call(r):
            case hold.E.UNLOCK:
                self.table.unlock(_claim(r), hold.E.UNLOCK, at, self._too_late(r.server, at))
                self._end_wait(r, at, "cancelled")
            case hold.E.RECLAIM:
                self.table.ask_reclaim(_claim(r), at)
            case hold.E.CALLBACK if first:
                self._called_back(r, at)
            case hold.E.FREED if first:
                self.table.client_event(r.server, r.client, hold.E.FREED, at)
            case _:
                pass
        if r.op is Op.CANCEL:
            self._end_wait(r, at, "cancelled")

    def answered(self, number: int, r: Request, answer: Answer) -> None:
        """An answer arrived."""
        if answer.status == UNREADABLE:
            return
        at, asked = answer.at, _asked(r, answer)
        boot = life_at(self.boots, r.server, at.time)
        self._request_step(number, events.of_request(answer.status), at)
        match events.of_answer(r, answer.status):
            case hold.E.RECLAIM_REFUSED:
                before = self.table.refuse_reclaim(_claim(r), answer.status, at, asked, boot)
                self.done.reclaims.append(self._reclaim(r, answer, tuple(before)))
            case (hold.E.GRANTED | hold.E.CALLBACK_REFUSED) as event if r.op is Op.GRANTED:
                self.table.answer_callback(self._handed(r)[1], event, at)
                if event is hold.E.GRANTED:
                    self._end_wait(r, at, "called back")
            case (hold.E.GRANTED | hold.E.RECLAIM_GRANTED) as event:
                if event is hold.E.RECLAIM_GRANTED:
                    self.done.reclaims.append(self._reclaim(r, answer, ()))
                self.table.grant(_claim(r), event, at, asked, boot, monitored=r.op is not Op.NM_LOCK)
                self._end_wait(r, at, "granted")
                self.waits.granted(self.table, File(r.server, r.fh))
                if r.op is not Op.NM_LOCK:
                    self._monitor(r.server, r.client, monitor.E.LOCKED, at)
                    self._monitor(r.client, r.server, monitor.E.LOCKED, at)
            case (hold.E.UNLOCK_GRANTED | hold.E.UNLOCK_REFUSED) as event:
                self.table.unlock(_claim(r), event, at, self._too_late(r.server, at))
                if event is hold.E.UNLOCK_GRANTED:
                    self.waits.released(self.table, File(r.server, r.fh), at)
            case _:
                self._waits(number, r, answer)

    def restarted(self, boot: Boot) -> None:
        """A host, or its lockd, restarted."""
        self.table.server_restarted(boot)
        if not boot.lived_on:
            self.done.left_behind[boot.number] = self.table.held_by(boot.host)
            self.table.client_event(None, boot.host, hold.E.CLIENT_RESTARTED, boot.not_after)
        for watcher, watched in self.done.edges:
            if watcher == boot.host:
                self._monitor(watcher, watched, monitor.E.RESTARTED, boot.not_after)
        self.waits.restarted(boot.host, boot.not_after)
        for number, r in list(self.open.items()):
            if r.server == boot.host:
                self._request_step(number, request.E.SERVER_RESTARTED, boot.not_after)
            if r.client == boot.host and not boot.lived_on:
                self._request_step(number, request.E.CLIENT_RESTARTED, boot.not_after)

    def notices(self, calls: Calls) -> list[_Event]:
        """SM_NOTIFY: what it does to the locks that its sender has at the receiver."""
        agenda = []
        notify = (calls.program == NSM) & (calls.procedure == SM_NOTIFY) & (calls.frame != 0) & (calls.reply_frame != 0)
        for row in (notify & (calls.state != NONE)).nonzero()[0].tolist():
            at, sender, receiver = calls.at(row), int(calls.src[row]), int(calls.dst[row])
            run = lambda s=sender, r=receiver, at=at: self._noticed(s, r, at)  # noqa: E731
            agenda.append(_Event(float(calls.order[row]), run))
        return agenda

    def _noticed(self, sender: int, receiver: int, at: At) -> None:
        for client in {owner.client for _, owner, _ in self.table.of(receiver)}:
            if client == sender:
                self.table.noticed(receiver, client, at)
            elif self.names.notifies_for(sender, client):  # servers that go by names free these as well
                self.table.client_event(receiver, client, hold.E.NOTIFIED_ALIVE, at)
        self._monitor(receiver, sender, monitor.E.NOTIFY, at)

    def _called_back(self, r: Request, at: At) -> None:
        wait, claim = self._handed(r)
        boot = life_at(self.boots, r.server, at.time)
        self.table.grant(claim, hold.E.CALLBACK, at, wait.request.at if wait is not None else at, boot)
        self.waits.granted(self.table, claim.file)
        if wait is not None:
            wait.called = wait.called or at
            self._request_step(wait.number, request.E.CALLBACK, at)

    def _handed(self, r: Request) -> tuple[Wait | None, Claim]:
        """What a callback hands to whom: by file, svid and range, never by cookie or caller_name."""
        wait = self.waits.find(r)
        return wait, _claim(r) if wait is None else _claim(r)._replace(owner=_claim(wait.request).owner)

    def _waits(self, number: int, r: Request, answer: Answer) -> None:
        if r.op is not Op.LOCK:
            return
        if answer.status == BLOCKED:
            self.waits.blocked(number, r, answer, self.table)
        else:
            self._end_wait(r, answer.at, "refused")

    def _end_wait(self, r: Request, at: At, how: str) -> None:
        for wait in self.waits.end(r, at, how):
            if how == "cancelled":
                self._request_step(wait.number, request.E.CANCEL, at)

    def _reclaim(self, r: Request, answer: Answer | None, pieces: tuple[Piece, ...]) -> Reclaim:
        at = answer.at if answer else r.at
        boot = life_at(self.boots, r.server, at.time)
        return Reclaim(r, answer, boot.number if boot else None, pieces, _in_grace(boot, at))

    def _too_late(self, server: int, at: At) -> bool:
        boot = life_at(self.boots, server, at.time)
        return boot is not None and boot.grace_over is not None and at.time >= boot.grace_over.time + MARGIN

    def _request_step(self, number: int, event: request.E | None, at: At) -> None:
        if event is not None and number in self.states:
            self.states[number], step = request.REQUEST.step(at, number, self.states[number], event)
            self.done.steps.append(step)
            if self.states[number] in UNDECIDED:
                self.open.setdefault(number, self.requests[number])
            else:
                self.open.pop(number, None)

    def _monitor(self, watcher: int, watched: int, event: monitor.E, at: At) -> None:
        edge = self.done.edges.setdefault((watcher, watched), Edge(watcher, watched))
        before = edge.state
        edge.state, step = monitor.MONITOR.step(at, len(self.done.edges) - 1, before, event)
        if edge.state is not before:
            edge.since = at
            self.done.steps.append(step)


def _claim(r: Request) -> Claim:
    return Claim(File(r.server, r.fh), Owner(r.client, r.oh, r.svid), r.start, r.end, r.exclusive)


def _asked(r: Request, answer: Answer) -> At:
    """The transmission that an answer answers: the last one before it."""
    before = [send.at for send in r.sends if send.order < answer.order]
    return before[-1] if before else r.at


def _in_grace(boot: Boot | None, at: At) -> bool | None:
    if boot is None:
        return None
    if boot.in_grace is not None and at.time <= boot.in_grace.time:
        return True
    if boot.grace_over is not None and at.time >= boot.grace_over.time:
        return False
    return None
