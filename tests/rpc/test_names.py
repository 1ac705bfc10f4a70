"""What file handles are called, from the calls that named them: when, and no more than was said."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.nfs import NFS, NOENT, SERVER, Wire, fh, post_op
from support.packets import opaque, rpc_call, rpc_reply

from nlmdissect.capture.files import open_recording
from nlmdissect.capture.messages import Messages, join
from nlmdissect.capture.reader import MessageReader
from nlmdissect.history.history import History, read_history
from nlmdissect.rpc import names
from nlmdissect.rpc.names import KEEP, NameReader

both_versions = pytest.mark.parametrize("version", [2, 3])


@pytest.fixture
def read(tmp_path: Path):
    """Write what is on the wire as a capture, and read it; ``calls(file, frame)`` is a file's path at that frame."""

    def reader(wire: Wire, snaplen: int = 262144) -> Called:
        return Called(wire, read_history([wire.write(tmp_path / "x.pcap", snaplen)]))

    return reader


class Called:
    def __init__(self, wire: Wire, history: History) -> None:
        self.wire, self.history = wire, history

    def __call__(self, file: bytes, frame: int = 1000, server: str = SERVER) -> str | None:
        host = self.history.traffic.endpoints.find(server)
        assert host is not None
        found = self.history.paths.path(host, fh(file, self.wire.version), self.wire.place(frame))
        return None if found is None else found.text

    def text(self, file: bytes, frame: int = 1000) -> str:
        host = self.history.traffic.endpoints.find(SERVER)
        assert host is not None
        return self.history.paths.text(host, fh(file, self.wire.version), self.wire.place(frame))


@both_versions
def test_a_path_reaches_the_export(read, version: int) -> None:
    wire = Wire(version)
    wire.mnt("/data/export", b"R")
    wire.lookup(b"R", "dir", b"D")
    frame = wire.lookup(b"D", "file", b"F")
    called = read(wire)
    assert called(b"F") == "/data/export:/dir/file"
    assert called(b"D") == "/data/export:/dir"
    assert called(b"R") == "/data/export:/"
    assert called(b"F", frame - 1) is None
    path = called.history.paths.path(called.history.traffic.endpoints.find(SERVER), fh(b"F", version), wire.place(frame))
    assert path.at == wire.place(frame)


@both_versions
def test_a_lock_has_the_name_of_its_handle(read, version: int) -> None:
    wire = Wire(version)
    wire.lookup(b"R", "f", b"F")
    wire.lock(b"F")
    called = read(wire)
    (request,) = called.history.requests
    assert called.history.path(request.server, request.fh, request.at) == ".../f"
    assert len(called.history.calls) == 1  # nothing of NFS is there


def test_a_path_ends_where_no_directory_is_named(read) -> None:
    wire = Wire()
    wire.lookup(b"D", "f", b"F")
    frame = wire.lookup(b"R", "d", b"D")
    called = read(wire)
    assert called(b"F", frame - 1) == ".../f"
    assert called(b"F", frame) == ".../d/f"
    assert called(b"R") is None


@both_versions
def test_only_a_fileid(read, version: int) -> None:
    wire = Wire(version)
    wire.getattr(b"F", 4711)
    called = read(wire)
    assert called(b"F") is None
    tail = fh(b"F", version)[-12:].hex()
    assert called.text(b"F") == f"fileid 4711 (fh ..{tail})"
    assert called.text(b"G") == f"fh ..{fh(b'G', version)[-12:].hex()}"


def test_a_call_or_an_answer_alone_names_nothing(read) -> None:
    wire = Wire()
    wire.call(3, wire.name(b"R", "asked"))  # never answered
    wire.lookup(b"R", "f", b"F")
    wire.reply(wire.found(b"G", 9), xid=4000)  # to a call that is not there
    called = read(wire)
    assert called(b"F") == ".../f"
    assert called(b"G") is None
    assert len(called.history.calls) == 0


def test_the_answer_belongs_to_the_last_transmission_before_it(read) -> None:
    wire = Wire()
    wire.call(3, wire.name(b"R", "f"))
    wire.call(3, wire.name(b"R", "f"), again=True)
    frame = wire.reply(wire.found(b"F", 5))
    wire.rename(b"R", "f", b"R", "g")
    wire.reply(wire.found(b"F", 5), xid=101)  # a late second answer to the first
    called = read(wire)
    assert called(b"F", frame) == ".../f"
    assert called(b"F") == ".../g"
    assert len(called.history.calls) == 0


@pytest.mark.parametrize("pace", [1, 0])  # on a coarse clock many frames have one time: their numbers decide
@both_versions
def test_names_change_over_time(read, version: int, pace: int) -> None:
    wire = Wire(version, pace=pace)
    wire.mnt("/x", b"R")
    wire.lookup(b"R", "d", b"D")
    first = wire.lookup(b"D", "f", b"F")
    renamed = wire.rename(b"D", "f", b"R", "g")
    back = wire.rename(b"R", "g", b"D", "h")
    directory = wire.rename(b"R", "d", b"R", "e")
    gone = wire.remove(b"D", "h")
    called = read(wire)
    changes = {
        first - 1: None, first: "/x:/d/f", renamed - 1: "/x:/d/f", renamed: "/x:/g", back: "/x:/d/h",
        directory: "/x:/e/h", gone - 1: "/x:/e/h", gone: None,
    }  # fmt: skip
    assert {frame: called(b"F", frame) for frame in changes} == changes
    assert called.text(b"F", gone).endswith(", formerly /x:/e/h")
    assert called.text(b"F", 1).endswith(", later /x:/d/f")


def test_what_failed_changed_nothing(read) -> None:
    wire = Wire()
    wire.lookup(b"R", "f", b"F")
    wire.rename(b"R", "f", b"R", "g", status=13)
    wire.remove(b"R", "f", status=70)
    called = read(wire)
    assert called(b"F") == ".../f"


@both_versions
def test_no_such_name_any_more(read, version: int) -> None:
    wire = Wire(version)
    wire.lookup(b"R", "f", b"F")
    wire.lookup(b"R", "g", b"G")
    wire.lookup(b"R", "h", b"H")
    end = wire.missing(b"R", "f")
    wire.remove(b"R", "g", status=NOENT)  # a REMOVE whose first transmission succeeded, out of sight
    wire.missing(b"R", "never")
    called = read(wire)
    assert called(b"F", end - 1) == ".../f"
    assert (called(b"F"), called(b"G"), called(b"H")) == (None, None, ".../h")


def test_a_name_that_another_file_has_now(read) -> None:
    wire = Wire()
    wire.lookup(b"R", "f", b"F")
    now = wire.lookup(b"R", "f", b"G")
    wire.lookup(b"R", "old", b"O")
    over = wire.rename(b"R", "f", b"R", "old")
    called = read(wire)
    assert (called(b"F", now - 1), called(b"F", now)) == (".../f", None)
    assert (called(b"O", over - 1), called(b"O", over), called(b"G", over)) == (".../old", None, ".../old")


@both_versions
def test_a_second_name(read, version: int) -> None:
    wire = Wire(version)
    wire.lookup(b"R", "a", b"F")
    second = wire.link(b"F", b"R", "b")
    wire.rename(b"R", "a", b"R", "b")  # both are the same file: nothing happens
    gone = wire.remove(b"R", "b")
    called = read(wire)
    assert called(b"F", second) == ".../b"
    assert called(b"F", gone) == ".../a"


def test_an_answer_that_was_under_way_when_the_name_changed(read) -> None:
    wire = Wire()
    wire.lookup(b"R", "f", b"F")
    wire.call(3, wire.name(b"R", "f"))
    asked = wire.xid
    wire.rename(b"R", "f", b"R", "g")
    wire.reply(wire.found(b"F", 5), xid=asked)
    assert read(wire)(b"F") == ".../g"


def test_two_servers_have_their_own_handles(read) -> None:
    wire = Wire()
    wire.lookup(b"R", "here", b"F")
    wire.server = "10.0.0.2"
    wire.lookup(b"R", "there", b"F")
    called = read(wire)
    assert called(b"F") == ".../here"
    assert called(b"F", server="10.0.0.2") == ".../there"


def test_directories_are_listed(read) -> None:
    wire = Wire()
    wire.readdirplus(b"R", [(".", b"R"), ("..", b"P"), ("a", b"A"), ("bare", None), ("b", b"B")])
    called = read(wire)
    assert [called(f) for f in (b"R", b"P", b"A", b"B")] == [None, None, ".../a", ".../b"]
    assert called.history.paths.fileid(called.history.traffic.endpoints.find(SERVER), fh(b"A")) == 3


@pytest.mark.parametrize("lost", range(0, 160, 4))
def test_a_listing_that_is_cut_names_what_was_captured(read, lost: int) -> None:
    wire = Wire()
    wire.readdirplus(b"R", [("a", b"A"), ("b", b"B")])
    size = len(wire.frames[-1][1])
    called = read(wire, snaplen=size - lost)
    assert called(b"A") == ".../a"
    assert called(b"B") == (".../b" if lost <= 8 else None)  # the end of the list, and eof


def test_names_are_hostile(read) -> None:
    wire = Wire()
    wire.lookup(b"R", b"\x1b[2Ja/../b\n\xff", b"F")
    wire.lookup(b"F", "F", b"F")  # its own directory
    called = read(wire)
    assert called(b"F", 2) == ".../\x1b[2Ja\\x2f..\\x2fb\n\\xff"  # shown through escape, as all text from packets
    assert called(b"F").startswith(".../F/F/F")


def test_a_long_path_in_a_sentence(read) -> None:
    wire = Wire()
    wire.lookup(b"R", "d" * 200, b"D")
    wire.lookup(b"D", "f" * 30, b"F")
    called = read(wire)
    assert called(b"F") == f".../{'d' * 200}/{'f' * 30}"
    assert len(called.text(b"F")) == 160
    assert called.text(b"F").endswith("d/" + "f" * 30)


@pytest.mark.parametrize("procedure", sorted(p for version, p in KEEP if version == 3))
def test_nothing_is_learnt_from_bytes_that_are_not_there(read, procedure: int) -> None:
    wire = Wire()
    for args in (b"", b"\0\0\0\x40", wire.handle(b"D"), wire.name(b"D", "n") + post_op(None) * 6):
        for results in (b"", bytes(4), bytes(3), bytes(4) + b"\0\0\0\1", bytes(4) + b"\xff" * 40):
            wire.call(procedure, args)
            wire.reply(results)
    called = read(wire)
    assert called(b"D") is None
    assert len(called.history.calls) == 0


@pytest.mark.parametrize(("service", "named"), [(1, True), (2, True), (3, False)])
def test_names_behind_kerberos(read, service: int, named: bool) -> None:
    """RFC 2203: in clear, behind a length and a sequence number, or encrypted."""
    wire = Wire()

    def wrapped(body: bytes) -> bytes:
        return body if service == 1 else struct.pack(">II", len(body) + 4, 9) + body + opaque(b"checksum")

    cred = struct.pack(">I", 6) + opaque(struct.pack(">IIII", 1, 0, 9, service) + opaque(b"context"))
    verifier = struct.pack(">I", 6) + opaque(b"mic!")
    args, results = wrapped(wire.name(b"R", "f")), wrapped(wire.found(b"F", 5))
    wire.send(rpc_call(7, NFS, 3, 3, args, cred=cred, verf=verifier), True)
    wire.send(rpc_reply(7, results, verf=verifier), False)
    assert read(wire)(b"F") == (".../f" if named else None)


def messages_of(path: Path) -> Messages:
    return join([batch.messages for batch in MessageReader(open_recording([path]), KEEP)])


def rows(m: Messages, chosen: slice) -> Messages:
    return replace(m, **{name: getattr(m, name)[chosen] for name in Messages.__slots__ if name != "arena"})


def test_an_answer_may_come_in_a_later_batch(tmp_path: Path) -> None:
    wire = Wire()
    wire.mnt("/x", b"R")
    wire.lookup(b"R", "f", b"F")
    frame = wire.lock(b"F")
    whole = messages_of(wire.write(tmp_path / "x.pcap"))
    reader = NameReader()
    rest = [reader.take(rows(whole, slice(i, i + 1))) for i in range(len(whole))]
    assert [len(one) for one in rest] == [1, 1, 0, 0, 1, 1]  # MOUNT and NLM go on to the table of calls
    host = int(whole.dst[0])
    path = reader.paths.path(host, fh(b"F"), wire.place(frame))
    assert path is not None
    assert path.text == "/x:/f"


def test_calls_wait_for_their_answers_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "WAITING", 2)
    wire = Wire()
    for name in ("a", "b", "c"):
        wire.call(3, wire.name(b"R", name))
    for xid, file in ((101, b"A"), (102, b"B"), (103, b"C")):
        wire.reply(wire.found(file, 5), xid=xid)
    whole = messages_of(wire.write(tmp_path / "x.pcap"))
    reader = NameReader()
    reader.take(rows(whole, slice(0, 3)))
    reader.take(rows(whole, slice(3, 6)))
    host = int(whole.dst[0])
    assert [reader.paths.path(host, fh(f), wire.place(9)) is not None for f in (b"A", b"B", b"C")] == [False, True, True]
    assert reader.forgotten == 1


def test_a_full_table_learns_nothing_new_and_forgets_nothing(read, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire()
    wire.lookup(b"R", "f", b"F")  # two handles and a name
    wire.lookup(b"R", "g", b"G")
    moved = wire.rename(b"R", "f", b"R", "h")
    monkeypatch.setattr("nlmdissect.rpc.paths.MOST", 3)
    called = read(wire)
    assert called(b"F", moved - 1) == ".../f"
    assert called(b"F") is None  # it is not called so any more
    assert called(b"G") is None
    (defect,) = [d for d in called.history.defects if d.reason == "names_full"]
    assert (defect.layer, defect.count) == ("rpc", 2)


@pytest.mark.parametrize("pace", [1, 0])
def test_codes_are_the_paths_of_many_moments(read, pace: int) -> None:
    wire = Wire(pace=pace)
    wire.lookup(b"R", "f", b"F")
    wire.rename(b"R", "f", b"R", "g")
    called = read(wire)
    host = called.history.traffic.endpoints.find(SERVER)
    moments = [np.array(column) for column in zip(*(wire.place(n) for n in (1, 2, 3, 4, 900)), strict=True)]
    places, texts = called.history.paths.codes(host, fh(b"F"), *moments)
    assert [texts[place] for place in places] == [None, ".../f", ".../f", ".../g", ".../g"]
    assert called.history.paths.codes(host, b"unknown", *moments)[0].tolist() == [0] * 5
