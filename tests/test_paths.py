"""The paths that locked files are called by, held against what was locked: by the recordings' own timelines."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.captures import SHARED

import nlmdissect
from nlmdissect.history.history import History, read_history
from nlmdissect.protocols.nlm import END
from nlmdissect.rpc.requests import Op

RECORDED = Path(__file__).parents[1] / "captures"
TOLD = [p for p in sorted(SHARED.glob("*.expect.json")) if isinstance(json.loads(p.read_text()).get("timeline"), list)]
OPEN = re.compile(r"open (\S+) /mnt/(\S+)")
LOCK = re.compile(r"lockw? (\S+) ([rw]) (\d+) (\d+)$")
EXPORTS = {"T11": "/tmp/lab2.T11-ganesha-baseline-tcp/export", "T13": "/shared/export"}  # all others: /data/export

Lock = tuple[str, bool, int, int]

ALIASES = {"T10-base-healthy": {f"c{n}": f"cell{n}" for n in range(6)}}  # opened in one line of its timeline
NEVER_SENT = {  # locks of the timeline that no NLM call in the recording asks for
    "N01-nolock": "every lock is local",
    "P01-nfsv2-nlm1-udp": "the client refused a range beyond 32 bits itself",
    "V02-two-points-healthy.client": "recorded at the other client",
}

# The same for the recordings of the project, written down from those timelines: every file that was locked.
KNOWN = {
    "P01": "ledger.db wal.log", "S01": "f1 f2", "S02": "f1", "S03": "f1 f2 f3", "S04": "f1", "S05": "f1", "S07": "f1 f2",
    "S08": "f1 f2", "S10": "f1 f2 f3", "S14": "f1", "S15": "f1 f2", "S16": "f1", "T01": "ledger.db spool/q1 wal.log",
    "T06": "jobs lease", "T10": "cell0 cell1 cell2 cell3 cell4 cell5", "T14": "ledger.db wal.log",
}  # fmt: skip


def number(address: str) -> str:
    """Hosts have the same in IPv4, which timelines speak, and IPv6."""
    return re.split("[.:]", address)[-1]


def asked(history: History) -> dict[Lock, set[str | None]]:
    """Paths by what was asked of them: (end of the client's address, exclusive, start, end)."""
    found: dict[Lock, set[str | None]] = {}
    for r in history.requests:
        if r.op is Op.LOCK:
            end = END if r.version != 4 and r.end >= 2**31 - 1 else r.end
            key = (number(history.names.address(r.client)), r.exclusive, r.start, end)
            found.setdefault(key, set()).add(history.path(r.server, r.fh, r.at))
    return found


def told(known: dict[str, Any], name: str) -> dict[Lock, set[str]]:
    """The same as the timeline says it."""
    export = EXPORTS.get(name[:3], "/data/export")
    alias = dict(ALIASES.get(name, {}))
    found: dict[Lock, set[str]] = {}
    for line in known["timeline"]:
        action, host = str(line.get("action", "")), known["hosts"].get(line.get("host"), {})
        alias |= dict(OPEN.findall(action))
        if (lock := LOCK.search(action)) and "ip" in host:
            file, kind, start, length = lock[1], lock[2], int(lock[3]), int(lock[4])
            key = (number(host["ip"]), kind == "w", start, start + length - 1 if length else END)
            files = [f"f{n}" for n in range(1, 9)] if file == "f1..f8" else [alias.get(file, file)]
            found.setdefault(key, set()).update(f"{export}:/{name}" for name in files)
    return found


@pytest.mark.skipif(not TOLD, reason="the recordings with known causes are not here")
@pytest.mark.parametrize("path", TOLD, ids=lambda path: path.name.removesuffix(".expect.json"))
def test_locked_files_are_called_what_the_timeline_calls_them(path: Path) -> None:
    known, name = json.loads(path.read_text()), path.name.removesuffix(".expect.json")
    ours, theirs = asked(read_history([path.parent / known["capture"]])), told(known, name)
    both = ours.keys() & theirs.keys()
    assert both or name == "N01-nolock"
    for lock in both:
        assert theirs[lock] <= ours[lock] if name.startswith("P02") else theirs[lock] == ours[lock], lock
    if name not in NEVER_SENT:
        assert both == theirs.keys()


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.pcap*")), ids=lambda path: path.name)
def test_every_locked_file_of_the_recordings_has_its_path(path: Path) -> None:
    files = {file for paths in asked(read_history([path])).values() for file in paths}
    assert files == {f"/data/export:/{name}" for name in KNOWN[path.name[:3]].split()}


def test_a_padded_handle_is_another_handle() -> None:
    """A script locks through NLM 1 with the handle of NFSv3, zero padded: nothing in the capture says that it is one."""
    path = SHARED / "P02-scripted-nlm1-nlm3.pcap"
    if not path.exists():
        pytest.skip("the recordings with known causes are not here")
    history = read_history([path])
    by_version: dict[int, set[str | None]] = {}
    for r in history.requests:
        if r.op is Op.LOCK:
            by_version.setdefault(r.version, set()).add(history.path(r.server, r.fh, r.at))
    assert by_version == {4: {"/data/export:/ledger.db"}, 1: {None}, 3: {None}}


def test_every_voice_uses_the_path() -> None:
    capture = nlmdissect.read(RECORDED / "S08-reclaim-after-grace.pcap")
    path = "/data/export:/f1"
    assert path in capture.analysis.findings[0].title
    assert set(capture.locks.path.dropna()) == {path, "/data/export:/f2"}
    assert path in set(capture.at("+30").locks.path)
    calls = capture.calls[capture.calls.fh.notna()]
    assert calls.path.notna().all()
    assert calls.fileid.notna().all()
    assert capture.calls.path[capture.calls.fh.isna()].isna().all()
    assert set(capture.reclaims.path) == {path, "/data/export:/f2"}


def test_the_table_of_calls_is_the_same_without_nfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The calls that name files leave no trace in it."""
    for path in sorted(RECORDED.glob("*.pcap")):
        with_names = nlmdissect.read(path).calls.drop(columns=["path", "fileid"])
        with monkeypatch.context() as patch:
            patch.setattr("nlmdissect.history.history.KEEP", ())
            without = nlmdissect.read(path).calls.drop(columns=["path", "fileid"])
        assert with_names.equals(without), path.name


PUBLIC = sorted((SHARED / "public").glob("*nfs*")) + sorted((SHARED / "hostile").glob("*nfs*"))


@pytest.mark.skipif(not PUBLIC, reason="the public captures are not here")
@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.name)
def test_public_captures_of_nfs(path: Path) -> None:
    """Versions 2, 3 and 4, cut, fragmented and broken: read to the end, with no row of NFS in the table of calls."""
    capture = nlmdissect.read(path)
    assert "NFS" not in set(capture.calls.program)
