"""What an audit costs: start-up, speed beside one process that analyses the same captures in turn, and memory.

``audit.py FOLDER`` makes its captures there (2.9 GB, removed at the end) and prints what it measured. Memory is that
of all processes together, each page once (PSS, of /proc/PID/smaps_rollup), ten times a second.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import captures
from support import fleet

EACH = 4000  # frames of a capture with nothing but locks
MANY = 200
LARGE = 1_900_000  # frames: 2.3 GB, read in two pieces
SMALL = 500
LIMIT = "1G"

IN_TURN = """
import sys, time
from pathlib import Path
import nlmdissect
begin = time.perf_counter()
for path in sorted(Path(sys.argv[1]).glob("*.pcap")):
    nlmdissect.read(path).analysis
print(time.perf_counter() - begin)
"""


class Cost(NamedTuple):
    seconds: float
    pss: float  # MB


def run(command: list[str], *, measure: bool = False) -> Cost:
    """Run a command to its end."""
    begin, most = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None:
        if measure:
            most = max(most, pss(process.pid))
        time.sleep(0.1 if measure else 0.02)
    assert process.returncode in (0, 1), command
    return Cost(time.perf_counter() - begin, most / 1024)


def audit(folder: Path, *more: str, measure: bool = False) -> Cost:
    """Audit a folder, from the command to its end."""
    dataset = folder.parent / "dataset"
    shutil.rmtree(dataset, ignore_errors=True)
    command = [sys.executable, "-m", "nlmdissect", "audit", str(folder), "--dataset", str(dataset), "--quiet", *more]
    return run(command, measure=measure)


def pss(leader: int) -> int:
    """KB of a session's processes."""
    found = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[3]) == leader:
                lines = (stat.parent / "smaps_rollup").read_text().splitlines()
                found += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return found


def in_turn(folder: Path) -> Cost:
    """One process, one capture after another."""
    return run([sys.executable, "-c", IN_TURN, str(folder)])


def main(root: Path) -> None:
    one, many, mixed = (root / name for name in ("one", "many", "mixed"))
    for folder in (one, many, mixed):
        folder.mkdir(parents=True)
    fleet.make(one, healthy=1, faults=0, sets=0, broken=0)
    begin = run([sys.executable, "-m", "nlmdissect", "analyze", "-q", str(one / "site00/filer-0000.pcap")])
    first = audit(one)
    print(f"one small capture: analyze {begin.seconds:.1f} s, audit {first.seconds:.1f} s", flush=True)
    for number in range(MANY):
        captures.write("locks", EACH, str(many / f"host{number}x.pcap"))
    alone, together = in_turn(many), audit(many)
    print(
        f"{MANY} captures of {EACH} frames: in turn {alone.seconds:.1f} s, audit {together.seconds:.1f} s, "
        f"{alone.seconds / together.seconds:.2f} times faster on {os.cpu_count()} cores",
        flush=True,
    )
    fleet.make(mixed, healthy=SMALL, faults=0, sets=0, broken=0)
    captures.write("bulk-1%", LARGE, str(mixed / "large.pcap"))
    size = (mixed / "large.pcap").stat().st_size / 1e9
    whole = audit(mixed, "--memory-limit", LIMIT, measure=True)
    print(f"{size:.1f} GB and {SMALL} small ones, --memory-limit {LIMIT}: {whole.seconds:.1f} s, at most {whole.pss:.0f} MB")
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{children.ru_utime + children.ru_stime:.0f} s of CPU, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    try:
        main(folder)
    finally:
        for name in ("one", "many", "mixed", "dataset"):
            shutil.rmtree(folder / name, ignore_errors=True)
