"""NLM012 unanswered-request."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.history.silences import Silence, silences
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import Sight, V
from nlmdissect.rpc.requests import Op
from nlmdissect.rules import assumptions, requested, words

LONG = 60 * SECOND  # by then the kernel logs "server not responding"
LATE = 10 * SECOND  # a retransmission may be
ELSEWHERE = frozenset({Op.GRANTED, Op.FREE_ALL})  # callbacks are NLM007's; nobody waits for the answer to FREE_ALL


@rule("NLM012", "unanswered-request", Severity.WARNING, source="C-18")
def unanswered_request(history: History) -> Iterator[Verdict]:
    """An NLM request was never answered.

    Why it matters: the process that asked hangs in the kernel ("lockd: server ... not responding, still trying"), and
    so does everything that waits for it.

    How it is seen: a request without an answer to any of its transmissions, over any connection and port, until the
    capture ends; an asynchronous one (_MSG) without its _RES. A warning, and an error past 60 s. An answer that came
    later than 60 s is a warning too. The time in which the server restarted does not count, nor does a request that
    the client gave up.

    What it cannot see: why. lockd may hang on something else: Linux serves all requests one after another, and waits
    for statd, DNS and the portmapper meanwhile. Some servers hold back the answer to a blocking LOCK until it is
    granted. A UDP client that does not ask again has probably got its answer: that cannot be judged.

    What to do: on a Linux server look at `ps ax | grep lockd` (state D: blocked), `rpcinfo -t SERVER nlockmgr`,
    rpc.statd and name resolution of its clients; `echo w > /proc/sysrq-trigger` shows where lockd hangs. Check that
    the firewall lets lockd's port through both ways. On other servers look for the service nlockmgr in rpcinfo.
    """
    found: dict[tuple[int, int], list[Silence]] = {}
    loose: list[Silence] = []
    requests, calls = history.requests, history.calls
    here = ~requests.is_a(*ELSEWHERE)
    if (here & ~requests.said.readable).any():  # which calls are one request cannot be told
        yield NotAssessed("requests are cut or encrypted")
    here &= requests.said.readable
    took = calls.reply_time[requests.row] - calls.time[requests.row]
    at_once = requests.alone & requests.heard & (requests.sent < requests.answered) & (took <= SECOND)
    for r in requests.where(here & ~at_once):
        for case in silences(r, history.dealings, history.boots, history.extent.last):
            if case.lasted <= (LONG if case.answer else history.kind(r.client).again * SECOND):
                continue  # under way, or answered in time
            if sight := history.visibility.all((r.server, r.client), (V.BOTH_WAYS,), case.sends[0].at.time, case.end):
                yield NotAssessed(sight[0].why)
            elif _lost(history, case):
                loose.append(case)
            else:
                found.setdefault((r.server, r.client), []).append(case)
    yield Judged(int(here.sum()))
    if loose:
        count = f"{len(loose)} NLM request{'s' if len(loose) > 1 else ''}"
        frame = loose[0].sends[0].at.frame
        yield NotAssessed(f"{count} never answered (first: frame {frame}), and not asked again, as if it was")
    for cases in found.values():
        yield _finding(history, cases)


def _finding(history: History, cases: list[Silence]) -> Finding:
    cases.sort(key=lambda case: (case.answer is not None, -case.lasted))
    first = cases[0]
    r = first.request
    never = first.answer is None
    sure = _repeated(history, first) and not _held_back(history, first)
    doubts = _doubts(history, first)
    kind = history.kind(r.client)
    pace = assumptions.assumed(history, r.client, f"asking again after {kind.again} to {kind.again_at_most} s")
    more = f"; {len(cases) - 1} more of its requests were not answered in time" if len(cases) > 1 else ""
    what = "was never answered" if never else f"was answered after {first.lasted / SECOND:.0f} s"
    spent = f", {first.lasted / SECOND:.0f} s" if never else ""
    return Finding(
        f"The {requested.procedure(r)} of {words.host(history, r.client)} to {words.host(history, r.server)} "
        f"({requested.range_text(history, r)}) {what}: {words.count(len(first.sends), 'transmission')}{spent}{more}",
        words.evidence(*(_evidence(case) for case in cases)),
        consequence=f"The process that asked hangs until it is answered{pace}." + words.because(doubts)
        + ("" if sure else " Not certain: the client did not ask again, or was answered about other files."),
        remedy="See what lockd on the server hangs on (statd, names, the portmapper), and whether its port is open "
        "both ways.",
        severity=Severity.ERROR if never and first.lasted > LONG else Severity.WARNING,
        confidence=words.confidence(doubts, also=sure),
        server=r.server,
        client=r.client,
        locks=tuple(requested.ref(history, case.request) for case in cases if case.request.readable),
    )  # fmt: skip


def _evidence(case: Silence) -> list[Evidence]:
    again = [Evidence(send.at, f"{requested.procedure(case.request)}, again") for send in case.sends[1:]]
    proof = [Evidence(case.sends[0].at, f"{requested.procedure(case.request)}: no answer"), *again]
    return [*proof, Evidence(case.answer, "the answer")] if case.answer else proof


def _doubts(history: History, case: Silence) -> list[Sight]:
    r, start = case.request, case.sends[0].at.time
    return history.visibility.all((r.server, r.client), (V.SPAN, V.NO_LOSS), start, case.end)


def _lost(history: History, case: Silence) -> bool:
    """Whether only the capture may lack the answer: a UDP client that gets none asks again, and TCP shows its gaps."""
    if case.answer is not None or len(case.sends) > 1:
        return False
    r, start = case.request, case.sends[0].at.time
    udp = not history.calls.tcp[case.sends[0].row]
    return udp or bool(history.visibility.all((r.server, r.client), (V.NO_LOSS,), start, case.end))


def _repeated(history: History, case: Silence) -> bool:
    """Whether the client shows that it still waits: over UDP by asking again; over TCP the server need only be heard.

    A kernel does not send again over a connection that lives: TCP has carried the call.
    """
    if case.answer is not None:
        return True
    r, last = case.request, case.sends[-1]
    if not history.calls.tcp[last.row]:
        return len(case.sends) > 1 and case.end - last.at.time <= history.kind(r.client).again_at_most * SECOND + LATE
    back = any(s.dst == r.client and s.last > last.at.time for s in history.traffic.said(r.server))
    return back or len(case.sends) > 1


def _held_back(history: History, case: Silence) -> bool:
    """Whether the server answered other requests of the client meanwhile, and this one may block."""
    r, start = case.request, case.sends[0].at.time
    return r.block and case.answer is None and any(
        other is not r and any(start < a.at.time < case.end for a in other.answers)
        for other in history.requests.where(history.requests.between(r.server, r.client))
    )  # fmt: skip
