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
from nlmdissect.history.table import File, LockTable, Owner
from nlmdissect.hosts.boots import Boot, life_at
from nlmdissect.hosts.names import SM_NOTIFY, Names
from nlmdissect.hosts.signs import Sign
from nlmdissect.machines import events, hold, monitor, request
from nlmdissect.machines.machine import Step
from nlmdissect.machines.ranges import Piece
from nlmdissect.protocols import NSM
from nlmdissect.rpc.calls import NONE, Calls
from nlmdissect.rpc.requests import BLOCKED, Answer, Op, Request


@dataclass(slots=True)
class Wait:
    """A request that was answered BLOCKED. ``how`` it ended: granted, called back, cancelled, refused, restarted;
    "" still waits.
    """

    request: Request
    since: At
    polls: int = 0
    last: At | None = None
    ended: At | None = None
    how: str = ""
    called: At | None = None


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


def walk(
    calls: Calls, requests: list[Request], boots: list[Boot], stray: list[Sign], names: Names, until: int | None = None
) -> Walked:
    """Run every event up to ``until`` (ns; None: to the end) through the machines."""
    walker = _Walker(boots, names)
    agenda: list[_Event] = []
    for number, r in enumerate(requests):
        agenda += walker.agenda_of(number, r)
    times = np.sort(np.concatenate([calls.time[calls.frame > 0], calls.reply_time[calls.reply_frame > 0]]))
    for boot in boots:
        place = float(np.searchsorted(times, boot.not_after.time)) - 0.5
        agenda.append(_Event(place, lambda boot=boot: walker.restarted(boot)))  # type: ignore[misc]
    agenda += walker.notices(calls, {sign.at for sign in stray})
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
    def __init__(self, boots: list[Boot], names: Names) -> None:
        self.boots, self.names = boots, names
        self.table = LockTable()
        self.done = Walked(self.table)
        self.states: dict[int, request.R] = {}
        self.waiting: dict[tuple[int, int, int, int, int, int], Wait] = {}
        self.of_client: dict[int, list[int]] = {}

    def agenda_of(self, number: int, r: Request) -> list[_Event]:
        """The events of one request: its transmissions and its answers."""
        if not r.readable:
            return []
        lock = r.op in (Op.LOCK, Op.NM_LOCK)
        if lock:
            self.states[number] = request.R.UNSEEN
        agenda = []
        for index, send in enumerate(r.sends):
            agenda.append(_Event(send.order, lambda at=send.at, first=index == 0: self.sent(number, r, at, first)))  # type: ignore[misc]
        for answer in r.answers:
            agenda.append(_Event(answer.order, lambda answer=answer: self.answered(number, r, answer)))  # type: ignore[misc]
        if r.reclaim and not r.answers:
            self.done.reclaims.append(self._reclaim(r, None, ()))
        return agenda

    def sent(self, number: int, r: Request, at: At, first: bool) -> None:
        """A call was sent, for the first time or again."""
        file, owner = File(r.server, r.fh), Owner(r.client, r.oh, r.svid)
        self._request_step(number, request.E.ASK, at)
        match events.of_call(r):
            case hold.E.UNLOCK:
                self.table.unlock(file, owner, r.start, r.end, hold.E.UNLOCK, at, self._too_late(r.server, at))
                self._end_wait(r, at, "cancelled")
            case hold.E.RECLAIM:
                self.table.ask_reclaim(file, owner, r.start, r.end, at)
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
        file, owner = File(r.server, r.fh), Owner(r.client, r.oh, r.svid)
        boot = life_at(self.boots, r.server, answer.at.time)
        self._request_step(number, events.of_request(answer.status), answer.at)
        asked = _asked(r, answer)
        match events.of_answer(r, answer.status):
            case hold.E.RECLAIM_REFUSED:
                before = self.table.refuse_reclaim(
                    file, owner, r.start, r.end, r.exclusive, answer.status, answer.at, asked, boot
                )
                self.done.reclaims.append(self._reclaim(r, answer, tuple(before)))
            case (hold.E.GRANTED | hold.E.RECLAIM_GRANTED) as event if r.op is not Op.GRANTED:
                if event is hold.E.RECLAIM_GRANTED:
                    self.done.reclaims.append(self._reclaim(r, answer, ()))
                self.table.grant(
                    file,
                    owner,
                    r.start,
                    r.end,
                    r.exclusive,
                    event,
                    answer.at,
                    asked,
                    boot,
                    monitored=r.op is not Op.NM_LOCK,
                )
                self._end_wait(r, answer.at, "granted")
                if r.op is not Op.NM_LOCK:
                    self._monitor(r.server, r.client, monitor.E.LOCKED, answer.at)
                    self._monitor(r.client, r.server, monitor.E.LOCKED, answer.at)
            case (hold.E.GRANTED | hold.E.CALLBACK_REFUSED) as event:
                self.table.answer_callback(file, self._waiter(r)[1], r.start, r.end, event, answer.at)
                if event is hold.E.GRANTED:
                    self._end_wait(r, answer.at, "called back")
            case (hold.E.UNLOCK_GRANTED | hold.E.UNLOCK_REFUSED) as event:
                self.table.unlock(file, owner, r.start, r.end, event, answer.at, self._too_late(r.server, answer.at))
            case _:
                self._waits(r, answer)

    def restarted(self, boot: Boot) -> None:
        """A host, or its lockd, restarted."""
        self.table.server_restarted(boot)
        if not boot.lived_on:
            self.done.left_behind[boot.number] = self.table.held_by(boot.host)
            self.table.client_event(None, boot.host, hold.E.CLIENT_RESTARTED, boot.not_after)
        for watcher, watched in self.done.edges:
            if watcher == boot.host:
                self._monitor(watcher, watched, monitor.E.RESTARTED, boot.not_after)
        for key, wait in list(self.waiting.items()):
            if boot.host == wait.request.client or boot.host == wait.request.server:
                wait.ended, wait.how = boot.not_after, "restarted"
                del self.waiting[key]

    def notices(self, calls: Calls, stray: set[At]) -> list[_Event]:
        """SM_NOTIFY: what it does to the locks that its sender has at the receiver."""
        agenda = []
        notify = (calls.program == NSM) & (calls.procedure == SM_NOTIFY) & (calls.frame != 0) & (calls.reply_frame != 0)
        for row in (notify & (calls.state != NONE)).nonzero()[0].tolist():
            at, sender, receiver = calls.at(row), int(calls.src[row]), int(calls.dst[row])
            event = hold.E.NOTIFIED_ALIVE if at in stray else hold.E.FREED
            run = lambda s=sender, r=receiver, e=event, at=at: self._noticed(s, r, e, at)  # noqa: E731
            agenda.append(_Event(float(calls.order[row]), run))
        return agenda

    def _noticed(self, sender: int, receiver: int, event: hold.E, at: At) -> None:
        for client in {owner.client for _, owner, _ in self.table.of(receiver)}:
            if client == sender:
                self.table.client_event(receiver, client, event, at)
            elif self.names.notifies_for(sender, client):  # servers that go by names free these as well
                self.table.client_event(receiver, client, hold.E.NOTIFIED_ALIVE, at)
        self._monitor(receiver, sender, monitor.E.NOTIFY, at)

    def _called_back(self, r: Request, at: At) -> None:
        wait, owner = self._waiter(r)
        boot = life_at(self.boots, r.server, at.time)
        asked = wait.request.at if wait is not None else at
        self.table.grant(File(r.server, r.fh), owner, r.start, r.end, r.exclusive, hold.E.CALLBACK, at, asked, boot)
        if wait is not None and wait.called is None:
            wait.called = at

    def _waiter(self, r: Request) -> tuple[Wait | None, Owner]:
        """Who a callback is for: by file, svid and range, never by cookie or caller_name."""
        wait = self.waiting.get((r.server, r.client, r.fh, r.svid, r.start, r.end))
        if wait is not None:
            return wait, Owner(r.client, wait.request.oh, r.svid)
        return None, Owner(r.client, r.oh, r.svid)

    def _waits(self, r: Request, answer: Answer) -> None:
        if r.op is not Op.LOCK:
            return
        key = (r.server, r.client, r.fh, r.svid, r.start, r.end)
        if answer.status == BLOCKED:
            wait = self.waiting.get(key)
            if wait is None:
                wait = self.waiting[key] = Wait(r, answer.at)
                self.done.waits.append(wait)
            wait.polls, wait.last = wait.polls + 1, answer.at
        else:
            self._end_wait(r, answer.at, "refused")

    def _end_wait(self, r: Request, at: At, how: str) -> None:
        for key, wait in list(self.waiting.items()):
            other = wait.request
            same = (other.server, other.client, other.fh, other.svid) == (r.server, r.client, r.fh, r.svid)
            if same and r.start <= other.start and other.end <= r.end:
                wait.ended, wait.how = at, how
                del self.waiting[key]

    def _reclaim(self, r: Request, answer: Answer | None, pieces: tuple[Piece, ...]) -> Reclaim:
        at = answer.at if answer else r.at
        boot = life_at(self.boots, r.server, at.time)
        return Reclaim(r, answer, boot.number if boot else None, pieces, _in_grace(boot, at))

    def _too_late(self, server: int, at: At) -> bool:
        boot = life_at(self.boots, server, at.time)
        return boot is not None and boot.grace_over is not None and at.time >= boot.grace_over.time

    def _request_step(self, number: int, event: request.E, at: At) -> None:
        if number in self.states:
            self.states[number], step = request.REQUEST.step(at, number, self.states[number], event)
            self.done.steps.append(step)

    def _monitor(self, watcher: int, watched: int, event: monitor.E, at: At) -> None:
        edge = self.done.edges.setdefault((watcher, watched), Edge(watcher, watched))
        before = edge.state
        edge.state, step = monitor.MONITOR.step(at, len(self.done.edges) - 1, before, event)
        if edge.state is not before:
            edge.since = at
            self.done.steps.append(step)


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
