"""The lock history of a file: owners, what they held and waited for, conflicts."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.drawn import arrows, read, spans
from support.incidents import LOST, NO_LOCKS, UNTOLD, WAITED, crowd

from nlmdissect.errors import UsageError
from nlmdissect.report.pictures.file import file

DENIED = """
    1        client1 > server   NLM_LOCK fh=A oh=1 range=0-99
    2        server  > client1  NLM4_GRANTED
    3        client2 > server   NLM_LOCK fh=A oh=2 range=50-59
    4        server  > client2  NLM4_DENIED
"""


def test_held_and_waiting_spans(tmp_path: Path) -> None:
    chart = file(read(tmp_path, WAITED).analysis)
    assert [(lane.name, lane.note) for lane in chart.lanes] == [
        ("server", "server"), ("client2", "svid 2: 50-59"), ("client1", "svid 1: 0-99"),
    ]  # fmt: skip
    assert spans(chart, "client1") == [("held", 1, 14)]
    assert spans(chart, "client2") == [("held", 15, 16), ("waiting", 3, 16)]


def test_a_conflict_goes_from_who_lost_to_who_got(tmp_path: Path) -> None:
    chart = file(read(tmp_path, UNTOLD).analysis)
    assert arrows(chart) == ["client1 > client2 bad conflict: 0-9 granted to client2: 9 10 2"]


def test_a_denial_is_a_mark_on_the_lane_of_who_was_denied(tmp_path: Path) -> None:
    chart = file(read(tmp_path, DENIED).analysis)
    (mark,) = chart.marks
    assert (chart.lanes[mark.lane].name, chart.lanes[mark.lane].note) == ("client2", "svid 2: 50-59")
    assert (mark.label, [at.frame for at in mark.frames]) == ("DENIED", [3, 4])


def test_a_file_is_found_by_the_end_of_its_handle(tmp_path: Path) -> None:
    capture = read(tmp_path, LOST)
    handle = next(fh for fh in capture.locks.fh.unique() if bytes.fromhex(fh).endswith(b"B"))
    assert file(capture.analysis, handle).title == file(capture.analysis, handle[-6:]).title
    assert [lane.name for lane in file(capture.analysis, handle).lanes] == ["server", "client2"]


def test_a_file_that_is_not_there_or_not_one(tmp_path: Path) -> None:
    analysis = read(tmp_path, crowd(12, 0)).analysis  # F1 and F11
    with pytest.raises(UsageError, match="no lock on a file beef"):
        file(analysis, "beef")
    with pytest.raises(UsageError, match="4 files end in 31"):
        file(analysis, "31")


def test_a_recording_without_locks(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no lock on any file"):
        file(read(tmp_path, NO_LOCKS).analysis)
