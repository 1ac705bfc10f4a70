"""RPC records in one direction of a TCP stream, rewritten: every byte that comes in goes out in its place, or as zero.

It finds records where ``capture/marks.py`` finds them (its theory of operation is told there), so that the new stream
is read as the old one was. A record is rewritten when all of it is here; the rest of one with a hole in it is zeros.
"""

from __future__ import annotations

from collections.abc import Callable

from nlmdissect.capture.marks import CALL_WORDS, REPLY_WORDS, SEARCH_LIMIT, START_LIMIT, gather
from nlmdissect.capture.probe import MAX_RECORD, NOTHING, WINDOW, be32, classify, plausible
from nlmdissect.evidence.anonymise.rewrite import Edit

LAST = 0x80000000
LONGEST = 8 << 20  # bytes of a record that are held; the rest of a longer one is zeros

Rewrite = Callable[[bytes], tuple[bytes, list[Edit]]]


class Marks:
    """``feed`` takes bytes in order, ``hole`` says how many are missing. ``out`` has what came of them, ``done`` how
    many old bytes that stands for, and ``edits`` where lengths have changed, in positions of the old stream.
    """

    def __init__(self, rewrite: Rewrite, *, at_start: bool) -> None:
        self.out = bytearray()
        self.done = 0
        self.edits: list[Edit] = []
        self.lost = False
        self._rewrite = rewrite
        self._searching = not at_start
        self._patience = START_LIMIT if at_start else SEARCH_LIMIT
        self._buffer = bytearray()
        self._zeros = 0  # of the current record, still to come

    @property
    def waiting(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """The next bytes of the stream."""
        if self.lost:
            if plausible(data, 0, min(len(data), WINDOW)) <= 0:
                self._blank(len(data))
                return
            self.lost = False
        self._buffer += data
        while self._buffer and not self.lost and self._step():
            pass
        if self.lost:
            self._blank(len(self._buffer))
        elif len(self._buffer) > LONGEST:
            self._give_up()

    def hole(self, count: int) -> None:
        """``count`` bytes of the stream are missing here."""
        if self._buffer:
            self._give_up()
        passed = min(count, self._zeros)
        self._zeros -= passed
        if count > passed:
            self._searching = True
        self.done += count

    def finish(self) -> None:
        """Nothing follows."""
        if self._buffer:
            self._give_up()

    def _step(self) -> bool:
        """Pass something on; False if that takes more bytes."""
        buffer = self._buffer
        if self._zeros:
            taken = min(self._zeros, len(buffer))
            self._zeros -= taken
            self._blank(taken)
            return True
        if self._searching:
            return self._search()
        data = bytes(buffer[:256])
        header, complete, sane = gather(data, 0)
        if not sane or (complete and classify(header, 0, len(header), 0) == NOTHING):
            self._searching = True
            self._blank(1)
            return True
        if not complete and len(data) < 256:
            return False
        return self._record()

    def _record(self) -> bool:
        """Rewrite the record at the start of the buffer, if all of it is here."""
        at, parts = 0, list[tuple[int, int]]()
        while True:
            if at + 4 > len(self._buffer):
                return False
            mark = be32(self._buffer, at)  # type: ignore[arg-type]
            size = mark & ~LAST
            if parts and (size > MAX_RECORD or (mark < LAST and not size)):  # no mark: the record ends before it
                self._rewritten(parts)
                self._searching = True
                return True
            if at + 4 + size > len(self._buffer):
                return False
            parts.append((at, size))
            at += 4 + size
            if mark >= LAST:
                self._rewritten(parts)
                return True

    def _rewritten(self, parts: list[tuple[int, int]]) -> None:
        """Rewrite a record of fragments, each (position of its mark in the buffer, length)."""
        message = b"".join(bytes(self._buffer[at + 4 : at + 4 + size]) for at, size in parts)
        new, edits = self._rewrite(message)
        done, written, passed = self.done, 0, 0
        for number, (at, size) in enumerate(parts):
            mine = [e for e in edits if passed < e.end <= passed + size]
            by = sum(e.by for e in mine)
            take = len(new) - written if number == len(parts) - 1 else max(size + by, 0)
            mark = be32(self._buffer, at) & LAST | take  # type: ignore[arg-type]
            self.out += mark.to_bytes(4, "big") + new[written : written + take]
            shift = done + at + 4 - passed
            self.edits += [Edit(max(e.start, passed) + shift, e.end + shift, e.by) for e in mine]
            written += take
            passed += size
        last, size = parts[-1]
        self.done += last + 4 + size
        del self._buffer[: last + 4 + size]

    def _give_up(self) -> None:
        """The record at the start of the buffer will not be whole: rewrite what is here of it."""
        data = bytes(self._buffer)
        if self._searching or len(data) < 4:
            self._blank(len(data))
            self._searching = True
            return
        header, _, sane = gather(data, 0)
        size = be32(data, 0) & ~LAST
        if not sane or classify(header, 0, len(header), 0) == NOTHING or len(data) - 4 > size:
            # the hole is in a later fragment, or there is no record: what is here cannot be told apart
            self._blank(len(data))
            self._searching = True
            return
        new, edits = self._rewrite(data[4:])
        by = sum(edit.by for edit in edits)
        self.out += (be32(data, 0) + by).to_bytes(4, "big") + new
        self.edits += [Edit(e.start + self.done + 4, e.end + self.done + 4, e.by) for e in edits]
        self.done += len(data)
        self._zeros = size - (len(data) - 4)
        self._buffer.clear()

    def _search(self) -> bool:
        """Find the next record: pass on what lies before it."""
        data = bytes(self._buffer)
        n, i = len(data), 0
        while True:
            places = [p - 8 for p in (data.find(CALL_WORDS, i + 8), data.find(REPLY_WORDS, i + 8)) if p >= 0]
            i = min(places, default=n)
            if i > n - 16:
                break
            seems = plausible(data, i, min(n - i, WINDOW))
            if seems:
                self._pass_over(i)
                self._searching = seems < 0
                return seems > 0
            i += 1
        self._pass_over(max(n - 15, 0))
        return False

    def _pass_over(self, count: int) -> None:
        self._patience -= count
        if self._patience < 0:
            self.lost = True
            count = len(self._buffer)
        self._blank(count)

    def _blank(self, count: int) -> None:
        """Zeros for so many bytes of the buffer."""
        self.out += bytes(count)
        self.done += count
        del self._buffer[:count]
