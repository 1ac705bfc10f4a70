"""Holds over time: split ones, and those that nothing decided."""

from __future__ import annotations

from pathlib import Path

from support.drawn import read
from support.incidents import RECOVERED

from nlmdissect.report.pictures.holds import states

PART = """
    1        client1 > server   NLM_LOCK fh=A oh=1 range=0-99 state=3
    2        server  > client1  NLM4_GRANTED
    3        client1 > server   NLM_UNLOCK fh=A oh=1 range=0-9
    4        server  > client1  NLM4_GRANTED
"""
DIED = """
    5 +30s   client1 > server   NLM_LOCK fh=B oh=7 range=0-9 state=5
    6        server  > client1  NLM4_GRANTED
"""


def said(folder: Path, story: str) -> list[tuple[int, str, float, float]]:
    capture = read(folder, story)
    first = capture.history.extent.first
    return [
        (s.row.hold, s.tone.value, (s.start - first) / 1e9, (s.end - first) / 1e9) for s in states(capture.analysis)
    ]


def test_a_hold_that_lost_a_part_is_still_held(tmp_path: Path) -> None:
    assert said(tmp_path, PART) == [(0, "held", 1, 3)]
    assert said(tmp_path, PART + "5 +9s client2 > server GETPORT lockd")[0] == (0, "held", 1, 12)


def test_a_reclaimed_hold_goes_on(tmp_path: Path) -> None:
    of = [row for row in said(tmp_path, RECOVERED) if row[0] == 0]
    assert of == [(0, "held", 1, 31), (0, "orphaned", 31, 34), (0, "held", 34, 125)]


def test_what_a_client_left_behind_is_no_lost_lock(tmp_path: Path) -> None:
    assert [tone for hold, tone, _, _ in said(tmp_path, PART + DIED) if hold == 0] == ["held", "stale"]
