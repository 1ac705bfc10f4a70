"""The notebooks run, say nothing on the side, and show what is known of their recordings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from support.captures import SHARED

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
PLOTLY = "application/vnd.plotly.v1+json"

# in a process of its own: the loop and the sockets of a kernel outlive a test
RUN = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
NotebookClient(notebook, timeout=300, resources={"metadata": {"path": sys.argv[2]}}).execute()
sys.stdout.write(nbformat.writes(notebook))
"""


@cache
def executed(path: Path) -> list[dict[str, Any]]:
    """The cells of code, with their outputs."""
    command = [sys.executable, "-c", RUN, str(path), str(path.parent)]
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return [cell for cell in json.loads(done.stdout)["cells"] if cell["cell_type"] == "code"]


def text_of(output: dict[str, Any]) -> str:
    html = output.get("data", {}).get("text/html", "")
    return unescape(re.sub(r"<[^>]*>", " ", "".join(html))) if html else "".join(output.get("text", ""))


def said(name: str) -> str:
    """Everything that the outputs say, tables and cards included, on one line."""
    outputs = (output for cell in executed(FOLDER / name) for output in cell["outputs"])
    return " ".join(" ".join(map(text_of, outputs)).split())


def test_there_are_three() -> None:
    assert [path.name for path in NOTEBOOKS] == ["fleet.ipynb", "incident.ipynb", "tour.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_outputs_are_stripped(path: Path) -> None:
    for cell in json.loads(path.read_text())["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert cell["source"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_every_cell_shows_one_thing_and_no_warning(path: Path) -> None:
    for cell in executed(path):
        source = "".join(cell["source"])
        kinds = [output.get("name", output["output_type"]) for output in cell["outputs"]]
        assert kinds in (["execute_result"], ["display_data"], ["stdout"], ["stdout", "execute_result"]), source
        for output in cell["outputs"]:
            figure = output.get("data", {}).get(PLOTLY)
            assert (figure is not None) == (".plot_" in source)
            assert figure is None or figure["data"], source  # something is drawn


def test_the_incident_is_what_was_done() -> None:
    """As the maker of S07 wrote it down: 8 SM_NOTIFYs without an answer; 189 and 191 are the lock, 260 and 262 its theft."""
    text = said("incident.ipynb")
    expected = SHARED / "S07-notify-lost-after-capture.expect.json"
    frames = [233, 257, 258, 259, 266, 267, 270, 273]
    if expected.exists():
        found = json.loads(expected.read_text())["facts"]["findings"]
        assert next(f["frames"] for f in found if f["kind"] == "notify_unanswered") == frames
    for frame in frames:
        assert re.search(rf"\b{frame} <NA> 2026-11-22 11:(29|30):\d\d\.\d+\+00:00 10\.77\.0\.21 NOTIFY", text)
    assert "189 191 11:29:14.135 |------------>| | LOCK write 0-99 -> GRANTED" in text
    assert "260 262 11:29:44.864 | |<------------| LOCK write 0-99 -> GRANTED" in text
    assert "10.77.0.21 unanswered 1 0 1 8 tries, no answer" in text
    assert "10.77.0.22 understood 1 1 0 it reclaimed" in text
    assert "10.77.0.21 0 99 True stolen no yes" in text
    assert "icmp" not in text
    assert "10.77.0.21 understood 3 3 0 it reclaimed" in text  # S03: 3 + 1 locks


def test_the_tour_shows_what_its_recordings_are_known_for() -> None:
    text = said("tour.ipynb")
    assert text.startswith("WRONG The reclaim came after the grace period")
    assert "277 279 2026-11-22 11:30:32.008831+00:00 10.77.0.21 10.77.0.10 LOCK True DENIED_GRACE_PERIOD" in text
    assert "10.77.0.21 0 99 lost no yes the server restarted and refused the reclaim" in text
    assert "Did you mean status" in text
    waits = re.findall(r"10\.77\.0\.22 \d+ \d+ \S+ \S+ (\d) .*? (called back|cancelled) ([\d.]+)", text)
    assert [how for _, how, _ in waits] == ["called back", "cancelled", "called back"]  # S02
    assert [int(float(waited)) for *_, waited in waits] == [3, 4, 33]


def test_the_fleet_names_the_three_servers_that_lost_locks() -> None:
    """T14, S10 and S07 as their makers wrote them down; then S08 was mended, S10 taken away, and S01 became S08."""
    text = said("fleet.ipynb")
    worst = text.partition("codes host ")[2][:200]
    assert re.findall(r"[\d.]+\.\d+ ", worst)[:3] == ["192.168.114.5 ", "10.77.8.10 ", "10.77.6.10 "]
    for change in ("10.77.1.10 10.77.1.21 new NLM003", "10.77.7.10 10.77.7.21 gone NLM003", "10.77.8.10 10.77.8.21 unseen NLM001"):
        assert change in text
