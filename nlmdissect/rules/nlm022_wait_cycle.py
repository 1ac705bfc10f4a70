"""NLM022 wait-cycle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from nlmdissect.findings import Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.history.waits import BLOCKERS, Held, Wait
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import V
from nlmdissect.machines.hold import H
from nlmdissect.rules import words

LASTED = 5 * SECOND  # a shorter one was about to end by itself
LONGEST = 8  # owners in one circle
MANY = 50  # circles that are told
LOOKS = 300_000  # at edges, before the search ends

Who = tuple[int, int, int]  # server, client, svid: what servers take for an owner


class Edge(NamedTuple):
    """``wait`` is for ``held``, which ``to`` holds, from ``start`` to ``end`` (ns)."""

    wait: Wait
    held: Held
    to: Who
    start: int
    end: int


@rule("NLM022", "wait-cycle", Severity.WARNING, source="PEERS C19")
def wait_cycle(history: History) -> Iterator[Verdict]:
    """Owners wait for each other in a circle.

    Why it matters: each holds what the next one waits for, so none will ever go on. Hosts do not see each other's
    waits, and servers seldom look for deadlocks between clients (DEADLCK): the applications hang until one is killed.

    How it is seen: blocked requests of which each waits for a lock that the next one's owner holds on the same server,
    all at one time for five seconds or longer. Info if the circle was broken later.

    What it cannot see: circles over two servers, or through a lock of another kind: a local one, NFSv4, a database.
    Threads of one process share one owner: another thread may still give the lock back.

    What to do: end one of the applications (its locks are named below; `cat /proc/locks` on the client shows the pid),
    and let all of them take their locks in one order, or with a time limit (F_SETLK and retry instead of F_SETLKW).
    This is the same whatever the server.
    """
    graph: dict[Who, list[Edge]] = defaultdict(list)
    for wait in history.walked.waits:
        yield Judged()
        graph[wait.request.server, wait.request.client, wait.request.svid] += _edges(history, wait)
        if len(wait.blockers) == BLOCKERS:
            yield NotAssessed(f"more than {BLOCKERS} locks are in the way of one wait")
    told: set[frozenset[Who]] = set()
    search = _Search(graph)
    for circle in search.circles(history.extent.last):
        members = frozenset(edge.to for edge in circle)
        if members not in told:
            told.add(members)
            yield _finding(history, circle)
        if len(told) >= MANY:
            break
    if search.looks <= 0 or len(told) >= MANY:
        yield NotAssessed(f"more circles of waiting owners than {len(told)}: too many wait for each other")


def _edges(history: History, wait: Wait) -> list[Edge]:
    ends = [at.time for at in (wait.ended, wait.freed) if at is not None]
    end = min(ends, default=history.extent.last)
    return [
        Edge(wait, held, (file.server, owner.client, owner.svid), max(wait.since.time, piece.granted.time), end)
        for held in wait.blockers
        for file, owner, piece in (held,)
        if piece.state in (H.HELD, H.DOUBTED)
    ]


class _Search:
    """Finds short circles first, for where everybody waits for everybody there are more of the long ones than anybody
    can list: after so many ``looks`` at edges it ends.
    """

    def __init__(self, graph: dict[Who, list[Edge]]) -> None:
        self._graph = graph
        self.looks = LOOKS

    def circles(self, end: int) -> Iterator[list[Edge]]:
        for length in range(2, LONGEST + 1):
            for who in list(self._graph):
                yield from self._back(who, [], 0, end, length)

    def _back(self, first: Who, path: list[Edge], start: int, end: int, length: int) -> Iterator[list[Edge]]:
        """All ways from the end of ``path`` back to ``first``, open at one time for long enough."""
        here = path[-1].to if path else first
        for edge in self._graph.get(here, []):
            self.looks -= 1
            if self.looks <= 0:
                return
            since, until = max(start, edge.start), min(end, edge.end)
            if until - since < LASTED:
                continue
            if len(path) + 1 == length:
                if edge.to == first:
                    yield [*path, edge]
            elif edge.to != first and all(edge.to != e.to for e in path):
                yield from self._back(first, [*path, edge], since, until, length)


def _finding(history: History, circle: list[Edge]) -> Finding:
    server = circle[0].wait.request.server
    since, until = max(e.start for e in circle), min(e.end for e in circle)
    broken = any(e.wait.ended is not None or e.wait.freed is not None for e in circle)
    doubts = [
        sight
        for e in circle
        for sight in history.visibility.all(
            (e.to[1], server), (V.NO_LOSS, V.BOTH_WAYS, V.DECODED), e.held[2].granted.time, until
        )
    ]
    sure = all(e.held[2].known and e.held[2].state is H.HELD for e in circle)
    clients = [e.wait.request.client for e in circle]
    chain = ", ".join(
        f"{words.host(history, e.wait.request.client)} svid {e.wait.request.svid} waits for the "
        f"{words.lock_text(history, *e.held)}"
        for e in circle
    )
    blocked = [Evidence(e.wait.last or e.wait.since, f"{_name(history, e)} is answered BLOCKED") for e in circle]
    return Finding(
        f"{len(circle)} owners wait for each other for {(until - since) / SECOND:.0f} s: {chain}",
        words.evidence(
            blocked,
            [words.granted(history, *e.held) for e in circle],
            [Evidence(e.wait.request.at, f"{_name(history, e)} begins to wait") for e in circle],
            [
                Evidence(e.wait.ended, f"the wait of {_name(history, e)} ends: {e.wait.how}")
                for e in circle
                if e.wait.ended
            ],
        ),
        consequence=("It was broken later." if broken else "None of them will go on by itself.")
        + words.because(doubts),
        remedy="End one of the applications; let all of them take their locks in one order.",
        severity=Severity.INFO if broken else None,
        confidence=words.confidence(doubts, also=sure),
        server=server,
        client=clients[0],
        other=next((c for c in clients if c != clients[0]), None),
        locks=tuple(words.lock(history, *e.held) for e in circle),
    )


def _name(history: History, edge: Edge) -> str:
    return f"{words.host(history, edge.wait.request.client)} svid {edge.wait.request.svid}"
