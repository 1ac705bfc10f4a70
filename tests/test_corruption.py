"""Recordings that are cut or corrupted: the command always answers or refuses, and never tells of a confirmed error where
all was well.

A run takes a sample of the damage, the same one each time; ``--all-damage`` takes all of it. Recordings of other people
that crashed other programs are read as they are.
"""

from __future__ import annotations

import io
import json
import lzma
import time
from contextlib import redirect_stdout
from pathlib import Path
from zlib import crc32

import pytest
from fuzz.results import assert_says_what, judged, write_all
from support.captures import OWN, SHARED
from support.corruption import RECORD, boundaries, corrupted_frames, corruptions, cuts, without_sums

import nlmdissect.cli  # noqa: F401  # its commands
from nlmdissect.analysis import Analysis
from nlmdissect.cli.app import app
from nlmdissect.errors import NlmdissectError
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


def answer(name: str, data: bytes, place: Path) -> list[str]:
    """What the command tells of it: the codes of the errors that are certain. Its exit status is 0, 1 or 2."""
    path, written = place / "damaged.pcap", io.StringIO()
    path.write_bytes(data)
    start = time.process_time()
    try:
        with redirect_stdout(written):
            status = app(["analyze", "--quiet", "--format", "json", str(path)], standalone_mode=False)
    except NlmdissectError as refusal:  # 2
        assert_says_what(refusal)
        return []
    except Exception as error:  # it would be a traceback, and 3
        error.add_note(name)
        raise
    assert time.process_time() - start < PATIENCE, name
    told = json.loads(written.getvalue())
    assert (status, told["errors"]) in ((0, []), (1, [])), name
    assert all(finding["evidence"] for finding in told["findings"]), name
    return [f["code"] for f in told["findings"] if (f["severity"], f["confidence"]) == ("error", "confirmed")]


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_damage_is_no_harm(path: Path, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    every, data = pytestconfig.getoption("--all-damage"), data_of(path)
    for damage in (cuts, corruptions):
        taken = ((name, damaged) for name, damaged in damage(data) if chosen(path, name, every))
        for number, (name, damaged) in enumerate(taken):
            answer(name, damaged, tmp_path)
            if number % 10 == 0 and (analysis := judged(damaged)) is not None:
                write_all(analysis)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_one_corrupt_frame_makes_no_confirmed_error(
    path: Path, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    """Of a recording in which all was well."""
    every, data = pytestconfig.getoption("--all-damage"), data_of(path)
    if answer("as it is", data, tmp_path):
        pytest.skip("all is not well in it")
    wrong = []
    for name, damaged in corrupted_frames(data):
        if chosen(path, name, every):
            wrong += [f"{name}: {code}" for code in answer(name, damaged, tmp_path)]
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


@pytest.mark.parametrize(("at", "byte"), [(41, 155), (40, 20)])
def test_one_byte_in_the_number_of_a_syn(at: int, byte: int) -> None:
    """The frame is damaged, and says so; the answers on the connection that it opens are here all the same."""
    data = bytearray(data_of(OWN / "T06-client-back-others-starve.pcap"))
    data[boundaries(bytes(data))[337] + RECORD + at] = byte
    analysis = judged(bytes(data))
    assert analysis is not None
    assert analysis.history.traffic.damaged
    assert not confirmed(analysis)


@pytest.mark.skipif(not HOSTILE, reason="the recordings of other people are not here")
def test_recordings_that_crashed_other_programs(tmp_path: Path) -> None:
    for path in HOSTILE:
        answer(path.name, path.read_bytes(), tmp_path)
        if (analysis := judged(path.read_bytes())) is not None:
            write_all(analysis)
