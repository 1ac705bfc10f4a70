"""Refusals with DENIED_NOLOCKS: in which runs a client gets them, and whether others are served meanwhile.

A server that cannot monitor a client answers it so, again and again; it has other reasons too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nlmdissect.findings import At
from nlmdissect.groups import mixed
from nlmdissect.hosts.signs import SECOND
from nlmdissect.rpc.requests import GRANTED, Answer, Op, Request, Requests

NOLOCKS, DENIED = "DENIED_NOLOCKS", "DENIED"
NEAR = 300 * SECOND  # others are served within this of it


class Refusal(NamedTuple):
    """A request, and the answer that refused it."""

    request: Request
    answer: Answer


Runs = dict[tuple[int, int], list[list[Refusal]]]


def refusals(requests: Requests) -> Runs:
    """DENIED_NOLOCKS by server and client, in runs that no granted lock of this client interrupts."""
    said, locks = requests.said, requests.is_a(Op.LOCK) & ~requests.said.reclaim
    refused = requests.where(locks & requests.may_be(NOLOCKS))
    pairs = {(r.server, r.client) for r in refused if any(a.status == NOLOCKS for a in r.answers)}
    if not pairs:
        return {}
    pair = mixed(said.server, said.client)
    of = np.isin(pair, mixed(*np.array([*pairs]).T))
    answers = sorted(((r, a) for r in requests.where(locks & of) for a in r.answers), key=lambda case: case[1].at)
    found: Runs = {}
    broken: set[tuple[int, int]] = set()
    for r, a in answers:
        who = (r.server, r.client)
        if a.status == GRANTED:
            broken.add(who)
        elif a.status == NOLOCKS:
            if who not in found or who in broken:
                found.setdefault(who, []).append([])
                broken.discard(who)
            if not any(r is case.request for case in found[who][-1]):
                found[who][-1].append(Refusal(r, a))
    return found


def another_error(run: list[Refusal]) -> bool:
    """Whether it may be about a file: NLM 1 and 3 have no status for a stale handle or a read-only export."""
    return len({refusal.request.fh for refusal in run}) == 1 and all(refusal.request.version != 4 for refusal in run)


def others_are_served(requests: Requests, refused: Runs, client: int, run: list[Refusal]) -> bool:
    """Whether a client that is not refused itself was granted a lock about the time of a run."""
    server = run[0].request.server
    first, last = run[0].answer.at.time - NEAR, run[-1].answer.at.time + NEAR
    others = {
        c for (s, c), runs in refused.items()
        if s == server and any(first < refusal.answer.at.time < last for of in runs for refusal in of)
    }  # fmt: skip
    return any(
        a.status == GRANTED and first < a.at.time < last
        for r in requests.where(requests.is_a(Op.LOCK) & (requests.said.server == server) & requests.may_be(GRANTED))
        if r.client not in others and r.client != client
        for a in r.answers
    )


def tested(requests: Requests, server: int, client: int, run: list[Refusal]) -> At | None:
    """When a TEST of the same client was decided about the time of a run: for that nobody is monitored, but all else
    that a LOCK needs must be there.
    """
    first, last = run[0].answer.at.time - NEAR, run[-1].answer.at.time + NEAR
    return next(
        (
            a.at
            for r in requests.where(requests.between(server, client) & requests.is_a(Op.TEST))
            for a in r.answers
            if a.status in (GRANTED, DENIED) and first < a.at.time < last
        ),
        None,
    )


def served(requests: Requests, server: int, client: int, after: At) -> At | None:
    """When a client was first granted a lock after a moment."""
    return min(
        (
            a.at
            for r in requests.where(requests.between(server, client) & requests.is_a(Op.LOCK))
            for a in r.answers
            if a.status == GRANTED and a.at > after
        ),
        default=None,
    )  # fmt: skip
