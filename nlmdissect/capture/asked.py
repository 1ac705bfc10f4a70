"""Which wanted calls were seen: a reply is kept when its call was. Exact, where ``Tables.asked`` only guesses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
Bools = NDArray[np.bool_]

GENERATION = 1 << 18
"""Calls that are remembered for certain; up to twice as many are."""

BATCHES = 64
"""Calls that came in a row may wait in so many heaps; each is looked through for an answer that is in none."""


class Asked:
    """Calls by flow and xid, in two generations. An answer comes within so many calls, or it is late by hours."""

    def __init__(self) -> None:
        self.young: dict[int, bool] = {}
        self.old: dict[int, bool] = {}
        self.forgotten = 0
        """Calls without an answer that were let go of."""
        self._fresh: list[tuple[I64, Bools]] = []
        """Sorted keys that belong to ``young`` too, and which were answered. They enter it when that is looked at."""

    def call(self, flow: int, xid: int) -> bool:
        """A wanted call went along ``flow``. Is it the first of a new generation, so that another one was let go of?"""
        self._enter()
        full = len(self.young) >= GENERATION
        if full:
            self._grow_old()
        self.young.setdefault(flow << 32 | xid, False)
        return full

    def reply(self, flow: int, xid: int) -> bool:
        """Was the call seen to which a reply along ``flow`` belongs?"""
        self._enter()
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
        fresh = sum(len(known) for known, _ in self._fresh)
        if len(self._fresh) >= BATCHES or len(self.young) + fresh + len(keys) > GENERATION:
            self._enter()
        if len(self.young) + len(keys) <= GENERATION:
            return self._together(calls, keys), False
        found, forgot = [], False
        for is_call, key in zip(calls.tolist(), keys.tolist(), strict=True):
            forgot |= is_call and self.call(key >> 32, key & 0xFFFFFFFF)
            found.append(is_call or self.reply(key >> 32 ^ 1, key & 0xFFFFFFFF))
        return np.array(found, np.bool_), forgot

    def generations(self) -> tuple[dict[int, bool], dict[int, bool]]:
        """The calls that are remembered, and whether they were answered."""
        self._enter()
        return self.young, self.old

    def _together(self, calls: Bools, keys: I64) -> Bools:
        found = calls.copy()
        asked, place = np.unique(keys[calls], return_index=True)
        replies = (~calls).nonzero()[0]
        # a reply answers a call before it: of these, or of earlier ones
        known, where = _find(asked, keys[replies])
        known[known] = calls.nonzero()[0][place][where[known]] < replies[known]
        answered = np.zeros(len(asked), np.bool_)
        answered[where[known]] = True
        for before, said in self._fresh:
            left = (~known).nonzero()[0]
            if not len(left):
                break
            here, where = _find(before, keys[replies[left]])
            said[where[here]] = True
            known[left[here]] = True
        found[replies[known]] = True
        for number in replies[~known].tolist() if self.young or self.old else ():
            found[number] = self.reply(int(keys[number]) >> 32 ^ 1, int(keys[number]) & 0xFFFFFFFF)
        self._fresh.append((asked, answered))
        return found

    def _enter(self) -> None:
        for keys, answered in self._fresh:
            for key, said in zip(keys.tolist(), answered.tolist(), strict=True):
                self.young[key] = said or self.young.get(key, False)
        self._fresh.clear()

    def _grow_old(self) -> None:
        self.forgotten += sum(not answered for answered in self.old.values())
        self.old, self.young = self.young, {}


def _find(ordered: I64, keys: I64) -> tuple[Bools, I64]:
    """Which keys are among others that are ordered, and their places there."""
    place = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
    return ordered[place] == keys if len(ordered) else np.zeros(len(keys), np.bool_), place
