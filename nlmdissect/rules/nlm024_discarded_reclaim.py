"""NLM024 discarded-reclaim."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from nlmdissect.findings import At, Confidence, Evidence, Finding, Judged, Severity, Verdict, rule
from nlmdissect.history.fates import Grant
from nlmdissect.history.history import History
from nlmdissect.hosts.visibility import V
from nlmdissect.rpc.requests import GRANTED, Op, Request, Requests
from nlmdissect.rules import words

Locks = Mapping[tuple[int, int], list[Request]]


class Case(NamedTuple):
    """A lock that came back with one NSM state, an ordinary LOCK with another one, and who got the lock then."""

    reclaim: Request
    reclaimed: At
    lock: Request
    locked: At
    grant: Grant


@rule("NLM024", "discarded-reclaim", Severity.ERROR, source="C-34")
def discarded_reclaim(history: History) -> Iterator[Verdict]:
    """A reclaimed lock was dropped by a server that reads the NSM state in LOCK.

    Why it matters: Linux clients reclaim with state = 0 and take ordinary locks with their own state. A server that
    compares the two (illumos and Solaris; FreeBSD where neither is 0) takes the change for a restart of the client and
    drops all its locks, those that it has just taken back included. Both sides are content, and the next one who asks
    gets the range.

    How it is seen: a reclaim that was granted, then an ordinary LOCK of the same client with another state, granted as
    well, then a conflicting lock granted to somebody else, with no UNLOCK in between. Never more than suspected: that
    servers do so is read from their source, and the drop itself is not on the wire. Not said of servers that show that
    they are Linux, macOS or Ganesha: these do not read it, and it is NLM011.

    What it cannot see: which implementation the server is, most of the time. An UNLOCK that the capture lost.

    What to do: stop both applications and check the file. Keep Linux clients away from NLM of such servers (NFSv4), or
    restart the applications of Linux clients after every restart of the server. On FreeBSD see that statd of the
    clients keeps its state file (`/var/db/statd.status`).
    """
    cases: dict[tuple[int, int, int], list[Case]] = defaultdict(list)
    back = [r for r in history.walked.reclaims if r.answer is not None and r.answer.status == GRANTED]
    yield Judged(len(back))
    collisions = history.walked.table.collisions if back else []
    servers = {grant.file.server for grant in collisions}
    judged = {s for s in servers if not (history.kind(s).ignores_state or _speaks_for_itself(history, s))}
    locks = _locks(history.requests) if judged else {}
    for grant in collisions:
        server = grant.file.server
        case = _case(history, grant, locks) if server in judged else None
        if case is not None:
            cases[server, grant.owner.client, grant.by.client].append(case)
    for of in cases.values():
        yield _finding(history, of)


def _case(history: History, grant: Grant, locks: Locks) -> Case | None:
    """The reclaim and the ordinary LOCK that may have made the server drop what it had granted."""
    for reclaim in history.walked.reclaims_over(grant.file, grant.owner, grant.piece.start, grant.piece.end):
        r, answer = reclaim.request, reclaim.answer
        if answer is None or answer.status != GRANTED or answer.at >= grant.at:
            continue
        of = locks.get((r.server, r.client), [])
        history.dealings.looks.spend(len(of))
        for lock in of:
            locked = next((a.at for a in lock.answers if a.status == GRANTED and answer.at < a.at < grant.at), None)
            if locked is not None and lock.state != r.state:
                return Case(r, answer.at, lock, locked, grant)
    return None


def _locks(requests: Requests) -> Locks:
    """The ordinary LOCKs with a state, by server and client."""
    found: dict[tuple[int, int], list[Request]] = defaultdict(list)
    for r in requests.where(requests.is_a(Op.LOCK) & ~requests.said.reclaim & (requests.said.state != 0)):
        found[r.server, r.client].append(r)
    return found


def _speaks_for_itself(history: History, server: int) -> bool:
    """Whether it puts its own name into callbacks, as only Linux does."""
    said, callback = history.requests.said, history.requests.is_a(Op.GRANTED)
    here = said.server == server
    names, theirs = said.caller_name[here & callback], said.caller_name[here & ~callback]
    return len(names) > 0 and not np.isin(names, theirs).any()


def _finding(history: History, cases: list[Case]) -> Finding:
    reclaim, reclaimed, lock, locked, grant = cases[0]
    server, client, other = grant.file.server, grant.owner.client, grant.by.client
    doubts = history.visibility.all((client, server), (V.NO_LOSS, V.DECODED), reclaimed.time, grant.at.time)
    held = words.lock_text(history, grant.file, grant.owner, grant.piece)
    more = [e for case in cases[1:] for e in (words.taken(history, case.grant), Evidence(case.reclaimed, "reclaimed"))]
    return Finding(
        f"{words.host(history, server)} seems to have dropped the {held} that {words.host(history, client)} had "
        f"reclaimed, and granted it to {words.host(history, other)}",
        words.evidence(
            words.taken(history, grant),
            Evidence(reclaimed, f"reclaim with state={reclaim.state} answered GRANTED"),
            Evidence(locked, f"ordinary LOCK with state={lock.state} answered GRANTED"),
            Evidence(reclaim.at, "NLM_LOCK reclaim"),
            Evidence(lock.at, f"NLM_LOCK state={lock.state}"),
            more,
        ),
        consequence="Two owners may write the same bytes. Not certain: that the server compares states is not on the "
        "wire." + words.because(doubts),
        remedy="Stop both applications and check the file; use NFSv4 between these two implementations.",
        confidence=Confidence.SUSPECTED,
        server=server,
        client=client,
        other=other,
        locks=tuple(words.lock(history, c.grant.file, c.grant.owner, c.grant.piece) for c in cases),
    )
