"""One thing that happened to several hosts is told once, with a row for each."""

from __future__ import annotations

import re
from pathlib import Path

from support.incidents import LOST, STOLEN, write

import nlmdissect
from nlmdissect.analysis import Analysis
from nlmdissect.report.page import page
from nlmdissect.report.text import render
from nlmdissect.report.verdict import verdict

TOLD = """server > client{0} GETPORT statd
client{0} > server port 662
server > client{0} SM_NOTIFY mon_name=server state=5
client{0} > server OK
client{0} > server NLM_LOCK fh={1} oh={0} reclaim
server > client{0} NLM4_GRANTED"""


def restart(clients: int, untold: int) -> str:
    """A restart after which the first ``untold`` clients are not notified; then the last one takes the first one's lock."""
    last = f"client{clients}"
    everyone = range(1, clients + 1)
    parts = [f"client{n} > server NLM_LOCK fh={'ABCDEF'[n - 1]} oh={n}\nserver > client{n} NLM4_GRANTED" for n in everyone]
    parts += [f"+60s {last} > server NLM_LOCK fh=X oh={clients}\nserver > {last} NLM4_DENIED_GRACE_PERIOD"]
    parts += [TOLD.format(n, "ABCDEF"[n - 1]) for n in everyone[untold:]]
    parts += [f"+60s {last} > server NLM_LOCK fh=A oh={clients}\nserver > {last} NLM4_GRANTED"]
    parts += [f"client{n} > server NLM_LOCK fh=P oh={n} shared\nserver > client{n} NLM4_GRANTED" for n in everyone]
    return numbered("\n".join(parts))


def numbered(lines: str) -> str:
    return "\n".join(f"{n} {line}" for n, line in enumerate(lines.strip().splitlines(), 1))


def analysis(tmp_path: Path, story: str) -> Analysis:
    return nlmdissect.read(write(tmp_path / "x.pcap", story)).analysis


def codes(of: Analysis) -> list[list[str]]:
    return [[of.findings[number].code for number in story] for story in of.stories()]


def test_a_server_that_told_nobody_is_one_story_with_five_rows(tmp_path: Path) -> None:
    told = analysis(tmp_path, restart(6, untold=5))
    assert codes(told) == [["NSM001"] * 5]
    assert "NSM001: 5 clients at server" in verdict(told).sentence
    text = render(told, width=140)
    assert text.count("NSM001 missing-server-notify") == 1
    rows = [line for line in text.splitlines() if line.lstrip().startswith("client") and "write 0-99 on fh" in line]
    assert [row.split()[:2] for row in rows] == [[f"client{n}", f"(10.0.0.2{n})"] for n in range(1, 6)]
    assert [row.split("  ")[-1].split()[0] if "NLM" in row else "" for row in rows] == ["NLM004", "", "", "", ""]


def test_each_row_has_its_own_frames_and_the_shared_ones_stand_above(tmp_path: Path) -> None:
    text = render(analysis(tmp_path, restart(4, untold=3)), width=140)
    shared = text.partition("frames ")[2].partition("client  ")[0]
    assert "DENIED_GRACE_PERIOD" in shared
    rows = [line for line in text.splitlines() if line.lstrip().startswith("client") and "write 0-99 on fh" in line]
    grants = [row.split("  ")[2].strip() if row.count("  ") > 2 else "" for row in rows]
    assert len(rows) == 3
    assert all(str(2 * n) in row.split() for n, row in enumerate(rows, 1)), grants  # the answer that granted each lock


def test_the_page_tells_it_once_with_a_card_for_each(tmp_path: Path) -> None:
    (story,) = page(analysis(tmp_path, restart(6, untold=5))).stories
    assert (story.told_of, [card.number for card in story.cards]) == ("5 clients at server", [f"1.{n}" for n in range(1, 6)])
    assert [[other.finding.code for other in card.follow] for card in story.cards] == [["NLM004"], [], [], [], []]


def test_one_client_is_told_in_full(tmp_path: Path) -> None:
    told = analysis(tmp_path, restart(3, untold=1))
    assert codes(told) == [["NSM001"]]
    text = render(told, width=140)
    assert "e.g." not in text
    assert "1.1  NLM004" in text


def test_restarts_of_two_servers_are_two_stories(tmp_path: Path) -> None:
    """The same words, and nothing in common."""
    lines = [line.split(maxsplit=1)[1] for line in LOST.strip().splitlines()]
    again = [line.replace("server", "server2").replace("client1", "client3") for line in lines]
    both = "\n".join(lines + [line.replace("server2state", "server2 state") for line in again])
    both = re.sub(r" to=\d+", "", both.replace("mon_name=server2", "mon_name=server2 "))
    assert codes(analysis(tmp_path, numbered(both))) == [["NLM001"], ["NLM001"]]


def test_a_consequence_stays_with_its_cause(tmp_path: Path) -> None:
    assert codes(analysis(tmp_path, STOLEN)) == [["NLM001"]]
