"""Loops over columns, for a compiler. ``ready`` is the machine code that this process has of such loops, which
``capture/compiled.py`` brings; as they stand they are what it is compared with, for numpy is faster.

All products stay below 2**62, so that Python's big integers and 64-bit machine integers agree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Ints = list[int]

PROBES = 1024
"""Slots that are looked at for one key: half of them are free, so only keys that were made to collide need more."""

LOW = (1 << 31) - 1

ready: dict[Callable[..., Any], Callable[..., Any]] = {}
"""Machine code by the plain loop. It takes numpy arrays where that takes lists."""


def number_keys(keys: Ints, slots: Ints, odd: int, first: Ints, which: Ints) -> int:
    """Number distinct keys as they appear: how many there are, where each stands ``first``, and ``which`` each row has.
    -1 where keys collide without end.

    ``slots`` are zeros: a power of two of pairs, twice as many as keys or more. ``odd`` is a number below 2**31 that
    whoever made the keys did not know.
    """
    mask, count, other = len(slots) // 2 - 1, 0, odd * odd & LOW | 1
    for i in range(len(keys)):
        key = keys[i]
        h = (key & LOW) * odd ^ (key >> 31 & LOW) * other ^ key >> 62 & 3
        h ^= h >> 31
        h ^= h >> 15
        h &= mask
        probes = 0
        while slots[2 * h] and slots[2 * h + 1] != key:
            h = (h + 1) & mask
            probes += 1
            if probes > PROBES:
                return -1
        if not slots[2 * h]:
            first[count] = i
            count += 1
            slots[2 * h], slots[2 * h + 1] = count, key
        which[i] = slots[2 * h] - 1
    return count


def read_words(buf: bytes, at: Ints, sign: int, found: Ints) -> None:
    """The words of four bytes, highest first, at ``at``; ``sign`` is 2**31 where they have one, else 0."""
    for i in range(len(at)):
        a = at[i]
        found[i] = ((buf[a] << 24 | buf[a + 1] << 16 | buf[a + 2] << 8 | buf[a + 3]) ^ sign) - sign
