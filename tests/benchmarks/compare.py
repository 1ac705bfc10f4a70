"""nlmdissect beside tshark and tcpdump, on captures that it makes: ``python tests/benchmarks/compare.py``.

All run in turn on each capture: the whole process, the file in the page cache, the median of five. "first" is the first
run ever, with nothing compiled yet; "cpu" is the processor time beside the wall time, to tell a busy machine. The last
lines say whether the findings of a restart were the right ones, and how a stream went that is never a file.

NAMES are those of CAPTURES, and "stream"; all without. ``--tenth`` does a tenth of the work, ``--times N`` takes the
median of N.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.measure import MAKER, OURS, Cost, machine, make, middle, need, run

CAPTURES = {
    "locks": ("locks only, 200 clients", 400_000),
    "locks-1-client": ("locks only, one client", 400_000),
    "bulk-1%": ("bulk, 1 % locks", 820_000),
    "bulk-0.1%": ("bulk, 0.1 % locks", 820_000),
    "cut-200": ("bulk, cut at 200 bytes", 2_000_000),
    "hot": ("one lock, 100,000 requests", 100_000),
    "restart": ("locks, and a restart", 400_000),
}
PORTS = "port 4045 or port 662 or port 111"
BYTES_A_FRAME = 1213  # of bulk


def tools(path: str) -> dict[str, list[str]]:
    return {
        "tshark": ["tshark", "-r", path, "-Y", "nlm", "-T", "fields", "-e", "frame.number", "-e", "nlm.cookie"],
        "tcpdump": ["tcpdump", "-r", path, "-w", "/dev/null", PORTS],
    }


def compare(folder: Path, names: list[str], scale: int, times: int) -> None:
    print(f"{machine()}; median of {times}\n")
    print("| capture | MB | nlmdissect | cpu | first | memory | tshark | cpu | memory | times faster | tcpdump |")
    print("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |")
    told = ""
    for name in [name for name in CAPTURES if name in names]:
        title, size = CAPTURES[name]
        path = make(name, size // scale, folder / f"{name}.pcap")
        with tempfile.TemporaryDirectory() as cache:
            form = ["--format", "json"] if name == "restart" else []
            first, said = run([*OURS, *form, str(path)], cache=cache)
            ours = middle([*OURS, str(path)], times, cache=cache)
        theirs = {tool: middle(command, times) for tool, command in tools(str(path)).items()}
        print(_line(title, path, first, ours, theirs), flush=True)
        if name == "restart":
            told = _told(said)
        path.unlink()
    print(f"\n{told}" if told else "")
    if "stream" in names:
        stream(make("bulk-0.1%", CAPTURES["bulk-0.1%"][1], folder / "stream.pcap"), 20 * 10**9 // scale)


def _line(title: str, path: Path, first: Cost, ours: Cost, theirs: dict[str, Cost]) -> str:
    tshark, tcpdump = theirs["tshark"], theirs["tcpdump"]
    cells = [
        title, f"{path.stat().st_size / 1e6:.0f}", f"{ours.seconds:.2f} s", f"{ours.cpu:.2f} s",
        f"{first.seconds:.2f} s", f"{ours.mb:.0f} MB", f"{tshark.seconds:.1f} s", f"{tshark.cpu:.1f} s",
        f"{tshark.mb:.0f} MB", f"{tshark.seconds / ours.seconds:.1f}", f"{tcpdump.seconds:.2f} s",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _told(said: str) -> str:
    """Whether the one client that the server did not call was found, and nothing else."""
    findings = [(finding["code"], finding["client"]) for finding in json.loads(said)["findings"]]
    right = "right" if findings == [("NSM001", "10.1.0.20")] else "WRONG"
    return f"restart: {right}, {findings}"


def stream(file: Path, size: int) -> None:
    """A stream of many times the file, and the same rate for tcpdump."""
    frames = size // BYTES_A_FRAME
    ours, _ = run([*OURS, "-"], source=[sys.executable, MAKER, "bulk-0.1%", str(frames), "-"])
    theirs = middle(["tcpdump", "-r", "-", "-w", "/dev/null"], 3, source=["cat", str(file)])
    rate, other = size / ours.seconds / 1e6, file.stat().st_size / theirs.seconds / 1e6
    print(f"stream of {size / 1e9:.0f} GB on standard input: {rate:.0f} MB/s in {ours.mb:.0f} MB, {ours.cpu:.1f} s cpu; "
          f"cat FILE | tcpdump -r - -w /dev/null: {other:.0f} MB/s")  # fmt: skip


if __name__ == "__main__":
    need("tshark", "tcpdump")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*CAPTURES, "stream"])
    parser.add_argument("--tenth", action="store_true")
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        compare(Path(made), options.names, 10 if options.tenth else 1, options.times)
