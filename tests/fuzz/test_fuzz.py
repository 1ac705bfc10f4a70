"""The short run of every fuzz target: its corpus, then changes of it, the same ones each time.

``tests/fuzz/run.py`` is the long run, which follows what an input reaches.
"""

from __future__ import annotations

import time
from random import Random

import pytest
from fuzz import results
from fuzz.targets import TARGETS, Target, corpus, machines

CHANGES = {
    "files": 600, "packed": 400, "scan": 150, "records": 1500, "streams": 120, "pieces": 500, "xdr": 500,
    "analysis": 30, "machines": 40, "reports": 12, "where": 400,
}  # fmt: skip
PATIENCE = 10  # s of the processor for one input; the largest is 16 kB


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_nothing_that_is_kept_does_harm(target: Target) -> None:
    for data in corpus(target):
        timed(target, data)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_nothing_that_is_changed_does_harm(target: Target) -> None:
    chance, seeds = Random(target.name), list(corpus(target))
    for _ in range(CHANGES[target.name]):
        timed(target, target.change(chance.choice(seeds), chance, target.most))


def test_a_target_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that raises, and text that acts, are seen."""
    data = next(iter(TARGETS["machines"].seeds()))
    for bad in ("\x1b[2J", "a\u202eb", "\r"):
        with pytest.raises(AssertionError):
            results.assert_printable(bad)
    for bad in ("<img src=x>", "<b onclick=x>", '<a href="javascript:x">', "<script></script>" * (results.OURS + 1)):
        with pytest.raises(AssertionError):
            results.assert_tame(bad)
    monkeypatch.setattr("fuzz.results.read_history", lambda paths: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        machines(data)


def timed(target: Target, data: bytes) -> None:
    start = time.process_time()
    try:
        target.run(data)
    except Exception as error:
        error.add_note(f"{target.name}: {data.hex()}")
        raise
    assert time.process_time() - start < PATIENCE, f"{target.name}: {data.hex()}"
