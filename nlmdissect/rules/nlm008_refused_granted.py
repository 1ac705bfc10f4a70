"""NLM008 refused-granted."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Confidence, Evidence, Finding, Judged, Severity, Verdict, rule
from nlmdissect.history.dealings import Callback
from nlmdissect.history.fates import File
from nlmdissect.history.history import History
from nlmdissect.hosts.boot import life_at
from nlmdissect.hosts.visibility import V
from nlmdissect.rpc.requests import GRACE, GRANTED, UNREADABLE, Op
from nlmdissect.rules import requested, words


@rule("NLM008", "refused-granted", Severity.WARNING, source="C-14")
def refused_granted(history: History) -> Iterator[Verdict]:
    """The waiter refused a GRANTED that was not a duplicate.

    Why it matters: the waiter does not take what it waits for. Recent servers then give the lock to the next one;
    old Linux servers keep it for the waiter: nobody has it, and everybody is refused.

    How it is seen: NLM_GRANTED or NLM_GRANTED_MSG answered with DENIED, or with DENIED_GRACE_PERIOD and not accepted
    later, while its LOCK was waiting by all that the capture shows: not granted by a poll, not cancelled, and no poll
    under way that may have been faster. Info where the client restarted since it asked.

    What it cannot see: why. Linux compares the callback's range, svid and file handle with its waits, and its source
    address with the server's: a server with several addresses that calls from another one is refused.

    What to do: compare the callback with the LOCK in Wireshark: range (a server must repeat the request's, not the
    merged lock's), svid, fh, and the source address. On servers with several addresses let the client mount the one
    that callbacks come from. DENIED_GRACE_PERIOD comes from illumos clients in their own grace period, and passes.
    """
    found: dict[tuple[int, int], list[Callback]] = {}
    with history.dealings.looks.until_enough():
        for callback in history.dealings.callbacks:
            yield Judged()
            answer = callback.answer
            if answer is None or answer.status == UNREADABLE or callback.needless:
                continue
            r = callback.request
            accepted = any(a.status == GRANTED for a in r.answers)
            passed = answer.status == GRACE and history.dealings.served(r, answer.at) is not None
            if not accepted and not passed and not _overtaken(history, callback):
                found.setdefault((r.server, r.client), []).append(callback)
    for callbacks in found.values():
        yield _finding(history, callbacks)


def _overtaken(history: History, callback: Callback) -> bool:
    """Whether the client polled or gave up before its refusal: then it was in order."""
    r, answer = callback.request, callback.answer
    assert answer is not None
    if callback.asked is not None:
        answers = callback.asked.answers
        history.dealings.looks.spend(len(answers) + len(callback.asked.sends))
        last = max((send.at for send in callback.asked.sends if send.at < r.at), default=None)
        under_way = last is not None and not any(last < a.at < r.at for a in answers)
        polled_before = under_way and last is not None and bool(answers) and answers[0].at < last
        if polled_before or any(r.at < a.at < answer.at and a.status == GRANTED for a in answers):
            return True
    return any(said.at < answer.at for said in history.dealings.about(r, r.at))


def _finding(history: History, callbacks: list[Callback]) -> Finding:
    callback = callbacks[0]
    r, answer = callback.request, callback.answer
    assert answer is not None
    restarted = _restarted(history, callback)
    doubts = history.visibility.all((r.client, r.server), (V.NO_LOSS, V.DECODED), r.at.time, answer.at.time)
    served = history.dealings.served(r, answer.at)
    stuck = _stuck(history, callback)
    more = f" ({len(callbacks)} callbacks in all)" if len(callbacks) > 1 else ""
    why = ", which restarted since it asked" if restarted else ""
    return Finding(
        f"{words.host(history, r.client)}{why} answered the {requested.procedure(r)} of "
        f"{words.host(history, r.server)} for its {requested.range_text(history, r)} with {answer.status}{more}",
        words.evidence(
            [Evidence(answer.at, f"answered {answer.status}"), *requested.sent(r)],
            [Evidence(callback.asked.at, "the LOCK that waits")] if callback.asked else None,
            [Evidence(served, "the waiter has its lock at last")] if served else None,
            stuck,
            *([Evidence(c.answer.at, f"answered {c.answer.status}")] for c in callbacks[1:] if c.answer),
        ),
        consequence=("The waiter got its lock later." if served else "The waiter has not got its lock.")
        + (" Others are refused since: the server seems to keep the lock for it, as old Linux does." if stuck else "")
        + words.because(doubts)
        + ("" if callback.asked else " Not certain: the LOCK that it serves is not in the capture."),
        remedy="Compare range, svid, fh and source address of the callback with the LOCK that it serves.",
        severity=Severity.INFO if restarted else Severity.WARNING,
        confidence=Confidence.CONFIRMED if callback.asked and not doubts else Confidence.SUSPECTED,
        server=r.server,
        client=r.client,
        locks=tuple(requested.ref(history, c.asked or c.request) for c in callbacks),
    )


def _restarted(history: History, callback: Callback) -> bool:
    r = callback.request
    life = life_at(history.boots, r.client, r.at.time)
    return life is not None and callback.asked is not None and callback.asked.at < life.not_after


def _stuck(history: History, callback: Callback) -> list[Evidence]:
    """Others who were refused the range after the waiter did not want it, with nobody known to hold it."""
    r, answer = callback.request, callback.answer
    assert answer is not None
    end = history.dealings.served(r, answer.at)
    held = [
        row for row in history.walked.holds_over(File(r.server, r.fh), r.start, r.end)
        if (row.owner.client, row.owner.svid) != (r.client, r.svid)
    ]  # fmt: skip
    refused = [
        a.at
        for other in history.dealings.over(r.server, r.fh, r.start, r.end)
        if other.op is Op.LOCK and other.client != r.client
        for a in other.answers
        if a.status in ("DENIED", "BLOCKED") and a.at > answer.at and (end is None or a.at < end)
        and not any(row.granted < a.at and (row.released is None or row.released > a.at) for row in held)
    ]  # fmt: skip
    return [Evidence(at, "somebody else is refused") for at in refused[:3]]
