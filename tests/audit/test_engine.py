"""The workers of this machine: nobody else can reach them, and they are forked safely and soon."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from nlmdissect.audit.engine import Pool
from nlmdissect.errors import UsageError

LOOK = """
import json, multiprocessing.forkserver as forkserver, os
import psutil
from nlmdissect.audit.engine import Pool

def main():
    with Pool(jobs=2, memory=2 << 30) as pool:
        server = psutil.Process(forkserver._forkserver._forkserver_pid)
        everybody = [psutil.Process(), *psutil.Process().children(recursive=True)]
        listening = [c.laddr.ip for p in everybody for c in p.net_connections("inet") if c.status == "LISTEN"]
        pool.submit("a", os.getpid)
        results = list(pool.results(lambda: False))
        print(json.dumps({
            "address": pool._cluster.scheduler_address, "listening": listening, "threads": server.num_threads(),
            "workers": len(server.children()), "pids": [done.value for done in results], "me": os.getpid(),
            "cpu": sum(sum(p.cpu_times()[:2]) for p in everybody),
        }))

if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict:
    script = tmp_path_factory.mktemp("engine") / "look.py"
    script.write_text(LOOK)
    done = subprocess.run([sys.executable, "-W", "error", str(script)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return json.loads(done.stdout)


def test_nothing_listens_to_the_outside(seen: dict) -> None:
    assert seen["listening"]
    assert set(seen["listening"]) == {"127.0.0.1"}
    assert seen["address"].startswith("tls://127.0.0.1:")


def test_workers_are_forked_from_a_process_with_one_thread(seen: dict) -> None:
    if sys.platform != "linux":
        pytest.skip("told by psutil of Linux")
    assert seen["threads"] == 1
    assert seen["workers"] == 2


def test_calls_run_in_workers(seen: dict) -> None:
    assert len(seen["pids"]) == 1
    assert seen["pids"][0] != seen["me"]


def test_starting_costs_little(seen: dict) -> None:
    """Half of it on each of two cores, in less than 3 s."""
    assert seen["cpu"] < 6, seen


def test_too_little_memory_is_said() -> None:
    with pytest.raises(UsageError, match="too little"), Pool(jobs=1, memory=100 << 20):
        pass
