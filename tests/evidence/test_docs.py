"""The commands of the documents do what they say."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nlmdissect.cli import app

ROOT = Path(__file__).parents[2]
CAPTURE = ROOT / "captures" / "S08-reclaim-after-grace.pcap"
PROGRAMS = ("nlmdissect slice", "tshark", "capinfos")


def commands(page: Path) -> Iterator[str]:
    """The lines in code blocks that begin with one of the programs, without what stands beside them."""
    code = False
    for line in page.read_text().splitlines():
        code ^= line.startswith("```")
        if code and line.startswith(PROGRAMS):
            yield line.split("   ")[0]


@pytest.mark.parametrize("page", ["docs/evidence.md", "README.md"])
def test_commands(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(CAPTURE, tmp_path / "CAPTURE")
    monkeypatch.chdir(tmp_path)
    made = []
    for command in commands(ROOT / page):
        words = shlex.split(command)
        if words[0] == "nlmdissect":
            app(words[1:], standalone_mode=False)
            made.append(words[words.index("--output") + 1])
        else:
            assert subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert len(made) >= 3
    assert subprocess.run(["capinfos", "-c", *made], capture_output=True, text=True, check=True).stdout
