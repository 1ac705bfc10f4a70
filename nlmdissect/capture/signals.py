"""All signals of a recording, and which of them are about somebody."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from nlmdissect.capture.messages import Kind, Signal
from nlmdissect.findings import At


class Signals(list[Signal]):
    """Not changed any more once somebody asks. ``about`` is (source,) of an ARP packet, (source, target) of a SYN, and
    (source, target, port) of the packet that an ICMP error quotes.
    """

    def __init__(self, signals: Iterable[Signal] = ()) -> None:
        super().__init__(signals)
        self._about: dict[tuple[Kind, tuple[int, ...]], list[Signal]] = {}

    def of(
        self, kind: Kind, about: tuple[int, ...], after: int | None = None, before: int | None = None
    ) -> list[Signal]:
        """Those of one kind about somebody, in order; with ``after`` and ``before`` between two moments (ns)."""
        self._sort()
        found = self._about.get((kind, about), [])
        first = 0 if after is None else bisect_right(found, after, key=_time)
        return found[first : None if before is None else bisect_left(found, before, key=_time)]

    def _sort(self) -> None:
        for s in () if self._about else sorted(self, key=_at):
            about: tuple[int, ...] = (s.src, s.dst)[: 1 if s.kind is Kind.ARP else 2]
            if s.quoted is not None:
                about = s.quoted.src, s.quoted.dst, s.quoted.dport
            self._about.setdefault((s.kind, about), []).append(s)


def _at(signal: Signal) -> At:
    return signal.at


def _time(signal: Signal) -> int:
    return signal.at.time
