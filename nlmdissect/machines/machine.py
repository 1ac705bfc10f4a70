"""A transition table that an NFS engineer can read and a test can enumerate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

from nlmdissect.findings import At

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


class Step(NamedTuple):
    """One event in the life of one thing.

    ``expected`` is False where the table has no row for (before, event): the state then stays. An observer may not
    stop.
    """

    at: At
    machine: str
    thing: int
    before: str
    event: str
    after: str
    expected: bool


@dataclass(frozen=True, slots=True, init=False)
class Machine(Generic[S, E]):
    """``rows`` are (from, on, to), at most one for each (from, on)."""

    name: str
    initial: S
    events: type[E]
    to: dict[tuple[S, E], S]

    def __init__(self, name: str, initial: S, events: type[E], rows: Iterable[tuple[S, E, S]]) -> None:
        to: dict[tuple[S, E], S] = {}
        for before, event, after in rows:
            if (before, event) in to:
                raise ValueError(f"{name}: two rows for {before} on {event}")
            to[before, event] = after
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "initial", initial)
        object.__setattr__(self, "events", events)
        object.__setattr__(self, "to", to)

    def step(self, at: At, thing: int, before: S, event: E) -> tuple[S, Step]:
        """The state after ``event``, and the step as a record."""
        after = self.to.get((before, event))
        if after is None:
            return before, Step(at, self.name, thing, before, event, before, False)
        return after, Step(at, self.name, thing, before, event, after, True)
