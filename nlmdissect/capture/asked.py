"""Which wanted calls were seen: a reply is kept when its call was. Exact, where ``Tables.asked`` only guesses."""

from __future__ import annotations

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

    def many(self, calls: list[bool], keys: list[int]) -> tuple[list[bool], bool]:
        """The same for many in a row, by keys as in ``young``: which are calls, or replies whose call was seen; and
        whether a generation was let go of.
        """
        found, forgot = [], False
        for is_call, key in zip(calls, keys, strict=True):
            if is_call:
                if len(self.young) >= GENERATION:
                    self._grow_old()
                    forgot = True
                self.young.setdefault(key, False)
            elif key in self.young:
                self.young[key] = True
            elif key in self.old:
                self.old[key] = True
            else:
                found.append(False)
                continue
            found.append(True)
        return found, forgot

    def _grow_old(self) -> None:
        self.forgotten += sum(not answered for answered in self.old.values())
        self.old, self.young = self.young, {}
