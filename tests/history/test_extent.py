"""From when to when a recording of several files runs."""

from __future__ import annotations

from pathlib import Path

from support.incidents import WELL, write

from nlmdissect.history.history import read_history

PCAP_HEADER, RECORD_HEADER = 24, 16


def test_a_last_file_in_which_no_conversation_begins(tmp_path: Path) -> None:
    """The rest of a rotated set is as long as its last packet says."""
    whole = write(tmp_path / "whole.pcap", WELL)
    data = whole.read_bytes()
    at, last = PCAP_HEADER, PCAP_HEADER
    while at < len(data):
        last, at = at, at + RECORD_HEADER + int.from_bytes(data[at + 8 : at + 12], "little")
    head, tail = tmp_path / "a.pcap", tmp_path / "b.pcap"
    head.write_bytes(data[:last])
    tail.write_bytes(data[:PCAP_HEADER] + data[last:])
    assert read_history([head, tail]).extent == read_history([whole]).extent
