"""Work in another thread: ahead, where what an iterator makes is used here meanwhile; and behind, where what is made
here is used there.

Reading and unpacking let go of the interpreter, and so do the compiled loops and much of numpy: both run at once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from queue import Empty, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

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


class Behind(Generic[T]):
    """Calls ``use`` in another thread, with one thing after the other; while it runs, the next one may be made here.

    What it raises is raised here, by the next call or by ``wait``.
    """

    def __init__(self, use: Callable[[T], None]) -> None:
        self._use = use
        self._thread: Thread | None = None
        self._error: BaseException | None = None

    def __call__(self, thing: T) -> None:
        self.wait()
        self._thread = Thread(target=self._work, args=(thing,), daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until nothing is left to do."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            raise self._error

    def _work(self, thing: T) -> None:
        try:
            self._use(thing)
        except BaseException as error:
            self._error = error


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
