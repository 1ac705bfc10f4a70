"""The public tables: their columns and types are declared once, and hold for any recording, the empty one included."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pandas as pd
import pytest
from oracle.session import TSHARK
from support import reference
from support.captures import SHARED
from support.incidents import LOST, write

import nlmdissect
from nlmdissect.api import Capture
from nlmdissect.history.history import read_history
from nlmdissect.tables import MOMENT, TABLES

DTYPES = {"time": "datetime64[ns, UTC]", "seconds": "float64"}
# as promised: these names, and these columns of calls
NAMES = {
    "messages", "calls", "hosts", "boots", "monitors", "locks", "waits", "recoveries", "reclaims", "steps", "findings",
    "defects", "coverage",
}  # fmt: skip
CALLS = {
    "frame", "reply_frame", "time", "took", "client", "server", "transport", "program", "version", "procedure",
    "status", "xid", "cookie", "caller_name", "fh", "path", "oh", "svid", "start", "end", "exclusive", "block",
    "reclaim", "state", "mon_name", "port",
}  # fmt: skip


def check(capture: Capture) -> None:
    for name, columns in TABLES.items():
        table = getattr(capture, name)
        assert list(table.columns) == [column.name for column in columns], name
        for column in columns:
            dtype = str(table[column.name].dtype)
            want = DTYPES.get(column.dtype, column.dtype)
            assert dtype == want or (want == "string" and dtype in ("string", "str")), f"{name}.{column.name}"
        assert list(table.index) == list(range(len(table)))


@pytest.mark.parametrize("story", ["", LOST])
def test_columns_and_types(tmp_path: Path, story: str) -> None:
    check(nlmdissect.read(write(tmp_path / "x.pcap", story)))


@pytest.mark.parametrize("path", sorted(SHARED.glob("*.pcap*")), ids=lambda path: path.name)
def test_columns_and_types_of_real_recordings(path: Path) -> None:
    check(nlmdissect.read(path))


@pytest.mark.parametrize("path", sorted(SHARED.glob("[ST]0*.pcap")), ids=lambda path: path.name)
def test_columns_and_types_at_a_moment(path: Path) -> None:
    capture = nlmdissect.read(path)
    extent = capture.history.extent
    for part in (0, 1, 2):
        state = capture.at(f"+{(extent.last - extent.first) * part // 2 / 10**9:.6f}")
        for name, columns in MOMENT.items():
            table = getattr(state, name)
            assert list(table.columns) == [column.name for column in columns], name
            for column in columns:
                want, dtype = DTYPES.get(column.dtype, column.dtype), str(table[column.name].dtype)
                assert dtype == want or (want == "string" and dtype in ("string", "str")), f"{name}.{column.name}"


HOSTILE = sorted((SHARED / "hostile").glob("*.pcap*")) + sorted((SHARED / "public").glob("*nfs*"))


@pytest.mark.skipif(not HOSTILE, reason="the captures of others are not here")
@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: path.name)
def test_columns_and_types_of_hostile_captures(path: Path) -> None:
    try:
        capture = nlmdissect.read(path)
    except nlmdissect.CaptureError:
        return  # not a capture at all
    check(capture)


def test_a_category_is_a_word_that_occurs(lost: Capture) -> None:
    for name, columns in TABLES.items():
        for column in columns:
            if column.dtype == "category":
                values = lost.table(name)[column.name]
                assert set(values.cat.categories) == set(values.dropna()), f"{name}.{column.name}"


def test_the_reference_page_is_made_from_the_columns() -> None:
    assert reference.PAGE.read_text() == reference.page(), "python tests/support/reference.py"


def test_every_column_is_documented() -> None:
    for columns in (*TABLES.values(), *MOMENT.values()):
        for column in columns:
            assert column.meaning, column
            assert column.source, column
            assert column.dtype in reference.TYPES, column
            assert "|" not in "".join(column), column
            assert column.unit or column.dtype not in ("time", "seconds"), column


@pytest.mark.skipif(TSHARK is None, reason="tshark is not here")
def test_wireshark_has_the_fields(tmp_path: Path) -> None:
    command = [TSHARK or "", "-G", "fields"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env={"HOME": str(tmp_path)})
    known = {line.split("\t")[2] for line in said.stdout.splitlines() if line.startswith("F\t")}
    named = {f for columns in (*TABLES.values(), *MOMENT.values()) for c in columns for f in c.fields.split()}
    assert len(named) > 30
    assert named <= known


def test_what_is_promised_is_declared() -> None:
    assert set(TABLES) == NAMES
    assert {column.name for column in TABLES["calls"]} >= CALLS
    for columns in TABLES.values():
        names = [column.name for column in columns]
        assert {"capture", "frame"} <= set(names)
        assert len(set(names)) == len(names)
        assert all(column.meaning for column in columns)


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return nlmdissect.read(write(tmp_path_factory.mktemp("tables") / "x.pcap", LOST))


def test_calls(lost: Capture) -> None:
    calls = lost.calls
    nlm = calls[calls.program == "NLM"]
    assert list(nlm.frame) == [1, 3, 9, 11, 13]
    assert list(nlm.reply_frame) == [2, 4, 10, 12, 14]
    assert list(nlm.status) == ["GRANTED", "GRANTED", "STALE_FH", "GRANTED", "GRANTED"]
    assert list(nlm.reclaim) == [False, False, True, True, False]
    assert list(nlm.start) == [0, 0, 0, 0, 0]
    assert nlm.end.isna().tolist() == [False, True, False, True, False]
    assert list(nlm.took) == [1.0] * 5
    assert nlm.time.iloc[0] == pd.Timestamp("2023-11-14 22:13:20", tz="UTC")
    nsm = calls[calls.program == "NSM"]
    assert list(nsm.mon_name) == ["server", "server"]
    assert list(nsm.state) == [5, 5]
    assert nsm.exclusive.isna().all()


def test_messages_are_the_halves_of_calls(lost: Capture) -> None:
    messages = lost.messages
    assert list(messages.frame) == list(range(1, 15))
    assert list(messages.kind[:2]) == ["call", "reply"]
    assert list(messages.other_frame[:2]) == [2, 1]
    assert messages.status[messages.frame == 10].tolist() == ["STALE_FH"]


def test_locks_and_reclaims(lost: Capture) -> None:
    assert list(lost.reclaims.status) == ["STALE_FH", "GRANTED"]
    assert list(lost.recoveries.refused) == [1, 0]
    assert lost.locks.frame.iloc[0] == 2
    assert lost.findings.code.tolist() == ["NLM001"]
    assert lost.findings.frame.tolist() == [10]


def test_the_server_of_a_callback_is_who_sends_it(tmp_path: Path) -> None:
    calls = nlmdissect.read(
        write(
            tmp_path / "x.pcap",
            """
            1  client1 > server   NLM_LOCK_MSG fh=A oh=1 range=0-9
            2  server  > client1  NLM_LOCK_RES NLM4_BLOCKED
            3  server  > client1  NLM_GRANTED_MSG fh=A oh=1 range=0-9
            4  client1 > server   NLM_GRANTED_RES NLM4_GRANTED
            """,
        )
    ).calls
    assert set(calls.server) == {"10.0.0.1"}
    assert set(calls.client) == {"10.0.0.21"}
    assert list(calls.src) == ["10.0.0.21", "10.0.0.1", "10.0.0.1", "10.0.0.21"]
    assert [None if pd.isna(s) else s for s in calls.status] == [None, "BLOCKED", None, "GRANTED"]


def test_ranges_are_those_of_the_requests() -> None:
    for path in sorted(SHARED.glob("*.pcap")):
        history = read_history([path])
        calls = Capture(history).calls
        for request in history.requests:
            for send in request.sends:
                row = calls.iloc[send.row]
                if request.readable and request.op not in ("SHARE", "UNSHARE", "FREE_ALL"):
                    end = 2**64 - 1 if row.end is pd.NA else row.end
                    assert (row.start, end) == (request.start, request.end), (path.name, send)
