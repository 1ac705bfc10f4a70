"""Work ahead: what an iterator makes is made in another thread, while what it made before is used here.

Decoders let go of the interpreter while they work, and so does the compiled loop: both run at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, Queue
from threading import Event, Thread

TOGETHER = 1 << 20  # bytes that are handed over at a time
DEPTH = 4  # hand-overs that may wait


def ahead(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, in larger pieces, made ahead. What ``pieces`` raises is raised here. Close it to stop."""
    ready: Queue[bytes | BaseException | None] = Queue(DEPTH)
    stop = Event()
    Thread(target=_work, args=(pieces, ready, stop), daemon=True).start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        with suppress(Empty):  # there is room now: it does not wait for us
            while True:
                ready.get_nowait()


def _work(pieces: Iterator[bytes], ready: Queue[bytes | BaseException | None], stop: Event) -> None:
    waiting, size = [], 0
    try:
        for piece in pieces:
            waiting.append(piece)
            size += len(piece)
            if size >= TOGETHER:
                ready.put(b"".join(waiting))
                waiting, size = [], 0
            if stop.is_set():
                return
        if waiting:
            ready.put(b"".join(waiting))
        ready.put(None)
    except BaseException as error:
        ready.put(error)
