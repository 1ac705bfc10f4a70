"""Refusals with DENIED_NOLOCKS: in which runs a client gets them, and whether others are served meanwhile.

A server that cannot monitor a client answers it so, again and again; it has other reasons too.
"""

from __future__ import annotations

from typing import NamedTuple

from nlmdissect.findings import At
from nlmdissect.hosts.signs import SECOND
from nlmdissect.rpc.requests import GRANTED, Answer, Op, Request

NOLOCKS, DENIED = "DENIED_NOLOCKS", "DENIED"
NEAR = 300 * SECOND  # others are served within this of it


class Refusal(NamedTuple):
    """A request, and the answer that refused it."""

    request: Request
    answer: Answer


Runs = dict[tuple[int, int], list[list[Refusal]]]


def refusals(requests: list[Request]) -> Runs:
    """DENIED_NOLOCKS by server and client, in runs that no granted lock of this client interrupts."""
    locks = [r for r in requests if r.op is Op.LOCK and not r.reclaim]
    pairs = {(r.server, r.client) for r in locks if any(a.status == NOLOCKS for a in r.answers)}
    if not pairs:
        return {}
    answers = sorted(
        ((r, a) for r in locks if (r.server, r.client) in pairs for a in r.answers), key=lambda case: case[1].at
    )
    found: Runs = {}
    broken: set[tuple[int, int]] = set()
    for r, a in answers:
        pair = (r.server, r.client)
        if a.status == GRANTED:
            broken.add(pair)
        elif a.status == NOLOCKS:
            if pair not in found or pair in broken:
                found.setdefault(pair, []).append([])
                broken.discard(pair)
            if not any(r is case.request for case in found[pair][-1]):
                found[pair][-1].append(Refusal(r, a))
    return found


def another_error(run: list[Refusal]) -> bool:
    """Whether it may be about a file: NLM 1 and 3 have no status for a stale handle or a read-only export."""
    return len({refusal.request.fh for refusal in run}) == 1 and all(refusal.request.version != 4 for refusal in run)


def others_are_served(requests: list[Request], refused: Runs, client: int, run: list[Refusal]) -> bool:
    """Whether a client that is not refused itself was granted a lock about the time of a run."""
    server = run[0].request.server
    first, last = run[0].answer.at.time - NEAR, run[-1].answer.at.time + NEAR
    others = {
        c for (s, c), runs in refused.items()
        if s == server and any(first < refusal.answer.at.time < last for of in runs for refusal in of)
    }  # fmt: skip
    return any(
        r.server == server
        and r.client not in others
        and r.client != client
        and r.op is Op.LOCK
        and a.status == GRANTED
        and first < a.at.time < last
        for r in requests
        for a in r.answers
    )


def tested(requests: list[Request], server: int, client: int, run: list[Refusal]) -> At | None:
    """When a TEST of the same client was decided about the time of a run: for that nobody is monitored, but all else
    that a LOCK needs must be there.
    """
    first, last = run[0].answer.at.time - NEAR, run[-1].answer.at.time + NEAR
    return next(
        (
            a.at
            for r in requests
            if (r.server, r.client) == (server, client) and r.op is Op.TEST
            for a in r.answers
            if a.status in (GRANTED, DENIED) and first < a.at.time < last
        ),
        None,
    )


def served(requests: list[Request], server: int, client: int, after: At) -> At | None:
    """When a client was first granted a lock after a moment."""
    return min(
        (
            a.at
            for r in requests
            if (r.server, r.client) == (server, client) and r.op is Op.LOCK
            for a in r.answers
            if a.status == GRANTED and a.at > after
        ),
        default=None,
    )  # fmt: skip
