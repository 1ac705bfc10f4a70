"""How time and memory grow with the work: ``python tests/benchmarks/grow.py``.

Each capture is made in three sizes, ten times as large each time. Time is that of the processor, so that a busy machine
does no harm. What a run takes for almost nothing is subtracted; the slope of time over size, both as logarithms, is 1
where the cost is in proportion to the work. NAMES are those of SIZES, all without.
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.measure import OURS, machine, make, middle

SIZES = {
    "locks": (10_000, 100_000, 1_000_000),
    "hot": (1_000, 10_000, 100_000),
    "restart": (10_000, 100_000, 1_000_000),
    "bulk-0.1%": (20_000, 200_000, 2_000_000),
    "cut-200": (20_000, 200_000, 2_000_000),
}


def grow(folder: Path, names: list[str], times: int) -> None:
    print(f"{machine()}; median of {times}\n")
    print("| capture | size | time | memory | slope |")
    print("| --- | --: | --: | --: | --: |")
    with tempfile.TemporaryDirectory() as cache:
        middle([*OURS, str(make("cut-200", 2_000_000, folder / "first.pcap"))], 1, cache=cache)  # compiles
        for name in names:
            sizes = SIZES[name]
            least = middle([*OURS, str(make(name, 1, folder / "least.pcap"))], times, cache=cache)
            before: tuple[int, float] | None = None
            for size in sizes:
                path = make(name, size, folder / f"{name}.pcap")
                cost = middle([*OURS, str(path)], times, cache=cache)
                path.unlink()
                net = max(cost.cpu - least.cpu, 0.001)
                slope = f"{math.log(net / before[1]) / math.log(size / before[0]):.2f}" if before else ""
                print(f"| {name} | {size:,} | {net:.2f} s | {cost.mb:.0f} MB | {slope} |", flush=True)
                before = size, net


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        grow(Path(made), sys.argv[1:] or [*SIZES], 3)
