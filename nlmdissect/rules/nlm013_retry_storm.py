"""NLM013 retry-storm."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from nlmdissect.findings import At, Confidence, Evidence, Finding, Judged, Severity, Verdict, rule
from nlmdissect.groups import groups
from nlmdissect.history.dealings import RPC_ERRORS, Who, who
from nlmdissect.history.history import History
from nlmdissect.hosts.implementations import FASTEST
from nlmdissect.hosts.signs import SECOND
from nlmdissect.machines.spans import Ranged
from nlmdissect.rpc.requests import GRANTED, Op, Request, final
from nlmdissect.rules import assumptions, requested, words

MINUTE = 60 * SECOND
MANY = 60 // FASTEST + 5  # in a minute: as the fastest implementation asks, and some room
COPY = 5 * 10**6  # ns: one packet, captured at two places
SHOWN = 3
NOT_DONE = frozenset({Op.UNLOCK, Op.CANCEL, Op.GRANTED})  # for these anything but GRANTED may be tried again


FEW = 100  # LOCKs of one owner that are looked through for those inside a range
_Answered = tuple[list[At], list[int]]  # when, and the place of the last answer by then
_Key = tuple[Op, bool, int, int, int, int, int, int, bool, bool]


@dataclass(slots=True)
class _Series:
    """Sends of one thing again and again, each after an answer that did not settle it. ``most`` is in one minute."""

    request: Request
    sends: list[At]
    most: int = 0


@dataclass(slots=True)
class _Asked:
    """The last that was said of one thing."""

    request: Request
    series: _Series


@rule("NLM013", "retry-storm", Severity.WARNING, source="C-19")
def retry_storm(history: History) -> Iterator[Verdict]:
    """Identical requests faster than any implementation's own pace.

    Why it matters: a lockd that is asked hundreds of times a second serves nobody else, and the cause stays hidden
    behind the noise.

    How it is seen: one request (same procedure, owner, file and range), sent more than 20 times within a minute,
    each time before an answer that settles it: unanswered, BLOCKED, DENIED_GRACE_PERIOD or an RPC error, for
    UNLOCK, CANCEL and GRANTED anything but GRANTED. A LOCK is also settled by the callback, and by an UNLOCK or
    CANCEL. Kernels ask again every 5 s in the grace period (5 to 30 s while they wait, 5 to 60 s without an
    answer).

    What it cannot see: an application that calls fcntl() in a loop and is refused each time (DENIED) is its own
    business and not counted; nor are many owners at once, or second copies of one frame.

    What to do: look at the answers: RPC errors (AUTH_ERROR, SYSTEM_ERR) in a loop mean that the server's lockd does
    not serve this client at all (exports, `insecure`, statd); floods of unanswered calls mean a client bug, so update
    its kernel. On Linux `nfsstat -c` and `rpcdebug -m nlm -s all` show the loop; on other systems restart the client's
    lock daemon.
    """
    asked: dict[_Key, _Asked] = {}
    waiting: Ranged[Who] = Ranged(FEW)  # the LOCKs of an owner
    answered: dict[int, _Answered] = {}  # by request
    keys: list[_Key] = []
    numbers: dict[_Key, int] = {}  # of what was asked
    storms: dict[tuple[int, int], dict[int, _Series]] = {}
    yield Judged(int(history.requests.sends[history.requests.said.readable].sum()))
    for at, r in _sends(history):
        if _ends_a_wait(r):
            near = [(number, keys[number]) for number in waiting.near(who(r), r.start, r.end)]
            for number, key in near:
                if r.start <= key[6] and key[7] <= r.end:
                    waiting.discard(who(r), number)
                    asked.pop(key, None)
        key = (r.op, r.asynchronous, r.server, r.client, r.fh, r.svid, r.start, r.end, r.exclusive, r.reclaim)
        if r.op is Op.LOCK:
            if key not in numbers:
                numbers[key] = len(keys)
                keys.append(key)
            waiting.add(who(r), numbers[key], r.start, r.end)
        before = asked.get(key)
        if before is not None and id(before.request) not in answered:
            answered[id(before.request)] = _answered(before.request)
        if before is None or _settled(before.request, at, answered[id(before.request)]):
            asked[key] = _Asked(r, _Series(r, [at]))
            continue
        series = before.series
        before.request = r
        if at.time - series.sends[-1].time <= COPY:
            continue
        series.sends.append(at)
        recent = sum(1 for sent in series.sends[-MANY - 1 :] if at.time - sent.time <= MINUTE)
        if recent > MANY:
            series.most = max(series.most, recent)
            storms.setdefault((r.server, r.client), {})[id(series)] = series
    for found in storms.values():
        yield _finding(history, list(found.values()))


def _sends(history: History) -> list[tuple[At, Request]]:
    """In order, what owners sent that said enough about one file to make a storm."""
    requests, said = history.requests, history.requests.said
    _, owner = groups(said.server, said.client, said.fh, said.svid)
    often = np.bincount(owner, requests.sends) > MANY
    hasty = ~requests.plain  # nothing that an owner asks is a storm if all of it is granted before it asks again
    order = np.lexsort((requests.sent, owner))
    before, after = order[:-1], order[1:]
    hasty[after[(owner[before] == owner[after]) & (requests.sent[after] < requests.answered[before])]] = True
    often &= np.bincount(owner, hasty) > 0
    chosen = requests.where(said.readable & often[owner])
    sends = sorted(((send.order, send.at, r) for r in chosen for send in r.sends), key=lambda item: item[0])
    return [(at, r) for _, at, r in sends]


def _ends_a_wait(r: Request) -> bool:
    """Whether a LOCK before it is settled, whatever it was answered: it was granted by callback, or given up."""
    return r.op in (Op.UNLOCK, Op.CANCEL) or (r.op is Op.GRANTED and any(a.status == GRANTED for a in r.answers))


def _answered(r: Request) -> _Answered:
    order = sorted(range(len(r.answers)), key=lambda place: r.answers[place].at)
    return [r.answers[place].at for place in order], [*accumulate(order, max)]


def _settled(r: Request, at: At, answered: _Answered) -> bool:
    """Whether the last answer before a moment ended what was asked."""
    moments, last = answered
    before = bisect_left(moments, at)
    if not before:
        return False
    status = r.answers[last[before - 1]].status
    if status in RPC_ERRORS:
        return False
    return status == GRANTED if r.op in NOT_DONE else final(status)


def _finding(history: History, storms: list[_Series]) -> Finding:
    storms.sort(key=lambda series: -len(series.sends))
    first = storms[0]
    r = first.request
    sender = r.server if r.op is Op.GRANTED else r.client
    lasted = (first.sends[-1].time - first.sends[0].time) / SECOND
    kind = history.kind(sender)
    pace = f"which polls every {kind.poll} s and repeats a call after {kind.again} s"
    more = f", and {len(storms) - 1} more such requests" if len(storms) > 1 else ""
    return Finding(
        f"{words.host(history, sender)} sent one {requested.procedure(r)} ({requested.range_text(history, r)}) "
        f"{len(first.sends)} times in {lasted:.0f} s{more}",
        words.evidence(*(_evidence(series) for series in storms)),
        consequence=f"That is one every {lasted / max(len(first.sends) - 1, 1):.2f} s; no implementation asks so fast"
        + f"{assumptions.assumed(history, sender, pace)}. The last status is {r.status or 'none'}.",
        remedy="See why the request is not settled: its answers, or who keeps them from arriving.",
        confidence=Confidence.CONFIRMED,
        server=r.server,
        client=r.client,
        locks=tuple(requested.ref(history, series.request) for series in storms),
    )


def _evidence(series: _Series) -> list[Evidence]:
    name = requested.procedure(series.request)
    shown = [*series.sends[:SHOWN], *series.sends[-SHOWN:]]
    return [Evidence(at, f"{name}, {'again' if n else 'the first time'}") for n, at in enumerate(shown)]
