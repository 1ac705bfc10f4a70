"""The monitor graph: who watches whom, what was used, what should have been."""

from __future__ import annotations

from pathlib import Path

from support.drawn import read
from support.incidents import RECOVERED, UNTOLD, WELL, crowd

from nlmdissect.report.pictures.monitors import Monitors, monitors


def said(of: Monitors) -> list[str]:
    return sorted(f"{of.nodes[e.watcher].name} watches {of.nodes[e.watched].name}: {e.tone}" for e in of.edges)


def test_a_lock_implies_both_edges(tmp_path: Path) -> None:
    of = monitors(read(tmp_path, WELL).analysis)
    assert said(of) == ["10.0.0.1 watches client1: plain", "client1 watches 10.0.0.1: plain"]
    assert [(node.name, node.side) for node in of.nodes] == [("10.0.0.1", 0), ("client1", 1)]


def test_an_edge_that_carried_a_notice(tmp_path: Path) -> None:
    of = monitors(read(tmp_path, RECOVERED).analysis)
    assert "client1 watches server: notice" in said(of)
    (used,) = (edge for edge in of.edges if edge.tone == "notice")
    assert "1 SM_NOTIFY answered (frame 3 at" in used.words


def test_an_edge_that_should_have_carried_one(tmp_path: Path) -> None:
    of = monitors(read(tmp_path, UNTOLD).analysis)
    assert "client1 watches server: bad" in said(of)
    assert "client2 watches server: notice" in said(of)
    assert [node.name for node in of.nodes if node.bad] == ["server", "client1"]


def test_the_worst_come_first_and_the_rest_share_a_place(tmp_path: Path) -> None:
    of = monitors(read(tmp_path, crowd(60, 3)).analysis, most=10)
    clients = [node.name for node in of.nodes if node.side]
    assert (clients[:3], clients[-1]) == (["node000", "node001", "node002"], "51 more clients")
    assert of.notes == ("51 clients with less trouble share the last place.",)


def test_nobody_watches_anybody(tmp_path: Path) -> None:
    assert monitors(read(tmp_path, "").analysis) == Monitors((), ())
