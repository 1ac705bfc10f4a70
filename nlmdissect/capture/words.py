"""The sum of 16-bit words that Internet checksums are made of (RFC 1071): the loop for a compiler."""

from __future__ import annotations

from .tables import Ints

WORD = 65535


def add_words(buf: bytes, begin: Ints, end: Ints, found: Ints) -> None:
    """The words of each stretch ``buf[begin:end]`` added up, modulo 65535; a last odd byte has a zero behind it."""
    for i in range(len(begin)):
        at, stop, total = begin[i], end[i], 0
        while at + 1 < stop:
            total += buf[at] << 8 | buf[at + 1]
            at += 2
        if at < stop:
            total += buf[at] << 8
        found[i] = total % WORD
