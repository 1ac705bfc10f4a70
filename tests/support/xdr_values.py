"""Values of XDR types for property tests, and the leaves that a reader should find in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st

from nlmdissect.protocols import PROGRAMS, rpc
from nlmdissect.xdr.schema import Array, Enum, FixedOpaque, List, Number, Opaque, String, Struct, Union, Xdr

RPC = [rpc.call, rpc.reply, rpc.rpc_gss_integ, *rpc.CREDENTIALS.values()]

# Every struct that goes over the wire as a whole; several procedures share one.
TYPES: list[Struct] = list(
    dict.fromkeys(
        [t for program in PROGRAMS.values() for p in program.procedures for t in (p.args, p.res)] + RPC,
    )
)


def values(t: Xdr) -> st.SearchStrategy[Any]:
    """Any value that the type can hold: also enum numbers without a name, and bools of 7."""
    match t:
        case Number(dtype=dtype):
            limits = np.iinfo(np.dtype(dtype))
            return st.integers(int(limits.min), int(limits.max))
        case Enum(members=members):
            return st.one_of(st.sampled_from(sorted(members.values())), st.integers(-(2**31), 2**31 - 1))
        case Opaque(max=limit) | String(max=limit):
            return st.binary(max_size=min(limit, 40))
        case FixedOpaque(size=size):
            return st.binary(min_size=size, max_size=size)
        case Array(element=element, max=limit):
            return st.lists(values(element), max_size=min(limit, 5))
        case List(element=element):
            return st.lists(values(element), max_size=3)
        case Struct(fields=fields):
            return st.fixed_dictionaries({name: values(field) for name, field in fields.items()})
        case Union(on=on):
            return values(on).flatmap(lambda tag: values(arm(t, tag)).map(lambda value: {"tag": tag, **value}))


def arm(t: Union, tag: int) -> Struct:
    return next((struct for member, struct in t.arms.items() if t.on.members[member] == tag), t.default)


def leaves(t: Xdr, value: Any, path: str = "") -> Iterator[tuple[str, Xdr, Any]]:
    """(path, type, value) of every leaf in wire order, named as the columns name them."""
    match t:
        case Struct(fields=fields):
            for name, field in fields.items():
                yield from leaves(field, value[name], f"{path}.{name}".lstrip("."))
        case Union(on=on):
            yield path, on, value["tag"]
            yield from leaves(arm(t, value["tag"]), value, path)
        case _:
            yield path, t, value


def all_paths(t: Xdr, path: str = "") -> Iterator[str]:
    """The paths of all leaves that values of this type can have."""
    match t:
        case Struct(fields=fields):
            for name, field in fields.items():
                yield from all_paths(field, f"{path}.{name}".lstrip("."))
        case Union(arms=arms, default=default):
            yield path
            for struct in (*arms.values(), default):
                yield from all_paths(struct, path)
        case _:
            yield path
