"""The display filter of every finding selects exactly its evidence in tshark, in every file of its recording."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
from oracle.session import TSHARK
from support.captures import OWN, SHARED, recordings

from nlmdissect import read
from nlmdissect.analysis import display_filters
from nlmdissect.errors import CaptureError

SEVERAL = [  # the network, and the loopbacks of hosts beside it
    [path, *sorted(path.parent.glob(f"{path.stem}.lo.*.pcap"))]
    for path in (SHARED / "S13-loopback.pcap", SHARED / "T14-loopback-upcall-dropped.pcap")
]
CAPTURES = [[path] for path in recordings() if path.parent.name != "hostile"]
pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")


@pytest.mark.parametrize("paths", [*CAPTURES, *SEVERAL], ids=lambda paths: f"{paths[0].parent.name}/{paths[0].name} {len(paths)}")
def test_filters(paths: list[Path]) -> None:
    if not paths[0].exists():
        pytest.skip("the recording is not here")
    try:
        analysis = read(paths).analysis
    except CaptureError:
        pytest.skip("no capture that we read")
    files = [Path(source.path) for source in analysis.history.sources]
    filters: dict[tuple[int, str], set[int]] = {}
    for finding in analysis.findings:
        evidence: dict[int, set[int]] = defaultdict(set)
        for one in finding.evidence:
            evidence[one.at.capture].add(one.at.frame)
        told = dict(display_filters(finding))
        assert told.keys() == {capture for capture, frames in evidence.items() if frames != {0}}
        filters |= {(capture, text): evidence[capture] - {0} for capture, text in told.items()}
    for (capture, text), frames in filters.items():
        if files[capture].suffix != ".xz":  # this tshark does not unpack it
            assert selected(files[capture], text) == frames, text
    if paths[0] == OWN / "S08-reclaim-after-grace.pcap":
        assert filters


def selected(path: Path, text: str) -> set[int]:
    """The frames that tshark shows."""
    command = [TSHARK or "", "-n", "-r", str(path), "-Y", text, "-T", "fields", "-e", "frame.number"]
    return {int(line) for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()}
