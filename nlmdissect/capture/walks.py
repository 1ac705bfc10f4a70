"""The loops of ``records.py`` and ``words.py``, as machine code in a process that has it, else as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from nlmdissect import loops

from . import records
from .messages import I64
from .words import WORD, add_words

Room = Any
"""A list of int for the plain loops, an array of int64 for the others."""


def room(size: int) -> Room:
    """Where a walk writes what it finds."""
    return [0] * size if not loops.ready else np.empty(size, np.int64)


def walk_pcap(buf: bytes, big: bool, header: int, length_at: int, limit: int, starts: Room) -> tuple[int, int, int]:
    """``records.walk_pcap`` over a whole buffer."""
    if isinstance(starts, list) or not loops.ready:
        return records.walk_pcap(buf, 0, len(buf), big, header, length_at, limit, starts)
    found: tuple[int, int, int] = loops.ready[records.walk_pcap](
        np.frombuffer(buf, np.uint8), 0, len(buf), big, header, length_at, limit, starts
    )
    return found


def walk_pcapng(buf: bytes, at: int, big: bool, limit: int, starts: Room, kinds: Room) -> tuple[int, int, int]:
    """``records.walk_pcapng`` from ``at`` to the end of a buffer."""
    if isinstance(starts, list) or not loops.ready:
        return records.walk_pcapng(buf, at, len(buf), big, limit, starts, kinds)
    found: tuple[int, int, int] = loops.ready[records.walk_pcapng](
        np.frombuffer(buf, np.uint8), at, len(buf), big, limit, starts, kinds
    )
    return found


def add(buf: bytes, begin: I64, end: I64) -> I64:
    """``words.add_words``: 0 where a stretch with its checksum in it is right."""
    if not loops.ready:  # all bytes are one number; modulo 65535 its words count alike
        number, spans = int.from_bytes, zip(begin.tolist(), end.tolist(), strict=True)
        plain = np.array([number(buf[a:b], "big") % WORD for a, b in spans], np.int64)
        return np.where((end - begin) & 1, plain * 256 % WORD, plain)
    found = np.zeros(len(begin), np.int64)
    loops.ready[add_words](np.frombuffer(buf, np.uint8), np.ascontiguousarray(begin), np.ascontiguousarray(end), found)
    return found
