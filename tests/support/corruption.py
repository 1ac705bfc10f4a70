"""A file, damaged byte by byte: cut anywhere, and with a few bytes changed. The same damage each time."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

from support.damage import ORDERS

PLACES = 1000
CORRUPTIONS = 10_000
HEAD, RECORD = 24, 16


def boundaries(data: bytes) -> list[int]:
    """Where the records of a pcap file begin, and its end."""
    order = ORDERS[data[:4]][0]
    found, at = [], HEAD
    while at < len(data):
        found.append(at)
        if at + RECORD > len(data):
            break
        at += RECORD + int(struct.unpack_from(order + "I", data, at + 8)[0])
    return [*found, len(data)]


def cuts(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Cut at every record boundary, and at PLACES other places."""
    chance = random.Random(len(data))
    places = {*boundaries(data), *(chance.randrange(len(data)) for _ in range(PLACES))}
    for place in sorted(places):
        yield f"cut at byte {place}", data[:place]


def corruptions(data: bytes) -> Iterator[tuple[str, bytes]]:
    """CORRUPTIONS times up to eight bytes changed."""
    chance = random.Random(len(data))
    for number in range(CORRUPTIONS):
        out = bytearray(data)
        for _ in range(chance.choice((1, 1, 1, 2, 8))):
            out[chance.randrange(len(out))] = chance.randrange(256)
        yield f"corruption {number}", bytes(out)


def corrupted_frames(data: bytes) -> Iterator[tuple[int, str, bytes]]:
    """The same, with the bytes of one frame alone, and its number."""
    chance, edges = random.Random(len(data) + 1), boundaries(data)
    for number in range(CORRUPTIONS):
        place = chance.randrange(len(edges) - 1)
        first, behind = edges[place] + RECORD, edges[place + 1]
        out = bytearray(data)
        for _ in range(chance.choice((1, 1, 1, 2, 8))):
            if first < behind:
                out[chance.randrange(first, behind)] = chance.randrange(256)
        yield place + 1, f"frame {place + 1} corrupted ({number})", bytes(out)
