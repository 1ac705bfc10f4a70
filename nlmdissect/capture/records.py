"""Where each record starts: the only two loops that must go record by record.

Theory of operation.  A capture file is a chain: the length of a record says where the next one starts, so the starts
have to be found one after another. Everything else (times, lengths, interfaces) sits at a fixed distance from a start
and is read for all records at once by the callers.

Both functions keep to what numba compiles: integers, flat sequences, ``while``; no objects, no exceptions. numba does
not check bounds, so every read is preceded by a test against ``end``. They run as plain Python too, which is how the
tests run them. Under numba ``buf`` is a uint8 array and ``starts`` an int64 array; the values stay below 2**33.
"""

from __future__ import annotations

MORE = 0  # the record at ``at`` is not complete in the buffer
TOO_LONG = 1  # the record at ``at`` claims more than ``limit`` bytes
BAD_LENGTH = 2  # the block at ``at`` claims a length that no such block can have
SECTION = 3  # a Section Header Block is at ``at``: the byte order may change here
INTERFACE = 4  # an Interface Description Block, complete, is at ``at``

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
OBSOLETE_PACKET = 2
SIMPLE_PACKET = 3
INTERFACE_STATISTICS = 5
ENHANCED_PACKET = 6
JOURNAL = 9
CUSTOM = 0x0BAD
CUSTOM_NO_COPY = 0x40000BAD


def walk_pcap(
    buf: bytes, at: int, end: int, big: bool, header: int, length_at: int, limit: int, starts: list[int]
) -> tuple[int, int, int]:
    """Find the records of a pcap file in ``buf[at:end]``: (how many, where it stopped, why).

    ``header`` is the size of a record's header, ``length_at`` where in it the captured length is. ``starts`` must hold
    ``(end - at) // header`` entries. Stops with MORE or TOO_LONG.
    """
    count = 0
    while at + header <= end:
        here = at + length_at
        if big:
            captured = buf[here] << 24 | buf[here + 1] << 16 | buf[here + 2] << 8 | buf[here + 3]
        else:
            captured = buf[here + 3] << 24 | buf[here + 2] << 16 | buf[here + 1] << 8 | buf[here]
        if captured > limit:
            return count, at, TOO_LONG
        after = at + header + captured
        if after > end:
            return count, at, MORE
        starts[count] = at
        count += 1
        at = after
    return count, at, MORE


def walk_pcapng(
    buf: bytes, at: int, end: int, big: bool, limit: int, starts: list[int], kinds: list[int]
) -> tuple[int, int, int]:
    """Find the blocks of a pcapng file in ``buf[at:end]``: (how many kept, where it stopped, why).

    Kept are packets of all three forms, interface statistics, and the records that Wireshark numbers like packets;
    blocks of other types are stepped over. ``starts`` and ``kinds`` must hold ``(end - at) // 12`` entries.
    Stops with MORE, TOO_LONG, BAD_LENGTH, SECTION or INTERFACE; the last two leave ``at`` on that block.
    """
    count = 0
    while at + 12 <= end:
        if big:
            kind = buf[at] << 24 | buf[at + 1] << 16 | buf[at + 2] << 8 | buf[at + 3]
            length = buf[at + 4] << 24 | buf[at + 5] << 16 | buf[at + 6] << 8 | buf[at + 7]
        else:
            kind = buf[at + 3] << 24 | buf[at + 2] << 16 | buf[at + 1] << 8 | buf[at]
            length = buf[at + 7] << 24 | buf[at + 6] << 16 | buf[at + 5] << 8 | buf[at + 4]
        if kind == SECTION_HEADER:
            return count, at, SECTION
        if length < 12 or length & 3:
            return count, at, BAD_LENGTH
        if length > limit:
            return count, at, TOO_LONG
        if at + length > end:
            return count, at, MORE
        if kind in (ENHANCED_PACKET, OBSOLETE_PACKET):
            if length < 32:
                return count, at, BAD_LENGTH
        elif kind == SIMPLE_PACKET:
            if length < 16:
                return count, at, BAD_LENGTH
        elif kind == INTERFACE_STATISTICS:
            if length < 24:
                return count, at, BAD_LENGTH
        elif kind == INTERFACE_DESCRIPTION:
            if length < 20:
                return count, at, BAD_LENGTH
            return count, at, INTERFACE
        elif kind not in (JOURNAL, CUSTOM, CUSTOM_NO_COPY):
            at += length
            continue
        starts[count] = at
        kinds[count] = kind
        count += 1
        at += length
    return count, at, MORE
