"""One file that is read in pieces and joined tells what it tells when it is read whole, or is not read in pieces."""

from __future__ import annotations

import pickle
import struct
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from history.test_parts import NAMED, OURS, SHORT, recordings, table
from support.captures import block, epb, idb, pcap, shb
from support.damage import load
from support.packets import UDP, ethernet, ip

from nlmdissect.analysis import Analysis, analyse
from nlmdissect.audit import run
from nlmdissect.audit.work import Broken, judge, judge_parts, look, read_piece
from nlmdissect.capture import pcap as pcap_files
from nlmdissect.capture import pcapng as pcapng_files
from nlmdissect.capture.part import OVERLAP
from nlmdissect.capture.piece import open_piece
from nlmdissect.errors import CaptureError
from nlmdissect.history.history import History, read_history
from nlmdissect.history.parts import joined
from nlmdissect.history.scan import scan
from nlmdissect.tables import TABLES

LOST = OURS / "S08-reclaim-after-grace.pcap"
STATISTICS, NAMES = 5, 4  # blocks of pcapng


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """An overlap ends with a block; the pieces behind it have to tell the rest."""
    for module in (pcap_files, pcapng_files):
        monkeypatch.setattr(module, "FIRST_BLOCK", 1000)
        monkeypatch.setattr(module, "BLOCK", 1000)


def in_pieces(path: Path, count: int, overlap: tuple[int, int] = OVERLAP) -> Analysis:
    """Each piece is read by itself, and what it holds is sent to where they are joined."""
    size = path.stat().st_size
    cuts = [*(size * n // count for n in range(count)), None]
    scans = [scan(open_piece(str(path), begin or 0, end, overlap)) for begin, end in pairwise(cuts)]
    assert all(one.sources[0].frames for one in scans)
    return analyse(joined(pickle.loads(pickle.dumps(scans))))


def same(path: Path, count: int) -> None:
    whole, pieces = analyse(read_history([path])), in_pieces(path, count)
    for name in TABLES:
        pd.testing.assert_frame_equal(table(name, pieces), table(name, whole), obj=name)
    (one,), (other,) = pieces.history.sources, whole.history.sources
    assert one == replace(other, descriptions=one.descriptions)


@pytest.mark.parametrize("path", recordings(), ids=lambda path: path.name)
def test_the_same_tables(path: Path) -> None:
    same(path, 3)


@pytest.mark.parametrize("path", recordings(), ids=lambda path: path.name)
def test_the_same_where_the_overlap_is_short(path: Path) -> None:
    whole, parts = analyse(read_history([path])), in_pieces(path, 4, SHORT)
    for name in TABLES:
        a, b = (table(name, one) for one in (parts, whole))
        known = [column for column in a if column not in NAMED]
        pd.testing.assert_frame_equal(a[known], b[known], obj=name)


def records() -> list[tuple[int, bytes]]:
    """Time in microseconds and data of each frame."""
    recording = load(LOST)
    assert recording is not None
    return [(frame.time // 1000, frame.data) for frame in recording.frames]


def pcapng(order: str = "<", *, late: bytes = b"", behind: bytes = b"") -> bytes:
    """The same frames, on two interfaces. ``late`` is in the middle, ``behind`` at the end."""
    names = block(NAMES, struct.pack(order + "HH", 0, 0), order)
    head = [shb(order), idb(order), idb(order, snaplen=65535), names]
    frames = [epb(data, time, order, interface=n % 2) for n, (time, data) in enumerate(records())]
    middle = len(frames) // 2
    return b"".join([*head, *frames[:middle], late, *frames[middle:], behind])


def statistics(order: str) -> bytes:
    """An interface lost 7 packets."""
    drops = struct.pack(order + "HHQ", 5, 8, 7) + bytes(4)
    return block(STATISTICS, struct.pack(order + "III", 0, 0, 0) + drops, order)


@pytest.mark.parametrize("order", "<>")
def test_pcapng(tmp_path: Path, order: str) -> None:
    path = tmp_path / "x.pcapng"
    path.write_bytes(pcapng(order, behind=statistics(order)))
    same(path, 3)
    assert in_pieces(path, 3).history.sources[0].dropped == 7


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("nano", [False, True])
def test_pcap(tmp_path: Path, order: str, nano: bool) -> None:
    path = tmp_path / "x.pcap"
    seconds = [(time // 10**6, time % 10**6 * (1000 if nano else 1), data) for time, data in records()]
    path.write_bytes(pcap(seconds, order=order, magic=0xA1B23C4D if nano else 0xA1B2C3D4))
    same(path, 3)


def test_what_is_first_seen_in_the_second_piece(tmp_path: Path) -> None:
    """New hosts, and frames whose IP header is damaged, before, in and behind the overlap of the first piece."""
    other = load(OURS / "S16-ipv6.pcap")
    assert other is not None
    damaged = ethernet(b"\x41" + ip("10.0.0.1", "10.0.0.2", UDP, bytes(8))[1:])
    gap = [(records()[-1][0] + 10**6 * n, damaged if n % 9 == 0 else bytes(1000)) for n in range(60)]
    later = [(gap[-1][0] + (frame.time - other.frames[0].time) // 1000, frame.data) for frame in other.frames]
    path = tmp_path / "x.pcap"
    several = [*records(), *gap, *later, (later[-1][0], damaged)]
    path.write_bytes(pcap((time // 10**6, time % 10**6, data) for time, data in several))

    def told(history: History) -> list[object]:
        traffic = history.traffic
        return [traffic.defects, dict(zip(traffic.endpoints.addresses, traffic.endpoints.macs, strict=True))]

    whole, pieces = read_history([path]), in_pieces(path, 2, SHORT).history
    assert [defect.count for defect in whole.traffic.defects] == [8]
    assert told(pieces) == told(whole)
    assert pieces.sources[0].frames == len(several)


def test_the_last_record_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(LOST.read_bytes()[:-5])
    same(path, 3)
    assert in_pieces(path, 3).history.sources[0].truncated


def inner(path: Path) -> bytes:
    """A frame in which a capture is written to a file."""
    return bytes(60) + path.read_bytes()[24:]


@pytest.mark.parametrize(
    "data",
    [
        pcapng(late=idb()),
        pcapng(late=shb() + idb() + idb()),
        pcapng(late=statistics("<")),
        pcapng(late=b"\xff" * 32),
        LOST.read_bytes()[: 24 + 900] + b"\xff" * 64 + LOST.read_bytes()[24 + 900 :],
        pcap([(time // 10**6, time % 10**6, data) for time, data in [*records()[:20], (records()[20][0], inner(LOST)), *records()[20:]]]),
    ],
    ids=["interface", "section", "statistics", "garbage-pcapng", "garbage-pcap", "capture-in-a-frame"],
)  # fmt: skip
def test_what_cannot_be_read_in_pieces_is_read_whole(tmp_path: Path, data: bytes) -> None:
    """The wrong guess, and whatever is said in the middle of a file about what follows, are noticed."""
    path = tmp_path / "x.pcap"
    path.write_bytes(data)
    with pytest.raises(CaptureError, match="in pieces"):
        in_pieces(path, 2)
    half = len(data) // 2
    parts = [read_piece(str(path), 0, half), read_piece(str(path), half, None)]
    assert any(isinstance(part, Broken) for part in parts)
    files = look([str(path)])
    assert judge_parts(parts, files)[0].tables == judge([(files, False)], 1000)[0].tables


def test_which_files_are_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PIECE", 10_000)
    (large,) = look([str(LOST)])
    group = run.Group("x", (large,))
    pieces = run._pieces(group)
    assert len(pieces) == large.size // 10_000 > 1
    assert (pieces[0][1], pieces[-1][2]) == (0, None)
    assert all(a[2] == b[1] for a, b in pairwise(pieces))
    for other in (replace(large, compression="gzip"), replace(large, error="no"), replace(large, size=9_000)):
        assert len(run._pieces(run.Group("x", (other,)))) <= 1
    assert len(run._pieces(run.Group("x", (large, large)))) <= 1
