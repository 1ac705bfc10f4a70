"""The codec and the columns must say the same of any bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from support.xdr_values import all_paths, leaves

from nlmdissect.xdr.codec import XdrError, decode
from nlmdissect.xdr.columns import OK, REASONS, Columns, decode_columns
from nlmdissect.xdr.schema import Array, FixedOpaque, List, Opaque, String, Struct, Union, Xdr


def column_value(columns: Columns, buf: bytes, row: int, path: str, t: Xdr) -> Any:
    """One leaf of one row, in the codec's form."""
    match t:
        case Opaque() | String() | FixedOpaque():
            at, size = (int(columns.fields[f"{path}.{part}"][row]) for part in ("at", "len"))
            return buf[at : at + size]
        case Array(element=element):
            count, at, size = (int(columns.fields[f"{path}.{part}"][row]) for part in ("count", "at", "len"))
            numbers = np.frombuffer(buf[at : at + size], element.dtype).tolist()
            assert len(numbers) == count
            return numbers
        case List():
            count, at, size = (int(columns.fields[f"{path}.{part}"][row]) for part in ("count", "at", "len"))
            items, end = decode(t, buf, at)
            assert (len(items), end) == (count, at + size)
            return items
        case _:
            return int(columns.fields[path][row])


def assert_agree(t: Struct, buf: bytes, at: list[int], end: list[int]) -> None:
    """The columns say of every row what the codec says of its bytes alone."""
    columns = decode_columns(t, np.frombuffer(buf, np.uint8), np.array(at), np.array(end))
    read = {path: columns.read(path) for path in all_paths(t)}
    for row, (start, stop) in enumerate(zip(at, end, strict=True)):
        data = buf[start:stop]
        value, used, error = attempt(t, data)
        if error is None:
            assert columns.bad[row] == OK
            assert columns.at[row] == start + used
            expected = list(leaves(t, value))
        else:
            assert REASONS[columns.bad[row]] == error.reason
            assert columns.at[row] == start + error.at
            expected = fields_before(t, data, error)
        for path, part, leaf in expected:
            assert read[path][row]
            assert column_value(columns, buf, row, path, part) == leaf
        assert sum(mask[row] for mask in read.values()) == len(expected)


def attempt(t: Struct, data: bytes) -> tuple[Any, int, XdrError | None]:
    try:
        return *decode(t, data), None
    except XdrError as error:
        return None, 0, error


def fields_before(t: Struct, data: bytes, error: XdrError) -> list[tuple[str, Xdr, Any]]:
    """The leaves before the one that failed, read one after the other with nothing but the codec of a single field."""
    failed = error.path.partition("[")[0]
    found: list[tuple[str, Xdr, Any]] = []

    def walk(part: Xdr, at: int, path: str) -> int | None:
        match part:
            case Struct(fields=fields):
                position: int | None = at
                for name, field in fields.items():
                    position = walk(field, position, f"{path}.{name}".lstrip(".")) if position is not None else None
                return position
            case Union(on=on, arms=arms, default=default):
                if path == failed:
                    return None
                tag, at = decode(on, data, at)
                found.append((path, on, tag))
                chosen = [arm for member, arm in arms.items() if on.members[member] == tag] or [default]
                return walk(chosen[0], at, path)
            case _:
                if path == failed:
                    return None
                value, at = decode(part, data, at)
                found.append((path, part, value))
                return at

    assert walk(t, 0, "") is None
    return found
