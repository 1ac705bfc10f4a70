"""What became of locks: the records that the lock table leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto
from typing import NamedTuple

from nlmdissect.findings import At
from nlmdissect.machines.hold import H
from nlmdissect.machines.ranges import Piece

UNLOCKED = "unlocked"  # how most holds end


class File(NamedTuple):
    server: int
    fh: int


class Owner(NamedTuple):
    client: int
    oh: int
    svid: int


class Claim(NamedTuple):
    """A range of a file that an owner asks for, gives up, or is granted. ``start`` and ``end`` are inclusive."""

    file: File
    owner: Owner
    start: int
    end: int
    exclusive: bool

    @classmethod
    def whole(cls, file: File, owner: Owner, piece: Piece) -> Claim:
        """All of a piece."""
        return cls(file, owner, piece.start, piece.end, piece.exclusive)


class Outcome(StrEnum):
    """What became of an orphan."""

    RECLAIMED = auto()
    REFUSED = auto()  # the reclaim was answered with anything but GRANTED
    STOLEN = auto()  # granted to another owner before or without a reclaim
    MISSING = auto()  # never asked for again while the server would have listened
    UNANSWERED = auto()  # a reclaim was sent and never answered
    RELEASED = auto()  # the client gave it up in time
    REGAINED = auto()  # never reclaimed, but granted again to the same owner as a new lock
    GONE = auto()  # the client restarted as well
    SUPERSEDED = auto()  # the server restarted again first


ENDED = frozenset({Outcome.RELEASED, Outcome.GONE, Outcome.SUPERSEDED})  # nothing was lost for want of a notice


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one orphan, or of a part of it. ``at`` decided it."""

    boot: int
    file: File
    owner: Owner
    piece: Piece
    outcome: Outcome
    at: At | None
    status: str = ""
    by: Owner | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant that took what another owner had: ``piece`` of ``owner``, in the state ``before``, went to ``by``."""

    file: File
    owner: Owner
    piece: Piece
    before: H
    by: Owner
    start: int
    end: int
    exclusive: bool
    at: At
    asked: At
    boot: int | None


@dataclass(slots=True)
class Row:
    """One hold from its grant to its end, for the table of locks."""

    hold: int
    file: File
    owner: Owner
    start: int
    end: int
    exclusive: bool
    asked: At
    granted: At
    released: At | None = None
    how: str = ""
