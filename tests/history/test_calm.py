"""Holds that are not walked step by step come to the same as those that are."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.captures import SHARED
from support.story import capture_of

from nlmdissect.history.history import History, read_history
from nlmdissect.history.walk import walk
from nlmdissect.history.walked import Walked
from nlmdissect.machines.hold import HOLD
from nlmdissect.machines.machine import Step

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


def told_by(walked: Walked) -> dict[str, Any]:
    """All that a walk leaves behind, in which holds go by what they are: numbers are given out in another order."""
    of = {row.hold: (row.file, row.owner, row.start, row.end, row.granted) for row in walked.holds}

    def plain(thing: Any) -> Any:
        if isinstance(thing, Step):
            thing = thing._replace(thing=0) if thing.machine == HOLD.name else thing
        if isinstance(thing, list | tuple):
            return [plain(item) for item in thing]
        if isinstance(thing, dict):
            return {key: plain(value) for key, value in thing.items()}
        if is_dataclass(thing):
            known = {f.name: getattr(thing, f.name) for f in fields(thing)}
            return {name: of[value] if name == "hold" else plain(value) for name, value in known.items()}
        return thing

    steps = [(of[step.thing] if step.machine == HOLD.name else step.thing, plain(step)) for step in walked.steps]
    table = walked.table
    parts = ("holds", "waits", "reclaims", "edges", "undecided", "left_behind", "hold_count")
    found = {name: plain(getattr(walked, name)) for name in parts}
    found |= {name: plain(getattr(table, name)) for name in ("fates", "thefts", "collisions", "orphans")}
    found["pieces"] = [plain(piece) for _, _, piece in table.of()]
    found["steps"] = sorted(steps, key=str)
    found["order"] = [(step.at, step.machine) for step in walked.steps]
    return found


def same(short: Walked, long: Walked) -> None:
    assert not len(long.calm)
    assert told_by(short) == told_by(long)


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
    assert not len(short.calm)


def test_neighbours_join_and_are_not_calm(tmp_path: Path) -> None:
    first, second = cycle(range="0-99").strip().splitlines(), cycle(range="100-199").strip().splitlines()
    short, long = both(told(tmp_path, *first[:2], *second[:2], *first[2:], *second[2:]))
    same(short, long)
    assert not len(short.calm)


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
    assert not len(short.calm)


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
