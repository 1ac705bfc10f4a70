"""The captures of the benchmarks are what they say: tshark reads them so, and what is wrong in one of them is known."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from benchmarks.captures import MAKERS, write

from nlmdissect.history.history import History, read_history
from nlmdissect.rules import run

SIZES = {"hot": 300, "restart": 1200}
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def made(name: str, folder: Path) -> Path:
    path = folder / f"{name}.pcap"
    write(name, SIZES.get(name, 5000), str(path))
    return path


def fields(path: Path, only: str, *names: str) -> list[list[str]]:
    command = ["tshark", "-r", str(path), "-Y", only, "-T", "fields", *(word for name in names for word in ("-e", name))]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in text.splitlines()]


def found(path: Path) -> tuple[History, list[str]]:
    history = read_history([path])
    return history, [finding.code for finding in run(history)[0]]


@needs_tshark
@pytest.mark.parametrize("name", MAKERS)
def test_tshark_reads_them_without_complaint(name: str, tmp_path: Path) -> None:
    path = made(name, tmp_path)
    history, _ = found(path)
    nlm = fields(path, "nlm", "nlm.procedure_v4")
    assert len(nlm) == int((history.calls.frame > 0).sum() + (history.calls.reply_frame > 0).sum()) - 2 * notices(path)
    if name != "cut-200":
        assert not fields(path, "_ws.malformed || tcp.analysis.flags", "frame.number")


def notices(path: Path) -> int:
    return len(fields(path, "stat.procedure_v1 == 6 && rpc.msgtyp == 0", "frame.number"))


@needs_tshark
def test_bulk_has_the_share_of_locks_that_it_says(tmp_path: Path) -> None:
    path = made("bulk-1%", tmp_path)
    locks = Counter(frame[0] for frame in fields(path, "nlm && rpc.msgtyp == 0", "nlm.procedure_v4"))
    frames = len(fields(path, "frame", "frame.number"))
    assert locks["2"] == locks["4"] > 0
    assert 0.007 < 4 * locks["2"] / frames < 0.013


def test_one_client_of_a_restart_is_not_called(tmp_path: Path) -> None:
    history, codes = found(made("restart", tmp_path))
    assert codes == ["NSM001"]
    (finding,) = run(history)[0]
    assert history.names.address(finding.client or 0) == "10.1.0.20"
    assert len(finding.locks) == 1


@pytest.mark.parametrize("name", ["locks", "locks-1-client", "bulk-1%"])
def test_of_the_others_nothing_is_wrong(name: str, tmp_path: Path) -> None:
    assert found(made(name, tmp_path))[1] == []


def test_they_are_the_same_each_time(tmp_path: Path) -> None:
    first = made("restart", tmp_path).read_bytes()
    assert made("restart", tmp_path).read_bytes() == first
