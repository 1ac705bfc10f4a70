"""The reference reader against bytes worked out by hand from RFC 4506."""

from __future__ import annotations

import struct

import pytest

from nlmdissect.xdr.codec import OVERSIZE, TRUNCATED, XdrError, decode, encode
from nlmdissect.xdr.schema import (
    UNLIMITED,
    Array,
    Bool,
    Enum,
    FixedOpaque,
    Hyper,
    Int,
    List,
    Opaque,
    String,
    Struct,
    UHyper,
    UInt,
    Union,
    Void,
)

colour = Enum("colour", {"RED": 0, "BLUE": 1})
pair = Struct("pair", a=UInt, b=String(5))
choice = Union("choice", colour, {"BLUE": pair}, Void)
whole = Struct("whole", choice=choice, entries=List(pair))


@pytest.mark.parametrize(
    ("t", "raw", "value"),
    [
        (Int, "ffffffff", -1),
        (UInt, "ffffffff", 2**32 - 1),
        (Hyper, "fffffffffffffffe", -2),
        (UHyper, "fffffffffffffffe", 2**64 - 2),
        (Bool, "00000001", 1),
        (Bool, "00000007", 7),  # not a bool by the RFC, but what was sent
        (colour, "00000001", 1),
        (colour, "0000002a", 42),  # no such colour, but what was sent
        (Opaque(9), "00000000", b""),
        (Opaque(9), "00000004 61626364", b"abcd"),
        (String(9), "00000005 6162636465 000000", b"abcde"),
        (Opaque(9), "00000001 61ffffff", b"a"),  # padding should be zero: nobody checks
        (FixedOpaque(4), "01020304", b"\1\2\3\4"),
        (FixedOpaque(5), "0102030405 000000", b"\1\2\3\4\5"),
        (Array(UInt, 3), "00000000", []),
        (Array(UInt, 3), "00000002 00000007 ffffffff", [7, 2**32 - 1]),
        (List(pair), "00000000", []),
        (List(pair), "00000001 00000009 00000000 00000000", [{"a": 9, "b": b""}]),
        (choice, "00000000", {"tag": 0}),
        (choice, "00000001 00000002 00000001 78000000", {"tag": 1, "a": 2, "b": b"x"}),
        (choice, "00000005", {"tag": 5}),
        (Void, "", {}),
    ],
)
def test_bytes_and_value(t: object, raw: str, value: object) -> None:
    data = bytes.fromhex(raw)
    assert decode(t, data) == (value, len(data))
    assert decode(t, b"\xff" + data + b"\xff", 1) == (value, 1 + len(data))
    if b"\xff\xff\xff" not in data[-3:]:
        assert encode(t, value) == data


@pytest.mark.parametrize(
    ("t", "raw", "reason", "at", "path"),
    [
        (UInt, "000000", TRUNCATED, 0, ""),
        (UInt, "", TRUNCATED, 0, ""),
        (UHyper, "00000000 000000", TRUNCATED, 0, ""),
        (pair, "00000001 0000", TRUNCATED, 4, "b"),
        (pair, "00000001 00000005 61626364", TRUNCATED, 8, "b"),
        (pair, "00000001 00000003 616263", TRUNCATED, 8, "b"),  # all of the text, but not its padding
        (pair, "00000001 00000006 616263646566 0000", OVERSIZE, 4, "b"),
        (Opaque(UNLIMITED), "ffffffff 00000000", TRUNCATED, 4, ""),
        (FixedOpaque(16), "00000000", TRUNCATED, 0, ""),
        (Array(UInt, 2), "00000003", OVERSIZE, 0, ""),
        (Array(UInt, UNLIMITED), "ffffffff 00000000", TRUNCATED, 4, ""),
        (whole, "00000001 00000001", TRUNCATED, 8, "choice.b"),
        (whole, "00000000 00000001 00000007 00000000 00000001 00000007", TRUNCATED, 24, "entries[1].b"),
        (whole, "00000000 00000001 00000007 00000000", TRUNCATED, 16, "entries[1]"),
    ],
)
def test_where_and_why_it_failed(t: object, raw: str, reason: str, at: int, path: str) -> None:
    with pytest.raises(XdrError) as caught:
        decode(t, bytes.fromhex(raw))
    error = caught.value
    assert (error.reason, error.at, error.path) == (reason, at, path)
    assert str(error) == f"{path or 'value'}: {reason} at byte {at}"


@pytest.mark.parametrize(
    ("t", "value"), [(String(3), b"abcd"), (FixedOpaque(4), b"abc"), (Array(UInt, 1), [1, 2]), (UInt, -1), (Int, 2**31)]
)
def test_a_value_that_the_type_cannot_hold_is_the_callers_mistake(t: object, value: object) -> None:
    with pytest.raises((ValueError, struct.error)):
        encode(t, value)


def test_a_field_may_be_called_name() -> None:
    assert decode(Struct("notify", name=String(9), self=Int), bytes(8)) == ({"name": b"", "self": 0}, 8)
