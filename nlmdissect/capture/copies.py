"""Second copies of one frame, as mirrors, taps and ``-i any`` make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from .messages import I64, Bools

SWAPPED = 50_000_000
"""ns within which the same bytes with the same IP identification are a second copy of one frame. No RPC implementation
retransmits that fast (Linux: not before 100 ms), and copies of mirrors, taps and ``-i any`` lie some microseconds
apart; a routed hop adds a queue."""

Ends = tuple[int, int, int, int]
Key = tuple[Ends, int, bytes]
"""(src, dst, sport, dport), IP identification, and what else must be the same."""
Came = Callable[[], Iterator[tuple[Key, int]]]


class Copies:
    """Remembers what came within ``SWAPPED``."""

    def __init__(self) -> None:
        self._recent: dict[Key, int] = {}
        self._newest = -SWAPPED - 1
        self._tail: tuple[NDArray[np.uint64], Came] = np.zeros(0, np.uint64), lambda: iter(())

    def __len__(self) -> int:
        return len(self._recent)

    def seen(self, key: Key, time: int) -> bool:
        """Is this the second copy of a frame?"""
        self._remember()
        return self._seen(key, time)

    def several(self, mixes: NDArray[np.uint64], key: Callable[[int], Key], times: I64) -> Bools:
        """The same for many at once. ``mixes`` are equal where keys are, and seldom else."""
        tail, _ = self._tail
        both = np.sort(np.concatenate([tail, mixes]))
        soon = (times <= self._newest + SWAPPED).nonzero()[0].tolist()
        if not (both[1:] == both[:-1]).any() and not any(key(place) in self._recent for place in soon):
            last = (times >= times.max() - SWAPPED).nonzero()[0]
            self._tail = mixes[last], lambda: ((key(place), int(times[place])) for place in last.tolist())
            return np.zeros(len(mixes), np.bool_)
        self._remember()
        return np.array([self._seen(key(place), time) for place, time in enumerate(times.tolist())], np.bool_)

    def forget(self, now: int) -> None:
        """Let go of what is older than that."""
        self._recent = {key: time for key, time in self._recent.items() if now - time <= SWAPPED}

    def _remember(self) -> None:
        """Whatever came by column is in the dictionary too."""
        mixes, came = self._tail
        if len(mixes):
            for key, time in came():
                self._recent[key] = time
                self._newest = max(self._newest, time)
            self._tail = mixes[:0], came

    def _seen(self, key: Key, time: int) -> bool:
        before = self._recent.get(key)
        self._recent[key] = time
        self._newest = max(self._newest, time)
        return before is not None and abs(time - before) <= SWAPPED
