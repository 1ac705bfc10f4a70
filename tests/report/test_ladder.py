"""The conversation behind a finding: who, to whom, what, and what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.captures import SHARED
from support.incidents import LOST, STOLEN, write

import nlmdissect
from nlmdissect.analysis import Analysis
from nlmdissect.report.ladder import ENOUGH, Kind, Ladder, Rung, ladder

MINE = sorted((Path(__file__).parents[2] / "captures").glob("*.pcap*"))

UNTOLD = """
    1        client1 > server   NLM_LOCK fh=A oh=1 range=0-99
    2        server  > client1  NLM4_GRANTED
    3  +60s  client2 > server   NLM_LOCK fh=B oh=2 range=0-99 state=3
    4        server  > client2  NLM4_DENIED_GRACE_PERIOD
    5  +60s  client2 > server   NLM_LOCK fh=A oh=2 range=0-99
    6        server  > client2  NLM4_GRANTED
"""
"""The server is in a grace period, so it restarted; client1 was never told, and client2 takes its lock."""

CALLED = """
    1        client1 > server   NLM_LOCK_MSG fh=A oh=1 range=0-9
    2        server  > client1  NLM_LOCK_RES NLM4_GRANTED
    3        client2 > server   NLM_LOCK_MSG fh=A oh=2 range=0-9 block
    4        server  > client2  NLM_LOCK_RES NLM4_BLOCKED
    5        client1 > server   NLM_UNLOCK_MSG fh=A oh=1 range=0-9
    6        server  > client1  NLM_UNLOCK_RES NLM4_GRANTED
    7        server  > client2  NLM_GRANTED_MSG fh=A oh=2 range=0-9
    8  +40s  server  > client2  AGAIN 7
    9  +60s  client2 > server   NLM_TEST fh=B oh=2 range=0-9
    10       server  > client2  NLM4_GRANTED
"""
"""The waiter is called twice, and never answers."""


def analysed(path: Path) -> Analysis:
    return nlmdissect.read(path).analysis


def said(found: Ladder, analysis: Analysis) -> list[str]:
    """Each rung as ``1-2 client1 > server: LOCK write 0-99 -> GRANTED``."""
    names = analysis.history.names

    def name(host: int | None) -> str:
        return "-" if host is None else names.label(host).partition(" ")[0]

    def line(rung: Rung) -> str:
        frames = f"{rung.at.frame or ''}{f'-{rung.answered.frame}' if rung.answered else ''}"
        answer = f" -> {rung.answer}" if rung.answer else ""
        times = f" x{rung.times}" if rung.times > 1 else ""
        return f"{frames} {name(rung.source)} > {name(rung.target)}: {rung.what}{answer}{times}".strip()

    return [line(rung) for rung in found.rungs]


def ladder_of(tmp_path: Path, story: str, code: str) -> tuple[Ladder, list[str]]:
    analysis = analysed(write(tmp_path / "x.pcap", story))
    number = [finding.code for finding in analysis.findings].index(code)
    found = ladder(analysis, number)
    return found, said(found, analysis)


def test_a_refused_reclaim(tmp_path: Path) -> None:
    found, lines = ladder_of(tmp_path, LOST, "NLM001")
    assert lines == [
        "1-2 client1 > server: LOCK write 0-99 -> GRANTED",
        "server > -: restarted",
        "5-6 server > client1: SM_NOTIFY state=5 -> answered",
        "9-10 client1 > server: LOCK reclaim write 0-99 -> STALE_FH",
    ]
    assert len(found.hosts) == 2  # client2 has nothing to do with it
    assert [rung.proof for rung in found.rungs] == [True] * 4
    assert found.left_out == 0


def test_what_follows_from_it_is_on_the_ladder(tmp_path: Path) -> None:
    _, lines = ladder_of(tmp_path, STOLEN, "NLM001")
    assert lines[-1] == "7-8 client2 > server: LOCK write 0-9 -> GRANTED"
    _, lines = ladder_of(tmp_path, STOLEN, "NLM004")
    assert "5-6 client1 > server: LOCK reclaim write 0-99 -> STALE_FH" in lines


def test_the_missing_message_stands_where_it_should_have_been(tmp_path: Path) -> None:
    found, lines = ladder_of(tmp_path, UNTOLD, "NSM001")
    assert lines == [
        "1-2 client1 > 10.0.0.1: LOCK write 0-99 -> GRANTED",
        "3-4 client2 > 10.0.0.1: LOCK write 0-99 -> DENIED_GRACE_PERIOD",
        "10.0.0.1 > -: restarted",
        "10.0.0.1 > client1: no SM_NOTIFY",
        "5-6 client2 > 10.0.0.1: LOCK write 0-99 -> GRANTED",
    ]
    assert [rung.kind for rung in found.rungs].count(Kind.MISSING) == 1


def test_a_result_stands_with_its_message_and_equal_calls_are_one(tmp_path: Path) -> None:
    found, lines = ladder_of(tmp_path, CALLED, "NLM007")
    assert lines == [
        "3-4 client2 > server: LOCK_MSG write 0-9 -> BLOCKED",
        "7 server > client2: GRANTED_MSG write 0-9 -> no answer x2",
    ]
    assert found.left_out == 1  # the TEST of another file; the _RES calls are answers


def test_there_are_never_too_many(tmp_path: Path) -> None:
    """Hundreds of calls about the file: the finding's own frames stay, the others are counted."""
    polls = "".join(
        f"{2 * n + 7} client2 > server NLM_TEST fh=A oh=2 range={n}-{n}\n{2 * n + 8} server > client2 NLM4_GRANTED\n"
        for n in range(100)
    )
    story = f"""{STOLEN.partition("    7")[0]}
        {polls}
        207 +90s client2 > server  NLM_LOCK fh=A oh=2 range=0-9
        208      server  > client2 NLM4_GRANTED
    """
    found, lines = ladder_of(tmp_path, story, "NLM001")
    assert len(found.rungs) == ENOUGH
    for proof in ("1-2 client1", "3-4 server", "5-6 client1", "207-208 client2"):
        assert [line for line in lines if line.startswith(proof)]
    calls = sum(rung.times for rung in found.rungs if rung.kind is Kind.CALL)
    assert found.left_out == 104 - calls


def test_more_evidence_than_there_is_room_for(tmp_path: Path) -> None:
    analysis = analysed(write(tmp_path / "x.pcap", STOLEN))
    few = ladder(analysis, 0, most=2)
    assert len(few.rungs) == 2
    assert few.rungs[-1].kind is Kind.EVENT or few.rungs[0].kind is Kind.EVENT


def test_what_the_bytes_do_not_tell(tmp_path: Path) -> None:
    """A finding whose evidence is no message: a SYN that nobody answers."""
    path = next((p for p in SHARED.glob("T08-lockd-icmp-prohibited-tcp.pcap")), None)
    if path is None:
        pytest.skip("the recordings are not here")
    analysis = analysed(path)
    found = ladder(analysis, [f.code for f in analysis.findings].index("PMAP001"))
    assert "SYN to TCP port 39713, no answer" in [rung.what for rung in found.rungs]
    assert Kind.SIGNAL in {rung.kind for rung in found.rungs}


@pytest.mark.parametrize("path", MINE or sorted(SHARED.glob("*.pcap")), ids=lambda path: path.name)
def test_of_every_finding_in_real_recordings(path: Path) -> None:
    analysis = analysed(path)
    for number, finding in enumerate(analysis.findings):
        found = ladder(analysis, number)
        assert len(found.rungs) <= ENOUGH
        assert found.left_out >= 0
        times = [rung.at.time for rung in found.rungs]
        assert times == sorted(times)
        lanes = set(found.hosts) | {None}
        assert {host for rung in found.rungs for host in (rung.source, rung.target)} <= lanes
        if not finding.code.startswith("CAP"):
            assert finding.evidence[0].at in {at for rung in found.rungs for at in (rung.at, rung.answered)}, finding


def test_known_causes() -> None:
    """What the recordings are known to show: the packet that is missing, or the answer that is."""
    by_name = {path.name.partition("-")[0]: path for path in MINE}
    for name, what, answer in (
        ("S04", "no SM_NOTIFY", ""),
        ("S07", "SM_NOTIFY state=5", "no answer"),
        ("S08", "LOCK reclaim write 0-99", "DENIED_GRACE_PERIOD"),
        ("S10", "LOCK reclaim write 0-99", "STALE_FH"),
        ("S14", "no SM_NOTIFY", ""),
        ("T06", "no SM_NOTIFY", ""),
        ("T14", "never reclaimed", ""),
    ):
        analysis = analysed(by_name[name])
        root = next(n for n, f in enumerate(analysis.findings) if f.caused_by is None)
        found = ladder(analysis, root)
        assert (what, answer) in {(rung.what, rung.answer) for rung in found.rungs if rung.proof}, name
