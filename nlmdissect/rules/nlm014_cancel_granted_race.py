"""NLM014 cancel-granted-race."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nlmdissect.findings import At, Confidence, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.dealings import RPC_ERRORS, Callback
from nlmdissect.history.fates import File, Row
from nlmdissect.history.history import History
from nlmdissect.hosts.boot import life_at
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import V
from nlmdissect.rpc.requests import GRANTED, UNREADABLE, Op, Request
from nlmdissect.rules import assumptions, requested, words

CLEAN_UP = 5 * SECOND  # a client that learns that its CANCEL came too late unlocks at once


@dataclass(frozen=True, slots=True)
class _Case:
    """A CANCEL that came too late. ``callback`` is the GRANTED that it crossed; None for a phantom: the server only had
    nothing queued, the client takes that for a grant, and ``taken`` is the lock of somebody else.
    """

    cancel: Request
    answer: At
    status: str
    callback: Callback | None
    taken: Row | None = None


@rule("NLM014", "cancel-granted-race", Severity.ERROR, source="C-20")
def cancel_granted_race(history: History) -> Iterator[Verdict]:
    """CANCEL and GRANTED crossed and nobody cleaned up.

    Why it matters: the server holds a lock for a process that has given up waiting. Everybody else is refused until
    the client locks and unlocks the range again, or one of the two restarts.

    How it is seen: NLM_CANCEL, an NLM_GRANTED for the same owner and range sent before the CANCEL was answered, the
    callback not refused, and neither an NLM_UNLOCK nor another NLM_LOCK of the range by that owner afterwards.
    Confirmed if the CANCEL was answered DENIED (it was granted already); suspected if it was answered GRANTED, which
    some servers say whenever nothing is queued. Also a phantom: a FreeBSD client takes DENIED for "I have the lock",
    but servers that do not know the wait say DENIED as well; found where somebody else is granted the range then.

    What it cannot see: a lock that the waiter wanted after all. macOS cancels and asks again every 30 s by design.

    What to do: lock and unlock the range on that client. Update old Linux clients ("NLM_CANCEL should not unlock",
    "further cancel fixes"); on the server /proc/locks (or its like) shows the lock with the owner that is named here.
    """
    found: dict[tuple[int, int], list[_Case]] = {}
    requests = history.requests
    with history.dealings.looks.until_enough():
        for cancel in requests.where(requests.is_a(Op.CANCEL) & requests.said.readable & requests.heard):
            yield Judged()
            case = _case(history, cancel)
            if case is None or _cleaned(history, case):
                continue
            if history.extent.last - case.answer.time < CLEAN_UP:
                yield NotAssessed("the capture ends too soon after a CANCEL that crossed its callback")
            else:
                found.setdefault((cancel.server, cancel.client), []).append(case)
    for cases in found.values():
        yield _finding(history, cases)


def _case(history: History, cancel: Request) -> _Case | None:
    answer = next((a for a in cancel.answers if a.status not in RPC_ERRORS | {UNREADABLE}), None)
    if answer is None or answer.status not in (GRANTED, "DENIED"):
        return None
    for callback in history.dealings.callbacks_of(cancel):
        refused = callback.answer is not None and callback.answer.status != GRANTED
        asked = callback.asked
        meant = asked is not None and asked.at < cancel.at and not _won(asked, cancel.at)
        if meant and not refused and callback.request.at < answer.at and not _used(history, callback, cancel):
            return _Case(cancel, answer.at, answer.status, callback)
    if answer.status == "DENIED" and history.kind(cancel.client).denied_cancel_holds:
        taken = _taken(history, cancel, answer.at)
        if taken is not None:
            return _Case(cancel, answer.at, answer.status, None, taken)
    return None


def _won(asked: Request, before: At) -> bool:
    """Whether a poll had the lock already."""
    return any(a.status == GRANTED and a.at < before for a in asked.answers)


def _used(history: History, callback: Callback, cancel: Request) -> bool:
    """Whether the owner gave the lock back, or asked for another, between the callback and the CANCEL: it is over."""
    return any(
        said.at < cancel.at and said.request.op in (Op.UNLOCK, Op.LOCK)
        for said in history.dealings.about(cancel, callback.request.at)
    )


def _taken(history: History, cancel: Request, after: At) -> Row | None:
    """A lock of somebody else that was granted over what the client takes for its own."""
    for row in history.walked.holds_over(File(cancel.server, cancel.fh), cancel.start, cancel.end):
        other = (row.owner.client, row.owner.svid) != (cancel.client, cancel.svid)
        if other and (row.exclusive or cancel.exclusive) and row.granted > after:
            return row
    return None


def _cleaned(history: History, case: _Case) -> bool:
    """Whether the lock was given back, or the owner asked for the range again, or a restart ended it."""
    cancel = case.cancel
    start = cancel.at if case.callback is None else min(cancel.at, case.callback.request.at)
    lives = [life_at(history.boots, host, start.time) for host in (cancel.server, cancel.client)]
    later = [life_at(history.boots, host, history.extent.last) for host in (cancel.server, cancel.client)]
    said = (s for s in history.dealings.about(cancel, start) if s.request.op in (Op.UNLOCK, Op.LOCK))
    until = case.taken.granted if case.taken else None
    return lives != later or any(until is None or s.at < until for s in said)


def _finding(history: History, cases: list[_Case]) -> Finding:
    cases.sort(key=lambda case: (case.callback is None, case.status != "DENIED"))
    case = cases[0]
    r = case.cancel
    client, server = words.host(history, r.client), words.host(history, r.server)
    end = history.extent.last
    doubts = history.visibility.all((r.client, r.server), (V.SPAN, V.NO_LOSS, V.BOTH_WAYS, V.DECODED), r.at.time, end)
    sure = case.callback is not None and case.status == "DENIED"
    more = f" ({len(cases)} CANCELs in all)" if len(cases) > 1 else ""
    if case.callback is not None:
        means = f"{server} holds a lock for an owner that has given up waiting."
        what = "crossed the GRANTED callback, and nobody unlocked it"
    else:
        other = words.host(history, case.taken.owner.client) if case.taken else "somebody else"
        means = f"{client} takes that for a grant{assumptions.assumed(history, r.client, 'which reads DENIED so')}."
        what = f"was answered DENIED, and {other} has the range now"
    return Finding(
        f"The {requested.procedure(r)} of {client} at {server} ({requested.range_text(history, r)}) {what}{more}",
        words.evidence(*(_evidence(c) for c in cases)),
        consequence=means
        + words.because(doubts)
        + ("" if sure else " Not certain: the server may have dropped it, or never had it."),
        remedy="Lock and unlock the range on this client; look at the server's lock table.",
        confidence=Confidence.CONFIRMED if sure and not doubts else Confidence.SUSPECTED,
        server=r.server,
        client=r.client,
        other=case.taken.owner.client if case.taken else None,
        locks=tuple(requested.ref(history, c.cancel) for c in cases),
    )


def _evidence(case: _Case) -> list[Evidence]:
    proof = [Evidence(case.answer, f"CANCEL answered {case.status}"), *requested.sent(case.cancel)]
    if case.callback is not None:
        proof += requested.sent(case.callback.request)
        if case.callback.asked is not None:
            proof.append(Evidence(case.callback.asked.at, "the LOCK that waited"))
        if case.callback.answer is not None:
            proof.append(Evidence(case.callback.answer.at, f"the callback answered {case.callback.answer.status}"))
    if case.taken is not None:
        proof.append(Evidence(case.taken.granted, "granted to somebody else"))
    return proof
