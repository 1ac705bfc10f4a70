"""What is remembered of wanted calls, and what the hot loop guesses from."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.nfs import Wire

from nlmdissect.capture import asked
from nlmdissect.capture.files import open_recording
from nlmdissect.capture.reader import MessageReader
from nlmdissect.rpc.names import KEEP


def test_the_guess_of_the_hot_loop_does_not_wear_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows the calls that are remembered, not all that there ever were; no answer is lost by that."""
    monkeypatch.setattr(asked, "GENERATION", 3)
    wire = Wire()
    for number in range(20):
        wire.lookup(b"R", f"f{number}", b"F")
    reader = MessageReader(open_recording([wire.write(tmp_path / "x.pcap")]), KEEP)
    assert sum(len(batch.messages) for batch in reader) == 40
    assert sum(reader._tables.asked) <= 6
    assert not [defect for defect in reader.traffic.defects if defect.reason == "calls_forgotten"]
