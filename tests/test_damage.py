"""Damage to a recording may hide what is wrong. It never makes a confirmed error of what is well, nor another cause.

A run takes a sample of the damages, the same one each time. `pytest tests/test_damage.py --all-damage` takes them all.
"""

from __future__ import annotations

import json
from pathlib import Path
from zlib import crc32

import pytest
from support.captures import SHARED
from support.damage import Frame, damages, load, save

from nlmdissect.findings import Confidence, Finding, Severity
from nlmdissect.history.history import History, read_history
from nlmdissect.rules import run

OURS = Path(__file__).parents[1] / "captures"
SAMPLE = 10  # one damage of this many

Error = tuple[str, str | None, str | None]


def recordings() -> list[Path]:
    """Ours, and those of the shared ones that are not among them."""
    ours = [path for pattern in ("*.pcap", "*.pcap.xz") for path in sorted(OURS.glob(pattern))]
    names = {path.name for path in ours}
    return [*ours, *(p for p in sorted(SHARED.glob("*.pcap")) if p.name not in names and "-healthy-g-" not in p.name)]


@pytest.mark.parametrize("path", recordings(), ids=lambda path: path.name)
def test_damage_hides_and_does_not_invent(path: Path, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    recording = load(path)
    if recording is None:
        pytest.skip("not a pcap of Ethernet frames")
    every = pytestconfig.getoption("--all-damage")
    whole = errors(recording.frames, tmp_path)
    fine = {error[0] for error in whole} and expected(path)
    wrong = []
    for name, frames in damages(recording):
        if frames and frames != recording.frames and (every or crc32(f"{path.name} {name}".encode()) % SAMPLE == 0):
            invented = {e: f for e, f in errors(frames, tmp_path).items() if e not in whole and e[0] not in fine}
            wrong += [f"{name}: {said(finding)}" for finding in invented.values()]
    assert not wrong, "\n".join([f"{len(wrong)} invented", *wrong])


@pytest.mark.parametrize("path", recordings()[:3], ids=lambda path: path.name)
def test_without_damage_it_is_the_same(path: Path, tmp_path: Path) -> None:
    recording = load(path)
    assert recording is not None
    save(recording.frames, tmp_path / "same.pcap")
    assert load(tmp_path / "same.pcap") == recording
    names = [name for name, _ in damages(recording)]
    assert len(set(names)) == len(names)
    assert sum(frames != recording.frames for _, frames in damages(recording)) > 60


def errors(frames: list[Frame], folder: Path) -> dict[Error, Finding]:
    """The confirmed errors of a recording: code, server and client."""
    path = folder / "damaged.pcap"
    save(frames, path)
    history = read_history([path])
    findings, results = run(history)
    assert not [result.error for result in results if result.error]
    return {
        (f.code, address(history, f.server), address(history, f.client)): f
        for f in findings
        if f.severity is Severity.ERROR and f.confidence is Confidence.CONFIRMED
    }


def expected(path: Path) -> set[str]:
    """Codes by which what is known to be wrong in a recording may be called as well."""
    known = SHARED / f"{path.name.partition('.pcap')[0]}.expect.json"
    if not known.exists():
        return set()
    facts = json.loads(known.read_text())
    return {code for kind in ("roots", "consequences") for of in facts.get(kind, []) for code in of["code"]}


def address(history: History, host: int | None) -> str | None:
    return None if host is None else history.names.address(host)


def said(f: Finding) -> str:
    return f"{f.code} {f.title} (frames {', '.join(str(e.at.frame) for e in f.evidence[:8])})"
