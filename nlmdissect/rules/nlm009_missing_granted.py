"""NLM009 missing-granted."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.capture.messages import Kind
from nlmdissect.findings import Confidence, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import File
from nlmdissect.history.history import History
from nlmdissect.history.waits import TOO_MANY, How, Wait
from nlmdissect.hosts.lookups import Lookup
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import V
from nlmdissect.rpc.requests import Op
from nlmdissect.rules import assumptions, requested, words

SOON = 10 * SECOND  # servers call back at once; a poll that wins within this has only been faster
WINDOW = 60 * SECOND
FREED = {  # in the title, and as evidence
    How.UNLOCK: ("unlocked it", "the UNLOCK of what was in its way: GRANTED"),
    How.NOTIFY: ("restarted and said so", "the SM_NOTIFY that frees what was in its way"),
    How.FREE_ALL: ("gave up all its locks", "the FREE_ALL that frees what was in its way"),
}


@rule("NLM009", "missing-granted", Severity.WARNING, source="C-15")
def missing_granted(history: History) -> Iterator[Verdict]:
    """The lock became free, and the waiter was never called.

    Why it matters: the waiter sleeps on although nothing is in its way: until its next poll, or for ever where its
    client does not poll.

    How it is seen: a request answered BLOCKED, the lock that was in its way unlocked with GRANTED, or freed by the
    SM_NOTIFY or FREE_ALL of its client, no other holder known, nobody else served first; and no NLM_GRANTED to the
    waiter, nor an attempt to connect, for 60 s or until its next poll won the lock. The server may have asked for the
    port of the waiter's lockd: in vain, if it got no answer or "not registered". A poll that wins proves that the lock
    was free: after an UNLOCK it is confirmed then; else it is only suspected.

    What it cannot see: another holder, over NFSv4 or on the server itself. Attempts to connect without a callback
    behind them are PMAP001, an unanswered callback is NLM007.

    What to do: if the server asked in vain, let it reach port 111 of the client over TCP and UDP, and see that rpcbind
    and lockd run there (`rpcinfo -p CLIENT` from the server). Else on the server see what lockd says when it cannot
    find the client's lockd (`rpcdebug -m nlm -s all`, then dmesg). FreeBSD servers queue only one of two waits of one
    owner with the same range, on different files. Some old servers (HP-UX) never call and rely on polls. As a way out
    keep clients that poll (Linux, FreeBSD).
    """
    found: dict[tuple[int, int], list[Wait]] = {}
    with history.dealings.looks.until_enough():
        for wait in history.walked.waits:
            yield Judged()
            r = wait.request
            if wait.freed is not None and File(r.server, r.fh) in history.walked.crowded:
                yield NotAssessed(TOO_MANY)
                continue
            if wait.freed is None or wait.how == "restarted" or any(history.dealings.callbacks_of(r)):
                continue
            end = history.extent.last if wait.ended is None else wait.ended.time
            said = next(iter(history.dealings.about(r, wait.freed)), None)
            had_it = said is not None and said.request.op is Op.UNLOCK  # so it was told, unseen
            span = wait.freed.time - SECOND, end
            looks = asked(history, r.server, r.client, *span)
            if had_it or any(look.port for look in looks) or connected(history, r.server, r.client, *span):
                continue
            if looks and not words.heard_after(history, r.client, looks[0].at.time):
                yield NotAssessed(f"{words.host(history, r.client)} was asked where its lockd is, and may be down")
                continue
            if end - wait.freed.time >= (SOON if wait.how == "granted" else WINDOW):
                found.setdefault((r.server, r.client), []).append(wait)
            elif wait.ended is None:
                left = (end - wait.freed.time) / SECOND
                yield NotAssessed(f"the capture ends {left:.0f} s after the lock became free")
    for waits in found.values():
        yield _finding(history, waits)


def asked(history: History, server: int, client: int, start: int, end: int) -> list[Lookup]:
    """Where the server asked for the client's lockd, in a span of time (ns)."""
    return history.lookups.between(server, client, start, end + 1)


def connected(history: History, server: int, client: int, start: int, end: int) -> bool:
    """Whether the server tried to connect to the client, in a span of time (ns)."""
    return bool(history.signals.of(Kind.SYN, (server, client), start - 1, end + 1))


def _finding(history: History, waits: list[Wait]) -> Finding:
    wait = waits[0]
    r, freed = wait.request, wait.freed
    assert freed is not None
    won, told = wait.how == "granted", wait.freed_how is How.UNLOCK  # no answer tells that the others were carried out
    end = history.extent.last if wait.ended is None else wait.ended.time
    doubts = history.visibility.all(
        (r.server, r.client), (V.SPAN, V.NO_LOSS, V.BOTH_WAYS, V.DECODED), wait.since.time, end
    )
    holder = words.host(history, wait.freed_by[1].client) if wait.freed_by else "the holder"
    then = f"its poll won it {(end - freed.time) / SECOND:.0f} s later" if won else "it still waits"
    if not won and wait.ended is not None:
        then = f"it gave up after {(end - freed.time) / SECOND:.0f} s"
    more = f" ({len(waits)} waits in all)" if len(waits) > 1 else ""
    looks = asked(history, r.server, r.client, freed.time - SECOND, end)
    vain = "was told that its lockd is not registered" if any(k.port == 0 for k in looks) else "got no answer"
    why = f"; it asked for the port of its lockd and {vain}" if looks else ""
    poll = assumptions.assumed(history, r.client, f"polling every {history.kind(r.client).poll} s")
    return Finding(
        f"{words.host(history, r.server)} never called {words.host(history, r.client)} for its "
        f"{requested.range_text(history, r)} after {holder} {FREED[wait.freed_how][0]}{why}; {then}{more}",
        words.evidence(*(_evidence(history, w) for w in waits), (e for k in looks for e in _question(k))),
        consequence=f"The waiter gets its lock by polling or not at all{poll}."
        + ("" if won else " Not certain: a holder that is not seen here may be in its way.")
        + ("" if told or not won else " Not certain: nothing shows when the server did free it.")
        + words.because(doubts),
        remedy="Let the server reach port 111 of the client, over TCP and UDP; see that rpcbind and lockd run there."
        if looks
        else "See why lockd on the server does not call back: does it know the client's lockd, does it log an error?",
        confidence=Confidence.CONFIRMED if won and told and not doubts else Confidence.SUSPECTED,
        server=r.server,
        client=r.client,
        locks=tuple(requested.ref(history, w.request) for w in waits),
    )


def _evidence(history: History, wait: Wait) -> list[Evidence]:
    assert wait.freed is not None
    proof = [
        Evidence(wait.freed, FREED[wait.freed_how][1]),
        Evidence(wait.since, "the waiter's LOCK: BLOCKED"),
    ]
    if wait.freed_by is not None:
        proof.append(words.granted(history, *wait.freed_by))
    if wait.how == "granted" and wait.ended is not None:
        proof.append(Evidence(wait.ended, "its poll: GRANTED"))
    return proof


def _question(look: Lookup) -> list[Evidence]:
    proof = [Evidence(look.at, "asks for the port of the waiter's lockd" + ("" if look.answered else ": no answer"))]
    return proof + ([Evidence(look.answered, "not registered: port 0")] if look.answered else [])
