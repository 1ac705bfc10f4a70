"""The reference reader and writer: one XDR value at a time, with the exact position of an error.

How a value looks in Python: numbers, bools and enums are ``int``; opaques and strings are ``bytes`` (a host name is
hostile text: whoever shows it decodes it); arrays and lists are ``list``; a struct is a ``dict`` in wire order; a union
is a ``dict`` with its discriminant under ``"tag"``, followed by the fields of the selected arm.
"""

from __future__ import annotations

import struct
from typing import Any

from nlmdissect.xdr.schema import Array, Enum, FixedOpaque, List, Number, Opaque, String, Struct, Union, Xdr

TRUNCATED = "truncated"
OVERSIZE = "oversize"

_NUMBER = {dtype: struct.Struct(form) for dtype, form in ((">i4", ">i"), (">u4", ">I"), (">i8", ">q"), (">u8", ">Q"))}


class XdrError(ValueError):
    """Bytes that are not the value asked for.

    ``reason`` is TRUNCATED or OVERSIZE. ``at`` is the byte where the number, the body of the opaque or the content of
    the array begins that is not all there; for OVERSIZE it is the length word. ``path`` names the field:
    ``alock.fh``, ``entries[3].addr``.
    """

    def __init__(self, reason: str, at: int) -> None:
        super().__init__(reason, at)
        self.reason = reason
        self.at = at
        self.path = ""

    def __str__(self) -> str:
        return f"{self.path.lstrip('.') or 'value'}: {self.reason} at byte {self.at}"


def decode(t: Xdr, data: bytes | memoryview, at: int = 0) -> tuple[Any, int]:
    """Read one value of type ``t`` from ``data[at:]``; return it and the position after it.

    Raises XdrError. Bytes after the value are the caller's business; so are a bool of 7 and an unknown enum number.
    """
    try:
        return _decode(t, data, at)
    except XdrError as error:
        error.path = error.path.lstrip(".")
        raise


def _decode(t: Xdr, data: bytes | memoryview, at: int) -> tuple[Any, int]:
    match t:
        case Number(dtype=dtype):
            return _number(dtype, data, at)
        case Enum():
            return _number(">i4", data, at)
        case Opaque(max=limit) | String(max=limit):
            size, start = _count(limit, data, at)
            end = start + size + -size % 4
            if end > len(data):
                raise XdrError(TRUNCATED, start)
            return bytes(data[start : start + size]), end
        case FixedOpaque(size=size):
            end = at + size + -size % 4
            if end > len(data):
                raise XdrError(TRUNCATED, at)
            return bytes(data[at : at + size]), end
        case Array(element=element, max=limit):
            count, start = _count(limit, data, at)
            form = _NUMBER[element.dtype]
            end = start + count * form.size
            # Before a list of four billion numbers is made for a length word that lies.
            if end > len(data):
                raise XdrError(TRUNCATED, start)
            return [number for (number,) in form.iter_unpack(data[start:end])], end
        case List(element=element):
            return _list(element, data, at)
        case Struct(fields=fields):
            return _struct(fields.items(), data, at)
        case Union(on=on, arms=arms, default=default):
            tag, at = _number(">i4", data, at)
            arm = next((arm for member, arm in arms.items() if on.members[member] == tag), default)
            value, at = _struct(arm.fields.items(), data, at)
            return {"tag": tag, **value}, at


def _number(dtype: str, data: bytes | memoryview, at: int) -> tuple[int, int]:
    form = _NUMBER[dtype]
    if at + form.size > len(data):
        raise XdrError(TRUNCATED, at)
    return form.unpack_from(data, at)[0], at + form.size


def _count(limit: int, data: bytes | memoryview, at: int) -> tuple[int, int]:
    count, start = _number(">u4", data, at)
    if count > limit:
        raise XdrError(OVERSIZE, at)
    return count, start


def _struct(fields: Any, data: bytes | memoryview, at: int) -> tuple[dict[str, Any], int]:
    value: dict[str, Any] = {}
    name = ""
    try:
        for name, field in fields:
            value[name], at = _decode(field, data, at)
    except XdrError as error:
        # The path is built only when it is needed: naming every field of every message costs more than reading it.
        error.path = f".{name}{error.path}"
        raise
    return value, at


def _list(element: Struct, data: bytes | memoryview, at: int) -> tuple[list[Any], int]:
    values: list[Any] = []
    try:
        while True:
            more, at = _number(">u4", data, at)
            if not more:
                return values, at
            value, at = _decode(element, data, at)
            values.append(value)
    except XdrError as error:
        error.path = f"[{len(values)}]{error.path}"
        raise


def encode(t: Xdr, value: Any) -> bytes:
    """Write one value, in the form in which ``decode`` returns it.

    Raises ValueError, KeyError or ``struct.error`` for a value that the type cannot hold: the caller's mistake.
    """
    match t:
        case Number(dtype=dtype):
            return _NUMBER[dtype].pack(value)
        case Enum():
            return _NUMBER[">i4"].pack(value)
        case Opaque(max=limit) | String(max=limit):
            return _length(value, limit) + bytes(value) + bytes(-len(value) % 4)
        case FixedOpaque(size=size):
            if len(value) != size:
                raise ValueError(f"{len(value)} bytes where the type has exactly {size}")
            return bytes(value) + bytes(-size % 4)
        case Array(element=element, max=limit):
            return _length(value, limit) + b"".join(_NUMBER[element.dtype].pack(number) for number in value)
        case List(element=element):
            return b"".join(b"\0\0\0\1" + encode(element, item) for item in value) + bytes(4)
        case Struct(fields=fields):
            return b"".join(encode(field, value[name]) for name, field in fields.items())
        case Union(on=on, arms=arms, default=default):
            tag = value["tag"]
            arm = next((arm for member, arm in arms.items() if on.members[member] == tag), default)
            return encode(on, tag) + encode(arm, value)


def _length(value: Any, limit: int) -> bytes:
    if len(value) > limit:
        raise ValueError(f"length {len(value)} exceeds {limit}")
    return _NUMBER[">u4"].pack(len(value))
