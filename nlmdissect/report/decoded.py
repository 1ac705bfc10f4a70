"""The messages of a frame with their fields, as the wire names them: what a reader would else open Wireshark for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from nlmdissect.escape import shorten, show_bytes
from nlmdissect.findings import At
from nlmdissect.history.history import History
from nlmdissect.protocols import NLM, NSM, program_name
from nlmdissect.protocols.nlm import END, span, status_name
from nlmdissect.report.lines import EMPTY, procedure, result
from nlmdissect.report.times import SECOND
from nlmdissect.report.voice import kind
from nlmdissect.report.voice import span as span_text
from nlmdissect.rpc.calls import NONE

BYTES = 64  # of a cookie or an opaque that are shown; handles are shown whole
SHARES = (20, 21)  # procedures that name no range
RESULTS = range(11, 16)  # NLM procedures that are themselves answers

Place = tuple[int, int]  # capture, frame
Fields = list[tuple[str, str]]


class Decoded(NamedTuple):
    """``what`` is ``NLM4 LOCK call``, ``way`` who sent it to whom, ``other`` what the other half of it was."""

    what: str
    way: str
    fields: tuple[tuple[str, str], ...]
    other: str


def decoded(history: History, frames: Iterable[At]) -> dict[Place, list[Decoded]]:
    """The RPC messages of these frames; a frame without any (a RST, an ARP) has no entry."""
    wanted = {(at.capture, at.frame) for at in frames if at.frame}
    found: dict[Place, list[Decoded]] = defaultdict(list)
    calls = history.calls
    keys = np.array([capture << 40 | frame for capture, frame in wanted], np.int64)
    for capture, frame, is_answer in (
        (calls.capture, calls.frame, False),
        (calls.reply_capture, calls.reply_frame, True),
    ):
        for row in np.flatnonzero(np.isin(capture << 40 | frame, keys) & (frame != 0)).tolist():
            found[int(capture[row]), int(frame[row])].append(
                _answer(history, row) if is_answer else _call(history, row)
            )
    return found


def _call(history: History, row: int) -> Decoded:
    c = history.calls
    other = "no answer to it is in the capture"
    if c.reply_frame[row]:
        took = (int(c.reply_time[row]) - int(c.time[row])) / SECOND
        said = result(c, row)
        other = f"answered in frame {c.reply_frame[row]} after {took:.6f} s" + (f": {said}" if said != EMPTY else "")
    fields = [*_rpc(history, row), *_arguments(history, row)]
    return Decoded(f"{procedure(c, row)} call", _way(history, row, False), tuple(fields), other)


def _answer(history: History, row: int) -> Decoded:
    c = history.calls
    other = f"the call is frame {c.frame[row]}" if c.frame[row] else "its call is not in the capture"
    said = result(c, row)
    fields = [*_rpc(history, row), ("answer", "empty" if said == EMPTY else said), *_holder(history, row)]
    if c.reply_bad[row]:
        fields.append(("body", "cut or malformed"))
    return Decoded(f"{procedure(c, row)} answer", _way(history, row, True), tuple(fields), other)


def _way(history: History, row: int, back: bool) -> str:
    c, names = history.calls, history.names
    ends = [f"{names.address(int(host[row]))} port {port[row]}" for host, port in ((c.src, c.sport), (c.dst, c.dport))]
    return f"{' > '.join(ends[::-1] if back else ends)}, {'TCP' if c.tcp[row] else 'UDP'}"


def _rpc(history: History, row: int) -> Fields:
    c = history.calls
    fields = [("xid", f"0x{int(c.xid[row]):08x}")]
    if c.cookie[row] != NONE:
        fields.append(("cookie", _opaque(history.texts[int(c.cookie[row])])))
    return fields


def _arguments(history: History, row: int) -> Fields:
    c, texts = history.calls, history.texts
    fields: Fields = []
    for name in ("caller_name", "mon_name", "my_name", "machinename"):
        if (number := int(getattr(c, name)[row])) != NONE:
            fields.append((name, shorten(show_bytes(texts[number]), 200)))
    if c.fh[row] != NONE:
        fields.append(("fh", texts[int(c.fh[row])].hex()))
    if c.oh[row] != NONE:
        fields.append(("oh", _opaque(texts[int(c.oh[row])])))
    if c.svid[row] != NONE:
        fields.append(("svid", str(c.svid[row])))
    if c.fh[row] != NONE and c.svid[row] != NONE and int(c.procedure[row]) not in SHARES:
        fields.append(("range", span_text(*span(int(c.offset[row]), int(c.length[row])))))
    if c.exclusive[row] != NONE:
        fields.append(("exclusive", f"{_yes(c.exclusive[row])} ({kind(bool(c.exclusive[row]))} lock)"))
    fields += [(name, _yes(getattr(c, name)[row])) for name in ("block", "reclaim") if getattr(c, name)[row] != NONE]
    if c.program[row] in (NSM, NLM) and c.state[row] != NONE:
        fields.append(("state", str(c.state[row])))
    if c.program[row] == NLM and int(c.procedure[row]) in RESULTS and c.status[row] != NONE:
        fields.append(("stat", status_name(int(c.status[row]))))
    if c.asked_program[row] != NONE:
        fields.append(("program", f"{program_name(int(c.asked_program[row]))} version {c.asked_version[row]}"))
    if c.bad[row]:
        fields.append(("body", "cut or malformed"))
    elif c.encrypted[row]:
        fields.append(("body", "encrypted"))
    return fields


def _holder(history: History, row: int) -> Fields:
    c = history.calls
    if c.holder_svid[row] == NONE:
        return []
    start, end = span(int(c.holder_offset[row]), int(c.holder_length[row]))
    what = f"{kind(c.holder_exclusive[row] == 1)} {span_text(start, None if end == END else end)}"
    return [("holder", f"{what}, svid {c.holder_svid[row]}, oh {_opaque(history.texts[int(c.holder_oh[row])])}")]


def _opaque(data: bytes) -> str:
    """Bytes in hex, and as text if they are one."""
    dots = ".." if len(data) > BYTES else ""
    text = data.decode("ascii", "replace")
    shown = f" ({shorten(text)})" if data and text.isprintable() and text.isascii() else ""
    return (data[:BYTES].hex() or "empty") + dots + shown


def _yes(value: int) -> str:
    return "yes" if value else "no"
