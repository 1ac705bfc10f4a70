"""Requests that tell nothing are left out where signs and refusals are read: with all of them it comes to the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import captures
from support.captures import SHARED
from support.story import capture_of

from nlmdissect.history import held_off
from nlmdissect.history.history import read_history
from nlmdissect.hosts import signs
from nlmdissect.rpc.requests import Bools, Op, Requests

OURS = Path(__file__).parents[2] / "captures"
RECORDINGS = [path for folder in (SHARED, OURS) for path in sorted(folder.glob("*.pcap*"))]


def everything(requests: Requests, ordinary: Bools, others: object) -> Bools:
    return ordinary


def all_answers(requests: Requests, restarts: object) -> Bools:
    return ~requests.is_a(Op.GRANTED)


def told(path: Path) -> list[object]:
    history = read_history([path])
    runs = [(r.server, r.fh, [at for at, _ in r.answers], r.over, r.until) for r in history.held_off]
    return [history.boots, history.stray, history.recoveries, runs]


def same(path: Path, patch: pytest.MonkeyPatch) -> list[object]:
    found = told(path)
    patch.setattr(signs, "_beside", everything)
    patch.setattr(held_off, "_near", all_answers)
    assert found == told(path)
    return found


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_on_recordings(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same(path, monkeypatch)


def test_where_nearly_all_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "restart.pcap"
    captures.write("restart", 4000, str(path))
    assert same(path, monkeypatch)[0], "the server restarts in it"


HELD_OFF = """
1  client1 > server   NLM_LOCK fh=A oh=1
2  server > client1   NLM4_DENIED_GRACE_PERIOD
3  client2 > server   NLM_UNLOCK fh=C oh=2
4  server > client2   NLM4_GRANTED
5  client2 > server   NLM_LOCK fh=B oh=2
6  server > client2   NLM4_GRANTED
"""


def test_a_file_that_was_never_held_off_ends_the_run_of_its_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "story.pcap"
    path.write_bytes(capture_of(HELD_OFF)[0])
    runs = same(path, monkeypatch)[3]
    assert [(over and over.frame, fh is None) for _, fh, _, over, _ in runs] == [(6, True), (None, False)]
