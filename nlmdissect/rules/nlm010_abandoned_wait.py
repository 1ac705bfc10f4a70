"""NLM010 abandoned-wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nlmdissect.findings import At, Confidence, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import File
from nlmdissect.history.history import History
from nlmdissect.history.waits import TOO_MANY, Wait
from nlmdissect.hosts.implementations import UNKNOWN
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import V
from nlmdissect.rpc.requests import Op
from nlmdissect.rules import assumptions, requested, words

WORTH_TELLING = 60 * SECOND  # a shorter wait is everyday life
MARGIN = 10 * SECOND


@dataclass(frozen=True, slots=True)
class _Case:
    """A wait that has no end. ``asked`` is its last poll; ``stopped`` says that at least one more was due."""

    wait: Wait
    asked: At
    stopped: bool


@rule("NLM010", "abandoned-wait", Severity.WARNING, source="C-16")
def abandoned_wait(history: History) -> Iterator[Verdict]:
    """A blocked lock request was neither served nor cancelled.

    Why it matters: a process hangs, for as long as somebody else keeps the lock. Where the waiter is gone without a
    word, the server hands it the lock one day, and then everybody waits for a host that does not answer.

    How it is seen: NLM_LOCK answered BLOCKED, and until the capture ends no callback, no grant, no refusal, no
    NLM_CANCEL and no NLM_UNLOCK. A warning where the client has stopped asking (two polls in a row are missing;
    Linux asks every 30 s while it waits). Info while it goes on: then this says for how long, and for whom.

    What it cannot see: a holder on the server itself or over NFSv4, and why a holder keeps its lock: an idle holder
    is in order. A wait for a dead one is NLM005, a callback without an answer NLM007, a lock that became free NLM009.

    What to do: look at the holder that is named (`lslocks` and `/proc/locks` there; on a Linux server /proc/locks
    shows the same lock under lockd's pid). If the waiter stopped, see whether that client is still up; a restart of
    it with sm-notify clears its request. On other servers `clear_locks` (Solaris, illumos) or a restart of the lock
    service does.
    """
    found: dict[tuple[int, int, bool], list[_Case]] = {}
    with history.dealings.looks.until_enough():
        for wait in history.walked.waits:
            yield Judged()
            r = wait.request
            if wait.freed is not None and File(r.server, r.fh) in history.walked.crowded:
                yield NotAssessed(TOO_MANY)
                continue
            if wait.ended is not None or wait.freed is not None:
                continue
            if any(c.request.at > r.at for c in history.dealings.callbacks_of(r)):
                continue
            asked = max([r.sends[-1].at, *(s.at for s in history.dealings.about(r, r.at) if s.request.op is Op.LOCK)])
            quiet, poll = history.extent.last - asked.time, history.kind(r.client).poll * SECOND
            stopped = quiet > 2 * poll + MARGIN
            if stopped or (quiet <= poll + MARGIN and history.extent.last - wait.since.time >= WORTH_TELLING):
                found.setdefault((r.server, r.client, stopped), []).append(_Case(wait, asked, stopped))
    for (server, client, stopped), cases in found.items():
        if stopped or (server, client, True) not in found:  # one finding for each pair: the worse one
            yield _finding(history, cases)


def _finding(history: History, cases: list[_Case]) -> Finding:
    case = cases[0]
    wait, r = case.wait, case.wait.request
    waiter = words.host(history, r.client)
    holders = list(dict.fromkeys(owner.client for _, owner, _ in wait.blockers))
    holder = f"{words.host(history, holders[0])} holds" if holders else "somebody who is not seen here holds"
    waited = (history.extent.last - wait.since.time) / SECOND
    more = f", and {len(cases) - 1} more" if len(cases) > 1 else ""
    period = assumptions.assumed(history, r.client, f"polling every {history.kind(r.client).poll} s")
    if case.stopped:
        what = f"{waiter} stopped asking for its {requested.range_text(history, r)}, which {holder}, without a CANCEL"
        quiet = (history.extent.last - case.asked.time) / SECOND
        means = f"It has not asked for {quiet:.0f} s{period}: it is gone, or the callback was not seen."
    else:
        what = f"{waiter} has waited {waited:.0f} s for its {requested.range_text(history, r)}, which {holder}"
        means = f"The process waits on{period}; the holder may be in order."
    doubts = history.visibility.all(
        (r.client, r.server), (V.SPAN, V.NO_LOSS, V.BOTH_WAYS), wait.since.time, history.extent.last
    )
    known = history.kind(r.client) is not UNKNOWN
    sure = not case.stopped or (known and not requested.heard(history, r.client, case.asked.time))
    return Finding(
        what + more,
        words.evidence(*(_evidence(history, case) for case in cases)),
        consequence=means + words.because(doubts),
        remedy="Look at the holder of the lock, and whether the waiter is still there.",
        severity=Severity.WARNING if case.stopped else Severity.INFO,
        confidence=Confidence.CONFIRMED if sure and not doubts else Confidence.SUSPECTED,
        server=r.server,
        client=r.client,
        other=holders[0] if holders else None,
        locks=tuple(requested.ref(history, case.wait.request) for case in cases),
    )


def _evidence(history: History, case: _Case) -> list[Evidence]:
    wait = case.wait
    polls = Evidence(case.asked, f"the last that it asked; {wait.polls} answers BLOCKED")
    held = [words.granted(history, *held) for held in wait.blockers[:3]]
    return [Evidence(wait.since, "BLOCKED, for the first time"), polls, *held]
