"""Holds that are not walked step by step come to the same as those that are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.captures import SHARED
from support.story import capture_of

from nlmdissect.history.history import History, read_history
from nlmdissect.history.walk import walk
from nlmdissect.history.walked import Walked

RECORDINGS = [p for folder in (SHARED, Path(__file__).parents[2] / "captures") for p in sorted(folder.glob("*.pcap*"))]
CYCLE = """
    client{c} > server     NLM_LOCK fh={f} oh={c} range={r}
    server  > client{c}  NLM4_GRANTED
    client{c} > server     NLM_UNLOCK fh={f} oh={c} range={r}
    server  > client{c}  NLM4_GRANTED
"""


def both(history: History) -> tuple[Walked, Walked]:
    arguments = history.calls, history.requests, history.boots, history.names, history.loopback
    return walk(*arguments), walk(*arguments, shortcut=False)


def same(short: Walked, long: Walked) -> None:
    assert not long.calm
    assert short.steps == long.steps
    assert short.table.rows == long.table.rows
    assert short.table.fates == long.table.fates
    assert short.table.thefts == long.table.thefts
    assert short.table.collisions == long.table.collisions
    assert short.table.orphans == long.table.orphans
    assert [piece for _, _, piece in short.table.of()] == [piece for _, _, piece in long.table.of()]
    assert short.waits == long.waits
    assert short.reclaims == long.reclaims
    assert short.edges == long.edges
    assert short.undecided == long.undecided
    assert short.left_behind == long.left_behind


def told(folder: Path, *lines: str) -> History:
    path = folder / "story.pcap"
    text = [line.strip() for line in "\n".join(lines).splitlines() if line.strip()]
    path.write_bytes(capture_of("\n".join(f"{n}  {line}" for n, line in enumerate(text, 1)))[0])
    return read_history([path])


def cycle(client: int = 1, file: str = "A", range: str = "0-99") -> str:
    return CYCLE.format(c=client, f=file, r=range)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_on_recordings(path: Path) -> None:
    same(*both(read_history([path])))


def test_a_file_where_one_follows_the_other_is_calm(tmp_path: Path) -> None:
    short, long = both(told(tmp_path, cycle(1), cycle(2), cycle(1)))
    same(short, long)
    assert len(short.calm) == 3
    assert not [step for step in short.loud if step.machine != "monitor"]


def test_a_lock_that_is_not_given_back_is_not(tmp_path: Path) -> None:
    short, long = both(told(tmp_path, cycle(1), *cycle(2).strip().splitlines()[:2]))
    same(short, long)
    assert not short.calm


def test_neighbours_join_and_are_not_calm(tmp_path: Path) -> None:
    first, second = cycle(range="0-99").strip().splitlines(), cycle(range="100-199").strip().splitlines()
    short, long = both(told(tmp_path, *first[:2], *second[:2], *first[2:], *second[2:]))
    same(short, long)
    assert not short.calm


def test_apart_they_are_calm(tmp_path: Path) -> None:
    first, second = cycle(range="0-99").strip().splitlines(), cycle(2, range="200-299").strip().splitlines()
    short, long = both(told(tmp_path, *first[:2], *second[:2], *first[2:], *second[2:]))
    same(short, long)
    assert len(short.calm) == 2


def test_a_notice_while_it_is_held_is_a_disturbance(tmp_path: Path) -> None:
    lines = cycle().strip().splitlines()
    notice = ["client1 > server  SM_NOTIFY mon_name=client1 state=5", "server > client1  OK"]
    short, long = both(told(tmp_path, *lines[:2], *notice, *lines[2:]))
    same(short, long)
    assert not short.calm


CALLS = st.tuples(
    st.sampled_from(("NLM_LOCK", "NLM_LOCK", "NLM_UNLOCK", "NLM_UNLOCK", "NLM_TEST", "NLM_FREE_ALL")),
    st.integers(1, 2), st.sampled_from("AB"), st.sampled_from(("0-99", "100-199", "300-399", "0-EOF")),
    st.sampled_from(("", "shared", "reclaim")),
    st.sampled_from(("NLM4_GRANTED",) * 6 + ("NLM4_DENIED", "NLM4_DENIED_GRACE_PERIOD", "")),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(CALLS, st.just(None)), min_size=2, max_size=14), st.integers(0, 3))
def test_on_random_stories(tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[str, ...] | None], many: int) -> None:
    lines = [cycle(1 + n % 2, "C") for n in range(many)]
    for n, call in enumerate(calls):
        if call is None:
            lines += [f"server > client1  SM_NOTIFY mon_name=server state={5 + 2 * n}", "client1 > server  OK"]
            continue
        verb, client, file, span, word, status = call
        word = word if verb == "NLM_LOCK" else ""
        of = "" if verb == "NLM_FREE_ALL" else f"fh={file} oh={client} range={span} {word}"
        lines.append(f"client{client} > server  {verb} {of}")
        if status and verb != "NLM_FREE_ALL":
            lines.append(f"server > client{client}  {status}")
    same(*both(told(tmp_path_factory.mktemp("random"), *lines)))
