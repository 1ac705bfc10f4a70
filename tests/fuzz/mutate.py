"""How inputs are changed: bytes as they come, and captures record by record, so that a change reaches the layers above.

The same change for the same ``chance``: the short run makes the same inputs each time, and the long one uses this beside
what the coverage tells it.
"""

from __future__ import annotations

import struct
from random import Random

from support.damage import ORDERS

EDGES = (0, 1, 2, 3, 4, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0x80000004, 0xFFFFFFFC, 0xFFFFFFFF)
RECORD = 16

Pieces = list[tuple[int, int, int, bytes]]
"""(seconds, fraction, bytes on the wire, data)"""


def blindly(data: bytes, chance: Random, most: int) -> bytes:
    """Change some bytes, whatever they mean."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 8))):
        at = chance.randrange(len(out) + 1)
        span = chance.choice((1, 2, 4, 4, 8, 16, 64, 256))
        match chance.randrange(7):
            case 0 if at < len(out):
                out[at] ^= 1 << chance.randrange(8)
            case 1 if at < len(out):
                out[at] = chance.randrange(256)
            case 2:
                word = chance.choice(EDGES)
                out[at : at + 4] = struct.pack(chance.choice((">I", "<I")), word)
            case 3:
                del out[at : at + span]
            case 4:
                out[at:at] = chance.randbytes(min(span, 16))
            case 5:
                other = chance.randrange(len(out) + 1)
                out[at : at + span] = out[other : other + span]
            case _:
                del out[at:]
    return bytes(out[:most])


def capture(data: bytes, chance: Random, most: int) -> bytes:
    """Change a pcap file record by record, and now and then blindly; whatever is no pcap file only blindly."""
    if data[:4] not in ORDERS or len(data) < 24 or chance.random() < 0.1:
        return blindly(data, chance, most)
    order = ORDERS[data[:4]][0]
    records = _records(data, order)
    head = data[:24]
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        if not records:
            break
        n = chance.randrange(len(records))
        seconds, fraction, wire, frame = records[n]
        match chance.randrange(10):
            case 0 | 1 | 2 | 3:
                records[n] = seconds, fraction, wire, _frame(frame, chance)
            case 4:
                del records[n : n + chance.choice((1, 1, 2, 5))]
            case 5:
                m = chance.randrange(len(records))
                records[n], records[m] = records[m], records[n]
            case 6:
                records.insert(chance.randrange(len(records) + 1), records[n])
            case 7:
                records[n] = seconds, fraction, wire, frame[: chance.randrange(len(frame) + 1)]
            case 8:
                later = chance.choice((-1, 1, 60, 3600, 2**31)) + seconds
                records[n] = later % 2**32, chance.choice((fraction, 0, 999_999, 2**32 - 1)), wire, frame
            case _:
                records[n] = seconds, fraction, chance.choice((0, len(frame), 1514, 65535, 2**32 - 1)), frame
    if chance.random() < 0.03:
        head = blindly(head, chance, 24).ljust(24, b"\0")
    packed = (struct.pack(order + "IIII", s, f, len(frame), wire) + frame for s, f, wire, frame in records)
    return (head + b"".join(packed))[:most]


def _records(data: bytes, order: str) -> Pieces:
    found, at = [], 24
    while at + RECORD <= len(data):
        seconds, fraction, captured, wire = struct.unpack_from(order + "IIII", data, at)
        at += RECORD
        found.append((seconds, fraction, wire, data[at : at + captured]))
        at += captured
    return found


def _frame(frame: bytes, chance: Random) -> bytes:
    """Mostly in the headers, and in numbers on their four-byte steps behind them."""
    if not frame:
        return chance.randbytes(chance.randrange(64))
    out = bytearray(frame)
    match chance.randrange(5):
        case 0:
            out[chance.randrange(min(len(out), 60))] = chance.choice((0, 1, 0xFF, chance.randrange(256)))
        case 1 | 2:
            at = 42 + 4 * chance.randrange(max((len(out) - 42) // 4, 1))
            out[at : at + 4] = struct.pack(">I", chance.choice((*EDGES, chance.randrange(2**32))))
        case 3:
            at = chance.randrange(len(out))
            out[at] ^= 1 << chance.randrange(8)
        case _:
            return blindly(frame, chance, 4 * len(frame))
    return bytes(out)
