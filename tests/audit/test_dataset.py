"""Results are there whole or not at all, and what did not change is not made again."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support import fleet, packets
from support.audits import audited
from support.captures import OWN
from support.incidents import LOST, RECOVERED, WELL, write

import nlmdissect
from nlmdissect.audit import work
from nlmdissect.audit.api import Audit, open_audit
from nlmdissect.audit.columns import TABLES
from nlmdissect.audit.dataset import find_run, open_run, runs
from nlmdissect.audit.engine import Done
from nlmdissect.audit.run import audit
from nlmdissect.errors import UsageError

ABOUT = {"paths": ["x"], "group": []}


class Here:
    """A pool without processes."""

    wide = 1
    calls: ClassVar[list[int]] = []

    def __init__(self, *_: Any) -> None:
        self.waiting: list[tuple[Any, Any]] = []

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def submit(self, token: Any, function: Callable[..., Any], *args: Any, keep: bool = False) -> Any:
        if function is work.judge:
            Here.calls.append(len(args[0]))
        value = function(*args)
        self.waiting.append((token, None if keep else value))
        return value

    def results(self, more: Callable[[], bool]) -> Any:
        while more() or self.waiting:
            while self.waiting:
                yield Done(*self.waiting.pop(0))


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nlmdissect.audit.run.Pool", Here)
    Here.calls = []


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    folder = tmp_path / "captures"
    folder.mkdir()
    for number, story in enumerate((LOST, WELL, RECOVERED)):
        (folder / f"host{number}.pcap").write_bytes(packets.pcap(fleet.frames(story, number)))
    return folder


def test_nothing_changed_nothing_is_read(captures: Path, tmp_path: Path) -> None:
    first = audit([captures], tmp_path / "set")
    assert sum(Here.calls) == 3
    second = audit([captures], tmp_path / "set")
    assert sum(Here.calls) == 3
    assert second.name != first.name
    assert [run.name for run in runs(tmp_path / "set")] == [first.name, second.name]
    assert (second.about["read"], second.about["reused"]) == (0, 3)
    one, other = (open_audit(run.folder) for run in (first, second))
    assert one.findings.drop(columns="run").equals(other.findings.drop(columns="run"))
    assert set(other.findings["run"]) == {second.name}


def test_what_changed_is_read_again(captures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit([captures], tmp_path / "set")
    os.utime(captures / "host0.pcap", (1, 1))  # touched, not changed
    (captures / "host1.pcap").write_bytes(packets.pcap(fleet.frames(LOST, 1)))
    (captures / "host9.pcap").write_bytes(packets.pcap(fleet.frames(LOST, 9)))
    (captures / "host2.pcap").unlink()
    run = audit([captures], tmp_path / "set")
    assert (run.about["read"], run.about["reused"]) == (2, 1)
    assert sorted(open_audit(tmp_path / "set").captures["path"].map(os.path.basename)) == ["host0.pcap", "host1.pcap", "host9.pcap"]
    monkeypatch.setattr("nlmdissect.audit.run.engine", lambda: "other rules")
    assert audit([captures], tmp_path / "set").about["read"] == 3


def test_a_run_that_did_not_end_goes_on(captures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: Any, *_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("nlmdissect.audit.run._Audit.end", stop)
        with pytest.raises(KeyboardInterrupt):
            audit([captures], tmp_path / "set")
    (begun,) = runs(tmp_path / "set")
    assert not begun.finished
    assert open_audit(tmp_path / "set").run.about["finished"] is None
    with pytest.raises(UsageError):
        find_run(tmp_path / "set", finished=True)
    assert audit([captures / "host0.pcap"], tmp_path / "set").name != begun.name  # it was asked something else
    with monkeypatch.context() as patch:
        patch.setattr("nlmdissect.audit.run._Audit.end", stop)
        with pytest.raises(KeyboardInterrupt):
            audit([captures], tmp_path / "set")
    name = runs(tmp_path / "set")[-1].name
    (tmp_path / "set" / f"run={name}" / ".new-host0").mkdir()  # killed while it wrote
    ended = audit([captures], tmp_path / "set")
    assert (ended.name, ended.about["read"], ended.about["reused"]) == (name, 0, 3)
    assert not list(ended.folder.glob(".*"))


def test_a_damaged_result_is_made_again(captures: Path, tmp_path: Path) -> None:
    run = audit([captures], tmp_path / "set")
    first, second, _ = run.recordings()
    with open(run.file(first, "findings"), "r+b") as file:  # as a crash of the system may leave it
        file.truncate(4)
    os.unlink(run.file(second, "hosts"))
    again = audit([captures], tmp_path / "set")
    assert (again.about["read"], again.about["reused"]) == (2, 1)
    with pytest.raises(UsageError, match="missing or broken"):
        _ = open_audit(run.folder).findings
    assert len(open_audit(again.folder).findings) == 1


def test_a_full_disk(captures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, room = Path.open, [20]

    def full(self: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if mode == "wb":
            room[0] -= 1
            if room[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, mode, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(UsageError, match="the disk is full") as error:
            audit([captures], tmp_path / "set")
    assert "the same command goes on" in error.value.hint
    (run,) = runs(tmp_path / "set")
    assert len(list(run.recordings())) == 2
    assert not list(run.folder.glob(".*"))
    assert audit([captures], tmp_path / "set").about["reused"] == 2


def test_two_audits_do_not_write_one_dataset(captures: Path, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    (tmp_path / "set").mkdir()
    with (tmp_path / "set" / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another audit"):
            audit([captures], tmp_path / "set")


def test_a_folder_that_cannot_be_written(captures: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        audit([captures], tmp_path / "file" / "set")


@pytest.mark.parametrize("what", ["nowhere", "captures", "strange"])
def test_what_is_no_dataset(captures: Path, tmp_path: Path, what: str) -> None:
    strange = tmp_path / "strange" / "run=1"
    strange.mkdir(parents=True)
    (strange / "_run.json").write_text("[]")
    with pytest.raises(UsageError, match=r"is no dataset|does not exist"):
        nlmdissect.open_audit(tmp_path / what)


def test_files_that_turn_out_to_be_two_recordings(tmp_path: Path) -> None:
    """Two days of one name, an hour each: what happened in between is not known."""
    frames = fleet.frames(RECOVERED, 1)
    for day in (0, 1):
        path = tmp_path / "captures" / f"nfs-2023-11-{14 + day}.pcap"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(packets.pcap(frames[4 * day : 4 * day + 4], start=packets.START + 86400 * day))
    audit([tmp_path / "captures"], tmp_path / "set")
    assert len(open_audit(tmp_path / "set").summary.recordings) == 2
    assert sum(Here.calls) == 3
    assert audit([tmp_path / "captures"], tmp_path / "set").about["reused"] == 2  # it is known now
    assert sum(Here.calls) == 3
    audit([tmp_path / "captures"], tmp_path / "set", group=["*.pcap"])
    (one,) = open_audit(tmp_path / "set").summary.recordings
    assert [file["capture"] for file in one.files] == [0, 1]


def test_a_large_recording_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = fleet.make(tmp_path / "captures", healthy=0, faults=0, sets=2, broken=0)
    whole = audit([tmp_path / "captures"], tmp_path / "whole")
    monkeypatch.setattr("nlmdissect.audit.run.PART", 1)
    parts = audit([tmp_path / "captures"], tmp_path / "parts")
    one, other = (open_audit(run.folder) for run in (whole, parts))
    assert len(one.summary.recordings) == len(known)
    for name in TABLES:
        a, b = (sorted(map(repr, x.table(name).drop(columns="run").to_dict("records"))) for x in (one, other))
        assert a == b, name


@pytest.mark.parametrize("whole", [False, True])
def test_a_large_file_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool) -> None:
    """The rows are those of a file that is read in one go; also if it must be, for it is broken in the middle."""
    data = (OWN / "S08-reclaim-after-grace.pcap").read_bytes()
    (tmp_path / "captures").mkdir()
    (tmp_path / "captures" / "x.pcap").write_bytes(data[:9000] + b"\xff" * 99 + data[9000:] if whole else data)
    one = audit([tmp_path / "captures"], tmp_path / "one")
    monkeypatch.setattr("nlmdissect.audit.run.PIECE", 10_000)
    read: list[Any] = []
    real = work.read_piece
    monkeypatch.setattr("nlmdissect.audit.run.read_piece", lambda *given: read.append(real(*given)) or read[-1])
    other = audit([tmp_path / "captures"], tmp_path / "other")
    assert len(read) == 3
    assert any(isinstance(part, work.Broken) for part in read) is whole
    for name in TABLES:
        a, b = (sorted(map(repr, Audit(x).table(name).drop(columns="run").to_dict("records"))) for x in (one, other))
        assert a == b, name
    assert Audit(one).captures.frames[0] > 50


def test_a_part_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.make(tmp_path / "captures", healthy=0, faults=0, sets=1, broken=0)
    monkeypatch.setattr("nlmdissect.audit.run.PART", 1)
    real = work.read_part

    def fails(paths: list[str], tail: list[str], expansion: int) -> Any:
        if paths[0].endswith("pcap3"):
            monkeypatch.setattr("nlmdissect.history.scan.scan", lambda part: 1 / 0)
        return real(paths, tail, expansion)

    monkeypatch.setattr("nlmdissect.audit.run.read_part", fails)
    audit([tmp_path / "captures"], tmp_path / "set")
    (one,) = open_audit(tmp_path / "set").summary.recordings
    assert one.failed
    assert "ZeroDivisionError" in (one.error or "")
    assert len(one.files) == fleet.SET


def test_a_call_that_its_workers_did_not_survive_and_one_that_cannot_be_made(captures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried once more, alone and with all the memory; then it is a row, and the run goes on."""

    monkeypatch.setattr("nlmdissect.audit.run.SEVERAL", 1)

    class Deadly(Here):
        def results(self, more: Callable[[], bool]) -> Any:
            for done in super().results(more):
                judged = isinstance(done.token, list)
                names = {os.path.basename(group.name) for group in done.token} if judged else set()
                if "host2.pcap" in names:
                    yield Done(done.token, None, error="TypeError: cannot be sent")
                else:
                    yield Done(done.token, None, lost=True) if "host0.pcap" in names else done

    monkeypatch.setattr("nlmdissect.audit.run.Pool", Deadly)
    audit([captures], tmp_path / "set")
    found = {os.path.basename(one.name): one for one in open_audit(tmp_path / "set").summary.recordings}
    assert found["host0.pcap"].failed
    assert "needs more memory" in (found["host0.pcap"].error or "")
    assert not found["host1.pcap"].error
    assert found["host2.pcap"].error == "TypeError: cannot be sent"
    assert open_audit(tmp_path / "set").summary.status(None) == 3


def test_a_name_that_is_no_unicode(tmp_path: Path) -> None:
    folder = tmp_path / "captures"
    folder.mkdir()
    name = os.fsdecode(os.fsencode(folder) + b"/caf\xe9.pcap")
    write(tmp_path / "x.pcap", WELL).rename(name)
    assert open_audit(audited(folder, tmp_path / "set").run.folder).captures["path"][0].endswith("caf\\udce9.pcap")


def test_a_run_by_its_name(tmp_path: Path) -> None:
    run, before = open_run(tmp_path, "nightly", ABOUT)
    assert before is None
    run.finish()
    again, _ = open_run(tmp_path, "nightly", ABOUT)
    assert again.folder == run.folder
    assert not again.finished


def test_types_that_every_reader_knows(captures: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    run = audit([captures], tmp_path / "set")
    for recording in run.recordings():
        for name in TABLES:
            for field in pq.read_schema(run.file(recording, name)):
                assert str(field.type) in ("int64", "string", "bool", "timestamp[us, tz=UTC]") or field.name == "evidence"


