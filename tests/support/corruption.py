"""A file, damaged byte by byte: cut anywhere, and with a few bytes changed. The same damage each time."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

from support.damage import ORDERS

PLACES = 1000
CORRUPTIONS = 10_000
HEAD, RECORD = 24, 16
SUM_AT = {6: 16, 17: 6}  # in TCP and UDP


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


def corrupted_frames(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The same, with the bytes of one frame alone."""
    chance, edges = random.Random(len(data) + 1), boundaries(data)
    for number in range(CORRUPTIONS):
        place = chance.randrange(len(edges) - 1)
        first, behind = edges[place] + RECORD, edges[place + 1]
        out = bytearray(data)
        for _ in range(chance.choice((1, 1, 1, 2, 8))):
            if first < behind:
                out[chance.randrange(first, behind)] = chance.randrange(256)
        yield f"frame {place + 1} corrupted ({number})", bytes(out)


def without_sums(data: bytes) -> bytes:
    """A recording of Ethernet frames whose UDP datagrams and TCP segments have no checksums."""
    out, edges = bytearray(data), boundaries(data)
    for frame in (edge + RECORD for edge in edges[:-1]):
        if out[frame + 12 : frame + 14] == b"\x08\0" and out[frame + 23] in SUM_AT:
            place = frame + 14 + (out[frame + 14] & 15) * 4 + SUM_AT[out[frame + 23]]
            out[place : place + 2] = b"\0\0"
    return bytes(out)
