"""Ranges of many owners in one place: which of them overlap another one, without a look at all the others.

Theory of operation. Every range is kept at one *fork*: of the places inside it the one that most powers of two divide
(places are doubled and made odd, so that a single byte has one as well). A fork of level L has only ranges that lie
within 2**L on either side of it. A query goes through the levels that are in use: at most two forks of a level lie so
that some of their ranges may end before the query or begin behind it, and of these the sorted ends, or starts, tell
which do; all ranges of the forks between the two overlap. So the work is that of the levels (64 at most, in practice
few), of a bisection each, and of what is found.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
Place = tuple[int, int]  # a start or an end, and the number of the range


@dataclass(slots=True)
class _Fork:
    """The ranges of one fork, by start and by end."""

    starts: list[Place] = field(default_factory=list)
    ends: list[Place] = field(default_factory=list)


@dataclass(slots=True)
class Spans:
    """Numbered ranges; ``start`` and ``end`` are inclusive. A number may have several ranges with different starts."""

    _forks: dict[int, dict[int, _Fork]] = field(default_factory=dict)  # by level and place
    _places: dict[int, list[int]] = field(default_factory=dict)  # of the forks of a level, sorted

    def add(self, start: int, end: int, number: int) -> None:
        level, place = _fork(start, end)
        forks = self._forks.setdefault(level, {})
        fork = forks.get(place)
        if fork is None:
            fork = forks[place] = _Fork()
            insort(self._places.setdefault(level, []), place)
        insort(fork.starts, (start, number))
        insort(fork.ends, (end, number))

    def remove(self, start: int, end: int, number: int) -> None:
        """Take a range away that was added."""
        level, place = _fork(start, end)
        fork = self._forks[level][place]
        del fork.starts[bisect_left(fork.starts, (start, number))]
        del fork.ends[bisect_left(fork.ends, (end, number))]
        if not fork.starts:
            del self._forks[level][place]
            places = self._places[level]
            del places[bisect_left(places, place)]
            if not places:
                del self._places[level], self._forks[level]

    def over(self, start: int, end: int) -> Iterator[int]:
        """The numbers of the ranges that overlap one, in no order. Add and remove nothing meanwhile."""
        first, last = 2 * start + 1, 2 * end + 1
        for level, places in self._places.items():
            forks = self._forks[level]
            zone = level + 1
            left, right = (first >> zone << zone) + (1 << level), (last >> zone << zone) + (1 << level)
            if left < first and (fork := forks.get(left)):
                yield from _numbers(fork.ends, bisect_left(fork.ends, (start, -1)), None)
            if right > last and (fork := forks.get(right)):
                yield from _numbers(fork.starts, 0, bisect_left(fork.starts, (end + 1, -1)))
            for place in places[bisect_left(places, first) : bisect_right(places, last)]:
                yield from _numbers(forks[place].starts, 0, None)


def _fork(start: int, end: int) -> tuple[int, int]:
    """Level and place of the fork of a range."""
    first, last = 2 * start + 1, 2 * end + 1
    level = max((first ^ last).bit_length() - 1, 0)
    return level, last >> level << level


def _numbers(places: list[Place], begin: int, end: int | None) -> Iterator[int]:
    for _, number in places[begin:end]:
        yield number


@dataclass(slots=True)
class Ranged(Generic[K]):
    """Numbered ranges of many keys. Those of a key that has a few are looked through, of others found by place."""

    few: int
    _of: dict[K, dict[int, tuple[int, int]]] = field(default_factory=dict)
    _spans: dict[K, Spans] = field(default_factory=dict)

    def add(self, key: K, number: int, start: int, end: int) -> None:
        """Keep a range, if it is not there."""
        of = self._of.setdefault(key, {})
        if number in of:
            return
        of[number] = start, end
        spans = self._spans.get(key)
        if spans is not None:
            spans.add(start, end, number)
        elif len(of) > self.few:
            spans = self._spans[key] = Spans()
            for known, (first, last) in of.items():
                spans.add(first, last, known)

    def discard(self, key: K, number: int) -> None:
        """Forget a range, if it is there."""
        of = self._of.get(key)
        if of is None or (found := of.pop(number, None)) is None:
            return
        if not of:
            del self._of[key]
            self._spans.pop(key, None)
        elif key in self._spans:
            self._spans[key].remove(*found, number)

    def count(self, key: K) -> int:
        return len(self._of.get(key, ()))

    def near(self, key: K, start: int, end: int) -> list[int]:
        """The ranges of a key that overlap one."""
        spans = self._spans.get(key)
        if spans is not None:
            return sorted(spans.over(start, end))
        of = self._of.get(key, {}).items()
        return sorted(number for number, (first, last) in of if first <= end and start <= last)
