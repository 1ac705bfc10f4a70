"""NLM009 missing-granted."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.capture.messages import Kind
from nlmdissect.findings import Confidence, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.history.waits import Wait
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import V
from nlmdissect.protocols import NLM, PORTMAP
from nlmdissect.rpc.requests import Op
from nlmdissect.rules import assumptions, requested, words

SOON = 10 * SECOND  # servers call back at once; a poll that wins within this has only been faster
WINDOW = 60 * SECOND


@rule("NLM009", "missing-granted", Severity.WARNING, source="C-15")
def missing_granted(history: History) -> Iterator[Verdict]:
    """The lock became free, and the waiter was never called.

    Why it matters: the waiter sleeps on although nothing is in its way: until its next poll, or for ever where its
    client does not poll.

    How it is seen: a request answered BLOCKED, the lock that was in its way unlocked with GRANTED, no other holder
    known, nobody else served first; and no NLM_GRANTED to the waiter, not even a look-up of its lockd or an attempt
    to connect, for 60 s or until its next poll won the lock. A poll that wins proves that the lock was free: then it
    is confirmed; else it is only suspected.

    What it cannot see: another holder, over NFSv4 or on the server itself. A look-up or an attempt to connect without
    a callback behind it is PMAP001 or PMAP002, an unanswered callback NLM007.

    What to do: on the server see what lockd says when it cannot find the client's lockd (`rpcdebug -m nlm -s all`,
    then dmesg). FreeBSD servers queue only one of two waits of one owner with the same range, on different files.
    Some old servers (HP-UX) never call and rely on polls. As a way out keep clients that poll (Linux, FreeBSD).
    """
    found: dict[tuple[int, int], list[Wait]] = {}
    for wait in history.walked.waits:
        yield Judged()
        r = wait.request
        if wait.freed is None or wait.how == "restarted" or any(history.dealings.callbacks_of(r)):
            continue
        end = history.extent.last if wait.ended is None else wait.ended.time
        said = next(iter(history.dealings.about(r, wait.freed)), None)
        had_it = said is not None and said.request.op is Op.UNLOCK  # so it was told, unseen
        if had_it or tried(history, r.server, r.client, wait.freed.time - SECOND, end):
            continue
        if end - wait.freed.time >= (SOON if wait.how == "granted" else WINDOW):
            found.setdefault((r.server, r.client), []).append(wait)
        elif wait.ended is None:
            yield NotAssessed(f"the capture ends {(end - wait.freed.time) / SECOND:.0f} s after the lock became free")
    for waits in found.values():
        yield _finding(history, waits)


def tried(history: History, server: int, client: int, start: int, end: int) -> bool:
    """Whether the server looked for the client's lockd, or tried to connect to the client, in a span of time (ns)."""
    c = history.calls
    asked = (c.program == PORTMAP) & (c.asked_program == NLM) & (c.src == server) & (c.dst == client) & (c.frame != 0)
    if any(start <= time <= end for time in c.time[asked].tolist()):
        return True
    return any(
        s.kind is Kind.SYN and (s.src, s.dst) == (server, client) and start <= s.at.time <= end for s in history.signals
    )


def _finding(history: History, waits: list[Wait]) -> Finding:
    wait = waits[0]
    r, freed = wait.request, wait.freed
    assert freed is not None
    won = wait.how == "granted"
    end = history.extent.last if wait.ended is None else wait.ended.time
    doubts = history.visibility.all(
        (r.server, r.client), (V.SPAN, V.NO_LOSS, V.BOTH_WAYS, V.DECODED), wait.since.time, end
    )
    holder = words.host(history, wait.freed_by[1].client) if wait.freed_by else "the holder"
    then = f"its poll won it {(end - freed.time) / SECOND:.0f} s later" if won else "it still waits"
    if not won and wait.ended is not None:
        then = f"it gave up after {(end - freed.time) / SECOND:.0f} s"
    more = f" ({len(waits)} waits in all)" if len(waits) > 1 else ""
    poll = assumptions.assumed(history, r.client, f"polling every {history.kind(r.client).poll} s")
    return Finding(
        f"{words.host(history, r.server)} never called {words.host(history, r.client)} for its "
        f"{requested.range_text(history, r)} after {holder} unlocked it; {then}{more}",
        words.evidence(*(_evidence(history, w) for w in waits)),
        consequence=f"The waiter gets its lock by polling or not at all{poll}."
        + ("" if won else " Not certain: a holder that is not seen here may be in its way.")
        + words.because(doubts),
        remedy="See why lockd on the server does not call back: does it know the client's lockd, does it log an error?",
        confidence=Confidence.CONFIRMED if won and not doubts else Confidence.SUSPECTED,
        server=r.server,
        client=r.client,
        locks=tuple(requested.ref(history, w.request) for w in waits),
    )


def _evidence(history: History, wait: Wait) -> list[Evidence]:
    assert wait.freed is not None
    proof = [
        Evidence(wait.freed, "the UNLOCK of what was in its way: GRANTED"),
        Evidence(wait.since, "the waiter's LOCK: BLOCKED"),
    ]
    if wait.freed_by is not None:
        proof.append(words.granted(history, *wait.freed_by))
    if wait.how == "granted" and wait.ended is not None:
        proof.append(Evidence(wait.ended, "its poll: GRANTED"))
    return proof
