"""The door for programs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from support.incidents import LOST, STOLEN, write

import nlmdissect
from nlmdissect.analysis import Analysis, left
from nlmdissect.findings import At, Evidence, Finding


def test_the_public_names() -> None:
    assert set(nlmdissect.__all__) <= set(dir(nlmdissect))
    for name in nlmdissect.__all__:
        assert getattr(nlmdissect, name) is getattr(nlmdissect, name)
    assert isinstance(nlmdissect.__version__, str)
    with pytest.raises(AttributeError, match="no attribute 'reed'"):
        nlmdissect.reed  # noqa: B018


def test_reading_one_or_several(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pcap", LOST)
    for paths in (path, str(path), [path], (str(path),)):
        capture = nlmdissect.read(paths)
        assert [f.code for f in capture.analysis.findings] == ["NLM001"]
    assert isinstance(capture.analysis, Analysis)
    assert "14 messages, 1 findings" in repr(capture)


def test_tables_are_made_once(tmp_path: Path) -> None:
    capture = nlmdissect.read(write(tmp_path / "x.pcap", LOST))
    assert capture.calls is capture.calls
    with pytest.raises(KeyError):
        capture.table("locksmiths")


def test_what_a_caller_can_do_wrong(tmp_path: Path) -> None:
    (tmp_path / "no.pcap").write_text("this is no capture, whatever its name says")
    for paths in (tmp_path / "missing.pcap", tmp_path / "no.pcap", []):
        with pytest.raises(nlmdissect.CaptureError):
            nlmdissect.read(paths)
    path = write(tmp_path / "x.pcap", LOST)
    for wrong in ({"select": ["NLM999"]}, {"ignore": ["nonsense"]}, {"since": "tomorrow"}):
        with pytest.raises(nlmdissect.UsageError) as complaint:
            nlmdissect.read(path, **wrong)
        assert complaint.value.hint
    with pytest.raises(nlmdissect.UsageError, match="later than"):
        nlmdissect.read(path, since="2026-01-02", until="2026-01-01")


def test_explaining_a_rule() -> None:
    page = nlmdissect.explain("nlm001")
    assert page.startswith("NLM001 refused-reclaim (error)\n")
    assert "What to do:" in page
    with pytest.raises(nlmdissect.UsageError):
        nlmdissect.explain("NLM999")


def test_time_bounds_judge_a_finding_by_the_frame_that_proves_it(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.pcap", LOST
    )  # from 2023-11-14 22:13:20 UTC; the lock is granted at :21, refused at 22:13:58

    def codes(**bounds: str | datetime) -> list[str]:
        analysis = nlmdissect.read(path, **bounds).analysis  # type: ignore[arg-type]
        outcome = next(r for r in analysis.results if r.rule.code == "NLM001").outcome
        assert (outcome == "found") == bool(analysis.findings)
        return [f.code for f in analysis.findings]

    assert codes(since="2023-11-14T22:13:58") == ["NLM001"]
    assert codes(since="2023-11-14T22:13:59") == []
    assert codes(until="2023-11-14T22:13:59") == ["NLM001"]
    assert codes(until="2023-11-14T22:13:21") == []
    assert codes(since=datetime(2023, 11, 14, 22, 13, 59)) == []
    assert codes(since=datetime(2023, 11, 14, 22, 13, 58, tzinfo=UTC)) == ["NLM001"]
    assert codes(since=datetime(2023, 11, 15, 0, 13, 58, tzinfo=timezone(timedelta(hours=2)))) == ["NLM001"]


def test_the_state_at_a_moment(tmp_path: Path) -> None:
    """The grant is at 22:13:21, the server has restarted at :53, the reclaim is refused at :58."""
    capture = nlmdissect.read(write(tmp_path / "x.pcap", LOST))
    assert list(capture.at("22:13:20").under_way.frame) == [1]
    assert list(capture.at("+1").locks.state) == ["held"]
    assert list(capture.at(datetime(2023, 11, 14, 22, 13, 55)).locks.state) == ["orphaned", "orphaned"]
    assert list(capture.at("2023-11-15T00:13:58+02:00").locks.state) == ["lost", "orphaned"]
    end = capture.at()
    assert list(end.locks.client_believes) == ["yes", "yes", "yes"]
    assert list(end.locks.server_holds) == ["no", "yes", "yes"]
    assert end.locks is end.locks
    assert "3 locks" in repr(end)
    for wrong in ("22:13:19", "+1000", "+", "+1.x", "soon", "2020-01-01"):
        with pytest.raises(nlmdissect.UsageError):
            capture.at(wrong)


def finding(caused_by: int | None) -> Finding:
    return Finding("t", (Evidence(At(0, 0, 1), "w"),), "c", "r", caused_by=caused_by)


@pytest.mark.parametrize(
    ("causes", "keep", "after"),
    [
        ([None, 0, 1], [True, True, True], [None, 0, 1]),
        ([None, 0, 1], [True, False, True], [None, 0]),  # the grandchild follows from the root
        ([None, 0, 1], [False, True, True], [None, 0]),
        ([None, 0, 1], [False, False, True], [None]),
        ([2, None, None], [True, False, True], [1, None]),  # a cause may come later in the list
        ([1, 0], [True, False], [None]),  # a circle ends somewhere
    ],
)
def test_what_is_left_keeps_its_causes(causes: list[int | None], keep: list[bool], after: list[int | None]) -> None:
    assert [f.caused_by for f in left([finding(cause) for cause in causes], keep)] == after


def test_a_consequence_alone_follows_from_nothing_shown(tmp_path: Path) -> None:
    capture = nlmdissect.read(write(tmp_path / "x.pcap", STOLEN), select=["NLM004"])
    assert [(f.code, f.caused_by) for f in capture.analysis.findings] == [("NLM004", None)]
