"""The long run: every target under atheris, which follows what an input reaches.

    .venv/bin/pip install atheris
    .venv/bin/python tests/fuzz/run.py --minutes 60

Each target has a process of its own that may use MEMORY and must be done with any input within PATIENCE. A failure
stops it; its input is kept in ``found/``, and the target goes on without it until its time is over. What was run is
written to ``found/summary.txt``: executions, coverage (edges of the package's own code), and each failure.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

PATIENCE = 10  # seconds for one input
MEMORY = 1024  # MB for the process with all it imports
KEPT_CODE = "NLMDISSECT_FUZZ_CODE"


def fuzz(name: str, folder: Path, seconds: int, seed: int) -> None:
    """Fuzz one target in this process; it ends the process."""
    import atheris

    with atheris.instrument_imports(include=["nlmdissect"], enable_loader_override=False):
        from fuzz import targets

        from nlmdissect.capture import compiled, native
    if code := os.environ.get(KEPT_CODE):
        made = {entry: native.load((Path(code) / entry.__name__).read_bytes(), entry) for entry in compiled.ENTRIES}
        targets.checked = made
    target = targets.TARGETS[name]

    def change(data: bytes, most: int, chance: int) -> bytes:
        if chance % 3 == 0:
            return bytes(atheris.Mutate(data, most))
        return target.change(data, Random(chance), most)

    options = [
        f"-max_total_time={seconds}", f"-max_len={target.most}", f"-timeout={PATIENCE}", f"-rss_limit_mb={MEMORY}",
        f"-seed={seed}", f"-artifact_prefix={folder.parent}/{name}-", "-print_final_stats=1", "-len_control=0",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(folder)], target.run, custom_mutator=change)
    atheris.Fuzz()


def keep_checked_code(folder: Path) -> None:
    """Compile the loops with tests of all bounds: whatever fails there ends the process that runs them."""
    from nlmdissect.capture import compiled, jit, native

    maker = jit.Jit(compiled.layout(), boundscheck=True)
    for entry in compiled.ENTRIES:
        (folder / entry.__name__).write_bytes(native.keep(*maker.text(entry)))


def run(name: str, found: Path, seconds: int, code: Path) -> str:
    """Fuzz one target for so long, however often it fails; one line of the summary, and one a failure."""
    from fuzz.targets import TARGETS, corpus

    folder = found / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(corpus(TARGETS[name])):
        (folder / f"seed-{number:03}").write_bytes(data)
    done = edges = features = slowest = memory = 0
    failures: list[str] = []
    end, seed = time.monotonic() + seconds, 1
    while (left := int(end - time.monotonic())) > 0 and len(failures) < 20:
        command = [sys.executable, __file__, "--target", name, "--seconds", str(left), "--seed", str(seed), "--found", str(found)]
        log = found / f"{name}.log"
        with log.open("wb") as stream:
            subprocess.run(command, stdout=stream, stderr=stream, env=os.environ | {KEPT_CODE: str(code)}, check=False)
        said = log.read_text(errors="replace")
        done += int(_last(r"stat::number_of_executed_units:\s*(\d+)", said) or _last(r"#(\d+)", said) or 0)
        edges, features = (max(old, int(_last(rf"{word}: (\d+)", said) or 0)) for word, old in (("cov", edges), ("ft", features)))
        slowest = max(slowest, int(_last(r"stat::slowest_unit_time_sec:\s*(\d+)", said) or 0))
        memory = max(memory, int(_last(r"stat::peak_rss_mb:\s*(\d+)", said) or 0))
        if (artifact := _last(r"Test unit written to (\S+)", said)) or "Traceback" in said:
            lines = [line for line in said.splitlines() if re.match(r"\w*(Error|Exception)\b|==\d+== ?ERROR|Fatal", line)]
            failures.append(f"    {artifact}  {'; '.join(lines)[:300]}")
        seed += 1
    head = f"{name:10} {done:>10} executions  {edges:>6} edges  {features:>6} features  slowest {slowest} s  {memory} MB  {len(failures)} failures"
    return "\n".join([head, *failures])


def _last(pattern: str, text: str) -> str | None:
    found = re.findall(pattern, text)
    return found[-1] if found else None


def main() -> None:
    from fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="TARGET", help=f"some of {', '.join(TARGETS)}; none: all")
    parser.add_argument("--minutes", type=float, default=60, help="for all targets together")
    parser.add_argument("--found", type=Path, default=HERE / "found", help="where inputs and the summary go")
    asked = parser.parse_args()
    names = asked.names or list(TARGETS)
    asked.found.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as code:
        keep_checked_code(Path(code))
        with (asked.found / "summary.txt").open("a") as summary:
            for name in names:
                line = run(name, asked.found, max(int(asked.minutes * 60 / len(names)), 5), Path(code))
                print(line, file=summary, flush=True)
                print(line, flush=True)


if __name__ == "__main__":
    if "--target" in sys.argv:
        told = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
        place = Path(told["--found"]) / told["--target"]
        fuzz(told["--target"], place, int(told["--seconds"]), int(told["--seed"]))
    else:
        main()
