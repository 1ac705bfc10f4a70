"""The recordings of the project: each is what its manifest says, and what is known of its cause is what we find."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nlmdissect.findings import Confidence, Finding, Severity
from nlmdissect.history.history import History, read_history
from nlmdissect.rules import run

FOLDER = Path(__file__).parents[1] / "captures"
RECORDINGS: list[dict[str, Any]] = tomllib.loads((FOLDER / "MANIFEST.toml").read_text())["recording"]


@cache
def read(file: str) -> tuple[History, list[Finding]]:
    history = read_history([FOLDER / file])
    return history, run(history)[0]


def test_every_file_is_in_the_manifest() -> None:
    files = {path.name for path in FOLDER.iterdir()} - {"MANIFEST.toml"}
    assert files == {recording["file"] for recording in RECORDINGS}


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda r: r["file"])
def test_recording_has_the_known_cause(recording: dict[str, Any]) -> None:
    history, findings = read(recording["file"])
    assert sum(source.frames for source in history.sources) == recording["frames"]
    errors = [f for f in findings if f.severity is Severity.ERROR]
    told = [
        [
            f.code,
            history.names.address(f.server) if f.server is not None else "",
            history.names.address(f.client) if f.client is not None else "",
            findings[f.caused_by].code if f.caused_by is not None else "",
        ]
        for f in errors
    ]
    assert sorted(told) == sorted(recording["errors"])


@pytest.mark.parametrize(
    ("file", "codes"),
    [
        ("S07-notify-lost-after-capture.pcap", {"NSM003", "NLM004"}),
        ("S08-reclaim-after-grace.pcap", {"NLM003", "NLM004"}),
        ("S10-partial-reclaim.pcap", {"NLM001"}),
        ("T14-loopback-upcall-dropped.pcap", {"NLM002", "NLM004"}),
    ],
)
def test_packets_that_suffice_confirm(file: str, codes: set[str]) -> None:
    _, findings = read(file)
    assert {f.code for f in findings if f.confidence is Confidence.CONFIRMED} == codes
