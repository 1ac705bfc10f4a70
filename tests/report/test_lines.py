"""``show``: calls and messages, one a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.incidents import LOST, NO_LOCKS, write

from nlmdissect.errors import UsageError
from nlmdissect.history.history import History, read_history
from nlmdissect.report import lines

EVERYTHING = lines.Chosen(frozenset(), None)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return read_history([write(tmp_path / "x.pcap", LOST)])


def test_a_call_and_its_answer_are_one_line(history: History) -> None:
    head, first, *rest = lines.of_calls(history, EVERYTHING)
    assert head.startswith("# 2023-11-14 UTC\n") or first
    text = head + first + "".join(rest)
    assert "NLM4 LOCK reclaim" in text
    assert "-> STALE_FH (frame 10, 1.000 s)" in text
    assert "NSM1 NOTIFY mon_name=server state=5" in text


def test_every_message_is_a_line_in_order(history: History) -> None:
    text = "".join(lines.of_messages(history, EVERYTHING)).splitlines()
    assert [int(line.split()[0]) for line in text if not line.startswith("#")] == list(range(1, 15))


def test_only_some_programs_and_hosts(history: History) -> None:
    nsm = lines.Chosen(lines.programs(["nsm"]), None)
    assert len(list(lines.of_calls(history, nsm))) == 2
    one = lines.Chosen(frozenset(), lines.hosts(history, ["client1"]))
    assert len(list(lines.of_calls(history, one))) == 3
    assert lines.hosts(history, ["10.0.0.21"]) == lines.hosts(history, ["client1"])


def test_only_some_rows(history: History) -> None:
    rows = history.calls.reclaim == 1
    assert [line.split()[0] for line in lines.of_calls(history, lines.Chosen(rows=rows))] == ["#", "11"]
    messages = "".join(lines.of_messages(history, lines.Chosen(rows=rows))).splitlines()
    assert [line.split()[0] for line in messages] == ["#", "9", "10", "11", "12"]
    one = lines.Chosen(lines.programs(["nlm"]), lines.hosts(history, ["client2"]), rows)
    assert len(list(lines.of_calls(history, one))) == 1


def test_names_that_mean_nothing(history: History) -> None:
    with pytest.raises(UsageError, match="no program"):
        lines.programs(["nfsd"])
    with pytest.raises(UsageError, match="no host"):
        lines.hosts(history, ["10.9.9.9"])
    with pytest.raises(UsageError, match="Did you mean client"):
        lines.hosts(history, ["cleint1"])


def test_ports(tmp_path: Path) -> None:
    (line,) = lines.of_calls(read_history([write(tmp_path / "x.pcap", NO_LOCKS)]), EVERYTHING)
    assert "GETPORT NLM v4" in line
    assert "-> port 4045" in line


def test_hostile_names(tmp_path: Path) -> None:
    history = read_history([write(tmp_path / "x.pcap", LOST, client1=b"\x1b[2J\r\n\xe2\x80\xae")])
    for line in [*lines.of_calls(history, EVERYTHING), *lines.of_messages(history, EVERYTHING)]:
        assert not [c for c in line if c != "\n" and not c.isprintable()]
        assert line.count("\n") == 1 + line.startswith("#")
