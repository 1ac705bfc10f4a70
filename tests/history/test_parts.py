"""A recording that is read in parts and joined tells what it tells when it is read in one go."""

from __future__ import annotations

import pickle
import random
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from support.damage import Recording, load, save
from support.incidents import crowd
from support.story import capture_of

from nlmdissect.analysis import Analysis, analyse
from nlmdissect.capture.part import OVERLAP, open_part
from nlmdissect.history.history import read_history
from nlmdissect.history.parts import joined
from nlmdissect.history.scan import scan
from nlmdissect.tables import TABLES
from nlmdissect.tables.frames import build

OURS = Path(__file__).parents[2] / "captures"
SHORT = 3000, 2 * 10**9  # bytes and ns: the parts behind it have to find their way alone
NAMED = {"path", "fileid", "title"}  # by what LOOKUP said, which a part may miss that begins in the middle of a connection


def recordings() -> list[Path]:
    return [path for path in sorted(OURS.glob("*.pcap")) if load(path) is not None]


def cut(recording: Recording, folder: Path, seed: str) -> list[str]:
    """Files that hold the frames, cut at random places."""
    dice, count = random.Random(seed), len(recording.frames)
    cuts = sorted({0, count, *(dice.randrange(1, count) for _ in range(dice.choice([2, 4, 7])))})
    paths = [folder / f"{number}.pcap" for number in range(len(cuts) - 1)]
    for path, (a, b) in zip(paths, pairwise(cuts), strict=True):
        save(recording.frames[a:b], path)
    return [str(path) for path in paths]


def in_parts(files: list[str], size: int, overlap: tuple[int, int]) -> Analysis:
    """Each part is read by itself, and what it holds is sent to where they are joined."""
    scans = [scan(open_part(files[at : at + size], files[at + size :], overlap)) for at in range(0, len(files), size)]
    return analyse(joined(pickle.loads(pickle.dumps(scans))))


def table(name: str, analysis: Analysis) -> pd.DataFrame:
    frame = build(name, analysis)
    frame = frame.assign(**{column: frame[column].astype(object) for column in frame.select_dtypes("category")})
    order = {"hosts": ["host", "scope"], "coverage": ["condition", "host", "other", "start", "end"]}.get(name)
    return frame.sort_values(order).reset_index(drop=True) if order else frame


@pytest.mark.parametrize("path", recordings(), ids=lambda path: path.name)
def test_the_same_tables(path: Path, tmp_path: Path) -> None:
    recording = load(path)
    assert recording is not None
    files = cut(recording, tmp_path, path.name)
    whole = analyse(read_history(files))
    for size in (1, 2):
        parts = in_parts(files, size, OVERLAP)
        for name in TABLES:
            pd.testing.assert_frame_equal(table(name, parts), table(name, whole), obj=name)


@pytest.mark.parametrize("path", recordings(), ids=lambda path: path.name)
def test_the_same_findings_where_the_overlap_is_short(path: Path, tmp_path: Path) -> None:
    recording = load(path)
    assert recording is not None
    files = cut(recording, tmp_path, f"{path.name} again")
    whole, parts = analyse(read_history(files)), in_parts(files, 1, SHORT)
    for name in ("messages", "calls", "boots", "recoveries", "locks", "findings"):
        a, b = (table(name, one) for one in (parts, whole))
        known = [column for column in a if column not in NAMED]
        pd.testing.assert_frame_equal(a[known], b[known], obj=name)


@pytest.mark.parametrize("frame", [211, 230, 233])
def test_a_damaged_frame_is_one_in_every_part(frame: int, tmp_path: Path) -> None:
    """One bit of what it says is another; the capture is cut near it."""
    recording = load(OURS / "S08-reclaim-after-grace.pcap")
    assert recording is not None
    one = recording.frames[frame - 1]
    recording.frames[frame - 1] = one._replace(data=one.data[:-1] + bytes((one.data[-1] ^ 1,)))
    files = [str(tmp_path / f"{number}.pcap") for number in range(2)]
    save(recording.frames[:220], Path(files[0]))
    save(recording.frames[220:], Path(files[1]))
    whole = analyse(read_history(files))
    assert [(at.capture, at.frame) for at in whole.history.traffic.damaged] == [(frame > 220, frame - 220 * (frame > 220))]
    for overlap in (OVERLAP, SHORT):
        parts = in_parts(files, 1, overlap)
        assert parts.history.traffic.damaged == whole.history.traffic.damaged
        assert parts.history.traffic.vouched == whole.history.traffic.vouched
        pd.testing.assert_frame_equal(table("findings", parts), table("findings", whole))


def test_many_hosts(tmp_path: Path) -> None:
    whole = tmp_path / "whole.pcap"
    whole.write_bytes(capture_of(crowd(12, 5))[0])
    recording = load(whole)
    assert recording is not None
    files = cut(recording, tmp_path, "crowd")
    one, other = analyse(read_history(files)), in_parts(files, 1, SHORT)
    assert len(one.findings) == 5
    for name in ("calls", "recoveries", "locks", "findings", "defects"):
        pd.testing.assert_frame_equal(table(name, other), table(name, one), obj=name)
