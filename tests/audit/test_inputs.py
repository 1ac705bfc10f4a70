"""What paths, folders, patterns and URLs name."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
from support.incidents import WELL, write

import nlmdissect
from nlmdissect.audit.inputs import files, is_capture
from nlmdissect.capture.glance import glance
from nlmdissect.errors import CaptureError, UsageError


@pytest.mark.parametrize("name", ["nfs.pcap", "nfs.pcap12", "nfs.pcapng.gz", "a/b.cap", "X.PCAP", "nfs.pcap3.zst"])
def test_called_like_a_capture(name: str) -> None:
    assert is_capture(name)


@pytest.mark.parametrize("name", ["notes.txt", ".nfs.pcap.swp", "nfs.pcap.txt", ".pcap", "pcap"])
def test_not_called_like_a_capture(name: str) -> None:
    assert not is_capture(name)


def test_folders_patterns_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b/two.pcap", "a.pcap", "b/c/three.pcap.gz", "notes.txt", "odd"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    every = [str(tmp_path / name) for name in ("a.pcap", "b/c/three.pcap.gz", "b/two.pcap")]
    assert files([tmp_path]) == every
    assert files([tmp_path / "odd"]) == [str(tmp_path / "odd")]  # what is named is taken
    assert sorted(files([f"{tmp_path}/**/*.pcap"])) == [every[0], every[2]]
    monkeypatch.chdir(tmp_path)
    assert files(["a.pcap", str(tmp_path), f"file://{tmp_path}/a.pcap"]) == every  # each once


@pytest.mark.parametrize("path", ["-", "/nowhere/*.pcap", "/nowhere"])
def test_nothing_is_a_mistake(path: str) -> None:
    with pytest.raises(UsageError):
        files([path])


def test_a_scheme_that_nobody_knows() -> None:
    with pytest.raises(UsageError, match="not known"):
        files(["zz://bucket/nfs"])


def test_files_of_a_store(tmp_path: Path) -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    path = write(tmp_path / "a.pcap", WELL)
    store.pipe({"/nfs/a.pcap": path.read_bytes(), "/nfs/deep/b.pcap": path.read_bytes(), "/nfs/notes.txt": b""})
    try:
        assert files(["memory://nfs"]) == ["memory:///nfs/a.pcap", "memory:///nfs/deep/b.pcap"]
        assert files(["memory://nfs/*.pcap"]) == ["memory:///nfs/a.pcap"]
        assert files(["memory://nfs/notes.txt"]) == ["memory:///nfs/notes.txt"]
        assert glance("memory:///nfs/a.pcap").digest == glance(str(path)).digest
        assert nlmdissect.read("memory:///nfs/a.pcap").history.calls.frame.tolist() == [1, 3]
        with pytest.raises(CaptureError, match="no such file"):
            nlmdissect.read("memory:///nfs/none.pcap")
        with pytest.raises(CaptureError):
            files(["memory://nothing/"])
    finally:
        store.rm("/nfs", recursive=True)


def test_a_package_that_is_missing_is_named_with_its_command() -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(UsageError) as error:
        files(["s3://bucket/nfs/"])
    assert error.value.hint == "pip install 'nlmdissect[audit,s3]'"


@pytest.mark.parametrize("missing", ["dask", "pyarrow", "fsspec"])
def test_the_extra_is_named_with_its_command(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from nlmdissect.audit import engine, parquet

    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".")[0] == missing:
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    ask = {"dask": engine._distributed, "pyarrow": parquet.arrow, "fsspec": lambda: files(["gs://bucket/x"])}[missing]
    with pytest.raises(UsageError) as error:
        ask()
    assert error.value.hint.startswith("pip install 'nlmdissect[audit")
