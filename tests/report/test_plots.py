"""Figures: what is on the charts is drawn, and what packets say is not read as markup."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.drawn import read
from support.incidents import LOST, NO_LOCKS, STOLEN, UNTOLD, WAITED, crowd

import nlmdissect
from nlmdissect.errors import UsageError

EVERY = ("plot_recovery", "plot_file", "plot_ladder", "plot_times", "plot_monitors")


def texts(figure: Any) -> list[str]:
    """Every text of a figure."""
    found: list[str] = []

    def walk(value: Any) -> None:
        match value:
            case str():
                found.append(value)
            case dict():
                for one in value.values():
                    walk(one)
            case list():
                for one in value:
                    walk(one)

    walk(json.loads(figure.to_json()))
    return found


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("story", [LOST, UNTOLD, WAITED])
def test_each_picture_has_a_title_a_legend_and_hover_with_frames(tmp_path: Path, name: str, story: str) -> None:
    figure = getattr(read(tmp_path, story), name)()
    assert figure.layout.title.text
    assert [trace for trace in figure.data if trace.showlegend is not False and trace.name]
    assert any("frame " in text for text in texts(figure))


def test_the_missing_packet_is_drawn(tmp_path: Path) -> None:
    capture = read(tmp_path, UNTOLD)
    assert any("no SM_NOTIFY (NSM001, suspected)" in text for text in texts(capture.plot_recovery()))
    assert any("no SM_NOTIFY (NSM001, suspected)" in text for text in texts(capture.plot_ladder("NSM001")))
    assert any("a notice should have come over it" in text for text in texts(capture.plot_monitors()))
    lines = [trace for trace in capture.plot_recovery().data if trace.type == "scatter"]
    dashed = [trace for trace in lines if trace.line.dash == "dash"]
    assert [trace.name for trace in dashed] == ["where the chain broke: missing or unanswered"]


@pytest.mark.parametrize("name", EVERY)
def test_names_are_not_read_as_markup(tmp_path: Path, name: str) -> None:
    figure = getattr(read(tmp_path, STOLEN, client1=b"<a href='x'>&b</a"), name)()
    ours = [text for text in texts(figure) if "href" in text]
    assert ours
    assert not [text for text in ours if "<a" in text]


def test_a_crowd_is_folded_and_said_so(tmp_path: Path) -> None:
    capture = read(tmp_path, crowd(300, 5))
    assert "278 hosts with less trouble share the last lane" in capture.plot_recovery().layout.title.text
    assert "261 clients with less trouble share the last place" in capture.plot_monitors().layout.title.text
    assert capture.plot_recovery().layout.height < 2500


@pytest.mark.parametrize("name", ["plot_recovery", "plot_times", "plot_monitors", "plot_ladder"])
def test_where_nothing_can_be_drawn_nothing_fails(tmp_path: Path, name: str) -> None:
    assert getattr(read(tmp_path, NO_LOCKS), name)().layout.title.text


def test_arguments_that_mean_nothing(tmp_path: Path) -> None:
    capture = read(tmp_path, LOST)
    with pytest.raises(UsageError, match="not in the recording"):
        capture.plot_recovery(start="2001-01-01T00:00:00")
    with pytest.raises(UsageError, match="no restart"):
        capture.plot_recovery(5)
    with pytest.raises(UsageError, match="no finding"):
        capture.plot_ladder("NSM013")
    with pytest.raises(UsageError, match="no lock on"):
        capture.plot_file("0000")


def test_times_narrow_the_picture(tmp_path: Path) -> None:
    figure = read(tmp_path, LOST).plot_recovery(start="+30", end="+45")
    first, last = figure.layout.xaxis.range
    assert 15 <= (last - first).total_seconds() < 16


def test_real_recordings_can_be_drawn() -> None:
    for path in sorted((Path(__file__).parents[2] / "captures").glob("*.pcap")):
        capture = nlmdissect.read(path)
        for name in EVERY:
            assert getattr(capture, name)().layout.title.text
