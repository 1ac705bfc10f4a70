"""Who runs the loops over all frames: Python for small captures, machine code for large ones. Both give the same.

Compiled code is fifty times as fast and is not there at once, so the price is weighed at each block. For a file, what
is left would take as long, a byte, as what is done; a pipe is expected to go on for as long as it has gone. Where the
code is there already, only tiny files are not worth the tables that it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import thread_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlmdissect import loops

from . import compiled
from .block import Block
from .ledger import FRAME_BITS
from .rows import WIDTH
from .scan import scan
from .tables import GROW, PATIENCE, Tables, grow, new_tables

ROWS = 1 << 14
"""Rows of the hot loop between two visits of Python."""

PLAIN = 4e-6
"""Seconds for a frame, where nothing was measured yet: no machine takes much less."""

SLOW_ROWS = 32
"""Rows for the slow road between two looks at it, and one more for each connection on it: a look passes over all."""

TINY = 1 << 16
"""Bytes of a file that Python has read before the tables are exchanged."""


class Engine:
    """Runs the hot loop. ``tables`` are others after ``consider`` said so."""

    def __init__(self) -> None:
        self.tables: Tables = new_tables()
        self._scan: Any = None
        self._record: Any = None
        self._spent = 0.0
        self._columns: tuple[Block | None, tuple[list[int], ...]] = (None, ())
        self._out: Any = [0] * (ROWS * WIDTH)

    def consider(self, frames: int, done: int, total: int | None) -> bool:
        """Whether the tables were exchanged, for it is worth the price to compile. ``done`` of ``total`` bytes are
        read, of which ``frames`` are still to be scanned; ``total`` is None for a pipe.
        """
        if self._record is not None or not self._worth(frames, done, total) or not compiled.load():
            return False
        self.use(loops.ready)
        return True

    def _worth(self, frames: int, done: int, total: int | None) -> bool:
        if loops.ready:
            return total is None or total > TINY
        if not done:
            return False
        if not self._spent:  # nothing was measured: enough for what is ready, not to compile
            left = frames * PLAIN * (total or 0) / done
            return left >= compiled.LOAD >= compiled.price()
        left = self._spent if total is None else self._spent * (total - done) / done
        return (left >= compiled.LOAD and left >= compiled.price()) or compiled.wanted()

    def use(self, code: Mapping[compiled.Function, compiled.Function]) -> None:
        """Go on with compiled code, and with other tables."""
        self._scan = code[scan]
        self._record, self.tables = compiled.record_of(self.tables)
        self._out = np.zeros(ROWS * WIDTH, np.int64)

    def scan(
        self, block: Block, begin: int, lane: int, scope: int, keep: int, slow: int
    ) -> tuple[int, NDArray[np.int64], NDArray[np.int64], bool]:
        """Walk frames of a block from ``begin`` on: the first one not done, the rows (``rows.py``), the time of each
        row's frame, and whether a table is full. ``slow`` connections are on the slow road.
        """
        full = bool(self.tables.used[GROW]) and not grow(self.tables)
        base = block.capture << FRAME_BITS | block.first_frame
        self.tables.used[PATIENCE] = SLOW_ROWS + slow
        if self._record is not None:
            done, used = self._scan(
                np.frombuffer(block.buf, np.uint8), block.at, block.captured, block.wire, block.time, block.link,
                self._record, lane, scope, base, keep, begin, self._out,
            )  # fmt: skip
            found = self._out[:used].reshape(-1, WIDTH).copy()
            return done, found, block.time[found[:, 1]], full
        start = thread_time()
        at, captured, wire, time, link = self._lists(block)
        done, used = scan(
            block.buf, at, captured, wire, time, link,
            self.tables, lane, scope, base, keep, begin, self._out,
        )  # fmt: skip
        took = thread_time() - start
        self._spent += took
        compiled.spent(took)
        found = np.array(self._out[:used], np.int64).reshape(-1, WIDTH)
        return done, found, block.time[found[:, 1]], full

    def _lists(self, block: Block) -> tuple[list[int], ...]:
        """The columns of a block as lists; of one that is visited several times they are kept."""
        if self._columns[0] is block:
            return self._columns[1]
        lists = tuple(c.tolist() for c in (block.at, block.captured, block.wire, block.time, block.link))
        if len(block.at) > 1:
            self._columns = block, lists
        return lists
