"""A fleet of captures with known answers, audited here, on a cluster, and through kills of all kinds.

A run takes a small fleet. `pytest tests/audit/test_fleet.py --whole-fleet` takes 1,000 captures, 30 of them in rotated sets.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks import captures
from benchmarks.audit import pss
from support.fleet import Known, make

import nlmdissect
from nlmdissect.audit.api import Audit
from nlmdissect.audit.columns import TABLES

LIMIT = 600  # seconds that anything may take
WAIT = 0.05


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> tuple[Path, list[Known]]:
    folder = tmp_path_factory.mktemp("fleet")
    if pytestconfig.getoption("--whole-fleet"):
        return folder, make(folder, healthy=920, faults=40, sets=6)
    return folder, make(folder, healthy=62, faults=8, sets=3)


@pytest.fixture(scope="module")
def undisturbed(fleet: tuple[Path, list[Known]], tmp_path_factory: pytest.TempPathFactory) -> Audit:
    dataset = tmp_path_factory.mktemp("undisturbed")
    done = finish(start(fleet[0], dataset))
    assert done.returncode == 1, done.stderr
    return nlmdissect.open_audit(dataset)


def start(fleet: Path, dataset: Path, *more: str) -> subprocess.Popen[str]:
    """The command, as the leader of a group of processes, as a terminal starts it: an interrupt is not ignored."""
    command = [sys.executable, "-W", "error", "-m", "nlmdissect", "audit", str(fleet), "--dataset", str(dataset), *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=LIMIT)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def kept(dataset: Path) -> set[str]:
    return {path.name for path in dataset.glob("run=*/recording=*")}


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert process.poll() is None, "it ended before it could be disturbed"
        assert time.monotonic() < end
        time.sleep(WAIT)


def same(one: Audit, other: Audit) -> None:
    """Both have the same rows, whatever their runs are called."""
    for name in TABLES:
        a, b = (sorted(map(repr, audit.table(name).drop(columns="run").to_dict("records"))) for audit in (one, other))
        assert a == b, name


def test_the_answers_are_those_that_are_known(undisturbed: Audit, fleet: tuple[Path, list[Known]]) -> None:
    folder, known = fleet
    wrong = []
    found = {tuple(f["path"].removeprefix(f"{folder}/") for f in one.files): one for one in undisturbed.summary.recordings}
    for one in known:
        recording = found.pop(one.files, None)
        if recording is None:
            wrong.append(f"{one.files}: not a recording")
            continue
        codes = {finding["code"] for finding in recording.findings if finding["severity"] != "info"}
        if codes != one.codes or bool(recording.error) is not one.broken or recording.failed:
            wrong.append(f"{one}: {codes}, {recording.error}")
    assert not wrong
    assert not found


def test_a_lock_is_taken_in_the_first_file_and_lost_in_the_last(undisturbed: Audit) -> None:
    lost = [f for one in undisturbed.summary.recordings if len(one.files) > 1 for f in one.findings]
    assert {f["code"] for f in lost} >= {"NLM001", "NLM011"}
    for finding in lost:
        assert len({at["capture"] for at in finding["evidence"]}) > 1


def test_killed_in_the_middle_and_started_again(
    undisturbed: Audit, fleet: tuple[Path, list[Known]], tmp_path: Path
) -> None:
    process = start(fleet[0], tmp_path, "--jobs", "2")
    wait_for(lambda: len(kept(tmp_path)) >= 12, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = kept(tmp_path)
    gone = time.monotonic() + 30
    while _group(process.pid) and time.monotonic() < gone:  # nobody is left behind
        time.sleep(WAIT)
    assert not _group(process.pid)
    assert finish(start(fleet[0], tmp_path, "--jobs", "2")).returncode == 1
    assert len(list(tmp_path.glob("run=*"))) == 1
    again = nlmdissect.open_audit(tmp_path)
    same(again, undisturbed)
    assert again.run.about["reused"] == len(before)
    assert again.run.about["read"] == len(fleet[1]) - len(before)


def test_interrupted_by_hand(undisturbed: Audit, fleet: tuple[Path, list[Known]], tmp_path: Path) -> None:
    process = start(fleet[0], tmp_path)
    wait_for(lambda: len(kept(tmp_path)) >= 8, process)
    os.killpg(process.pid, signal.SIGINT)
    done = finish(process)
    assert done.returncode == 130
    assert "the same command goes on" in done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    before = kept(tmp_path)
    assert len(before) < len(fleet[1])
    assert not list(tmp_path.glob("run=*/.new-*"))
    assert finish(start(fleet[0], tmp_path)).returncode == 1
    assert nlmdissect.open_audit(tmp_path).run.about["reused"] == len(before)
    same(nlmdissect.open_audit(tmp_path), undisturbed)


def test_on_a_cluster_of_two_processes_one_of_which_is_killed(
    undisturbed: Audit, fleet: tuple[Path, list[Known]], tmp_path: Path
) -> None:
    with cluster(tmp_path) as (address, workers):
        calm = finish(start(fleet[0], tmp_path / "calm", "--scheduler", address))
        assert calm.returncode == 1, calm.stderr
        same(nlmdissect.open_audit(tmp_path / "calm"), undisturbed)
        process = start(fleet[0], tmp_path / "killed", "--scheduler", address)
        wait_for(lambda: len(kept(tmp_path / "killed")) >= 10, process)
        workers[0].kill()
        done = finish(process)
        assert done.returncode == 1, done.stderr
    again = nlmdissect.open_audit(tmp_path / "killed")
    assert again.run.about["read"] == len(fleet[1])
    same(again, undisturbed)


def test_a_scheduler_that_goes_away(fleet: tuple[Path, list[Known]], tmp_path: Path) -> None:
    with cluster(tmp_path) as (address, _):
        process = start(fleet[0], tmp_path / "set", "--scheduler", address)
        wait_for(lambda: len(kept(tmp_path / "set")) >= 4, process)
    done = finish(process)
    assert done.returncode == 3
    assert "the same command goes on" in done.stderr
    assert "Traceback" not in done.stderr, done.stderr


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is measured on Linux")
def test_memory_stays_below_its_limit(fleet: tuple[Path, list[Known]], tmp_path: Path) -> None:
    """Of all processes together, each page once."""
    (tmp_path / "captures").mkdir()
    captures.write("locks", 60_000, str(tmp_path / "captures" / "large.pcap"))
    paths = [str(tmp_path / "captures"), str(fleet[0] / "site03")]
    process = start(Path(paths[0]), tmp_path / "set", paths[1], "--jobs", "2", "--memory-limit", "850M")
    most = 0
    while process.poll() is None:
        most = max(most, pss(process.pid))
        time.sleep(0.1)
    done = finish(process)
    assert done.returncode in (0, 1), done.stderr
    assert 100 << 10 < most < 850 << 10
    (large,) = [one for one in nlmdissect.open_audit(tmp_path / "set").summary.recordings if one.name.endswith("large.pcap")]
    assert large.total("frames") == 60_000


def test_no_scheduler(fleet: tuple[Path, list[Known]], tmp_path: Path) -> None:
    done = finish(start(fleet[0], tmp_path, "--scheduler", "tcp://127.0.0.1:9"))
    assert done.returncode == 2
    assert "no scheduler answers" in done.stderr
    assert "Traceback" not in done.stderr, done.stderr


def _group(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers, as an operator starts them: its address, and the workers."""
    where = folder / "scheduler.json"
    common = ["--scheduler-file", str(where), "--no-dashboard"]
    local = {**os.environ, "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "false"}
    running: list[subprocess.Popen[bytes]] = []

    def run(module: str, *more: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.dask_{module}", *common, "--host", "127.0.0.1", *more]
        running.append(
            subprocess.Popen(command, cwd=folder, env=local, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )

    try:
        run("scheduler", "--port", "0")
        while not where.exists():
            time.sleep(WAIT)
        for _ in range(2):
            run("worker", "--nthreads", "1", "--no-nanny", "--local-directory", str(folder))
        address = json.loads(where.read_text())["address"]
        _wait_for_workers(address)
        yield address, running[1:]
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            try:
                process.wait(1)  # a worker waits for its scheduler, which is gone
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_workers(address: str) -> None:
    code = f"from distributed import Client\nwith Client({address!r}) as c: c.wait_for_workers(2, timeout=60)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=LIMIT)
