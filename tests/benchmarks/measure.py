"""Run a command and say what it cost. This process stays small: a child's peak memory counts from that of its parent."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

MAKER = str(Path(__file__).with_name("captures.py"))
OURS = [sys.executable, "-m", "nlmdissect", "analyze", "--quiet", "--fail-on", "never"]
CACHE = "NUMBA_CACHE_DIR"


class Cost(NamedTuple):
    """``seconds`` of wall time of the whole process, those of them that it used a processor (``cpu``: more than all on
    two, less on a busy machine), and its peak memory in ``mb`` (2**20 bytes).
    """

    seconds: float
    mb: float
    cpu: float


def run(command: list[str], *, source: list[str] | None = None, cache: str = "") -> tuple[Cost, str]:
    """The cost of a command and what it printed; ``source`` is a command that feeds its standard input.

    ``cache`` is where compiled code is kept; an empty folder makes a first run. Raises RuntimeError if it fails.
    """
    environment = os.environ | ({CACHE: cache} if cache else {})
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as it is installed: Python has read its own files before
    feed = subprocess.Popen(source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) if source else None
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=feed.stdout if feed else subprocess.DEVNULL, stdout=out, stderr=errors, env=environment
        )
        if feed and feed.stdout:
            feed.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if feed:
            feed.wait()
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(command)}: {errors.read().decode(errors='replace')}")
        out.seek(0)
        cost = Cost(seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)
        return cost, out.read().decode(errors="replace")


def middle(command: list[str], times: int, *, source: list[str] | None = None, cache: str = "") -> Cost:
    """The medians of several runs."""
    costs = [run(command, source=source, cache=cache)[0] for _ in range(times)]
    seconds, cpu = median(cost.seconds for cost in costs), median(cost.cpu for cost in costs)
    return Cost(seconds, max(cost.mb for cost in costs), cpu)


def make(name: str, size: int, path: Path) -> Path:
    """Write a capture of the benchmarks, and bring it into the page cache."""
    subprocess.run([sys.executable, MAKER, name, str(size), str(path)], check=True)
    subprocess.run(["cat", str(path)], stdout=subprocess.DEVNULL, check=True)
    return path


def need(*programs: str) -> None:
    """Leave with one sentence if a program is not there."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        sys.exit(f"{' and '.join(missing)} not found. Install: apt-get install {' '.join(missing)}")


def machine() -> str:
    """When and where this was measured."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    where = f"{os.cpu_count()} cores, {pages * size / 2**30:.0f} GiB, Python {platform.python_version()}"
    return f"{time.strftime('%Y-%m-%d')}, {where}, load {os.getloadavg()[0]:.1f}"
