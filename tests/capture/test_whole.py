"""Blocks as they stand in a file: the same frames that are read for an analysis, and the same bytes."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from support.captures import SHARED, block, epb, idb, option, pcap, shb

from nlmdissect.capture import files
from nlmdissect.capture.whole import Record
from nlmdissect.errors import CaptureError

OWN = sorted((Path(__file__).parents[2] / "captures").glob("*.pcap*"))
FRAMES = [(1_700_000_000, 999_999, b"one"), (1_700_000_001, 1, b"four"), (1_600_000_000, 0, b"")]
OBSOLETE = block(2, struct.pack("<HHIIII", 0, 7, 0, 5, 4, 4) + b"data" + option(1, b"old") + bytes(4))
SIMPLE = block(3, struct.pack("<I", 5) + b"12345")
FILES = {
    "little": pcap(FRAMES),
    "big": pcap(FRAMES, order=">"),
    "nanoseconds": pcap(FRAMES, magic=0xA1B23C4D),
    "lengths the other way round": pcap(FRAMES, version=(2, 2)),
    "raw IP": pcap(FRAMES, link=101),
    "cut": pcap(FRAMES)[:-10],
    "all kinds of blocks": shb() + idb(snaplen=4, options=option(2, b"eth0") + bytes(4)) + epb(b"abc", 7) + OBSOLETE
    + SIMPLE + block(5, bytes(12)) + block(0x0BAD, b"\1\2\3\4secret") + block(0x77, b"unknown") + epb(b"x", 8),
    "two sections": shb(">") + idb(">", options=option(9, b"\x09", ">")) + epb(b"a", 5, ">") + shb() + idb() + epb(b"b", 6),
    "a lie": shb() + idb() + epb(b"a", 1) + epb(b"b", 2, interface=3) + epb(b"c", 3),
}  # fmt: skip


def both(path: Path) -> tuple[list[tuple[object, ...]], list[Record]]:
    recording = files.open_recording([path])
    frames = [
        (block.first_frame + i, int(block.time[i]), int(block.link[i]), int(block.wire[i]), _bytes(block, i))
        for block in recording.blocks()
        for i in range(len(block.at))
    ]
    return frames, list(files.records(recording.sources[0]))


def _bytes(block: files.Block, i: int) -> bytes:
    at = int(block.at[i])
    return block.buf[at : at + int(block.captured[i])]


def seen(records: list[Record]) -> list[tuple[object, ...]]:
    return [(r.frame, r.time, r.link, r.wire, r.packet) for r in records if r.frame]


@pytest.mark.parametrize("name", FILES)
def test_frames_are_those_that_are_analysed(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(FILES[name])
    frames, records = both(path)
    assert seen(records) == frames
    assert frames


@pytest.mark.parametrize("path", [*OWN, *sorted(SHARED.glob("T10*")), *sorted(SHARED.glob("hostile/*"))], ids=lambda p: p.name)
def test_of_real_and_of_hostile_files(path: Path) -> None:
    if path.suffix in (".json", ".md"):
        return
    try:
        frames, records = both(path)
    except CaptureError:
        return
    assert seen(records) == frames


@pytest.mark.parametrize("name", ["all kinds of blocks", "two sections"])
def test_blocks_of_pcapng_are_passed_on_byte_by_byte(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(FILES[name])
    assert b"".join(record.block for record in both(path)[1]) == FILES[name]


@pytest.mark.parametrize("name", ["little", "big", "nanoseconds", "raw IP"])
def test_tshark_reads_the_same_from_pcap_and_from_its_blocks(name: str, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(FILES[name])
    new.write_bytes(b"".join(record.block for record in both(old)[1]))
    columns = ("frame.number", "frame.time_epoch", "frame.len", "frame.cap_len", "frame.encap_type")
    command = ["-T", "fields", *(word for column in columns for word in ("-e", column))]
    said = [subprocess.run(["tshark", "-r", path, *command], capture_output=True, check=True).stdout for path in (old, new)]
    assert said[0] == said[1] != b""


def test_frames_to_skip_need_not_be_made(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(FILES["little"])
    source = files.open_recording([path]).sources[0]
    assert [record.frame for record in files.records(source, 3, b"\1\0\1") if record.frame] == [2]
    assert {record.capture for record in files.records(source, 3)} == {3}
