"""What the walk leaves behind: the records that rules, tables and reports read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from nlmdissect.history.calm import Calm
from nlmdissect.history.fates import File, Owner, Row
from nlmdissect.history.looks import Looks
from nlmdissect.history.table import LockTable
from nlmdissect.history.waits import Wait
from nlmdissect.history.watching import Edge
from nlmdissect.machines.hold import HOLD
from nlmdissect.machines.machine import Step
from nlmdissect.machines.monitor import MONITOR
from nlmdissect.machines.ranges import Piece
from nlmdissect.machines.request import REQUEST, R
from nlmdissect.machines.spans import Spans
from nlmdissect.rpc.requests import Answer, Request

K = TypeVar("K")
MACHINES = (REQUEST.name, HOLD.name, MONITOR.name)


@dataclass(frozen=True, slots=True)
class Reclaim:
    """A reclaim and its last answer. ``boot`` is the server's restart that it came after, ``pieces`` what it named,
    as it was.
    """

    request: Request
    answer: Answer | None
    boot: int | None
    pieces: tuple[Piece, ...]
    in_grace: bool | None  # at the answer: whether the server was in its grace period; None: cannot tell


@dataclass(slots=True)
class Walked:
    """``left_behind[boot]`` are the locks of the client that restarted, ``undecided`` the lock requests that were not
    decided when the walk ended; for files that are ``crowded`` too many waited at a time to follow each. ``calm`` are
    the holds that were not walked, and ``loud`` the steps of everything else. ``left_out`` counts the requests, and the
    hosts that another one watches, that stayed as they were over so many restarts that later ones are not among them.
    """

    table: LockTable
    calm: Calm
    waits: list[Wait] = field(default_factory=list)
    crowded: set[File] = field(default_factory=set)
    reclaims: list[Reclaim] = field(default_factory=list)
    edges: dict[tuple[int, int], Edge] = field(default_factory=dict)
    undecided: list[tuple[Request, R]] = field(default_factory=list)
    left_behind: dict[int, list[tuple[File, Owner, Piece]]] = field(default_factory=dict)
    loud: list[Step] = field(default_factory=list)
    left_out: int = 0
    looks: Looks = field(default_factory=Looks)
    _holds: list[Row] = field(default_factory=list)
    _holds_of: dict[File, Spans] = field(default_factory=dict)  # places in ``holds``
    _waits_of: dict[File, Spans] = field(default_factory=dict)  # places in ``waits``
    _reclaims_of: dict[tuple[File, Owner], Spans] = field(default_factory=dict)  # places in ``reclaims``

    @property
    def hold_count(self) -> int:
        """How many holds there were."""
        return len(self.table.rows) + len(self.calm)

    @property
    def holds(self) -> list[Row]:
        """All holds, in the order of their grants; the records of calm ones are made here."""
        if len(self._holds) != self.hold_count:
            calm = self.calm.rows(len(self.table.rows))
            self._holds = sorted([*self.table.rows, *calm], key=lambda row: (row.granted, row.hold))
        return self._holds

    def holds_over(self, file: File, start: int, end: int) -> list[Row]:
        """The holds of a file that overlap a range, in the order of their grants. Raises TooMuchError."""
        holds = self.holds
        if not self._holds_of:
            for place, row in enumerate(holds):
                self._holds_of.setdefault(row.file, Spans()).add(row.start, row.end, place)
        return [holds[place] for place in self._over(self._holds_of, file, start, end)]

    def waits_over(self, file: File, start: int, end: int) -> list[Wait]:
        """The waits for a range of a file, in the order in which they began. Raises TooMuchError."""
        if not self._waits_of:
            for place, wait in enumerate(self.waits):
                r = wait.request
                if r.start <= r.end:
                    self._waits_of.setdefault(File(r.server, r.fh), Spans()).add(r.start, r.end, place)
        return [self.waits[place] for place in self._over(self._waits_of, file, start, end)]

    def reclaims_over(self, file: File, owner: Owner, start: int, end: int) -> list[Reclaim]:
        """The reclaims of an owner that overlap a range of a file, in order. Raises TooMuchError."""
        if not self._reclaims_of:
            for place, reclaim in enumerate(self.reclaims):
                r = reclaim.request
                whose = File(r.server, r.fh), Owner(r.client, r.oh, r.svid)
                if r.start <= r.end:
                    self._reclaims_of.setdefault(whose, Spans()).add(r.start, r.end, place)
        return [self.reclaims[place] for place in self._over(self._reclaims_of, (file, owner), start, end)]

    def _over(self, of: Mapping[K, Spans], key: K, start: int, end: int) -> list[int]:
        spans = of.get(key)
        found = sorted(spans.over(start, end)) if spans is not None else []
        self.looks.spend(len(found))
        return found

    @property
    def steps(self) -> list[Step]:
        """All steps, in order; those of calm holds are made here. In one frame those of requests come first."""
        steps = [*self.loud, *self.calm.steps(len(self.table.rows))]
        return sorted(steps, key=lambda step: (step.at, MACHINES.index(step.machine), step.thing))
