"""The ladder: who said what to whom, the evidence, and the message that never came."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.drawn import read
from support.incidents import LOST, NO_LOCKS, RECOVERED, UNTOLD, crowd

from nlmdissect.errors import UsageError
from nlmdissect.report.pictures.ladder import Ladder, ladder


def said(of: Ladder) -> list[str]:
    """``9 client1 > server LOCK``: two words of the text at most, ``!`` before evidence, ``x`` before broken ones."""
    return [
        f"{'!' * rung.proof}{'x' * rung.broken}{rung.at.frame} {of.hosts[rung.source]} > {of.hosts[rung.target]} "
        + " ".join(rung.text.split()[:2])
        for rung in of.rungs
    ]


def test_the_worst_root_is_shown_with_the_message_that_is_missing(tmp_path: Path) -> None:
    of = ladder(read(tmp_path, UNTOLD).analysis)
    assert of.title.startswith("NSM001: ")
    assert said(of) == [
        "1 client1 > server NLM4 LOCK",
        "!2 server > client1 LOCK: GRANTED",
        "!x0 server > client1 no SM_NOTIFY",
        "11 client1 > server NLM4 UNLOCK",
        "12 server > client1 UNLOCK: GRANTED",
    ]


def test_a_finding_by_its_code_and_by_its_number(tmp_path: Path) -> None:
    capture = read(tmp_path, UNTOLD)
    stolen = ladder(capture.analysis, "NLM004")
    assert stolen.hosts == ("server", "client1", "client2")
    assert "!10 server > client2 LOCK: GRANTED" in said(stolen)
    number = [f.code for f in capture.analysis.findings].index("NLM004")
    assert ladder(capture.analysis, number) == stolen


def test_hosts_and_times(tmp_path: Path) -> None:
    analysis = read(tmp_path, LOST).analysis
    first = analysis.history.extent.first
    of = ladder(analysis, hosts=["client2", "server"], start=first + 30 * 10**9, end=first + 38 * 10**9)
    assert said(of) == ["7 server > client2 NSM1 NOTIFY", "8 client2 > server answered"]


def test_without_a_finding_it_is_everything(tmp_path: Path) -> None:
    assert len(ladder(read(tmp_path, RECOVERED).analysis).rungs) == 8


def test_what_is_far_from_the_evidence_is_left_out_and_counted(tmp_path: Path) -> None:
    busy = "\n".join(
        f"{n} +0.1 client1 > server {'NLM_LOCK' if n % 4 == 1 else 'NLM_UNLOCK'} fh=Z oh=1 range=0-9" if n % 2
        else f"{n} +0.1 server > client1 NLM4_GRANTED"
        for n in range(13, 53)
    )  # fmt: skip
    of = ladder(read(tmp_path, UNTOLD + busy).analysis, most=6)
    assert len(of.rungs) == 7  # and the missing one
    assert of.notes == ("6 of 44 messages are shown, those nearest to the evidence.",)
    assert sum(rung.skipped for rung in of.rungs) <= 38


def test_an_unanswered_call_is_broken(tmp_path: Path) -> None:
    of = ladder(read(tmp_path, "1 client1 > server NLM_LOCK fh=A oh=1 range=0-9").analysis)
    assert said(of) == ["x1 client1 > 10.0.0.1 NLM4 LOCK"]


def test_many_hosts_are_no_ladder(tmp_path: Path) -> None:
    assert len(ladder(read(tmp_path, crowd(30, 0)).analysis).hosts) == 6


@pytest.mark.parametrize(
    ("which", "why"), [("NLM999", "no finding NLM999"), (99, "no finding 99"), ("99", "no finding 99")]
)
def test_a_finding_that_is_not_there(tmp_path: Path, which: int | str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        ladder(read(tmp_path, LOST).analysis, which)


def test_nothing_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="said nothing"):
        ladder(read(tmp_path, "1 client1 > server ARP").analysis)
    assert ladder(read(tmp_path, NO_LOCKS).analysis).rungs
