"""The parts of README.md that are made from the program: `python tests/support/readme.py` writes them anew."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from nlmdissect.rules import RULES

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SHOWN = ["analyze", "captures/S08-reclaim-after-grace.pcap"]


def output() -> str:
    """What the README's command prints, on a page of 100 columns."""
    env = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "nlmdissect", *SHOWN]
    said = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert said.returncode == 1, said.stderr
    return f"```\n{said.stdout.rstrip()}\n```"


def audit() -> str:
    """The matrix that the README shows, and the command that prints it."""
    env = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nlmdissect", "audit", "captures", "--dataset", folder]
        said = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert said.returncode == 1, said.stderr
    return f"```\n$ nlmdissect audit captures\n{said.stdout.partition(chr(10) * 2 + 'What was found')[0].rstrip()}\n```"


def rules() -> str:
    """The table of findings: each rule's own first line."""
    rows = [f"| {r.code} | {r.name} | {r.severity.name.lower()} | {r.doc.partition(chr(10))[0]} |" for r in RULES]
    return "\n".join(["| code | name | severity | what is wrong |", "| --- | --- | --- | --- |", *rows])


def fill(text: str, name: str, part: str) -> str:
    """``text`` with ``part`` between its two marks."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    assert re.search(pattern, text, re.S), f"README.md has no place for {name}"
    return re.sub(pattern, lambda found: f"{found[1]}{part}\n{found[2]}", text, flags=re.S)


if __name__ == "__main__":
    README.write_text(
        fill(fill(fill(README.read_text(), "rules", rules()), "output", output()), "audit", audit())
    )
