"""RPC records in one direction of a TCP stream, from bytes that come in order, with holes in them.

Theory of operation
-------------------
A record is one or more fragments, each behind a mark: 31 bits of length, and a bit that says "the last one" (RFC 5531
section 11). ``feed`` takes bytes, ``hole`` says how many are missing before the next ones.

* At a mark, bytes are kept in ``raw`` until the record's first 24 bytes are there, through as many fragments as that
  takes. Then it is collected, or skipped by length. Decisions look at bytes only, never at where they were cut.
* A hole inside a record does no harm but to that record: the mark tells where the next one begins.
* When the place of the next mark is not known (a hole over it, bytes that are no record, a stream without its
  beginning), the bytes are searched for the next plausible mark and header. A search is given up after ``patience``
  bytes: then the flow is ``lost``, and the hot loop tries no more than the start of each segment.
"""

from __future__ import annotations

from typing import Protocol

from .probe import CUT, HEADER, MAX_RECORD, MIN_RECORD, NOTHING, WINDOW, be32, classify, plausible

SEARCH_LIMIT = 1 << 22
"""How far to look for the next record, in bytes: the longest one that is in use."""

START_LIMIT = 1 << 16
"""The same for a stream whose very first bytes are no RPC: most likely it never was."""

MAX_MESSAGE = 1 << 20
"""Longest message that is kept whole; the rest of a longer one is cut off."""

ENDLESS = 1 << 40
CALL_WORDS = b"\0\0\0\0\0\0\0\2"  # CALL, rpcvers 2
REPLY_WORDS = b"\0\0\0\1\0\0\0"  # REPLY, reply_stat

Stamp = tuple[int, int, int, int]
"""(order of arrival, time, capture, frame)."""


class Sink(Protocol):
    """Who takes messages, and knows which are wanted."""

    def wants(self, flow: int, what: int, header: bytes, length: int) -> bool:
        """Is a record to be collected? ``header`` is its first bytes, ``length`` that of its first fragment."""

    def message(self, flow: int, what: int, data: bytes, length: int, stamp: Stamp) -> None:
        """A message that was wanted; ``data`` is shorter than ``length`` if not all of it was captured."""


class Records:
    """The parser of one direction. ``left`` and ``more`` are as in ``Tables``."""

    __slots__ = (
        "collecting", "continuing", "cut", "flow", "keep", "left", "length", "lost", "more", "parts", "patience", "raw",
        "raw_stamp", "searching", "sink", "stamp", "what",
    )  # fmt: skip

    def __init__(
        self, sink: Sink, flow: int, keep: int, *, searching: bool = False, patience: int = SEARCH_LIMIT
    ) -> None:
        self.sink = sink
        self.flow = flow
        self.keep = keep
        self.searching = searching
        self.patience = patience
        self.lost = False
        self.left = 0  # of the current fragment
        self.more = False  # the current fragment is not the last one
        self.continuing = False  # the next mark continues the current record
        self.collecting = False
        self.cut = False
        self.parts = bytearray()
        self.length = 0
        self.what = NOTHING
        self.raw = b""  # bytes that nothing could be decided about yet
        self.raw_stamp: Stamp = (0, 0, 0, 0)
        self.stamp: Stamp = (0, 0, 0, 0)

    @property
    def idle(self) -> bool:
        """Is there nothing that the hot loop could not go on with?"""
        return self.lost or not (self.raw or self.collecting or self.searching)

    def feed(self, data: bytes, stamp: Stamp) -> None:
        """Take the next bytes of the stream."""
        if self.lost or not data:
            return
        edge = len(self.raw)
        if edge:
            data = self.raw + data
            self.raw = b""
        i, n = 0, len(data)
        while i < n and not self.lost:
            begin = i
            if self.left:
                take = min(self.left, n - i)
                if self.collecting:
                    self._collect(data[i : i + take])
                self.left -= take
                i += take
            elif self.searching:
                i = self._search(data, i)
            else:
                i = self._mark(data, i, final=False)
            if i < 0:  # more bytes are needed from here on
                i = begin if i == -1 else -i - 2
                self.raw = data[i:]
                self.raw_stamp = max(stamp, self.raw_stamp) if i < edge else stamp
                return
            if self.collecting:
                if begin < edge:
                    self.stamp = max(self.stamp, self.raw_stamp)
                if i > edge:
                    self.stamp = max(self.stamp, stamp)
                if not self.left and not self.continuing:
                    self._end_of_fragment()
            elif not self.left and self.more:
                self.continuing, self.more = True, False

    def hole(self, count: int) -> None:
        """``count`` bytes of the stream are missing here."""
        if self.raw:
            self._decide_without_more()
        if self.left:
            passed = min(count, self.left)
            self.cut = True
            self.left -= passed
            count -= passed
            if not self.left:
                if self.collecting:
                    self._end_of_fragment()
                elif self.more:
                    self.continuing, self.more = True, False
        if count:
            if self.collecting:
                self._emit()
            self.continuing = self.more = False
            self.left = 0
            self.searching = True

    def finish(self) -> None:
        """Nothing follows: what was collected of an unfinished record is all there is."""
        self.hole(ENDLESS)

    def _collect(self, data: bytes) -> None:
        if not self.cut:
            self.parts += data[: MAX_MESSAGE - len(self.parts)]

    def _end_of_fragment(self) -> None:
        if self.more:
            self.continuing, self.more = True, False
        else:
            self._emit()

    def _emit(self) -> None:
        self.sink.message(self.flow, self.what, bytes(self.parts), self.length, self.stamp)
        self.parts = bytearray()
        self.collecting = self.cut = False

    def _desync(self, i: int) -> int:
        """The bytes at ``i`` are no record: search from the next one on."""
        if self.collecting:
            self._emit()
        self.continuing = self.more = False
        self.searching = True
        return i + 1

    def _mark(self, data: bytes, i: int, *, final: bool) -> int:
        """Read the mark at ``i``. Returns where its fragment begins, or -1 if the bytes do not suffice to decide."""
        n = len(data)
        if i + 4 > n:
            return -1
        mark = be32(data, i)
        length, more = mark & 0x7FFFFFFF, mark < 0x80000000
        if self.continuing:
            if length > MAX_RECORD or (more and not length):
                return self._desync(i)
            self.continuing = False
            self.length += length
            self._begin(length, more)
            return i + 4
        header, complete, sane = gather(data, i)
        if not sane:
            return self._desync(i)
        if not complete and not final:
            return -1
        what = classify(header, 0, len(header), self.keep)
        if what == NOTHING:
            return self._desync(i)
        self.searching = False
        self.cut = False
        self.stamp = (0, 0, 0, 0)
        self.what = what
        self.length = length
        self.collecting = what != CUT and self.sink.wants(self.flow, what, header, length)
        self._begin(length, more)
        return i + 4

    def _begin(self, length: int, more: bool) -> None:
        self.left, self.more = length, more
        if not length and not self.collecting and more:
            self.continuing, self.more = True, False

    def _search(self, data: bytes, i: int) -> int:
        """Find the next plausible record at or behind ``i``. Returns its place, or ``-2 - place`` to wait for more."""
        n = len(data)
        call = reply = i - 1
        start = i
        while True:
            if call < i:
                call = data.find(CALL_WORDS, i + 8) - 8
                call = call if call >= 0 else n
            if reply < i:
                reply = data.find(REPLY_WORDS, i + 8) - 8
                reply = reply if reply >= 0 else n
            i = min(call, reply)
            if i > n - 16:
                break
            seems = plausible(data, i, min(n - i, WINDOW))
            if seems:
                self.patience -= i - start
                if seems > 0:
                    self.searching = False
                    self.patience = max(self.patience, SEARCH_LIMIT)
                    return i
                return -2 - i
            i += 1
        i = max(start, n - 15)
        self.patience -= i - start
        if self.patience < 0:
            self.lost = True
            return n
        return -2 - i

    def _decide_without_more(self) -> None:
        """A hole follows: judge the undecided bytes by what is there."""
        raw, self.raw = self.raw, b""
        if self.searching and (len(raw) < 16 or not plausible(raw, 0, len(raw))):
            return
        i = self._mark(raw, 0, final=True)
        if i != 4:
            return
        if self.collecting:
            self.stamp = self.raw_stamp
        rest = raw[4 : 4 + self.left]
        if self.collecting:
            self._collect(rest)
        self.left -= len(rest)
        if len(raw) > 4 + len(rest):  # a second tiny fragment, and then nothing: too thin to go on with
            self._desync(0)


def gather(data: bytes, i: int) -> tuple[bytes, bool, bool]:
    """The first bytes of the record at ``i``, joined over its fragments: (header, enough to decide, marks are sane)."""
    n, j, total = len(data), i, 0
    header = b""
    while True:
        if j + 4 > n:
            return header, False, True
        mark = be32(data, j)
        length, last = mark & 0x7FFFFFFF, mark >= 0x80000000
        total += length
        if length > MAX_RECORD or (not length and not (last and header)) or (last and total < MIN_RECORD):
            return header, False, False
        header += data[j + 4 : j + 4 + min(length, HEADER - len(header))]
        if len(header) >= HEADER:
            return header, True, True
        j += 4 + length
        if j > n:
            return header, False, True
        if last:
            return header, True, True


