"""Bodies of calls and answers, read by column into the table of calls.

Which leaf of which schema goes to which column is said here once, by the leaf's own name; a leaf that is not named
is not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nlmdissect.groups import groups
from nlmdissect.protocols import NLM, NSM, PORTMAP, Procedure, find
from nlmdissect.protocols.portmap import uaddr_port
from nlmdissect.rpc.calls import NONE, Builder, Texts
from nlmdissect.xdr.columns import Columns, decode_columns
from nlmdissect.xdr.schema import Struct, Xdr

Ints = NDArray[np.int64]

# leaf name -> column. Signed words are kept as the unsigned numbers that other tools print.
NUMBERS = {
    "block": "block", "exclusive": "exclusive", "reclaim": "reclaim", "state": "state", "svid": "svid",
    "l_offset": "offset", "l_len": "length", "mode": "mode", "access": "access", "sequence": "sequence",
    "stat": "status", "res_stat": "status",
    "my_prog": "my_program", "my_vers": "my_version", "my_proc": "my_procedure",
    "prog": "asked_program", "vers": "asked_version", "prot": "asked_protocol", "proc": "asked_procedure",
    "port": "port",
}  # fmt: skip
TEXTS = {
    "cookie": "cookie", "caller_name": "caller_name", "name": "caller_name", "fh": "fh", "oh": "oh",
    "mon_name": "mon_name", "my_name": "my_name", "priv": "priv", "netid": "netid", "addr": "uaddr", "uaddr": "uaddr",
}  # fmt: skip
RELAYED = frozenset({"CALLIT", "BCAST", "INDIRECT"})  # portmap calls another program on the caller's behalf
ASKED = frozenset({"prog", "vers", "prot", "proc", "port"})
# Only what is announced or answered is a port: a look-up's own port is ignored by the server, and its address is the
# one at which the client reached rpcbind (RFC 1833).
NO_ANSWER = {
    "GETPORT": frozenset({"port"}), "CALLIT": frozenset({"port"}),
    "GETADDR": frozenset({"addr"}), "GETVERSADDR": frozenset({"addr"}), "GETADDRLIST": frozenset({"addr"}),
}  # fmt: skip
MANY, LONGEST = 64, 256  # strings, bytes: from where on, and up to where, it pays to look for distinct ones first
HOLDER = "stat."  # the holder of a conflicting lock hangs below the status of a TEST


def read_args(
    table: Builder, texts: Texts, rows: Ints, procedure: Procedure, buf: NDArray[np.uint8], at: Ints, end: Ints
) -> None:
    """Read the arguments of calls of one procedure.

    Shapes:  ``rows`` (of the table), ``at`` and ``end`` (in ``buf``) have one element a call.
    """
    columns = decode_columns(_struct(procedure.args), buf, at, end)
    _keep(table, texts, rows, columns, buf, NO_ANSWER.get(procedure.name, frozenset()))
    table["bad"][rows] = columns.bad
    if procedure.name in RELAYED:
        for inner, of, body in _relayed(table, rows, columns, buf, "args"):
            _keep(table, texts, of, body(inner.args), buf, ASKED)
    if procedure.name == "SET":
        _ports_of_uaddrs(table, texts, rows)


def read_results(
    table: Builder, texts: Texts, rows: Ints, procedure: Procedure, buf: NDArray[np.uint8], at: Ints, end: Ints
) -> None:
    """Read the results of calls of one procedure; shapes as ``read_args``."""
    columns = decode_columns(_struct(procedure.res), buf, at, end)
    _keep_results(table, texts, rows, columns, buf, frozenset())
    table["reply_bad"][rows] = columns.bad
    if procedure.name in RELAYED:
        leaf = "res" if "res.at" in columns.fields else "results"
        for inner, of, body in _relayed(table, rows, columns, buf, leaf):
            _keep_results(table, texts, of, body(inner.res), buf, ASKED)
    if procedure.name in ("GETADDR", "GETVERSADDR"):
        _ports_of_uaddrs(table, texts, rows)


# What the answers to a program's calls look like, as far as they can be told without the call: the first layout that
# takes a body to its last byte.
UNASKED = {
    (NLM, 1): (2, 1), (NLM, 3): (2, 1), (NLM, 4): (2, 1),  # the results of LOCK, then of TEST
    (PORTMAP, 2): (3,), (NSM, 1): (2, 3),  # GETPORT; STAT and MON, UNMON
}  # fmt: skip


def read_unasked(table: Builder, texts: Texts, row: int, buf: NDArray[np.uint8], at: int, end: int) -> None:
    """Read the body of an answer whose call is not in the capture; the port has told its program."""
    program, version = int(table["program"][row]), int(table["version"][row])
    one, start, stop = np.array([row]), np.array([at]), np.array([end])
    for number in UNASKED.get((program, version), ()):
        procedure = find(program, version, number)
        if procedure is None or at == end:
            continue
        columns = decode_columns(_struct(procedure.res), buf, start, stop)
        if columns.bad[0] == 0 and columns.at[0] == end:
            _keep(table, texts, one, columns, buf, frozenset({"state"}))
            return


def _struct(t: Xdr) -> Struct:
    return t if isinstance(t, Struct) else Struct("value", value=t)


def _keep(
    table: Builder, texts: Texts, rows: Ints, columns: Columns, buf: NDArray[np.uint8], skip: frozenset[str]
) -> None:
    for path, values in columns.fields.items():
        leaf = path.rpartition(".")[2]
        prefix = "holder_" if path.startswith(HOLDER) else ""
        if leaf == "at":
            path = path.removesuffix(".at")
            leaf = path.rpartition(".")[2]
            name = TEXTS.get(leaf)
            if name is None or leaf in skip or f"{path}.count" in columns.fields:
                continue
            seen = _where(columns.read(path))
            table[prefix + name][rows[seen]] = intern(texts, buf, values[seen], columns.fields[f"{path}.len"][seen])
        elif (name := NUMBERS.get(leaf)) is not None and leaf not in skip:
            seen = _where(columns.read(path))
            column = table[prefix + name]
            new = values[seen]
            column[rows[seen]] = new if column.dtype == np.uint64 else new & 0xFFFFFFFF


def _where(seen: NDArray[np.bool_]) -> NDArray[np.bool_] | slice:
    """As an index: all rows are taken without a copy."""
    return slice(None) if seen.all() else seen


def _keep_results(
    table: Builder, texts: Texts, rows: Ints, columns: Columns, buf: NDArray[np.uint8], skip: frozenset[str]
) -> None:
    # the answer's cookie is the call's; the ``state`` that statd returns is not the argument of that name
    _keep(table, texts, rows, columns, buf, skip | {"cookie", "state"})
    if "state" in columns.fields:
        seen = columns.read("state")
        table["res_state"][rows[seen]] = columns.fields["state"][seen] & 0xFFFFFFFF


def _relayed(
    table: Builder, rows: Ints, columns: Columns, buf: NDArray[np.uint8], leaf: str
) -> Iterator[tuple[Procedure, Ints, Callable[[Xdr], Columns]]]:
    """The calls inside of calls: procedure, rows, and what reads their bodies as if they had been sent by themselves.

    Programs that are unknown are left alone.
    """
    seen = np.flatnonzero(columns.read(leaf))
    at = columns.fields[f"{leaf}.at"]
    end = at + columns.fields[f"{leaf}.len"]
    wanted = np.stack([table[f"asked_{name}"][rows] for name in ("program", "version", "procedure")], axis=1)
    for kind in np.unique(wanted[seen], axis=0):
        inner = find(*kind.tolist())
        if inner is None or kind[0] == PORTMAP:
            continue
        here = seen[(wanted[seen] == kind).all(axis=1)]
        yield inner, rows[here], partial(_read, buf, at[here], end[here])


def _read(buf: NDArray[np.uint8], at: Ints, end: Ints, t: Xdr) -> Columns:
    return decode_columns(_struct(t), buf, at, end)


def intern(texts: Texts, buf: NDArray[np.uint8], at: Ints, length: Ints) -> Ints:
    """The numbers of the byte strings at ``at``, each ``length`` bytes long: one look for each distinct string."""
    first, which = _distinct(buf, at, length)
    at, length = at[first], length[first]
    size = int(length[0]) if len(length) else 0
    if size and (length == size).all():
        rows: NDArray[np.void] = np.ndarray((len(buf) - size + 1,), f"V{size}", buf, strides=(1,))
        found: list[bytes] = rows[at].tolist()
    else:
        source = buf.base if isinstance(buf.base, bytes) else buf.tobytes()  # to cut bytes is faster than to cut arrays
        found = [source[a : a + n] for a, n in zip(at.tolist(), length.tolist(), strict=True)]
    return np.array(texts.numbers(found), np.int64)[which]


def _distinct(buf: NDArray[np.uint8], at: Ints, length: Ints) -> tuple[Ints, Ints]:
    """Where each distinct string stands first, in that order, and for each string which of them it is.

    Strings of one length are rows of words.
    """
    size = int(length[0]) if len(length) else 0
    if size < 8 or size > LONGEST or len(at) < MANY or (length != size).any():
        return np.arange(len(at)), np.arange(len(at))
    word: NDArray[np.uint64] = np.ndarray((len(buf) - 7,), "<u8", buf, strides=(1,))
    steps = [*range(0, size - 7, 8), size - 8]
    return groups(*(word[at + step] for step in steps))


def _ports_of_uaddrs(table: Builder, texts: Texts, rows: Ints) -> None:
    for row in rows.tolist():
        number = int(table["uaddr"][row])
        if number != NONE:
            table["port"][row] = uaddr_port(texts[number])
