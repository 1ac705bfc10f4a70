"""The headers of a batch of RPC messages by column (RFC 5531), and the way to the body behind RPCSEC_GSS (RFC 2203)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlmdissect.protocols import rpc
from nlmdissect.xdr.columns import OK, OVERSIZE, TRUNCATED, Columns, decode_columns
from nlmdissect.xdr.schema import Struct

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]

CALL, REPLY = rpc.msg_type.members["CALL"], rpc.msg_type.members["REPLY"]
AUTH_SYS, RPCSEC_GSS = rpc.auth_flavor.members["AUTH_SYS"], rpc.auth_flavor.members["RPCSEC_GSS"]
GSS_DATA = rpc.rpc_gss_proc.members["RPCSEC_GSS_DATA"]
CLEAR, INTEGRITY, PRIVACY = rpc.rpc_gss_service.members.values()


class Bad(IntEnum):
    """Why a message, or its body, could not be read. The lower-case name is the word for a defect."""

    OK = OK
    TRUNCATED = TRUNCATED  # the header, or the GSS wrapping, is not all there
    OVERSIZE = OVERSIZE  # a credential or verifier of more than 400 bytes
    NOT_RPC = 3  # neither call nor reply
    RPC_VERSION = 4  # a call of another RPC than version 2
    REPLY_STATUS = 5  # a reply_stat, accept_stat or reject_stat that RFC 5531 does not have
    CREDENTIAL = 6  # the header is good, but what is inside of the credential is not


@dataclass(frozen=True, slots=True)
class Headers:
    """One row per message, in the order given; numbers are int64, and -1 where a message has no such field.

    ``body`` is -1 where no arguments or results can be read in clear: a bad header, a reply without SUCCESS, a GSS
    context being made, privacy, and a reply to a GSS call until ``unwrap_replies`` knows how the call was wrapped.
    """

    xid: Ints
    kind: Ints  # 0 call, 1 reply, -1 neither or too short to say
    program: Ints  # calls only, as are version and procedure
    version: Ints
    procedure: Ints
    flavor: Ints  # of a call's credential, of an accepted reply's verifier
    machinename_at: Ints  # the client's name in AUTH_SYS: its place in the arena
    machinename_len: Ints
    uid: Ints
    gid: Ints
    reply_stat: Ints
    accept_stat: Ints
    reject_stat: Ints
    auth_stat: Ints
    low: Ints  # versions that the server offers instead: of the program, or of RPC
    high: Ints
    body: Ints  # where the arguments or results begin
    body_end: Ints
    wrapped: Ints  # where the results of a GSS call begin that are still wrapped
    service: Ints  # of GSS data: 1 in clear, 2 integrity, 3 privacy
    gss: Bools
    encrypted: Bools
    bad: Bytes  # as ``Bad``


_FLAGS = ("gss", "encrypted")
_CALL = {"program": "prog", "version": "vers", "procedure": "proc", "flavor": "cred.flavor"}
_AUTH_SYS = {"machinename_at": "machinename.at", "machinename_len": "machinename.len", "uid": "uid", "gid": "gid"}
_REPLY = {
    "flavor": "reply_stat.verf.flavor",
    "reply_stat": "reply_stat",
    "accept_stat": "reply_stat.accept_stat",
    "reject_stat": "reply_stat.reject_stat",
    "auth_stat": "reply_stat.reject_stat.auth_stat",
}
_MISMATCH = ("reply_stat.accept_stat", "reply_stat.reject_stat")


def read_headers(arena: Bytes, at: NDArray[Any], end: NDArray[Any]) -> Headers:
    """Read the headers of the messages at ``at`` to ``end``, without record marks.

    Shapes:  arena is uint8[B]; at and end are integers[M].
    Never raises on any bytes.
    """
    start, stop = np.asarray(at, np.int64), np.asarray(end, np.int64)
    h = _empty(len(start))
    columns = decode_columns(rpc.prefix, arena, start, stop)
    _fill(h.xid, columns, "xid")
    mtype = np.full(len(start), -1, np.int64)
    _fill(mtype, columns, "mtype")
    known = (mtype == CALL) | (mtype == REPLY)
    h.kind[known] = mtype[known]
    h.bad[:] = np.where(columns.bad == OK, Bad.NOT_RPC, columns.bad)
    h.bad[known] = OK
    for kind, read in ((CALL, _read_calls), (REPLY, _read_replies)):
        rows = np.flatnonzero(h.kind == kind)
        read(h, rows, arena, start[rows], stop[rows])
    return h


def unwrap_replies(headers: Headers, arena: Bytes, service: NDArray[Any]) -> Headers:
    """The same headers, with ``body`` where the results of GSS calls begin.

    A reply does not tell how it is wrapped: it is wrapped as its call was. ``service`` is, for each row of ``headers``,
    the ``service`` of the call that it answers; with anything but 1, 2 and 3 (no call was seen) ``body`` stays -1.
    """
    columns = {name: getattr(headers, name).copy() for name in ("body", "body_end", "service", "encrypted", "bad")}
    h = replace(headers, **columns)
    rows = np.flatnonzero(h.wrapped >= 0)
    h.service[rows] = np.asarray(service, np.int64)[rows]
    h.body[rows] = h.wrapped[rows]
    _unwrap(h, rows, arena)
    return h


def _read_calls(h: Headers, rows: Ints, arena: Bytes, at: Ints, end: Ints) -> None:
    call = decode_columns(rpc.call, arena, at, end)
    for name, path in _CALL.items():
        _fill(getattr(h, name), call, path, rows)
    alien = call.read("rpcvers") & (call.fields["rpcvers"] != rpc.RPC_VERSION)
    h.bad[rows] = np.where(alien, Bad.RPC_VERSION, call.bad)
    h.body[rows], h.body_end[rows] = np.where(h.bad[rows] == OK, call.at, -1), end

    where, parms = _credential(rpc.authsys_parms, AUTH_SYS, call, arena)
    for name, path in _AUTH_SYS.items():
        _fill(getattr(h, name), parms, path, rows[where])
    flawed = rows[where[parms.bad != OK]]
    h.bad[flawed[h.bad[flawed] == OK]] = Bad.CREDENTIAL

    where, gss = _credential(rpc.rpc_gss_cred, RPCSEC_GSS, call, arena)
    rows = rows[where]
    h.gss[rows] = True
    h.bad[rows[(gss.bad != OK) & (h.bad[rows] == OK)]] = Bad.CREDENTIAL
    data = gss.read("service") & (gss.fields["gss_proc"] == GSS_DATA)
    h.service[rows[data]] = gss.fields["service"][data]
    h.body[rows[~data | (gss.bad != OK)]] = -1
    _unwrap(h, rows[h.body[rows] >= 0], arena)
    unknown = rows[data & (h.bad[rows] == OK) & (h.body[rows] < 0) & ~h.encrypted[rows]]
    h.bad[unknown] = Bad.CREDENTIAL


def _credential(t: Struct, flavor: int, call: Columns, arena: Bytes) -> tuple[Ints, Columns]:
    """Which calls have a credential of this flavor, and what is in it."""
    where = np.flatnonzero(call.read("cred.body") & (call.fields["cred.flavor"] == flavor))
    at = call.fields["cred.body.at"][where]
    return where, decode_columns(t, arena, at, at + call.fields["cred.body.len"][where])


def _read_replies(h: Headers, rows: Ints, arena: Bytes, at: Ints, end: Ints) -> None:
    reply = decode_columns(rpc.reply, arena, at, end)
    for name, path in _REPLY.items():
        _fill(getattr(h, name), reply, path, rows)
    for path in _MISMATCH:
        _fill(h.low, reply, f"{path}.low", rows)
        _fill(h.high, reply, f"{path}.high", rows)
    h.bad[rows] = reply.bad
    for column, enum in (
        (h.reply_stat, rpc.reply_stat),
        (h.accept_stat, rpc.accept_stat),
        (h.reject_stat, rpc.reject_stat),
    ):
        known = np.isin(column[rows], [-1, *enum.members.values()])
        h.bad[rows[~known]] = Bad.REPLY_STATUS
    h.gss[rows] = h.flavor[rows] == RPCSEC_GSS
    success = (reply.bad == OK) & (h.accept_stat[rows] == rpc.accept_stat.members["SUCCESS"])
    h.body[rows] = np.where(success & ~h.gss[rows], reply.at, -1)
    h.wrapped[rows] = np.where(success & h.gss[rows], reply.at, -1)
    h.body_end[rows] = end


def _unwrap(h: Headers, rows: Ints, arena: Bytes) -> None:
    """Move ``body`` of these rows behind the wrapping that ``service`` says; -1 where there is nothing in clear."""
    service = h.service[rows]
    h.encrypted[rows] = service == PRIVACY
    h.body[rows[(service != CLEAR) & (service != INTEGRITY)]] = -1
    rows = rows[service == INTEGRITY]
    integ = decode_columns(rpc.rpc_gss_integ, arena, h.body[rows], h.body_end[rows])
    # length counts the sequence number too. A frame that was cut short still shows the first fields of its arguments.
    until = integ.at - 4 + integ.fields["length"]
    short = (integ.bad != OK) | (until < integ.at)
    h.bad[rows[short]] = Bad.TRUNCATED
    h.body[rows] = np.where(short, -1, integ.at)
    h.body_end[rows] = np.where(short, h.body_end[rows], np.minimum(until, h.body_end[rows]))


def _empty(count: int) -> Headers:
    columns: dict[str, NDArray[Any]] = {name: np.full(count, -1, np.int64) for name in Headers.__dataclass_fields__}
    columns |= {name: np.zeros(count, np.bool_) for name in _FLAGS}
    return Headers(**columns | {"bad": np.zeros(count, np.uint8), "machinename_len": np.zeros(count, np.int64)})


def _fill(column: Ints, columns: Columns, path: str, rows: Ints | None = None) -> None:
    """Copy what was read of ``path`` into ``column``: at ``rows``, one for each row of ``columns``."""
    seen = columns.read(path.removesuffix(".at").removesuffix(".len"))
    if seen.all():
        column[slice(None) if rows is None else rows] = columns.fields[path]
    else:
        column[np.flatnonzero(seen) if rows is None else rows[seen]] = columns.fields[path][seen]
