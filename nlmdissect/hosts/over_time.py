"""Spans of time, and which of them goes on over a moment."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Generic, TypeVar

T = TypeVar("T")


class OverTime(Generic[T]):
    """Things that begin and end (ns): finds the first that goes on, without a look at all."""

    def __init__(self, things: Iterable[T], first: Callable[[T], int], last: Callable[[T], int]) -> None:
        self._things = sorted(things, key=first)
        self._first = [first(thing) for thing in self._things]
        self._last = [*accumulate((last(thing) for thing in self._things), max)]

    def over(self, before: int, after: int) -> T | None:
        """The first thing that began before one moment and ends after another."""
        place = bisect_right(self._last, after)
        return self._things[place] if place < bisect_left(self._first, before) else None

    def last(self, before: int) -> T | None:
        """The last thing that began before a moment."""
        place = bisect_left(self._first, before)
        return self._things[place - 1] if place else None
