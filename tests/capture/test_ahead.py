"""Things that are made in another thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator

import pytest

from nlmdissect.capture.ahead import DEPTH, Behind, ahead


@pytest.mark.parametrize("here", [0, 1, 5, 200, 201])
def test_the_same_things_in_the_same_order(here: int) -> None:
    assert list(ahead((n for n in range(200)), here)) == list(range(200))


@pytest.mark.parametrize("here", [0, 1])
def test_nothing_gives_nothing(here: int) -> None:
    assert list(ahead((n for n in ()), here)) == []


def test_the_first_are_made_here() -> None:
    made = ahead((threading.current_thread() for _ in range(3)), 2)
    first, second, third = made
    assert first is second is threading.current_thread()
    assert third is not first


@pytest.mark.parametrize("here", [0, 1, 2])
def test_an_error_comes_through_behind_what_was_good(here: int) -> None:
    def broken() -> Generator[int, None, None]:
        yield 1
        raise OSError("the disk is gone")

    made = ahead(broken(), here)
    assert next(made) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(made)


def test_it_runs_ahead_but_not_away_and_ends_when_it_is_closed() -> None:
    asked = []
    closed = threading.Event()

    def endless() -> Generator[int, None, None]:
        try:
            while True:
                asked.append(threading.current_thread())
                yield 1
        finally:
            closed.set()

    made = ahead(endless())
    next(made)
    for _ in range(200):
        time.sleep(0.01)
        if len(asked) >= DEPTH + 2:
            break
    time.sleep(0.05)
    assert 1 < len(asked) <= DEPTH + 3
    assert asked[0] is not threading.current_thread()
    made.close()
    asked[0].join(5)
    assert not asked[0].is_alive()
    assert closed.is_set()


def test_what_is_closed_before_the_thread_begins_is_closed_here() -> None:
    closed = threading.Event()

    def things() -> Generator[int, None, None]:
        try:
            yield 1
            yield 2
        finally:
            closed.set()

    made = ahead(things(), 2)
    next(made)
    made.close()
    assert closed.is_set()


def test_behind_one_after_the_other() -> None:
    used: list[tuple[int, threading.Thread]] = []

    def use(thing: int) -> None:
        time.sleep(0.001 * (3 - thing))  # the first ones take longest
        used.append((thing, threading.current_thread()))

    behind = Behind(use)
    for thing in range(4):
        behind(thing)
    behind.wait()
    behind.wait()
    assert [thing for thing, _ in used] == [0, 1, 2, 3]
    assert all(thread is not threading.current_thread() for _, thread in used)


def test_an_error_behind_is_raised_by_the_next_call_and_by_waiting() -> None:
    def use(thing: int) -> None:
        raise ValueError(thing)

    behind = Behind(use)
    behind.wait()
    behind(1)
    with pytest.raises(ValueError, match="1"):
        behind(2)
    with pytest.raises(ValueError, match="1"):
        behind.wait()
