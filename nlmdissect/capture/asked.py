"""Which wanted calls were seen: a reply is kept when its call was. Exact, where ``Tables.asked`` only guesses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
Bools = NDArray[np.bool_]

GENERATION = 1 << 18
"""Calls that are remembered for certain; up to twice as many are."""


class Asked:
    """Calls by flow and xid, in two generations. An answer comes within so many calls, or it is late by hours."""

    def __init__(self) -> None:
        self.young: dict[int, bool] = {}
        self.old: dict[int, bool] = {}
        self.forgotten = 0
        """Calls without an answer that were let go of."""

    def call(self, flow: int, xid: int) -> bool:
        """A wanted call went along ``flow``. Is it the first of a new generation, so that another one was let go of?"""
        full = len(self.young) >= GENERATION
        if full:
            self._grow_old()
        self.young.setdefault(flow << 32 | xid, False)
        return full

    def reply(self, flow: int, xid: int) -> bool:
        """Was the call seen to which a reply along ``flow`` belongs?"""
        key = (flow ^ 1) << 32 | xid
        for generation in (self.young, self.old):
            if key in generation:
                generation[key] = True
                return True
        return False

    def many(self, calls: Bools, keys: I64) -> tuple[Bools, bool]:
        """The same for many in a row, by keys as in ``young``: which are calls, or replies whose call was seen; and
        whether a generation was let go of.
        """
        if len(self.young) + len(keys) <= GENERATION:
            return self._together(calls, keys), False
        found, forgot = [], False
        for is_call, key in zip(calls.tolist(), keys.tolist(), strict=True):
            forgot |= is_call and self.call(key >> 32, key & 0xFFFFFFFF)
            found.append(is_call or self.reply(key >> 32 ^ 1, key & 0xFFFFFFFF))
        return np.array(found, np.bool_), forgot

    def _together(self, calls: Bools, keys: I64) -> Bools:
        found = calls.copy()
        asked, place = np.unique(keys[calls], return_index=True)
        first, answered = calls.nonzero()[0][place], np.zeros(len(asked), np.bool_)
        replies = (~calls).nonzero()[0]
        where = np.searchsorted(asked, keys[replies])
        here = where < len(asked)
        here[here] = (asked[where[here]] == keys[replies][here]) & (first[where[here]] < replies[here])
        found[replies[here]] = True
        answered[where[here]] = True
        for number in replies[~here].tolist():
            found[number] = self.reply(int(keys[number]) >> 32 ^ 1, int(keys[number]) & 0xFFFFFFFF)
        fresh = dict(zip(asked.tolist(), answered.tolist(), strict=True))
        for key in fresh.keys() & self.young.keys():
            fresh[key] |= self.young[key]
        self.young |= fresh
        return found

    def _grow_old(self) -> None:
        self.forgotten += sum(not answered for answered in self.old.values())
        self.old, self.young = self.young, {}
