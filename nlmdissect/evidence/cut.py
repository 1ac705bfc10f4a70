"""Some blocks of a capture: the chosen frames, and of the rest what tells how to read them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from nlmdissect.capture import records
from nlmdissect.capture.interfaces import ISB_OSDROP, OptionsCutError, drop_count
from nlmdissect.capture.whole import Record, block, option

NAME_RESOLUTION = 4
KEPT = frozenset({records.SECTION_HEADER, records.INTERFACE_DESCRIPTION, records.INTERFACE_STATISTICS, NAME_RESOLUTION})


def cut(blocks: Iterable[Record], skip: bytes) -> Iterator[Record]:
    """The frames whose byte in ``skip`` is 0, with sections, interfaces, their statistics and names.

    What the packets that are left out say was dropped a statistics block says once more at the end of the section.
    """
    drops = _Drops()
    for record in blocks:
        if record.kind == records.SECTION_HEADER:
            yield from drops.told()
            drops = _Drops()
        if record.frame:
            drops.note(record)
        chosen = 0 < record.frame <= len(skip) and not skip[record.frame - 1]  # the file may have grown
        if record.kind in KEPT or chosen:
            if record.kind == records.SECTION_HEADER:  # its length is another one now
                body = record.block[8:16] + struct.pack(record.order + "q", -1) + record.block[24:-4]
                record = record._replace(block=block(record.kind, body, record.order))
            yield record
    yield from drops.told()


class _Drops:
    """Counts what the packets of one section say was dropped, by interface."""

    def __init__(self) -> None:
        self._of: dict[int, tuple[int, Record]] = {}

    def note(self, record: Record) -> None:
        end = record.at + (record.captured + 3 & ~3)
        lost = None
        if record.kind == records.OBSOLETE_PACKET:
            lost = int.from_bytes(record.block[10:12], "big" if record.big else "little")
            lost = None if lost == 0xFFFF else lost
        elif record.kind == records.ENHANCED_PACKET and end + 8 <= len(record.block):
            try:
                lost = drop_count(record.block, end, len(record.block) - 4, "big" if record.big else "little")
            except OptionsCutError:
                return
        if lost:
            before = self._of[record.interface][0] if record.interface in self._of else 0
            self._of[record.interface] = before + lost, record

    def told(self) -> Iterator[Record]:
        for interface, (count, last) in self._of.items():
            order = last.order
            told = option(ISB_OSDROP, struct.pack(order + "Q", count), order) + bytes(4)
            body = struct.pack(order + "I", interface) + last.block[12:20] + told
            kind = records.INTERFACE_STATISTICS
            yield Record(kind, last.big, block(kind, body, order), capture=last.capture)
