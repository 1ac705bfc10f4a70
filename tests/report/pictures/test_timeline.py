"""The timeline tells who lost a lock, which packet is missing, and nothing bad where nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.captures import SHARED
from support.drawn import arrows, read, spans
from support.incidents import LOST, NO_LOCKS, RECOVERED, UNTOLD, WAITED, crowd

import nlmdissect
from nlmdissect.errors import UsageError
from nlmdissect.report.pictures.chart import Chart, Tone
from nlmdissect.report.pictures.timeline import timeline

RED = (Tone.BAD, Tone.LOST)


def of(folder: Path, story: str, **how: object) -> Chart:
    return timeline(read(folder, story).analysis, **how)  # type: ignore[arg-type]


def test_a_notice_that_was_never_sent_is_a_broken_arrow(tmp_path: Path) -> None:
    chart = of(tmp_path, UNTOLD)
    assert [(lane.name, lane.note, lane.bad) for lane in chart.lanes] == [
        ("server", "server", False),
        ("client1", "lost 1 lock", True),
        ("client2", "client", False),
    ]
    assert arrows(chart) == [
        "server > client2 notice SM_NOTIFY: 5 6",
        "client2 > server good reclaim granted: 7 8",
        "server > client2 bad granted to client2 (NLM004): 10",
        "server -x client1 bad no SM_NOTIFY (NSM001, suspected): 5",
    ]


def test_the_missing_notice_stands_in_the_time_that_there_was_for_it(tmp_path: Path) -> None:
    chart = of(tmp_path, UNTOLD)
    missing = next(arrow for arrow in chart.arrows if arrow.broken)
    (grace,) = chart.bands
    assert grace.start < missing.time < grace.end


def test_a_lock_is_held_then_orphaned_then_lost(tmp_path: Path) -> None:
    chart = of(tmp_path, UNTOLD)
    assert spans(chart, "client1") == [("held", 1, 33), ("orphaned", 33, 137), ("lost", 137, 237)]
    assert spans(chart, "client2") == [("held", 3, 33), ("orphaned", 33, 36), ("held", 36, 238), ("held", 137, 238)]
    assert [m.label.partition(" on")[0] for m in chart.marks] == ["restart, NSM state 5", "LOST: write 0-99"]


def test_a_refused_reclaim_names_the_answer(tmp_path: Path) -> None:
    chart = of(tmp_path, LOST)
    assert "client1 > server bad reclaim refused: STALE_FH (NLM001): 9 10" in arrows(chart)
    assert [tone for tone, _, _ in spans(chart, "client1")] == ["held", "orphaned", "lost"]


def test_hover_tells_frames_and_times(tmp_path: Path) -> None:
    chart = of(tmp_path, LOST)
    refused = next(arrow for arrow in chart.arrows if arrow.tone is Tone.BAD)
    assert "STALE_FH (frame 9 at 22:13:57.000000, frame 10 at 22:13:58.000000)" in refused.words


@pytest.mark.parametrize("story", [RECOVERED, WAITED])
def test_nothing_is_red_where_all_went_well(tmp_path: Path, story: str) -> None:
    chart = of(tmp_path, story)
    assert not [item for items in (chart.spans, chart.marks, chart.arrows) for item in items if item.tone in RED]
    assert not [lane for lane in chart.lanes if lane.bad]


def test_what_the_recording_ends_before_is_not_lost(tmp_path: Path) -> None:
    cut = UNTOLD.partition("9  +100s")[0]
    assert [tone for tone, _, _ in spans(of(tmp_path, cut), "client1")] == ["held", "unsure"]


def test_who_waits_is_shown(tmp_path: Path) -> None:
    assert spans(of(tmp_path, WAITED), "client2") == [("held", 15, 16), ("waiting", 3, 16)]


def test_the_worst_come_first_and_the_rest_share_a_lane(tmp_path: Path) -> None:
    chart = of(tmp_path, crowd(60, 3), lanes=10)
    assert len(chart.lanes) == 10
    assert [lane.name for lane in chart.lanes[:4]] == ["server", "node000", "node001", "node002"]
    assert chart.lanes[-1].name == "52 more hosts"
    assert chart.notes[0] == "52 hosts with less trouble share the last lane: none of them lost a lock here."
    assert {arrow.label for arrow in chart.arrows} == {"", "no SM_NOTIFY (NSM001, suspected)"}  # what went well is mute


def test_hosts_and_times_can_be_chosen(tmp_path: Path) -> None:
    capture = read(tmp_path, UNTOLD)
    first = capture.history.extent.first
    chart = timeline(capture.analysis, hosts=["client1", "server"], start=first, end=first + 50 * 10**9)
    assert [lane.name for lane in chart.lanes] == ["server", "client1"]
    assert max(span.end for span in chart.spans) == first + 50 * 10**9
    with pytest.raises(UsageError, match="no host nobody"):
        timeline(capture.analysis, hosts=["nobody"])
    with pytest.raises(UsageError, match="no restart 7"):
        timeline(capture.analysis, boot=7)


def test_nothing_to_draw_is_a_picture_too(tmp_path: Path) -> None:
    assert not of(tmp_path, NO_LOCKS).spans
    assert not of(tmp_path, "").lanes


@pytest.mark.parametrize(
    ("name", "loser", "words"),
    [  # what the recordings' own notes say was done
        ("S04-notify-never-sent", "client-a", "no SM_NOTIFY (NSM001, suspected)"),
        ("S07-notify-lost-after-capture", "client-a", "SM_NOTIFY unanswered (NSM003)"),
        ("S08-reclaim-after-grace", "client-a", "reclaim refused: DENIED_GRACE_PERIOD (NLM003)"),
        ("S10-partial-reclaim", "client-a", "reclaim refused: STALE_FH (NLM001)"),
        ("T04-client-statd-gone-getport-0", "db7.corp.example", "no SM_NOTIFY: statd not registered (NSM008)"),
        ("T06-client-back-others-starve", "wks12.lab.example", "no SM_NOTIFY (NSM002, suspected)"),
    ],
)
def test_real_recordings_show_the_loser_and_the_packet(name: str, loser: str, words: str) -> None:
    path = SHARED / f"{name}.pcap"
    if not path.exists():
        pytest.skip("the recordings are not here")
    chart = timeline(nlmdissect.read(path).analysis)
    assert [lane.name for lane in chart.lanes if lane.bad] == [loser]
    lane = next(number for number, lane in enumerate(chart.lanes) if lane.name == loser)
    assert words in {arrow.label for arrow in chart.arrows if lane in (arrow.source, arrow.target)}


def test_a_refusal_that_was_asked_again_and_granted_is_not_red(tmp_path: Path) -> None:
    story = (
        LOST.partition("11       client2")[0].replace("STALE_FH", "DENIED_NOLOCKS")
        + """
        11       client1 > server   POLL 9
        12       server  > client1  NLM4_GRANTED
    """
    )
    chart = of(tmp_path, story)
    assert not [arrow for arrow in chart.arrows if arrow.tone is Tone.BAD and "NLM" not in arrow.label]


def test_a_reclaim_whose_answer_is_cut_is_not_called_refused(tmp_path: Path) -> None:
    story = (
        RECOVERED.partition("6        server")[0]
        + """
        6        server  > client1  NLM4_GRANTED short=4
        7  +5s   client1 > server   POLL 5
        8        server  > client1  NLM4_GRANTED
    """
    )
    assert arrows(of(tmp_path, story))[1:] == [
        "client1 > server unsure reclaim answered, unreadable: 5 6",
        "client1 > server good reclaim granted: 7 8",
    ]
