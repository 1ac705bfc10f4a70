"""What a person sees: the verdict first, consequences under causes, and nothing that acts on the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.captures import SHARED
from support.incidents import LOST, NO_LOCKS, STOLEN, WELL, write

import nlmdissect
from nlmdissect.report.text import render
from nlmdissect.report.verdict import Word, verdict

HOSTILE = [
    b"\x1b[2J\x1b]0;owned\x07", b"\r\nHEALTHY\n", b"\x08\x08\x08\x7f", b"\xc2\x9b31m", b"\xe2\x80\xae\xe2\x81\xa6",
    b"\xff\xfe",     b"[bold red]x[/]", b"[/]", b":smile:", b"{0}%s%n", b"\xe2\x80\xa8", b"\xf3\xa0\x81\x81", b"\x00",
]  # fmt: skip


def text_of(path: Path, **options: bool | int) -> str:
    return render(nlmdissect.read(path).analysis, **options)  # type: ignore[arg-type]


def test_the_verdict_comes_first(tmp_path: Path) -> None:
    first = text_of(write(tmp_path / "x.pcap", LOST), width=140).splitlines()[0]
    assert first.split()[0] == "WRONG"
    assert "reclaim" in first
    assert "client1 at server" in first
    assert "NLM001" in first


def test_a_finding_says_who_what_where_and_what_to_do(tmp_path: Path) -> None:
    text = text_of(write(tmp_path / "x.pcap", LOST), width=160)
    for words in (
        "NLM001 refused-reclaim  error",
        "client client1 (10.0.0.21), server server (10.0.0.1)",
        "write 0-99 on fh",
        "reclaim answered STALE_FH",
        "frame.number in {",
        "Restart the application",
    ):
        assert words in text


def test_a_consequence_stands_under_its_cause(tmp_path: Path) -> None:
    lines = text_of(write(tmp_path / "x.pcap", STOLEN), width=140).splitlines()
    heads = [line for line in lines if "NLM001 " in line or "NLM004 " in line][-2:]
    assert heads[0].startswith("1  NLM001")
    assert heads[1].startswith("    1.1  NLM004")
    assert "follows from the above" in heads[1]


def test_the_ladder_comes_before_the_findings_and_the_commands_come_last(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pcap", STOLEN)
    lines = text_of(path, width=100).splitlines()
    ladder = next(n for n, line in enumerate(lines) if line.startswith("frame answer  time"))
    assert ladder < next(n for n, line in enumerate(lines) if line.startswith("1  NLM001"))
    assert "LOCK reclaim write 0-99 -> STALE_FH" in "".join(lines[ladder : ladder + 6])
    assert lines[-5] == "Where to look next"
    assert lines[-4].endswith(f"nlmdissect show {path} --where '\"2e2e2e2e2e2e2e2e2e2e2e41\" in fh'")
    assert lines[-1].split() == ["the", "rule", "nlmdissect", "explain", "NLM001"]
    for story in (WELL, NO_LOCKS):
        text = text_of(write(tmp_path / "y.pcap", story))
        assert "Where to look next" not in text
        assert "frame answer" not in text


def test_recoveries_are_a_table(tmp_path: Path) -> None:
    lines = [line.split() for line in text_of(write(tmp_path / "x.pcap", LOST), width=140).splitlines()]
    assert ["peer", "it", "is", "a", "notice", "held", "reclaimed", "refused"] in lines
    assert ["client1", "(10.0.0.21)", "client", "understood", "1", "-", "1"] in lines
    assert ["client2", "(10.0.0.22)", "client", "understood", "1", "1", "-"] in lines


def test_what_the_hosts_were_taken_for(tmp_path: Path) -> None:
    """Only where something is found: then times and severities may depend on it."""
    title = "What these hosts were taken for, and why"
    lines = text_of(write(tmp_path / "x.pcap", LOST), width=160).partition(title)[2].splitlines()
    assert any(
        line.split()[:3] == ["client1", "(10.0.0.21)", "linux"] and "its oh is svid@name" in line for line in lines
    )
    assert title not in text_of(write(tmp_path / "y.pcap", WELL))


@pytest.mark.parametrize(
    ("story", "word"),
    [
        (LOST, Word.WRONG),
        (STOLEN, Word.SUSPECTED),
        (WELL, Word.HEALTHY),
        (NO_LOCKS, Word.CANNOT_TELL),
        ("", Word.CANNOT_TELL),
    ],
)
def test_the_word_of_the_verdict(tmp_path: Path, story: str, word: Word) -> None:
    assert verdict(nlmdissect.read(write(tmp_path / "x.pcap", story)).analysis).word is word


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("S01-baseline-udp", Word.HEALTHY),
        ("T10-base-healthy", Word.HEALTHY),
        ("S07-notify-lost-after-capture", Word.WRONG),
        ("S10-partial-reclaim", Word.WRONG),
        ("N01-nolock", Word.CANNOT_TELL),
    ],
)
def test_the_verdict_on_real_recordings(name: str, word: Word) -> None:
    path = SHARED / f"{name}.pcap"
    if not path.exists():
        pytest.skip("the recordings are not here")
    assert verdict(nlmdissect.read(path).analysis).word is word


def test_healthy_is_not_said_of_requests_without_answers(tmp_path: Path) -> None:
    silent = """
        5        client1 > server   NLM_LOCK fh=A oh=1 range=0-99
        6  +30s  client1 > server   GETPORT lockd
    """
    found = verdict(nlmdissect.read(write(tmp_path / "x.pcap", WELL + silent)).analysis)
    assert found.word is not Word.HEALTHY
    found = verdict(nlmdissect.read(write(tmp_path / "y.pcap", WELL + silent.partition("6  +30s")[0])).analysis)
    assert found.word is Word.HEALTHY  # the recording ended before an answer could come


def test_healthy_is_not_said_where_findings_were_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pcap", LOST)
    for wanted in ({"select": ["NSM"]}, {"ignore": ["NLM001"]}):
        said = verdict(nlmdissect.read(path, **wanted).analysis)
        assert (said.word, "NLM001" in said.sentence) == (Word.CANNOT_TELL, True)
    assert verdict(nlmdissect.read(path, select=["NLM001"]).analysis).word is Word.WRONG


def test_quiet_is_the_verdict_alone(tmp_path: Path) -> None:
    assert len(text_of(write(tmp_path / "x.pcap", WELL), quiet=True).splitlines()) == 1


@pytest.mark.parametrize("width", [20, 80, 140])
def test_no_line_is_wider_than_asked(tmp_path: Path, width: int) -> None:
    text = text_of(write(tmp_path / "x.pcap", STOLEN), width=width)
    lines = [line for line in text.splitlines() if "nlmdissect show" not in line and "nlmdissect locks" not in line]
    assert max(map(len, lines)) <= max(width, 40)  # but for commands, which are copied as they are
    assert not [line for line in text.splitlines() if line != line.rstrip()]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("colour", [False, True])
def test_hostile_names_are_shown_not_obeyed(tmp_path: Path, name: bytes, colour: bool) -> None:
    path = write(tmp_path / "x.pcap", LOST, client1=name)
    plain = text_of(write(tmp_path / "x.pcap", LOST, client1=b"A" * 16), width=160, colour=colour)
    text = text_of(path, width=160, colour=colour)
    assert not [c for c in text if c not in "\n\x1b" and not c.isprintable()]
    assert text.count("\x1b") == plain.count("\x1b")  # only the report's own colours


def test_markup_is_not_read(tmp_path: Path) -> None:
    assert "[bold red]x[/]" in text_of(write(tmp_path / "x.pcap", LOST, client1=b"[bold red]x[/]"), width=160)


def test_colours_only_when_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pcap", LOST)
    assert "\x1b" not in text_of(path)
    assert "\x1b[" in text_of(path, colour=True)
