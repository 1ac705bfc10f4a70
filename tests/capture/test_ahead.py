"""Pieces that are made in another thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from nlmdissect.capture.ahead import DEPTH, TOGETHER, ahead


def test_the_same_bytes_in_the_same_order() -> None:
    pieces = [bytes((n % 251,)) * (n * 997 % 70_000) for n in range(200)]
    assert b"".join(ahead(iter(pieces))) == b"".join(pieces)


def test_nothing_gives_nothing() -> None:
    assert list(ahead(iter(()))) == []


def test_an_error_comes_through_behind_what_was_good() -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(TOGETHER)
        raise OSError("the disk is gone")

    made = ahead(broken())
    assert next(made) == bytes(TOGETHER)
    with pytest.raises(OSError, match="the disk is gone"):
        next(made)


def test_it_runs_ahead_but_not_away_and_ends_when_it_is_closed() -> None:
    asked = []

    def endless() -> Iterator[bytes]:
        while True:
            asked.append(threading.current_thread())
            yield bytes(TOGETHER)

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
