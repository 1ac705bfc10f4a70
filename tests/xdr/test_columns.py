"""What the columns promise beyond agreeing with the codec: shapes, types, no exception on any bytes, bounded time."""

from __future__ import annotations

import struct
import time

import numpy as np
import pytest

from nlmdissect.protocols import nlm, portmap, rpc
from nlmdissect.xdr.columns import OK, OVERSIZE, TRUNCATED, Columns, decode_columns
from nlmdissect.xdr.schema import UNLIMITED, Array, Enum, Opaque, Struct, UHyper, UInt, Union, Void


def read(t: Struct, *messages: bytes) -> Columns:
    end = np.cumsum([len(message) for message in messages])
    at = end - [len(message) for message in messages]
    return decode_columns(t, np.frombuffer(b"".join(messages), np.uint8), at, end)


def test_no_rows_have_all_columns() -> None:
    none = np.zeros(0, np.int64)
    columns = decode_columns(nlm.nlm4_testres, np.zeros(0, np.uint8), none, none)
    assert list(columns.fields) == [
        "cookie.at", "cookie.len", "stat", "stat.exclusive", "stat.svid", "stat.oh.at", "stat.oh.len",
        "stat.l_offset", "stat.l_len",
    ]  # fmt: skip
    assert all(len(column) == 0 for column in columns.fields.values())
    assert len(columns.read("stat.oh")) == 0


def test_no_bytes_are_a_truncation_of_the_first_field() -> None:
    zero = np.zeros(2, np.int64)
    columns = decode_columns(nlm.nlm4_lockargs, np.zeros(0, np.uint8), zero, zero)
    assert columns.bad.tolist() == [TRUNCATED, TRUNCATED]
    assert columns.at.tolist() == [0, 0]
    assert not columns.read("cookie").any()


def test_a_message_whose_end_lies_before_its_beginning_is_truncated() -> None:
    columns = decode_columns(rpc.prefix, np.zeros(16, np.uint8), np.array([12]), np.array([4]))
    assert columns.bad.tolist() == [TRUNCATED]


def test_positions_outside_of_the_buffer_are_the_callers_mistake() -> None:
    for at, end in ((-1, 4), (0, 9)):
        with pytest.raises(ValueError, match="outside"):
            decode_columns(rpc.prefix, np.zeros(8, np.uint8), np.array([at]), np.array([end]))


def test_types_of_the_columns() -> None:
    columns = read(Struct("t", u=UInt, h=UHyper, o=Opaque(8)), bytes.fromhex("ffffffff ffffffffffffffff 00000000"))
    assert {name: column.dtype for name, column in columns.fields.items()} == {
        "u": np.int64, "h": np.uint64, "o.at": np.int64, "o.len": np.int64,
    }  # fmt: skip
    assert columns.fields["u"].tolist() == [2**32 - 1]
    assert columns.fields["h"].tolist() == [2**64 - 1]


@pytest.mark.parametrize("length", [2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1])
def test_lengths_that_would_overflow(length: int) -> None:
    word = struct.pack(">I", length)
    assert read(Struct("t", o=Opaque(UNLIMITED)), word + bytes(8)).bad.tolist() == [TRUNCATED]
    assert read(Struct("t", a=Array(UHyper, UNLIMITED)), word + bytes(8)).bad.tolist() == [TRUNCATED]
    assert read(Struct("t", o=Opaque(1024)), word + bytes(8)).bad.tolist() == [OVERSIZE]


def test_one_bad_message_does_not_touch_its_neighbours() -> None:
    good = bytes.fromhex("00000001 61000000 00000000")
    columns = read(nlm.nlm4_res, good, good[:5], good, bytes.fromhex("00000401") + bytes(8), good)
    assert columns.bad.tolist() == [OK, TRUNCATED, OK, OVERSIZE, OK]
    assert columns.at.tolist() == [12, 16, 29, 29, 53]
    assert columns.read("stat").tolist() == [True, False, True, False, True]


def test_two_arms_may_have_a_leaf_of_one_name() -> None:
    on = Enum("on", {"A": 0, "B": 1})
    t = Struct("t", u=Union("u", on, {"A": Struct("a", x=UInt), "B": Struct("b", y=UInt, x=UInt)}, Void))
    b, a, neither = (bytes.fromhex(raw) for raw in ("00000001 00000005 00000006", "00000000 00000007", "00000002"))
    columns = read(t, b, a, neither)
    assert columns.fields["u.x"].tolist() == [6, 7, 0]
    assert columns.read("u.x").tolist() == [True, True, False]
    assert columns.read("u.y").tolist() == [True, False, False]


def test_lists_of_all_lengths_side_by_side() -> None:
    entry = bytes.fromhex("00000001 000186a0 00000002 00000006 0000006f")
    lists = [entry * count + bytes(4) for count in range(40)]
    columns = read(portmap.pmaplist, *lists, entry * 3, b"tail")
    assert columns.fields["entries.count"].tolist() == [*range(40), 0, 0]
    assert columns.fields["entries.len"].tolist() == [*(len(entries) for entries in lists), 0, 0]
    assert columns.bad.tolist() == [OK] * 40 + [TRUNCATED] * 2
    assert columns.at[-2] - sum(map(len, lists)) == 60  # behind the third entry, where the fourth bool should be


@pytest.mark.parametrize(("lists", "entries"), [(1, 100_000), (100_000, 1)])
def test_hostile_lists_take_time_by_their_bytes(lists: int, entries: int) -> None:
    began = time.process_time()
    columns = read(portmap.pmaplist, *[struct.pack(">5I", 1, 1, 1, 1, 1) * entries + bytes(4)] * lists)
    assert (columns.fields["entries.count"] == entries).all()
    assert time.process_time() - began < 20  # about 0.5 s; minutes if it were quadratic
