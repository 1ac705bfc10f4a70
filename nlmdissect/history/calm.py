"""Holds of which nothing is to be told: a LOCK that was granted at once, and an UNLOCK that was.

Theory of operation. Of a capture with much lock traffic nearly all is like that: one range of a file, one owner after
another, each call sent once and answered GRANTED, nobody in the way and no restart meanwhile. What the machines do
with such a hold is known beforehand, step by step. So a file is *calm* when all of its holds are; those of calm files
are found by column and not walked, and their records and steps are made when somebody looks at them. All other files
are walked as they come. ``tests/history/test_calm.py`` holds both ways beside each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlmdissect.findings import At
from nlmdissect.groups import groups
from nlmdissect.history.fates import UNLOCKED, File, Owner, Row
from nlmdissect.machines import hold, request
from nlmdissect.machines.machine import Step
from nlmdissect.rpc.calls import I64
from nlmdissect.rpc.requests import Bools, Op, Requests


@dataclass(frozen=True, slots=True)
class Calm:
    """Holds from LOCK to UNLOCK, in the order of their grants. Shapes: ``lock`` and ``unlock`` are numbers of requests,
    int64[H].
    """

    requests: Requests
    lock: I64
    unlock: I64

    def __len__(self) -> int:
        return len(self.lock)

    def rows(self, first: int) -> Iterator[Row]:
        """The holds, with numbers from ``first`` on."""
        taken = zip(self.requests.take(self.lock), self.requests.take(self.unlock), strict=True)
        for number, (lock, unlock) in enumerate(taken, first):
            yield Row(
                number, File(lock.server, lock.fh), Owner(lock.client, lock.oh, lock.svid), lock.start, lock.end,
                lock.exclusive, lock.at, lock.answers[0].at, unlock.answers[0].at, UNLOCKED,
            )  # fmt: skip

    def steps(self, first: int) -> Iterator[Step]:
        """What the machines of the requests, and of the holds with these numbers, do."""
        taken = zip(self.requests.take(self.lock), self.requests.take(self.unlock), strict=True)
        for place, (number, (lock, unlock)) in enumerate(zip(self.lock.tolist(), taken, strict=True)):
            asked, granted = lock.at, lock.answers[0].at
            yield request.REQUEST.step(asked, number, request.R.UNSEEN, request.E.ASK)[1]
            yield request.REQUEST.step(granted, number, request.R.ASKED, request.E.GRANTED)[1]
            state = hold.H.UNSEEN
            for at, event in (
                (granted, hold.E.GRANTED),
                (unlock.at, hold.E.UNLOCK),
                (unlock.answers[0].at, hold.E.UNLOCK_GRANTED),
            ):
                state, step = hold.HOLD.step(at, first + place, state, event)
                yield step

    def first_after(self, disturbances: NDArray[np.float64]) -> Iterator[tuple[int, At, int, int]]:
        """Of each client at each server the first grant, and the first after each of some places in the recording: its
        place and moment, the server and the client.
        """
        said, order = self.requests.said, self.requests.answered[self.lock]
        since = np.searchsorted(disturbances, order)
        first, _ = groups(said.server[self.lock], said.client[self.lock], since)
        for place, r in zip(order[first].tolist(), self.requests.take(self.lock[first]), strict=True):
            yield place, r.answers[0].at, r.server, r.client


def calm(requests: Requests, disturbances: Iterable[float]) -> Calm:
    """The holds of all calm files. ``disturbances`` are the places in the recording (``Send.order``) of what may
    touch any hold: restarts, notices, FREE_ALL.
    """
    said = requests.said
    # TEST does nothing to holds, FREE_ALL is about no file
    rows = (~requests.is_a(Op.TEST, Op.FREE_ALL)).nonzero()[0]
    _, file = groups(said.server[rows], said.fh[rows])
    loud = np.bincount(file, ~requests.plain[rows]) > 0
    quiet = ~loud[file]
    rows, file = rows[quiet], file[quiet]
    order = np.lexsort((said.end[rows], said.start[rows], file))  # within one range they stay in order
    rows, file = rows[order], file[order]
    loud[file[_wrong(requests, rows, file, np.array(sorted(disturbances), np.float64))]] = True
    rows = rows[~loud[file]]
    lock, unlock = rows[::2], rows[1::2]
    granted = np.argsort(requests.answered[lock], kind="stable")
    return Calm(requests, lock[granted], unlock[granted])


def _wrong(requests: Requests, rows: I64, file: I64, moments: NDArray[np.float64]) -> Bools:
    """Which requests show that their file is not calm. They are sorted by file, range, and order of transmission."""
    said, sent, answered = requests.said.take(rows), requests.sent[rows], requests.answered[rows]
    new_file = np.ones(len(rows), np.bool_)
    new_file[1:] = file[1:] != file[:-1]
    new = new_file.copy()
    new[1:] |= (said.start[1:] != said.start[:-1]) | (said.end[1:] != said.end[:-1])
    begins = new.nonzero()[0]
    place = np.arange(len(rows)) - np.repeat(begins, np.diff(np.append(begins, len(rows))))
    unlock = place % 2 == 1  # in each range LOCK and UNLOCK take turns, beginning with LOCK and ending with UNLOCK
    wrong: Bools = unlock == requests.is_a(Op.LOCK)[rows]
    wrong[:-1] |= new[1:] & ~unlock[:-1]
    wrong[-1:] |= ~unlock[-1:]
    after = ~new[1:]
    wrong[1:] |= after & (sent[1:] < answered[:-1])
    owners = (said.client, said.oh, said.svid)
    for column in owners:
        wrong[1:] |= unlock[1:] & (column[1:] != column[:-1])
    between = np.searchsorted(moments, sent[:-1]) < np.searchsorted(moments, answered[1:], "right")
    wrong[1:] |= unlock[1:] & between
    # no two ranges overlap or touch: neighbours of one owner would be one hold
    near = (said.start[1:] <= said.end[:-1]) | (said.start[1:] - np.uint64(1) <= said.end[:-1])
    wrong[1:] |= new[1:] & ~new_file[1:] & near
    return wrong
