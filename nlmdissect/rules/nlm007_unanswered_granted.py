"""NLM007 unanswered-granted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nlmdissect.findings import At, Confidence, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.dealings import Callback
from nlmdissect.history.history import History
from nlmdissect.hosts.boot import life_at
from nlmdissect.hosts.implementations import UNKNOWN
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import Sight, V
from nlmdissect.rpc.requests import Op
from nlmdissect.rules import assumptions, requested, words

PATIENCE = 30 * SECOND  # an answer that takes longer is none
CROSSING = 5 * SECOND  # a poll may cross the callback on its way


@dataclass(frozen=True, slots=True)
class _Case:
    """One callback that got no answer. ``served`` is when the waiter had its lock at last, ``enough`` whether it had
    time to poll for it; ``polled`` whether it did.
    """

    callback: Callback
    until: int  # ns: no answer until then
    served: At | None
    enough: bool
    polled: bool


@rule("NLM007", "unanswered-granted", Severity.WARNING, source="C-13")
def unanswered_granted(history: History) -> Iterator[Verdict]:
    """GRANTED callbacks got no answer.

    Why it matters: the server has given the lock to the waiter, and everybody else is kept out; the waiter does not
    know. A client that polls gets its lock late (Linux: up to 30 s), one that does not poll never does.

    How it is seen: NLM_GRANTED without a reply, or NLM_GRANTED_MSG without NLM_GRANTED_RES (the empty RPC reply to
    the _MSG says nothing), until the waiter polled again or 30 s had passed. A warning if the waiter got its lock
    by polling or by a later callback, or gave up; an error if it never did in a capture that runs on for long
    enough. That is confirmed where the server repeated the callback or the waiter went on to poll.

    What it cannot see: on which side of the capture point the callback or its answer was lost. A waiter that unlocks
    the range next has heard the callback, and is not reported; nor is a callback that a poll had overtaken. One that
    stops polling, lives and is not called again seems to have heard it: that cannot be judged.

    What to do: callbacks are calls from the server to lockd on the client. Open that port in the client's firewall
    for the server, and port 111 over TCP and UDP with it: pin lockd's port with `port=` and `udp-port=` in the
    [lockd] section of /etc/nfs.conf (`fs.nfs.nlm_tcpport` and `fs.nfs.nlm_udpport` with sysctl), check with `rpcinfo
    -p` and `nc` from the server. NAT between the two makes callbacks impossible. On illumos, FreeBSD and macOS
    clients check that rpc.lockd runs.
    """
    found: dict[tuple[int, int], list[_Case]] = {}
    with history.dealings.looks.until_enough():
        for callback in history.dealings.callbacks:
            yield Judged()
            r = callback.request
            in_time = callback.answer is not None and callback.answer.at.time - r.at.time <= PATIENCE
            heard = callback.next is not None and callback.next.request.op is Op.UNLOCK
            if in_time or heard or callback.needless:
                continue
            until = _until(callback)
            if until > history.extent.last:
                left = (history.extent.last - r.at.time) / SECOND
                yield NotAssessed(f"the capture ends {left:.0f} s after a callback")
                continue
            if sight := history.visibility.all((r.client, r.server), (V.BOTH_WAYS,), r.at.time, until):
                yield NotAssessed(sight[0].why)
                continue
            case = _case(history, callback, until)
            if _content(history, case):
                yield NotAssessed(
                    f"frame {r.at.frame}: a callback without an answer, but the waiter stopped polling, and lives"
                )
            else:
                found.setdefault((r.server, r.client), []).append(case)
    for cases in found.values():
        yield _finding(history, cases)


def _until(callback: Callback) -> int:
    start, then = callback.request.at.time, callback.next
    return start + PATIENCE if then is None else min(start + PATIENCE, max(start, then.at.time) + CROSSING)


def _case(history: History, callback: Callback, until: int) -> _Case:
    r = callback.request
    boots = [life_at(history.boots, host, r.at.time) for host in (r.server, r.client)]
    end = min([history.extent.last, *(b.until for b in boots if b is not None and b.until is not None)])
    after = [said for said in history.dealings.about(r, r.at) if said.at.time < end]
    gave_up = any(said.request.op in (Op.CANCEL, Op.UNLOCK) for said in after)
    served = history.dealings.served(r, r.at)
    enough = end - r.at.time > PATIENCE + history.kind(r.client).poll * SECOND
    polled = any(said.request.op is Op.LOCK for said in after)
    return _Case(callback, until, served, enough and not gave_up, polled)


def _content(history: History, case: _Case) -> bool:
    """Whether the waiter behaves as if it had heard the callback: its kind polls while it waits, and it does not."""
    r = case.callback.request
    polls = history.kind(r.client) is not UNKNOWN
    alone = len(r.sends) == 1 and not r.answers and case.callback.next is None
    return case.enough and alone and polls and requested.heard(history, r.client, case.until)


def _finding(history: History, cases: list[_Case]) -> Finding:
    never = [case for case in cases if case.served is None and case.enough]
    first = (never or cases)[0]
    r = first.callback.request
    server, client = words.host(history, r.server), words.host(history, r.client)
    doubts = [sight for case in cases for sight in _doubts(history, case)]
    sure = not never or ((first.polled or len(r.sends) > 1) and requested.heard(history, r.client, first.until))
    if first.served is not None:
        delay = (first.served.time - r.at.time) / SECOND
        then = f"it got the lock {delay:.0f} s later"
    else:
        then = "it never got the lock" if never else "it had not got the lock when the capture or its wait ended"
    more = f" ({len(cases)} callbacks in all)" if len(cases) > 1 else ""
    return Finding(
        f"{client} did not answer the {requested.procedure(r)} of {server} for its {requested.range_text(history, r)}, "
        f"and {then}{more}",
        words.evidence(*(_evidence(case) for case in [first, *(c for c in cases if c is not first)])),
        consequence="The server counts the lock as the waiter's from the callback on, and refuses it to everybody else."
        + assumptions.assumed(history, r.client, f"polling every {history.kind(r.client).poll} s")
        + words.because(doubts)
        + ("" if sure else " Not certain: nothing shows that the waiter still waited."),
        remedy="Let the server reach lockd on the client (fixed port, TCP and UDP, and port 111); see that it runs.",
        severity=Severity.ERROR if never else Severity.WARNING,
        confidence=Confidence.CONFIRMED if sure and not doubts else Confidence.SUSPECTED,
        server=r.server,
        client=r.client,
        locks=tuple(requested.ref(history, case.callback.asked or case.callback.request) for case in cases),
    )


def _doubts(history: History, case: _Case) -> list[Sight]:
    r = case.callback.request
    conditions = (V.SPAN, V.NO_LOSS, V.DECODED)
    return history.visibility.all((r.client, r.server), conditions, r.at.time, case.until)


def _evidence(case: _Case) -> list[Evidence]:
    r, asked = case.callback.request, case.callback.asked
    proof = requested.sent(r, ": no answer")
    if r.answers:
        proof.append(Evidence(r.answers[-1].at, f"answered {r.answers[-1].status}"))
    if asked is not None:
        proof.append(Evidence(asked.at, "the LOCK that waits"))
    if case.callback.next is not None:
        proof.append(Evidence(case.callback.next.at, f"what the waiter says next: {case.callback.next.request.op}"))
    if case.served is not None:
        proof.append(Evidence(case.served, "the waiter gets its lock"))
    return proof
