"""What a program's page is made of: procedures with their arguments and results."""

from __future__ import annotations

from dataclasses import dataclass

from nlmdissect.xdr.schema import Struct


@dataclass(frozen=True, slots=True)
class Procedure:
    """``answer`` names the procedure by which the other side answers an asynchronous call (LOCK_MSG: LOCK_RES)."""

    number: int
    name: str
    args: Struct
    res: Struct
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Program:
    name: str
    number: int
    version: int
    procedures: tuple[Procedure, ...]
