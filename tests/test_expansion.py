"""``--max-expansion`` reaches every command that reads captures, wherever it reads them again."""

from __future__ import annotations

import gzip
import io
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.packets import UDP, ethernet, ip, pcap, udp

from nlmdissect.audit import run
from nlmdissect.audit.work import judge, look, read_part
from nlmdissect.capture import unpack
from nlmdissect.capture.files import open_recording
from nlmdissect.cli import app

FRAMES = 4_000


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that becomes a hundred times as large."""
    monkeypatch.setattr(unpack, "FREE", 1 << 14)
    frame = ethernet(ip("10.0.0.1", "10.0.0.2", UDP, udp(700, 9, bytes(50))))
    path = tmp_path / "same.pcap.gz"
    path.write_bytes(gzip.compress(pcap([(0.0, frame)] * FRAMES)))
    assert path.stat().st_size * 40 < FRAMES * len(frame)
    return path


def frames(path: Path) -> int:
    return sum(len(block.at) for block in open_recording([path], expansion=10_000).blocks())


@pytest.mark.parametrize(("most", "all_of"), [(2, False), (10_000, True)])
def test_slice(packed: Path, tmp_path: Path, most: int, all_of: bool) -> None:
    new = tmp_path / "new.pcapng"
    with redirect_stderr(io.StringIO()):
        app(["slice", str(packed), "--whole", "--max-expansion", str(most), "-o", str(new)], standalone_mode=False)
    assert (frames(new) == FRAMES) is all_of
    assert frames(new) > 100


@pytest.mark.parametrize(("most", "all_of"), [(2, False), (10_000, True)])
def test_a_worker_of_an_audit(packed: Path, most: int, all_of: bool) -> None:
    (result,) = judge([(look([str(packed)]), False)], most)
    (row,) = pq.read_table(io.BytesIO(result.tables["captures"])).to_pylist()
    assert (row["frames"] == FRAMES, row["truncated"]) == (all_of, not all_of)
    part: Any = read_part([str(packed)], [], most)
    assert (part.sources[0].frames == FRAMES) is all_of


def test_audit(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is part of what was asked: another limit, another answer."""
    asked: list[int] = []
    monkeypatch.setattr(run, "audit", lambda *_, max_expansion, **__: asked.append(max_expansion) or 1 / 0)
    for more in ([], ["--max-expansion", "7"]):
        with pytest.raises(ZeroDivisionError):
            app(["audit", str(packed), "--dataset", str(tmp_path / "set"), *more], standalone_mode=False)
    assert asked == [unpack.EXPANSION, 7]
    group = run.Group("same", tuple(look([str(packed)])))
    keys = {run._Audit(None, None, None, most)._key(group) for most in (7, 7, 8)}  # type: ignore[arg-type]
    assert len(keys) == 2


def test_crosscheck(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nlmdissect.oracle import check

    asked: list[int] = []
    monkeypatch.setattr(check.run, "version", lambda: "4")
    monkeypatch.setattr(check.run, "packets", lambda *_: "")
    read = check.ours.read
    monkeypatch.setattr(check.ours, "read", lambda *given: asked.append(read(*given).frames) or read(*given))
    for most in ("2", "10000"):
        with pytest.raises(SystemExit):
            app(["crosscheck", str(packed), "--max-expansion", most, "-q", "-o", "/dev/null"])
    assert asked[0] < asked[1] == FRAMES
