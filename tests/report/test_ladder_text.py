"""The ladder as characters."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.captures import SHARED
from support.incidents import LOST, STOLEN, write

import nlmdissect
from nlmdissect.report.ladder import ladder
from nlmdissect.report.ladder_text import draw
from nlmdissect.report.voice import Voice

MINE = Path(__file__).parents[2] / "captures"


def drawn(path: Path, code: str, width: int = 100) -> list[str]:
    analysis = nlmdissect.read(path).analysis
    number = [finding.code for finding in analysis.findings].index(code)
    lines = draw(ladder(analysis, number), Voice(analysis.history), width)
    return ["".join(part.text for part in line).rstrip() for line in lines]


def test_two_hosts(tmp_path: Path) -> None:
    assert drawn(write(tmp_path / "x.pcap", LOST), "NLM001", 80) == [
        "frame answer  time       client1       server",
        "    1      2  22:13:20.000  |------------>|  LOCK write 0-99 -> GRANTED",
        "              22:13:53.000  |             *  restarted",
        "    5      6  22:13:53.000  |<------------|  SM_NOTIFY state=5 -> answered",
        "    9     10  22:13:57.000  |------------>|  LOCK reclaim write 0-99 -> STALE_FH",
    ]


def test_a_packet_that_is_missing_among_three_hosts() -> None:
    """As the recording is known to be: sm-notify was not run; client-b is granted client-a's lock."""
    lines = drawn(MINE / "S04-notify-never-sent.pcap", "NSM001", 100)
    assert lines[0].split() == ["frame", "answer", "time", "client-a", "10.77.0.10", "client-b"]
    missing = next(line for line in lines if "no SM_NOTIFY" in line)
    assert missing.strip() == "|   x - - -|          |  no SM_NOTIFY"
    assert lines.index(missing) < next(n for n, line in enumerate(lines) if line.split()[:2] == ["233", "235"])
    assert lines[-1].endswith("left out")


def test_a_narrow_page_puts_the_answer_on_a_line_of_its_own() -> None:
    lines = drawn(MINE / "S08-reclaim-after-grace.pcap", "NLM003", 80)
    asked = next(n for n, line in enumerate(lines) if line.split()[:1] == ["277"])
    assert lines[asked].endswith("LOCK reclaim write 0-99")
    assert lines[asked + 1].split() == ["|", "|", "|", "->", "DENIED_GRACE_PERIOD"]


def test_several_files_are_told_apart() -> None:
    lines = drawn(MINE / "S15-spurious-notify.pcap", "NSM009")
    files = {line.partition("..")[2][:4] for line in lines if "LOCK" in line}
    assert len(files) == 2


@pytest.mark.parametrize("width", [20, 60, 70, 80, 100, 160])
def test_no_line_is_too_long(width: int) -> None:
    for path in sorted(SHARED.glob("[ST]*.pcap")) or sorted(MINE.glob("*.pcap")):
        analysis = nlmdissect.read(path).analysis
        for number in range(len(analysis.findings)):
            lines = [
                "".join(p.text for p in line) for line in draw(ladder(analysis, number), Voice(analysis.history), width)
            ]
            assert max(map(len, lines), default=0) <= width, path.name
            assert bool(lines) or width < 80 or analysis.findings[number].code.startswith("CAP"), path.name
            assert all(line.isascii() for line in lines)


def test_hostile_names_are_shown_not_obeyed(tmp_path: Path) -> None:
    for name in (b"\x1b[2J\r\n", b"\xe2\x80\xae\xf3\xa0\x81\x81", b"", b"..........", b"|------->|"):
        lines = drawn(write(tmp_path / "x.pcap", STOLEN, client1=name), "NLM001")
        assert all(line.isprintable() for line in lines)
        assert max(map(len, lines)) <= 100
        assert len(lines) == 6
