"""Recordings that are cut or corrupted: always an answer or a refusal, and never a confirmed error where all was well.

A run takes a sample of the damage, the same one each time; ``--all-damage`` takes all of it. Recordings of other people
that crashed other programs are read as they are.
"""

from __future__ import annotations

import lzma
import time
from pathlib import Path
from zlib import crc32

import pytest
from fuzz.results import judged, write_all
from support.captures import OWN, SHARED
from support.corruption import corrupted_frames, corruptions, cuts, without_sums

from nlmdissect.analysis import Analysis
from nlmdissect.findings import Confidence, Finding, Severity

SAMPLE = 4000  # one damage of so many
PATIENCE = 10  # s of the processor for one
RECORDINGS = [*sorted(OWN.glob("*.pcap")), *sorted(OWN.glob("*.pcap.xz"))]
HOSTILE = [path for path in sorted((SHARED / "hostile").glob("*")) if path.suffix in (".pcap", ".pcapng")]


def data_of(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def confirmed(analysis: Analysis | None) -> list[Finding]:
    """The errors that are certain."""
    found = analysis.findings if analysis is not None else []
    return [f for f in found if f.severity is Severity.ERROR and f.confidence is Confidence.CONFIRMED]


def chosen(path: Path, name: str, every: bool) -> bool:
    return every or crc32(f"{path.name} {name}".encode()) % SAMPLE == 0


def read(name: str, data: bytes) -> Analysis | None:
    start = time.process_time()
    try:
        analysis = judged(data)
    except Exception as error:
        error.add_note(name)
        raise
    assert time.process_time() - start < PATIENCE, name
    return analysis


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_damage_is_no_harm(path: Path, pytestconfig: pytest.Config) -> None:
    every, data = pytestconfig.getoption("--all-damage"), data_of(path)
    for damage in (cuts, corruptions):
        taken = ((name, damaged) for name, damaged in damage(data) if chosen(path, name, every))
        for number, (name, damaged) in enumerate(taken):
            analysis = read(name, damaged)
            if analysis is not None and number % 10 == 0:
                write_all(analysis)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_one_corrupt_frame_makes_no_confirmed_error(path: Path, pytestconfig: pytest.Config) -> None:
    """Of a recording in which all was well."""
    every, data = pytestconfig.getoption("--all-damage"), data_of(path)
    if confirmed(judged(data)):
        pytest.skip("all is not well in it")
    wrong = []
    for name, damaged in corrupted_frames(data):
        if chosen(path, name, every):
            wrong += [f"{name}: {finding.code}" for finding in confirmed(read(name, damaged))]
    assert not wrong


@pytest.mark.parametrize(
    ("at", "byte"),
    [
        (12424, 170),  # the file handle in a LOCK
        (12062, 235),  # its owner; the same lock is reclaimed by the right one
        (11718, 57),  # the owner in an UNLOCK of a part of a lock
        (14003, 211),  # its file handle, and then a LOCK of the right one is refused
        (19198, 76),  # the range in a reclaim
        (16100, 12),  # the owner in an UNLOCK, before others get the lock
        (15615, 179),  # its version of NLM
        (25662, 35),  # the status of an answer to an UNLOCK
        (19876, 88),  # to a reclaim
    ],
)
def test_one_byte_where_no_checksum_tells(at: int, byte: int) -> None:
    """Each of them was a lost lock for certain once: one message nobody else bears out, and another one that nearly says
    the same.
    """
    data = bytearray(without_sums(data_of(OWN / "P01-nfsv2-nlm1-udp.pcap")))
    assert not confirmed(judged(bytes(data)))
    data[at] = byte
    analysis = judged(bytes(data))
    assert analysis is not None
    assert not analysis.history.traffic.damaged
    assert not confirmed(analysis)


@pytest.mark.skipif(not HOSTILE, reason="the recordings of other people are not here")
def test_recordings_that_crashed_other_programs() -> None:
    for path in HOSTILE:
        analysis = read(path.name, path.read_bytes())
        if analysis is not None:
            write_all(analysis)
