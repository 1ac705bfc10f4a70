"""Where to look next: the commands can be copied and run."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.incidents import LOST, STOLEN, write

import nlmdissect
from nlmdissect.report.next_steps import next_steps

MINE = Path(__file__).parents[2] / "captures"


LATER = """
    1  @20000  client1 > server   NLM_TEST fh=B oh=1 range=7-9
    2          server  > client1  NLM4_GRANTED
"""


def run(command: str) -> str:
    words = shlex.split(command)
    assert words[0] == "nlmdissect"
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("story", [LOST, STOLEN])
def test_they_run_and_show_the_frames(tmp_path: Path, story: str) -> None:
    path = write(tmp_path / "it's a $(name).pcap", story)
    steps = dict(next_steps(nlmdissect.read(path).analysis, 0))
    assert list(steps) == ["the file", "the notices", "the moment", "the rule"]
    assert "reclaim" in run(steps["the file"])
    assert "SM_NOTIFY" not in run(steps["the file"])
    assert "NOTIFY mon_name=server" in run(steps["the notices"])
    assert "refused the reclaim" in " ".join(run(steps["the moment"]).split())  # which it is in that very frame
    assert run(steps["the rule"]).startswith("NLM001")


def test_several_files_and_another_day(tmp_path: Path) -> None:
    night = STOLEN.replace("3  +30s", "3  +8000s")  # from 22:13:20, so after midnight
    parts = [write(tmp_path / "a.pcap", night), write(tmp_path / "b.pcap", LATER)]
    steps = dict(next_steps(nlmdissect.read(parts).analysis, 0))
    assert f"show {parts[0]} {parts[1]} --where" in steps["the file"]
    steps = dict(next_steps(nlmdissect.read(parts[0]).analysis, 0))
    assert "--at 2023-11-15T00:" in steps["the moment"]
    assert run(steps["the moment"])


def test_standard_input_cannot_be_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pcap", LOST)
    code = "import nlmdissect; from nlmdissect.report.next_steps import next_steps;"
    code += "print([s.command for s in next_steps(nlmdissect.read('-').analysis, 0)])"
    done = subprocess.run([sys.executable, "-c", code], input=path.read_bytes(), capture_output=True, check=True)
    assert done.stdout == b"['nlmdissect explain NLM001']\n"


def test_a_finding_without_a_lock_names_the_hosts() -> None:
    capture = nlmdissect.read(MINE / "S15-spurious-notify.pcap")
    number = [f.code for f in capture.analysis.findings].index("NSM009")
    steps = dict(next_steps(capture.analysis, number))
    assert steps["the calls"].endswith("--program nlm,nsm --host 10.77.0.10")
    assert "NOTIFY" in run(steps["the calls"])
