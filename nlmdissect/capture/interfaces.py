"""What a pcapng section says about its interfaces: byte order, link type, the unit of time, lost packets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

import numpy as np

FAR = 1 << 62  # ns; times are kept within +-FAR (years 1823 to 2116) so that differences of two fit in an int64
BILLION = 1_000_000_000

IF_TSRESOL, IF_TSOFFSET = 9, 14
ISB_IFDROP, ISB_OSDROP = 5, 7
EPB_DROPCOUNT = 4

Order = Literal["big", "little"]


@dataclass(slots=True)
class Interface:
    """One interface of one section. ``power`` and ``binary``: a unit is 10**-power or 2**-power of a second.

    ``counted`` is what its statistics blocks say was lost, ``lost`` the sum of what its packets say; None when unsaid.
    """

    link: int
    snaplen: int
    power: int = 6
    binary: bool = False
    offset: int = 0  # seconds
    frames: int = 0
    counted: int | None = None
    lost: int | None = None

    def dropped(self) -> int | None:
        """Both counts are of the same packets, so the larger is the better one."""
        known = [count for count in (self.counted, self.lost) if count is not None]
        return max(known) if known else None


@dataclass(slots=True)
class Section:
    """The state between a Section Header Block and the next."""

    big: bool
    interfaces: list[Interface] = field(default_factory=list)

    @property
    def order(self) -> Order:
        return "big" if self.big else "little"


class OptionsCutError(Exception):
    """An option says it is longer than the block that holds it."""


def options(buf: bytes, at: int, end: int, order: Order) -> Iterator[tuple[int, bytes]]:
    """The options in ``buf[at:end]`` as (code, value). The end mark may be missing.

    Errors: OptionsCutError after the last whole option.
    """
    while at + 4 <= end:
        code = int.from_bytes(buf[at : at + 2], order)
        length = int.from_bytes(buf[at + 2 : at + 4], order)
        if code == 0:
            return
        if at + 4 + length > end:
            raise OptionsCutError
        yield code, buf[at + 4 : at + 4 + length]
        at += 4 + (length + 3 & ~3)


def read_interface(buf: bytes, at: int, length: int, order: Order) -> Interface:
    """Read the Interface Description Block at ``at``. Errors: OptionsCutError."""
    interface = Interface(
        link=int.from_bytes(buf[at + 8 : at + 10], order), snaplen=int.from_bytes(buf[at + 12 : at + 16], order)
    )
    for code, value in options(buf, at + 16, at + length - 4, order):
        if code == IF_TSRESOL and len(value) == 1:
            interface.power = value[0] & 0x7F
            interface.binary = bool(value[0] & 0x80)
        elif code == IF_TSOFFSET and len(value) == 8:
            interface.offset = int.from_bytes(value, order, signed=True)
    return interface


def read_statistics(section: Section, buf: bytes, at: int, length: int) -> None:
    """Read the Interface Statistics Block at ``at``. Its counters run from the start, so the largest is the last.

    Errors: OptionsCutError; IndexError for an interface that was not described.
    """
    interface = section.interfaces[int.from_bytes(buf[at + 8 : at + 12], section.order)]
    dropped: int | None = None
    for code, value in options(buf, at + 20, at + length - 4, section.order):
        if code in (ISB_IFDROP, ISB_OSDROP) and len(value) == 8:
            dropped = (dropped or 0) + int.from_bytes(value, section.order)
    if dropped is not None:
        interface.counted = max(interface.counted or 0, dropped)


def drop_count(buf: bytes, at: int, end: int, order: Order) -> int | None:
    """What one packet's options say was lost just before it. Errors: OptionsCutError."""
    # No more than a few options are looked at: a packet has one count, and a block may hold millions of empty ones.
    for code, value in islice(options(buf, at, end, order), 64):
        if code == EPB_DROPCOUNT and len(value) == 8:
            return int.from_bytes(value, order)
    return None


def nanoseconds(
    ticks: np.ndarray[tuple[int], np.dtype[np.uint64]], interface: Interface
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], int]:
    """Turn time stamps in the interface's unit into ns since 1970, rounded down: (times, how many were out of range).

    Exact for every unit. Units of 1, 10**-3, 10**-6 and 10**-9 s go as int64 columns; the others, and stamps that would
    overflow, as Python integers one by one. (Compiled code would need a 128-bit product for 2**-n with n > 34.)
    """
    if not len(ticks):
        return ticks.astype(np.int64), 0
    shift = interface.offset * BILLION
    if not interface.binary and interface.power <= 9 and abs(shift) <= FAR >> 1:
        factor = 10 ** (9 - interface.power)
        if int(ticks.max()) <= (FAR >> 1) // factor:
            return ticks.astype(np.int64) * factor + shift, 0
    unit = 1 << interface.power if interface.binary else 10**interface.power
    exact = [tick * BILLION // unit + shift for tick in ticks.tolist()]
    bad = sum(1 for time in exact if not -FAR <= time <= FAR)
    return np.array([max(-FAR, min(FAR, time)) for time in exact], dtype=np.int64), bad
