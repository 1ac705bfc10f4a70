"""What the names in ``show --where`` stand for: the columns of the table of calls, and what may be written beside
them.

Hosts answer to their addresses and to the names that they gave themselves, moments are written as ``--at`` takes
them. A word of a small vocabulary (program, procedure, status, transport) has to be one of it, a handle has to be
hex, and a host has to be in the recording: a filter that silently finds nothing would be taken for an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from nlmdissect.errors import UsageError, near
from nlmdissect.history.history import History
from nlmdissect.protocols import NFS, PROGRAMS
from nlmdissect.protocols.nlm import nlm4_stats
from nlmdissect.rpc.calls import RPC_STATUS
from nlmdissect.tables import wide
from nlmdissect.tables.columns import TABLES
from nlmdissect.tables.where import Field, Kind, Mask, rows

KINDS = {
    "time": Kind.TIME, "category": Kind.TEXT, "string": Kind.TEXT, "boolean": Kind.FLAG, "bool": Kind.FLAG,
    "seconds": Kind.NUMBER, "int64": Kind.NUMBER, "Int64": Kind.NUMBER, "UInt64": Kind.NUMBER,
}  # fmt: skip
A_YEAR = 366 * 86400  # seconds
HEX = ("fh", "oh", "cookie")
WORDS: dict[str, tuple[str, ...]] = {
    "program": tuple(dict.fromkeys([program.name for program in PROGRAMS.values()] + ["NFS", "MOUNT"])),
    "procedure": tuple(
        {p.name: None for program in PROGRAMS.values() if program.number != NFS for p in program.procedures}
    ),  # calls of NFS are no rows
    "status": (*(s.removeprefix("NLM4_") for s in nlm4_stats.members), "STAT_SUCC", "STAT_FAIL", *RPC_STATUS[1:]),
    "transport": ("udp", "tcp"),
}


def chosen(
    history: History, expression: str, hosts: Callable[[str], frozenset[int]], moment: Callable[[str], int]
) -> Mask:
    """Of which calls an expression is true. ``hosts`` reads the address or name of a host and gives endpoints,
    ``moment`` a time and gives ns; both raise UsageError, as this does.
    """
    return rows(expression, fields(history, hosts, moment), len(history.calls))


def fields(history: History, hosts: Callable[[str], frozenset[int]], moment: Callable[[str], int]) -> dict[str, Field]:
    """Every column of the table of calls, as an expression knows it."""
    data = wide.calls(history)
    found = {c.name: Field(KINDS[c.dtype], partial(_values, data[c.name])) for c in TABLES["calls"]}
    for name in HEX:
        found[name] = Field(Kind.TEXT, found[name].values, _hex)
    for name, words in WORDS.items():
        known = dict.fromkeys([*words, *data[name].words])
        found[name] = Field(Kind.TEXT, found[name].values, partial(_word, name, known))
    client, server = wide.sides(history.calls)
    for name, ends in (("client", client), ("server", server), ("src", history.calls.src), ("dst", history.calls.dst)):
        values = [None if host < 0 else host for host in ends.tolist()]
        found[name] = Field(Kind.TEXT, partial(list, values), hosts, history.names.label)
    found["time"] = Field(Kind.TIME, found["time"].values, partial(_moment, moment, history.extent.first))
    return found


def _values(column: Any) -> Sequence[Any]:
    """A column as Python's own values, None where there is none."""
    if isinstance(column, wide.Coded):
        words = np.array([*column.words, None], object)
        listed: list[Any] = words[column.codes].tolist()
        return listed
    if isinstance(column, np.ndarray):
        listed = column.tolist()
        return [None if value != value else value for value in listed] if column.dtype.kind == "f" else listed
    masked: list[Any] = column.to_numpy(object, na_value=None).tolist()
    return masked


def _hex(text: str) -> frozenset[str]:
    if not text or set(text.casefold()) - set("0123456789abcdef"):
        raise UsageError("handles, owners and cookies are written in hex", 'A part of one is found with "4d00" in fh.')
    return frozenset({text.casefold()})


def _word(column: str, known: Iterable[str], text: str) -> frozenset[str]:
    words = list(known)
    if text not in words:
        raise UsageError(f"there is no {column} {text}", near(text, words) or f"There are {', '.join(words)}.")
    return frozenset({text})


def _moment(moment: Callable[[str], int], first: int, literal: Any) -> frozenset[int]:
    if isinstance(literal, str):
        return frozenset({moment(literal)})
    if abs(literal) > A_YEAR:
        raise UsageError("a number is seconds from the first frame", f'Write "{literal}" for seconds since 1970.')
    return frozenset({first + round(literal * 10**9)})
