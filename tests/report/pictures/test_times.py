"""Response times: as tshark counts them, and what it cannot count."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.captures import SHARED
from support.drawn import read
from support.incidents import WAITED

import nlmdissect
from nlmdissect.report.pictures.times import times

ASYNCHRONOUS = """
    1        client1 > server   NLM_LOCK_MSG fh=A oh=1 range=0-99
    2        server  > client1  OK
    3  +3s   server  > client1  NLM_LOCK_RES NLM4_GRANTED
    4        client1 > server   OK
    5        client1 > server   NLM_LOCK_MSG fh=B oh=1 range=0-99
    6        server  > client1  OK
"""


def test_a_wait_is_from_blocked_to_granted(tmp_path: Path) -> None:
    rows = {row.what: row for row in times(read(tmp_path, WAITED).analysis).rows}
    wait = rows["LOCK: BLOCKED to granted"]
    assert (wait.answered, wait.unanswered, wait.median, wait.slowest.frame) == (1, 0, 13.0, 4)
    assert (rows["NLM4 LOCK"].answered, rows["NLM4 LOCK"].maximum) == (2, 1.0)
    assert next(iter(rows)) == "LOCK: BLOCKED to granted"  # the slowest comes first


def test_a_msg_is_answered_by_its_res(tmp_path: Path) -> None:
    rows = {row.what: row for row in times(read(tmp_path, ASYNCHRONOUS).analysis).rows}
    row = rows["NLM4 LOCK_MSG to LOCK_RES"]
    assert (row.answered, row.unanswered, row.median) == (1, 1, 4.0)
    assert (rows["NLM4 LOCK_MSG"].answered, rows["NLM4 LOCK_MSG"].median) == (2, 1.0)  # the empty RPC replies


def test_faster_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    found = times(read(tmp_path, WAITED).analysis, most=1)
    assert [row.what for row in found.rows] == ["LOCK: BLOCKED to granted"]
    assert found.notes == ("3 faster rows not shown.",)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("name", ["S01-baseline-udp", "S11-granted-blocked-udp", "T11-ganesha-baseline-tcp"])
def test_tshark_counts_the_same(name: str) -> None:
    path = SHARED / f"{name}.pcap"
    if not path.exists():
        pytest.skip("the recording is not here")
    said = subprocess.run(
        ["tshark", "-o", "tcp.try_heuristic_first:TRUE", "-r", path, "-q", "-z", "rpc,srt,100021,4"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    theirs = {m[1]: (int(m[2]), *(float(m[n]) for n in (3, 4, 5)))
              for m in re.finditer(r"^\s*\d+\s+(\w+)\s+(\d+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)", said, re.M)}  # fmt: skip
    ours: dict[str, list[tuple[int, float, float, float]]] = {}
    for row in times(nlmdissect.read(path).analysis).rows:
        if row.what.startswith("NLM4 ") and " to " not in row.what:
            ours.setdefault(row.what.removeprefix("NLM4 "), []).append(
                (row.answered, row.minimum, row.maximum, row.mean)
            )
    assert theirs
    for procedure, (count, low, high, mean) in theirs.items():
        of = ours[procedure]
        assert sum(row[0] for row in of) == count, procedure
        assert min(row[1] for row in of) == pytest.approx(low, abs=2e-6)
        assert max(row[2] for row in of) == pytest.approx(high, abs=2e-6)
        assert sum(row[0] * row[3] for row in of) / count == pytest.approx(mean, abs=2e-6)
