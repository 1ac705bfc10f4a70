"""The tables of calls and messages, made column by column: they may have millions of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nlmdissect.history.history import History
from nlmdissect.protocols import NLM, NSM, find, program_name
from nlmdissect.protocols.nlm import END, SENT_BY_SERVER, status_name
from nlmdissect.rpc.calls import NONE, RPC_STATUS, Calls
from nlmdissect.rpc.transmissions import ANSWERS

Ints = NDArray[np.int64]
Data = dict[str, Any]

WITH_RANGE = (*range(1, 16), 22)
SECOND = 1e9


class Coded(NamedTuple):
    """A column of text: ``words`` once each, and a number a row; -1 where there is none."""

    codes: Ints
    words: list[str]


def calls(history: History) -> Data:
    """One row a call, and one an answer without its call."""
    c = history.calls
    here, answered = c.frame > 0, c.reply_frame > 0
    nlm = c.program == NLM
    client, server = sides(c)
    ranged = nlm & (c.fh != NONE) & np.isin(c.procedure, WITH_RANGE)
    start, end, open_end = _ranges(c, ranged)
    paths, fileids = _files(history, server)
    return {
        "capture": np.where(here, c.capture, c.reply_capture),
        "frame": _masked(c.frame, here),
        "reply_capture": _masked(c.reply_capture, answered),
        "reply_frame": _masked(c.reply_frame, answered),
        "time": np.where(here, c.time, c.reply_time),
        "took": np.where(here & answered, (c.reply_time - c.time) / SECOND, np.nan),
        "client": _hosts(history, client),
        "server": _hosts(history, server),
        "src": _hosts(history, c.src),
        "sport": c.sport,
        "dst": _hosts(history, c.dst),
        "dport": c.dport,
        "transport": Coded(c.tcp, ["udp", "tcp"]),
        "program": _coded(c.program, c.program != NONE, program_name),
        "version": _masked(c.version),
        "procedure": _procedures(c),
        "status": _statuses(c),
        "xid": c.xid,
        "cookie": _hex(history, c.cookie),
        "caller_name": _names(history, c.caller_name),
        "fh": _hex(history, c.fh),
        "path": paths,
        "fileid": fileids,
        "oh": _hex(history, c.oh),
        "svid": _masked(c.svid, c.fh != NONE),
        "start": pd.arrays.IntegerArray(start, ~ranged),
        "end": pd.arrays.IntegerArray(end, ~ranged | open_end),
        "exclusive": _flags(c.exclusive),
        "block": _flags(c.block),
        "reclaim": _flags(c.reclaim),
        "state": _masked(c.state),
        "mon_name": _names(history, c.mon_name),
        "machinename": _names(history, c.machinename),
        "port": _masked(c.port),
        "repeats": _masked(c.repeats),
        "replies": c.replies,
        "encrypted": c.encrypted != 0,
        "bad": (c.bad != 0) | (c.reply_bad != 0),
    }


def messages(history: History) -> Data:
    """One row a message, in the order of the recording."""
    c = history.calls
    asks, answers = (c.frame > 0).nonzero()[0], (c.reply_frame > 0).nonzero()[0]
    order = np.argsort(np.concatenate([c.order[asks], c.reply_order[answers]]), kind="stable")
    row = np.concatenate([asks, answers])[order]
    reply = np.concatenate([np.zeros(len(asks), bool), np.ones(len(answers), bool)])[order]
    programs, procedures, statuses = _coded(c.program, c.program != NONE, program_name), _procedures(c), _statuses(c)
    other = np.where(reply, c.frame[row], c.reply_frame[row])
    results = (c.program == NLM) & np.isin(c.procedure, list(ANSWERS))  # their status is in the call

    def either(call: Ints, answer: Ints) -> Ints:
        chosen: Ints = np.where(reply, answer[row], call[row])
        return chosen

    return {
        "capture": either(c.capture, c.reply_capture),
        "frame": either(c.frame, c.reply_frame),
        "time": either(c.time, c.reply_time),
        "kind": Coded(reply.astype(np.int64), ["call", "reply"]),
        "src": _hosts(history, either(c.src, c.dst)),
        "sport": either(c.sport, c.dport),
        "dst": _hosts(history, either(c.dst, c.src)),
        "dport": either(c.dport, c.sport),
        "transport": Coded(c.tcp[row], ["udp", "tcp"]),
        "xid": c.xid[row],
        "program": Coded(programs.codes[row], programs.words),
        "version": _masked(c.version[row]),
        "procedure": Coded(procedures.codes[row], procedures.words),
        "status": Coded(np.where(reply != results[row], statuses.codes[row], -1), statuses.words),
        "other_frame": _masked(other, other > 0),
        "call": row,
    }


def sides(c: Calls) -> tuple[Ints, Ints]:
    """The endpoints of client and server of each call: NLM's callbacks and results run from server to client."""
    turned = (c.program == NLM) & np.isin(c.procedure, SENT_BY_SERVER)
    return np.where(turned, c.dst, c.src), np.where(turned, c.src, c.dst)


def _ranges(c: Calls, ranged: NDArray[np.bool_]) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.bool_]]:
    """``start``, inclusive ``end``, and whether the range has no end: as ``machines.ranges.span`` and requests read
    it.
    """
    one, most = np.uint64(1), np.uint64(END)
    start = np.where(ranged, c.offset, np.uint64(0))
    room = most - start
    open_end = (c.length == 0) | (c.length > room)
    end = np.where(open_end, most, start + np.where(open_end, one, c.length) - one)
    open_end |= (c.version != 4) & (end > np.uint64(0xFFFFFFFF))
    return start, end, open_end


def _files(history: History, server: Ints) -> tuple[Coded, pd.arrays.IntegerArray]:
    """What each file was called when it was called for (the answer's time, where there is no call), and its fileid."""
    c = history.calls
    codes, words = np.full(len(c), -1), dict[str, int]()
    fileids, unknown = np.zeros(len(c), np.uint64), np.ones(len(c), np.bool_)
    at = [
        np.where(c.frame > 0, call, reply)
        for call, reply in ((c.time, c.reply_time), (c.capture, c.reply_capture), (c.frame, c.reply_frame))
    ]
    rows = np.flatnonzero(c.fh != NONE)
    files, of = np.unique(np.stack([server[rows], c.fh[rows]], axis=1), axis=0, return_inverse=True)
    order = np.argsort(of.reshape(-1), kind="stable")
    ends = np.searchsorted(of.reshape(-1)[order], np.arange(len(files) + 1))
    for number, (host, text) in enumerate(files.tolist()):
        some, fh = rows[order[ends[number] : ends[number + 1]]], history.texts[text]
        places, texts = history.paths.codes(host, fh, *(column[some] for column in at))
        numbers = [-1 if text is None else words.setdefault(text, len(words)) for text in texts]
        codes[some] = np.array(numbers, np.int64)[places]
        if (fileid := history.paths.fileid(host, fh)) is not None:
            fileids[some], unknown[some] = fileid, False
    return Coded(codes, list(words)), pd.arrays.IntegerArray(fileids, unknown)


def _hosts(history: History, endpoint: Ints) -> Coded:
    return _coded(endpoint, endpoint >= 0, history.names.address)


def _hex(history: History, number: Ints) -> Coded:
    return _coded(number, number != NONE, lambda text: history.texts[text].hex())


def _names(history: History, number: Ints) -> Coded:
    return _coded(number, number != NONE, lambda text: history.texts[text].decode("utf-8", "backslashreplace"))


def _coded(values: Ints, there: NDArray[np.bool_], word: Callable[[int], str]) -> Coded:
    """Words of numbers; each distinct number is read once, and equal words are one category."""
    numbers, inverse = np.unique(values, return_inverse=True)
    codes: dict[str, int] = {}
    used = set(np.unique(values[there]).tolist())
    of = [codes.setdefault(word(n), len(codes)) if n in used else -1 for n in numbers.tolist()]
    return Coded(
        np.where(there, np.array(of, np.int64)[inverse.reshape(-1)], -1) if len(values) else values, list(codes)
    )


def _procedures(c: Calls) -> Coded:
    known = (c.program != NONE) & (c.procedure != NONE) & (c.frame > 0)
    key = (c.program << 24) + (c.version << 12) + c.procedure

    def name(number: int) -> str:
        procedure = find(number >> 24, number >> 12 & 0xFFF, number & 0xFFF)
        return procedure.name if procedure else str(number & 0xFFF)

    small = known & (c.version < 0x1000) & (c.procedure < 0x1000)
    return _coded(np.where(small, key, 0), small, name)


def _statuses(c: Calls) -> Coded:
    """The error of RPC, else the status of NLM, else that of SM_STAT and SM_MON."""
    failed, nlm, nsm = c.rpc_status > 0, c.program == NLM, c.program == NSM
    there = failed | ((nlm | nsm) & (c.status != NONE))
    key = np.where(failed, (1 << 40) + c.rpc_status, np.where(nsm, (2 << 40), 0) + np.maximum(c.status, 0))

    def name(number: int) -> str:
        kind, value = number >> 40, number & (1 << 40) - 1
        match kind:
            case 1:
                return RPC_STATUS[value]
            case 2:
                return {0: "STAT_SUCC", 1: "STAT_FAIL"}.get(value, f"unknown status {value}")
            case _:
                return status_name(value)

    return _coded(key, there, name)


def _masked(values: Ints, there: NDArray[np.bool_] | None = None) -> pd.arrays.IntegerArray:
    here = values != NONE if there is None else there
    return pd.arrays.IntegerArray(np.where(here, values, 0), ~here)


def _flags(values: Ints) -> pd.arrays.BooleanArray:
    return pd.arrays.BooleanArray(values == 1, values == NONE)
