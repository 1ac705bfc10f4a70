"""A report is there whole or not at all, and never where it does harm."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from nlmdissect.errors import UsageError
from nlmdissect.report.output import refuse_overwriting, write


def broken() -> Iterator[str]:
    yield "half"
    raise RuntimeError("in the middle")


def test_a_file_is_whole(tmp_path: Path) -> None:
    write(["one\n", "two\n"], str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "one\ntwo\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("old")
    with pytest.raises(RuntimeError):
        write(broken(), str(out))
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_rights_and_links_are_kept(tmp_path: Path) -> None:
    out, link = tmp_path / "out", tmp_path / "link"
    out.write_text("old")
    out.chmod(0o640)
    link.symlink_to(out)
    write(["new"], str(link))
    assert (out.read_text(), link.is_symlink(), stat.S_IMODE(out.stat().st_mode)) == ("new", True, 0o640)


def test_a_new_file_has_the_usual_rights(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    write(["new"], str(tmp_path / "out"))
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_device_is_written_not_replaced() -> None:
    write(["gone"], os.devnull)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        write(["x"], str(tmp_path / "missing" / "out"))


def test_a_capture_is_never_overwritten(tmp_path: Path) -> None:
    capture, link = tmp_path / "x.pcap", tmp_path / "y.pcap"
    capture.write_text("frames")
    link.symlink_to(capture)
    for output in (capture, link):
        with pytest.raises(UsageError, match="is a capture"):
            refuse_overwriting(str(output), ["-", str(capture)])
    refuse_overwriting(str(tmp_path / "out"), [str(capture)])
    refuse_overwriting(None, [str(capture)])
