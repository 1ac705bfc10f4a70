"""Blocks of pcapng around new packets: what they say beside the packet names nobody."""

from __future__ import annotations

import struct
from contextlib import suppress

from nlmdissect.capture import records
from nlmdissect.capture.interfaces import OptionsCutError, options
from nlmdissect.capture.whole import Record, block, option, section_header

TIME_RESOLUTION, TIME_OFFSET, FCS_LENGTH = 9, 14, 13  # of an interface
FLAGS, DROPS = 2, 4  # of a packet
KEPT = {records.INTERFACE_DESCRIPTION: (TIME_RESOLUTION, TIME_OFFSET, FCS_LENGTH),
        records.INTERFACE_STATISTICS: tuple(range(2, 9)), records.ENHANCED_PACKET: (FLAGS, DROPS),
        records.OBSOLETE_PACKET: (FLAGS,)}  # fmt: skip

Made = tuple[bytes, int]
"""(bytes of a frame, how many it had on the wire)."""


def rebuilt(record: Record, made: Made | None) -> Record | None:
    """The block around a new packet, with those of its options that name nobody; None for one that is left out."""
    order, kind, old = record.order, record.kind, record.block
    if kind == records.SECTION_HEADER:
        return record._replace(block=section_header(order))
    if made is None:
        if kind == records.INTERFACE_DESCRIPTION:
            head, at = old[8:16], 16
        elif kind == records.INTERFACE_STATISTICS and len(old) >= 24:
            head, at = old[8:20], 20
        elif record.frame:  # a journal or custom block, which counts as a frame; a custom one begins with its maker
            return record._replace(block=block(kind, bytes(4) if kind == records.JOURNAL else old[8:12], order))
        else:
            return None
        return record._replace(block=block(kind, head + _options(record, at), order))
    data, wire = made
    if kind == records.SIMPLE_PACKET:
        body, at = struct.pack(order + "I", wire) + data, 12
    else:
        sizes = struct.pack(order + "II", len(data), wire)
        padded = data + bytes(-len(data) % 4)
        body, at = old[8:20] + sizes + padded + _options(record, record.at + (record.captured + 3 & ~3)), 28
    return record._replace(block=block(kind, body, order), at=at, captured=len(data), wire=wire)


def _options(record: Record, at: int) -> bytes:
    """The harmless options from ``at`` on."""
    kept, order = [], record.order
    with suppress(OptionsCutError):
        for code, value in options(record.block, at, len(record.block) - 4, "big" if record.big else "little"):
            if code in KEPT.get(record.kind, ()):
                kept.append(option(code, value, order))
    return b"".join(kept) + bytes(4) if kept else b""
