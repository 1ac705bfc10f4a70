"""DNS answers over UDP (RFC 1035): which are kept, so that names of hosts can be read from them later.

A busy resolver answers more often than anybody wants to know. Of one question of one asker the first answer and the
latest are kept; what they say is read in ``hosts/resolved.py``.
"""

from __future__ import annotations

from typing import NamedTuple

from nlmdissect.findings import At

from .probe import be16

PORT = 53
MAX_QUESTIONS = 1 << 13
LONGEST = 1 << 11
"""Bytes of the longest answer that is kept; a resolver that asks for more is none that statd calls."""

A, PTR, AAAA = 1, 12, 28


class Answer(NamedTuple):
    """A DNS message from ``server`` to ``asker``."""

    at: At
    server: int
    asker: int
    data: bytes


def is_answer(b: bytes, i: int, have: int, length: int) -> bool:
    """Is a datagram from port 53 a whole answer to one question, with records or the word that there is no such name?

    Written in the subset that numba compiles. No RPC message has a question count of 1.
    """
    if have < length or length < 17 or length > LONGEST or be16(b, i + 4) != 1:
        return False
    flags = be16(b, i + 2)
    code = flags & 15
    return flags & 0xFA00 == 0x8000 and (be16(b, i + 6) > 0 if code == 0 else code == 3)


class Answers:
    """The answers that are kept."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, bytes], list[Answer]] = {}

    def add(self, answer: Answer) -> bool:
        """Keep an answer about an address or a name of one; False when there is no room for another question."""
        question = _question(answer.data)
        if question is None:
            return True
        key = answer.asker, question
        if key not in self._kept and len(self._kept) >= MAX_QUESTIONS:
            return False
        of = self._kept.setdefault(key, [answer])
        if of[0] is not answer:
            of[1:] = [answer]
        return True

    def all(self) -> list[Answer]:
        """In time order."""
        return sorted(answer for of in self._kept.values() for answer in of)


def _question(data: bytes) -> bytes | None:
    """Name and type that were asked for, without case; None if it is of a type that names no host, or broken."""
    at = 12
    while at < len(data) and data[at]:
        if data[at] > 63:
            return None
        at += 1 + data[at]
    if at + 5 > len(data) or be16(data, at + 1) not in (A, PTR, AAAA):
        return None
    return data[12 : at + 3].lower()
