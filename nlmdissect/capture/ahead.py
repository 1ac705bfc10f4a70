"""Work ahead: what an iterator makes is made in another thread, while what it made before is used here.

Reading and unpacking let go of the interpreter, and so does the compiled loop: both run at once.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from queue import Empty, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")

DEPTH = 2  # things that may wait


def ahead(things: Generator[T, None, None], here: int = 0) -> Generator[T, None, None]:
    """The same things, made ahead; the first ``here`` of them in this thread, for they may be all that there are.

    What ``things`` raises is raised here. Close it to stop: ``things`` is closed too, by the thread that runs it, which
    may wait for a pipe and is not waited for.
    """
    try:
        for _ in range(here):
            yield next(things)
    except StopIteration:
        return
    except BaseException:
        things.close()
        raise
    ready: Queue[T | _End] = Queue(DEPTH)
    stop = Event()
    Thread(target=_work, args=(things, ready, stop), daemon=True).start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        with suppress(Empty):  # there is room now: it does not wait for us
            while True:
                ready.get_nowait()


class _End:
    """Nothing follows, or this error."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def _work(things: Generator[T, None, None], ready: Queue[T | _End], stop: Event) -> None:
    try:
        for thing in things:
            ready.put(thing)
            if stop.is_set():
                break
        things.close()
        ready.put(_End())
    except BaseException as error:
        ready.put(_End(error))
