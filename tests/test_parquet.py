"""Tables through Parquet files and back: the same columns, types and values, or one clear sentence."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from support.incidents import LOST, NO_LOCKS, write

import nlmdissect
from nlmdissect.api import Capture
from nlmdissect.tables import TABLES

RECORDED = Path(__file__).parents[1] / "captures"


def there_and_back(capture: Capture, folder: Path) -> None:
    capture.to_parquet(folder)
    tables = nlmdissect.read_tables(folder)
    assert list(tables) == list(TABLES)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, capture.table(name), check_exact=True)
        assert table.dtypes.equals(capture.table(name).dtypes), name


@pytest.mark.parametrize("story", ["", NO_LOCKS, LOST])
def test_stories(tmp_path: Path, story: str) -> None:
    there_and_back(nlmdissect.read(write(tmp_path / "x.pcap", story)), tmp_path / "deep" / "tables")


@pytest.mark.parametrize("name", ["P01-nfsv2-nlm1-udp", "S08-reclaim-after-grace", "T01-fqdn-reboot-healthy-tcp"])
def test_recordings(tmp_path: Path, name: str) -> None:
    there_and_back(nlmdissect.read(RECORDED / f"{name}.pcap"), tmp_path)


@pytest.mark.parametrize("name", [b"\x1b[2J\x00\r\n", b"\xff\xfe\x80", "\u202e\U0001f512".encode()])
def test_hostile_names(tmp_path: Path, name: bytes) -> None:
    there_and_back(nlmdissect.read(write(tmp_path / "x.pcap", LOST, client1=name)), tmp_path / "t")


def test_what_is_on_disk_is_plain_parquet(tmp_path: Path) -> None:
    nlmdissect.read(write(tmp_path / "x.pcap", LOST)).to_parquet(tmp_path / "t")
    assert {path.name for path in (tmp_path / "t").iterdir()} == {"nlmdissect.json", *(f"{n}.parquet" for n in TABLES)}
    about = json.loads((tmp_path / "t" / "nlmdissect.json").read_text())
    assert about["schema"] == "nlmdissect.tables/1"
    assert about["version"] == nlmdissect.__version__
    assert about["captures"] == [str(tmp_path / "x.pcap")]
    calls = pq.read_table(tmp_path / "t" / "calls.parquet")
    assert about["rows"]["calls"] == len(calls) == 7
    kinds = {name: str(calls.schema.field(name).type) for name in ("time", "took", "end", "exclusive", "client")}
    assert kinds == {
        "time": "timestamp[ns, tz=UTC]", "took": "double", "end": "uint64", "exclusive": "bool",
        "client": "dictionary<values=string, indices=int32, ordered=0>",
    }  # fmt: skip
    assert calls["end"].to_pylist()[:2] == [99, None]  # 0-99, then to the end of the file


def test_writing_again_replaces(tmp_path: Path) -> None:
    nlmdissect.read(write(tmp_path / "x.pcap", LOST)).to_parquet(tmp_path / "t")
    there_and_back(nlmdissect.read(write(tmp_path / "y.pcap", NO_LOCKS)), tmp_path / "t")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    nlmdissect.read(write(tmp_path / "x.pcap", LOST)).to_parquet(tmp_path / "t")
    return tmp_path / "t"


def message(folder: Path) -> str:
    with pytest.raises(nlmdissect.UsageError) as caught:
        nlmdissect.read_tables(folder)
    assert caught.value.hint
    return caught.value.message


def test_not_a_folder_of_tables(tmp_path: Path) -> None:
    assert message(tmp_path) == f"{tmp_path} has no tables: nlmdissect.json is not there"
    assert "is not there" in message(tmp_path / "missing")
    for text in ("", "[]", "{}", '{"schema": 5}', '{"schema": "other/1"}', '{"schema": "nlmdissect.tables/x"}', "\0"):
        (tmp_path / "nlmdissect.json").write_text(text)
        assert message(tmp_path) == f"{tmp_path} has no tables: nlmdissect.json is not ours"


def test_a_newer_version(written: Path) -> None:
    about = json.loads((written / "nlmdissect.json").read_text())
    (written / "nlmdissect.json").write_text(json.dumps({**about, "schema": "nlmdissect.tables/2", "version": "9.1"}))
    assert message(written) == f"the tables in {written} were written by a newer nlmdissect (9.1)"


def test_a_table_that_is_not_whole(written: Path) -> None:
    calls = written / "calls.parquet"
    calls.write_bytes(calls.read_bytes()[:100])
    assert message(written) == f"{calls} is missing or broken"
    calls.unlink()
    assert message(written) == f"{calls} is missing or broken"
    pq.write_table(pq.read_table(written / "waits.parquet"), calls)
    assert message(written) == f"{calls} has other columns than this version writes"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    capture = nlmdissect.read(write(tmp_path / "x.pcap", LOST))
    with pytest.raises(nlmdissect.UsageError, match="cannot be written"):
        capture.to_parquet(tmp_path / "x.pcap" / "t")


def test_without_pyarrow(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(nlmdissect.UsageError, match=r"pip install 'nlmdissect\[parquet\]'"):
        nlmdissect.read_tables(written)
