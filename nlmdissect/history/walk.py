"""Events through machines, in the order of the recording.

Restarts are found in retrospect, so the order is: all calls, then boots, then this walk. A restart stands just
before the first sign of the new life; what the machines hear of it is an event like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from nlmdissect.findings import At
from nlmdissect.history.calm import Calm, calm
from nlmdissect.history.fates import Claim
from nlmdissect.history.neighbours import Neighbours
from nlmdissect.history.open_requests import UNDECIDED, OpenRequests
from nlmdissect.history.table import LockTable
from nlmdissect.history.waits import How, Waiting, claim_of
from nlmdissect.history.waits import Wait as Wait
from nlmdissect.history.walked import Reclaim as Reclaim
from nlmdissect.history.walked import Walked as Walked
from nlmdissect.history.watching import Watching
from nlmdissect.hosts.boot import Boot, Boots, life_at
from nlmdissect.hosts.grace import in_grace
from nlmdissect.hosts.loopback import Loopback
from nlmdissect.hosts.names import SM_NOTIFY, Names
from nlmdissect.hosts.signs import SECOND
from nlmdissect.machines import events, hold, monitor, request
from nlmdissect.machines.ranges import Piece
from nlmdissect.protocols import NSM
from nlmdissect.rpc.calls import NONE, Calls
from nlmdissect.rpc.requests import BLOCKED, UNREADABLE, Answer, Op, Request, Requests, asked_at, is_late_copy

MARGIN = 10 * SECOND  # a process that ends in the grace period has its UNLOCK held back until after it


class _Event(NamedTuple):
    order: float
    time: int
    run: Callable[[], None]


def walk(
    calls: Calls, requests: Requests, boots: Boots, names: Names, heard: Loopback, until: int | None = None,
    shortcut: bool = True,
) -> Walked:  # fmt: skip
    """Run every event up to ``until`` (ns; None: to the end) through the machines.

    With ``until``, what nothing has decided by then stays undecided: orphans have no fate yet. Without ``shortcut``
    holds that are calm are walked as well, which is slower and the same.
    """
    walker = _Walker(requests, boots, names)
    times = np.concatenate([calls.time[calls.frame > 0], calls.reply_time[calls.reply_frame > 0]])
    times.sort(kind="stable")  # which takes its time from how many stretches are in order: two, nearly always
    agenda: list[_Event] = walker.notices(calls)
    for boot in boots:
        place, time = float(np.searchsorted(times, boot.not_after.time)) - 0.5, boot.not_after.time
        agenda.append(_Event(place, time, partial(walker.restarted, boot)))
    disturbances = [event.order for event in agenda]
    for at, run in walker.watching.of(heard):
        agenda.append(_Event(float(np.searchsorted(times, at.time)) + 0.1, at.time, run))
    loud = np.ones(len(requests), np.bool_)
    if shortcut and until is None:
        freed = [send.order for r in requests.where(requests.is_a(Op.FREE_ALL)) for send in r.sends]
        found = walker.done.calm = calm(requests, [*freed, *disturbances])
        for order, granted, server, client in found.first_after(np.array(sorted(event.order for event in agenda))):
            agenda.append(_Event(order, granted.time, partial(walker.watching.locked, server, client, granted)))
        loud[found.lock] = loud[found.unlock] = False
    for number, r in zip(loud.nonzero()[0].tolist(), requests.where(loud), strict=True):
        agenda += walker.agenda_of(number, r)
    agenda.sort(key=lambda event: event.order)
    for event in agenda:
        if until is None or event.time <= until:
            event.run()
    return walker.finish(until)


class _Walker:
    def __init__(self, requests: Requests, boots: Boots, names: Names) -> None:
        self.requests, self.boots, self.names = requests, boots, names
        self.table = LockTable()
        self.waits = Waiting()
        self.watching = Watching()
        nothing = np.zeros(0, np.int64)
        self.done = Walked(self.table, Calm(requests, nothing, nothing), self.waits.all, self.waits.crowded)
        self.done.edges = self.watching.edges
        self.states: dict[int, request.R] = {}
        self.open = OpenRequests()
        self.neighbours = Neighbours(requests, names)

    def agenda_of(self, number: int, r: Request) -> list[_Event]:
        """The events of one request: its transmissions and its answers."""
        if not r.readable:
            return []
        if r.op in (Op.LOCK, Op.NM_LOCK):
            self.states[number] = request.R.UNSEEN
        agenda = [
            _Event(send.order, send.at.time, partial(self.sent, number, r, send.at, index == 0))
            for index, send in enumerate(r.sends)
        ]
        agenda += [_Event(a.order, a.at.time, partial(self.answered, number, r, a)) for a in r.answers]
        if r.reclaim and not r.answers:
            self.done.reclaims.append(self._reclaim(r, None, ()))
        return agenda

    def sent(self, number: int, r: Request, at: At, first: bool) -> None:
        """A call was sent, for the first time or again."""
        self._request_step(number, request.E.ASK, at)
        match events.of_call(r):
            case hold.E.UNLOCK:
                self.table.unlock(claim_of(r), hold.E.UNLOCK, at, self._too_late(r.server, at))
                self._given_up(r, at)
            case hold.E.RECLAIM:
                self.table.ask_reclaim(claim_of(r), at)
            case hold.E.CALLBACK if first:
                self._called_back(r, at)
            case hold.E.FREED if first:
                freed = self.table.client_event(r.server, r.client, hold.E.FREED, at)
                self.waits.released(self.table, freed, at, How.FREE_ALL)
            case _:
                pass
        if r.op is Op.CANCEL:
            self._given_up(r, at)

    def answered(self, number: int, r: Request, answer: Answer) -> None:
        """An answer arrived."""
        if answer.status == UNREADABLE:
            return
        if r.op is Op.LOCK and is_late_copy(r, answer):
            return  # of a copy that was under way: it may come after the UNLOCK
        at, asked = answer.at, asked_at(r, answer)
        boot = life_at(self.boots, r.server, at.time)
        self._request_step(number, events.of_request(answer.status), at)
        if events.of_request(answer.status) is request.E.GRANTED and number in self.states:
            self._served(number, r, at)
        match events.of_answer(r, answer.status):
            case hold.E.RECLAIM_REFUSED:
                before = self.table.refuse_reclaim(claim_of(r), answer.status, at, asked, boot)
                self.done.reclaims.append(self._reclaim(r, answer, tuple(before)))
            case (hold.E.GRANTED | hold.E.CALLBACK_REFUSED) as event if r.op is Op.GRANTED:
                self.table.answer_callback(self._handed(r)[1], event, at)
                if event is hold.E.GRANTED:
                    self.waits.end(r, at, "called back")
            case (hold.E.GRANTED | hold.E.RECLAIM_GRANTED) as event:
                if event is hold.E.RECLAIM_GRANTED:
                    self.done.reclaims.append(self._reclaim(r, answer, ()))
                self.table.grant(claim_of(r), event, at, asked, boot, monitored=r.op is not Op.NM_LOCK)
                self.waits.end(r, at, "granted")
                self.waits.granted(self.table, r)
                if r.op is not Op.NM_LOCK:
                    self.watching.locked(r.server, r.client, at)
            case (hold.E.UNLOCK_GRANTED | hold.E.UNLOCK_REFUSED) as event:
                self.table.unlock(claim_of(r), event, at, self._too_late(r.server, at))
                if event is hold.E.UNLOCK_GRANTED:
                    self.waits.released(self.table, [claim_of(r)], at)
            case _:
                self._waits(number, r, answer)

    def restarted(self, boot: Boot) -> None:
        """A host, or its lockd, restarted."""
        self.table.server_restarted(boot)
        if not boot.lived_on:
            others = self.neighbours.of(boot)
            left = [item for item in self.table.held_by(boot.host) if item[1] not in others]
            self.done.left_behind[boot.number] = left
            self.table.client_event(None, boot.host, hold.E.CLIENT_RESTARTED, boot.not_after, others)
        self.watching.restarted(boot.host, boot.not_after)
        self.waits.restarted(boot)
        for number, r in self.open.of(boot.host):
            before = self.states[number]
            if r.server == boot.host:
                self._request_step(number, request.E.SERVER_RESTARTED, boot.not_after)
            elif boot.lived_on:
                continue
            if r.client == boot.host and not boot.lived_on:
                self._request_step(number, request.E.CLIENT_RESTARTED, boot.not_after)
            if self.states[number] is before:
                self.open.unchanged(number, r, boot.host)

    def notices(self, calls: Calls) -> list[_Event]:
        """SM_NOTIFY: what it does to the locks that its sender has at the receiver."""
        agenda = []
        notify = (calls.program == NSM) & (calls.procedure == SM_NOTIFY) & (calls.frame != 0) & (calls.reply_frame != 0)
        for row in (notify & (calls.state != NONE)).nonzero()[0].tolist():
            at, sender, receiver = calls.at(row), int(calls.src[row]), int(calls.dst[row])
            agenda.append(_Event(float(calls.order[row]), at.time, partial(self._noticed, sender, receiver, at)))
        return agenda

    def _noticed(self, sender: int, receiver: int, at: At) -> None:
        clients = self.table.pieces.clients(receiver)
        meant = self.names.may_notify_for(sender)
        if meant is not None:
            clients = clients & meant
        for client in sorted(clients):
            if client == sender:
                self.waits.released(self.table, self.table.noticed(receiver, client, at), at, How.NOTIFY)
            elif self.names.notifies_for(sender, client):  # servers that go by names free these as well
                self.table.client_event(receiver, client, hold.E.NOTIFIED_ALIVE, at)
        self.watching.event(receiver, sender, monitor.E.NOTIFY, at)

    def _called_back(self, r: Request, at: At) -> None:
        wait, claim = self._handed(r)
        boot = life_at(self.boots, r.server, at.time)
        self.table.grant(claim, hold.E.CALLBACK, at, wait.request.at if wait is not None else at, boot)
        self.waits.granted(self.table, r)
        if wait is not None:
            wait.called = wait.called or at
        for number, asked in self._asked_for(r):
            if (asked.start, asked.end) == (r.start, r.end):  # perhaps before its answer BLOCKED
                self._request_step(number, request.E.CALLBACK, at)

    def _handed(self, r: Request) -> tuple[Wait | None, Claim]:
        """What a callback hands to whom: by file, svid and range, never by cookie or caller_name."""
        wait, claim = self.waits.find(r), claim_of(r)
        owner = self.table.owner_of(claim) if wait is None else claim_of(wait.request).owner
        return wait, claim._replace(owner=owner)

    def _waits(self, number: int, r: Request, answer: Answer) -> None:
        if r.op is not Op.LOCK:
            return
        if answer.status == BLOCKED:
            if self.states[number] is request.R.GRANTED and self.waits.find(r) is None:
                return  # the callback overtook this answer
            self.waits.blocked(number, r, answer, self.table)
        else:
            self.waits.end(r, answer.at, "refused")

    def _given_up(self, r: Request, at: At) -> None:
        """By CANCEL, or by UNLOCK: the owner wants nothing of this range any more."""
        self.waits.end(r, at, "cancelled")
        for number, _ in self._asked_for(r, request.E.CANCEL):
            self._request_step(number, request.E.CANCEL, at)

    def _served(self, number: int, r: Request, at: At) -> None:
        """A request was granted: the same one under another cookie waits no more (clients but Linux poll like that)."""
        for other, _ in self._asked_for(r):
            if other != number and self.states[other] is not request.R.ASKED:
                self._request_step(other, request.E.GRANTED, at)

    def _asked_for(self, r: Request, event: request.E | None = None) -> list[tuple[int, Request]]:
        """Requests of the owner of ``r`` inside its range that are not decided, or were given up."""
        return [
            (number, asked)
            for number in self.open.near(r, event is request.E.CANCEL)
            for asked in (self.requests[number],)
            if r.start <= asked.start and asked.end <= r.end
        ]

    def finish(self, until: int | None) -> Walked:
        """What the walk leaves behind."""
        done = self.done
        if until is None:
            self.table.finish()
        still = self.open.numbers()
        done.undecided = [(self.requests[n], self.states[n]) for n in still if self.states[n] in UNDECIDED]
        done.left_out = self.open.left_out + self.watching.left_out
        done.loud += self.table.steps + self.watching.steps
        return done

    def _reclaim(self, r: Request, answer: Answer | None, pieces: tuple[Piece, ...]) -> Reclaim:
        at = answer.at if answer else r.at
        boot = life_at(self.boots, r.server, at.time)
        return Reclaim(r, answer, boot.number if boot else None, pieces, in_grace(boot, at.time))

    def _too_late(self, server: int, at: At) -> bool:
        boot = life_at(self.boots, server, at.time)
        return boot is not None and boot.grace_over is not None and at.time >= boot.grace_over.time + MARGIN

    def _request_step(self, number: int, event: request.E | None, at: At) -> None:
        if event is not None and number in self.states:
            self.states[number], step = request.REQUEST.step(at, number, self.states[number], event)
            self.done.loud.append(step)
            self.open.now(number, self.requests[number], self.states[number])
