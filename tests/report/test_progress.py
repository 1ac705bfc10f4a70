"""Progress: only for what takes longer than a moment, and only where somebody looks."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.incidents import LOST, write

import nlmdissect
from nlmdissect.report import progress
from nlmdissect.report.progress import Bar


class Display:
    """What IPython would show: every picture of the one display."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, what: str, display_id: bool) -> Display:
        self.shown.append(what)
        return self

    def update(self, what: str) -> None:
        self.shown.append(what)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    screen = Display()
    module = SimpleNamespace(HTML=str, display=screen.display)
    shell: Any = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell, display=module))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return screen.shown


def test_a_long_reading_in_a_notebook(notebook: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0)
    with Bar() as bar:
        bar(5_000_000, 20_000_000)
        bar(6_000_000, 20_000_000)  # at once: not drawn again
    assert notebook == ["", 'reading <progress value="5000000" max="20000000"></progress> 5 of 20 MB', ""]


def test_a_pipe_has_no_end(notebook: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0)
    with Bar() as bar:
        bar(5_000_000, None)
    assert notebook[1] == "reading <progress></progress> 5 MB"


def test_a_short_reading_shows_nothing(notebook: list[str], tmp_path: Path) -> None:
    nlmdissect.read(write(tmp_path / "x.pcap", LOST))
    assert notebook == []


@pytest.mark.parametrize(("wanted", "drawn"), [(None, True), (True, True), (False, False)])
def test_reading_in_a_notebook(
    notebook: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wanted: bool | None, drawn: bool
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0)
    nlmdissect.read(write(tmp_path / "x.pcap", LOST), progress=wanted)
    assert bool(notebook) is drawn
    assert notebook[-1:] == ([""] if drawn else [])


def test_elsewhere_nobody_looks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0)
    calls: list[tuple[int, int | None]] = []
    path = write(tmp_path / "x.pcap", LOST)
    for wanted in (None, True, False, lambda done, total: calls.append((done, total))):
        nlmdissect.read(path, progress=wanted)
    assert calls
    assert calls[-1] == (path.stat().st_size, path.stat().st_size)
    assert capsys.readouterr() == ("", "")
