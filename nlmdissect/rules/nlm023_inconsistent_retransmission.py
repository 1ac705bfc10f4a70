"""NLM023 inconsistent-retransmission."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from nlmdissect.findings import Evidence, Finding, Judged, LockRef, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import V
from nlmdissect.protocols.nlm import END
from nlmdissect.rpc.requests import BLOCKED, GRACE, GRANTED, Answer, Op, Request, Send
from nlmdissect.rules import words

CROSSED = SECOND  # sent again so soon after the answer: the two passed each other


@dataclass(frozen=True, slots=True)
class Case:
    """``first`` is what the client believes, ``last`` what the server did in the end. ``undone`` is the answer to the
    UNLOCK in between, if there is one."""

    request: Request
    sends: tuple[Send, ...]
    first: Answer
    last: Answer
    undone: Answer | None

    @property
    def ghost(self) -> bool:
        """Whether the server holds what the client does not believe to hold; else it is the other way round."""
        return self.last.status == GRANTED


@rule("NLM023", "inconsistent-retransmission", Severity.WARNING, source="PEERS C13")
def inconsistent_retransmission(history: History) -> Iterator[Verdict]:
    """One request was executed twice with different answers, and the client believes the wrong one.

    Why it matters: lock procedures have no duplicate request cache, so a copy of a LOCK is executed again. The client
    takes the first answer to its xid. If only the second one granted the lock, or if the copy came after the UNLOCK,
    the server holds a lock that nobody will give back; the other way round the client believes in a lock that the
    server refused in the end.

    How it is seen: one xid sent at least twice and answered at least twice; the copy was under way before the client
    had the first answer; one answer is GRANTED and the other final and different, or both are GRANTED with an answered
    UNLOCK between them. And nothing by the same owner afterwards that would put it right: UNLOCK, CANCEL, or the same
    LOCK again.

    What it cannot see: which answers reached the client, where the capture point is far from it. A copy that is sent
    more than a second after the first answer means that this answer was lost; then the second one counts for both.

    What to do: find the loss or delay that made the client send again (`nfsstat -r`, UDP over a slow path): mount with
    proto=tcp. To free the lock, restart the client, or its server's lock service in a quiet hour. Report a server whose
    answer changes without cause (Ganesha had such bugs) with these frames.
    """
    cases: dict[tuple[int, int], list[Case]] = defaultdict(list)
    with history.dealings.looks.until_enough():
        for r in history.requests.where(history.requests.is_a(Op.LOCK, Op.NM_LOCK) & ~history.requests.alone):
            if r.asynchronous or not r.readable or len(r.answers) < 2:
                continue
            yield Judged()
            case = _case(history, r)
            if case is not None and not _put_right(history, case):
                cases[r.client, r.server].append(case)
    for of in cases.values():
        yield _finding(history, of)


def _case(history: History, r: Request) -> Case | None:
    calls = history.calls
    sent: dict[int, list[Send]] = defaultdict(list)
    for send in r.sends:
        sent[int(calls.xid[send.row])].append(send)
    answered: dict[int, list[Answer]] = defaultdict(list)
    for a in r.answers:
        answered[int(calls.xid[a.row])].append(a)
    for xid, sends in sent.items():
        answers = answered[xid]
        if len(sends) < 2 or len(answers) < 2 or len({int(calls.stream[s.row]) for s in sends}) > 1:
            continue
        first, last = answers[0], answers[-1]
        if sends[-1].order > first.order and sends[-1].at.time - first.at.time > CROSSED:
            continue  # the first answer never reached the client
        if any(b.not_after <= last.at for b in history.boots.of(r.server) if first.at < b.not_after):
            continue
        undone = next((a for u in _others(history, r, Op.UNLOCK) for a in u.answers if first.at < a.at < last.at), None)
        case = Case(r, tuple(sends), first, last, undone)
        if {first.status, last.status} == {GRANTED} and undone is not None and undone.status == GRANTED:
            return case
        differ = first.status != last.status and GRANTED in (first.status, last.status)
        if differ and undone is None and _final(r, first) and _final(r, last):
            return case
    return None


def _final(r: Request, answer: Answer) -> bool:
    """Whether the client acts on it and asks no more."""
    return answer.status != BLOCKED and (answer.status != GRACE or r.reclaim)


def _others(history: History, r: Request, *ops: Op) -> list[Request]:
    """What else the owner asked about this range."""
    return [
        o
        for o in history.dealings.over(r.server, r.fh, r.start, r.end)
        if o is not r and o.op in ops and (o.client, o.oh, o.svid) == (r.client, r.oh, r.svid)
    ]


def _put_right(history: History, case: Case) -> bool:
    r = case.request
    mine = {s.row for s in case.sends}
    later = [s for s in r.sends if s.order > case.first.order and s.row not in mine]
    again = [o for o in _others(history, r, Op.LOCK, Op.NM_LOCK, Op.UNLOCK, Op.CANCEL) if o.at > case.last.at]
    restarted = any(b.not_after > case.last.at for host in (r.server, r.client) for b in history.boots.of(host)[-1:])
    return bool(later or again) or restarted


def _finding(history: History, cases: list[Case]) -> Finding:
    case = cases[0]
    r = case.request
    client, server = words.host(history, r.client), words.host(history, r.server)
    doubts = history.visibility.all(
        (r.client, r.server), (V.NO_LOSS, V.BOTH_WAYS, V.DECODED), r.at.time, history.extent.last
    )
    what = f"{words.kind_of(r.exclusive)} lock {words.span_text(r.start, r.end)} of svid {r.svid}"
    where = history.called(r.server, r.fh, r.at)
    truth = "the server holds it and the client does not know" if case.ghost else "the client holds it only in its mind"
    return Finding(
        f"{client} sent one request for the {what} on {where} twice, {server} answered {case.first.status} and then "
        f"{case.last.status}: {truth}",
        words.evidence(_proof(case), (e for other in cases[1:] for e in _proof(other))),
        consequence=("Nobody gives it back; others wait for it." if case.ghost else "Others may be granted the range.")
        + words.because(doubts),
        remedy="Mend what made the client send again; restart the client, or the lock service in a quiet hour.",
        confidence=words.confidence(doubts),
        server=r.server,
        client=r.client,
        locks=tuple(_ref(history, c) for c in cases),
    )


def _proof(case: Case) -> list[Evidence]:
    undone = [Evidence(case.undone.at, "UNLOCK answered GRANTED in between")] if case.undone else []
    return [
        Evidence(case.last.at, f"the second answer: {case.last.status}"),
        Evidence(case.first.at, f"the first answer: {case.first.status}"),
        *undone,
        *(Evidence(s.at, f"NLM_LOCK, transmission {n}") for n, s in enumerate(case.sends, 1)),
    ]


def _ref(history: History, case: Case) -> LockRef:
    r, texts = case.request, history.texts
    name = texts[r.caller_name].decode("utf-8", "backslashreplace")
    end = None if r.end == END else r.end
    at = case.last.at if case.ghost else case.first.at
    return LockRef(r.server, texts[r.fh], name, r.svid, texts[r.oh], r.start, end, r.exclusive, at)
