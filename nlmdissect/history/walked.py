"""What the walk leaves behind: the records that rules, tables and reports read."""

from __future__ import annotations

from dataclasses import dataclass, field

from nlmdissect.history.fates import File, Owner
from nlmdissect.history.table import LockTable
from nlmdissect.history.waits import Wait
from nlmdissect.history.watching import Edge
from nlmdissect.machines.machine import Step
from nlmdissect.machines.ranges import Piece
from nlmdissect.machines.request import R
from nlmdissect.rpc.requests import Answer, Request


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
    decided when the walk ended.
    """

    table: LockTable
    waits: list[Wait] = field(default_factory=list)
    reclaims: list[Reclaim] = field(default_factory=list)
    edges: dict[tuple[int, int], Edge] = field(default_factory=dict)
    undecided: list[tuple[Request, R]] = field(default_factory=list)
    left_behind: dict[int, list[tuple[File, Owner, Piece]]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
