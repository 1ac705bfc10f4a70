"""Calls and messages, one a line, for ``nlmdissect show``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlmdissect.errors import UsageError, near
from nlmdissect.escape import shorten, show
from nlmdissect.findings import At
from nlmdissect.history.history import History
from nlmdissect.protocols import MOUNT, NLM, NSM, PORTMAP, find, program_name
from nlmdissect.protocols.nlm import END, SENT_BY_SERVER, span, status_name
from nlmdissect.report.times import SECOND, clock, iso
from nlmdissect.rpc.calls import NONE, RPC_STATUS, Calls

PROGRAMS = {"nlm": NLM, "nsm": NSM, "portmap": PORTMAP, "mount": MOUNT}
EMPTY = "answered"  # an answer that says nothing else
OTHER_NAMES = {"nlockmgr": NLM, "lockd": NLM, "status": NSM, "statd": NSM, "rpcbind": PORTMAP, "portmapper": PORTMAP}


class Chosen(NamedTuple):
    """Which calls to show: of these programs (empty: all), from or to these endpoints (None: all), of these rows (None:
    all; a mask, one element a call).
    """

    programs: frozenset[int] = frozenset()
    hosts: frozenset[int] | None = None
    rows: NDArray[np.bool_] | None = None


def programs(names: list[str]) -> frozenset[int]:
    """Program numbers of names or numbers. Raises UsageError."""
    found = set()
    for name in names:
        number = {**PROGRAMS, **OTHER_NAMES}.get(name.strip().lower())
        if number is None and not name.strip().isdecimal():
            raise UsageError(f"there is no program {name}", f"The programs are {', '.join(PROGRAMS)}.")
        found.add(int(name) if number is None else number)
    return frozenset(found)


def hosts(history: History, names: list[str]) -> frozenset[int] | None:
    """Endpoints of addresses or names. Raises UsageError for one that is not in the recording."""
    if not names:
        return None
    found: set[int] = set()
    for name in names:
        wanted = name.strip()
        of = {
            host
            for host in range(len(history.names.endpoints))
            if history.names.address(host) == wanted or history.names.known_as(host, wanted)
        }
        if not of:
            known = ", ".join(sorted(shorten(history.names.label(host)) for host in history.names.roles))
            claimed = {shorten(word) for host in history.names.roles for word in history.names.claimed.get(host, ())}
            raise UsageError(
                f"the recording shows no host {name}",
                near(name, claimed) or (f"It shows {known}." if known else "It shows no lock traffic."),
            )
        found |= of
    return frozenset(found)


def of_calls(history: History, chosen: Chosen) -> Iterator[str]:
    """One line a call with its answer."""
    calls = history.calls
    wide = _width(history)
    dated = ""
    for row in _rows(calls, chosen):
        at, reply = calls.at(row), calls.reply_at(row)
        dated, head = _head(history, at, dated)
        took = f"{(reply.time - at.time) / SECOND:.3f} s" if calls.frame[row] and reply.frame else ""
        answer = f"-> {result(calls, row)} (frame {reply.frame}, {took})" if took else "-> no answer"
        if not calls.frame[row]:
            answer = f"-> {result(calls, row)} (the call is not in the capture)"
        src, dst = (history.names.address(int(host[row])) for host in (calls.src, calls.dst))
        yield f"{head}  {src:>{wide}} > {dst:{wide}}  {what(history, row)}  {answer}\n"


def of_messages(history: History, chosen: Chosen) -> Iterator[str]:
    """One line a message, in the order of the recording."""
    calls = history.calls
    wide = _width(history)
    rows = list(_rows(calls, chosen))
    halves = [(int(calls.order[row]), row, False) for row in rows if calls.frame[row]]
    halves += [(int(calls.reply_order[row]), row, True) for row in rows if calls.reply_frame[row]]
    dated = ""
    for _, row, answer in sorted(halves):
        dated, head = _head(history, calls.reply_at(row) if answer else calls.at(row), dated)
        ends = (calls.dst, calls.src) if answer else (calls.src, calls.dst)
        src, dst = (history.names.address(int(host[row])) for host in ends)
        text = f"{procedure(calls, row)} answer: {result(calls, row)}" if answer else what(history, row)
        other = f"  (call: frame {calls.frame[row]})" if answer and calls.frame[row] else ""
        yield f"{head}  {src:>{wide}} > {dst:{wide}}  {text}{other}\n"


def what(history: History, row: int) -> str:
    """A call in a few words: procedure, and what it names."""
    c, texts = history.calls, history.texts
    words = [procedure(c, row)]
    if c.repeats[row] != NONE:
        words.append("again")
    if c.reclaim[row] == 1:
        words.append("reclaim")
    if c.fh[row] != NONE:
        server = c.src[row] if c.procedure[row] in SENT_BY_SERVER else c.dst[row]
        file = history.called(int(server), int(c.fh[row]), c.at(row))
        words += [show(file), f"svid={c.svid[row]}"]
        if c.procedure[row] not in (20, 21):
            start, end = span(int(c.offset[row]), int(c.length[row]))
            words.append(f"{start}-{'EOF' if end == END else end}")
    if c.exclusive[row] != NONE:
        words.append("write" if c.exclusive[row] else "read")
    if c.block[row] == 1:
        words.append("block")
    for name in ("caller_name", "mon_name", "my_name"):
        number = int(getattr(c, name)[row])
        if number != NONE:
            words.append(f"{name}={shorten(texts[number].decode('utf-8', 'backslashreplace'))}")
    if c.program[row] in (NSM, NLM) and c.state[row] != NONE:
        words.append(f"state={c.state[row]}")
    if c.program[row] == NLM and c.status[row] != NONE and 11 <= c.procedure[row] <= 15:
        words.append(status_name(int(c.status[row])))
    if c.asked_program[row] != NONE:
        words.append(f"{program_name(int(c.asked_program[row]))} v{c.asked_version[row]}")
    if c.bad[row]:
        words.append("[body cut or malformed]")
    elif c.encrypted[row]:
        words.append("[encrypted]")
    return " ".join(words)


def brief(history: History, row: int) -> str:
    """A call in the fewest words, for a picture that shows who it is from: ``LOCK reclaim write 0-99``."""
    c = history.calls
    program, version, number = int(c.program[row]), int(c.version[row]), int(c.procedure[row])
    known = find(program, version, number)
    words = [known.name if known else procedure(c, row)]
    if program == NSM and known:
        words[0] = f"SM_{known.name}"
    if c.asked_program[row] != NONE:
        words.append(program_name(int(c.asked_program[row])))
    if c.reclaim[row] == 1:
        words.append("reclaim")
    if c.exclusive[row] != NONE:
        words.append("write" if c.exclusive[row] else "read")
    if program == NLM and c.fh[row] != NONE and number not in (20, 21):
        start, end = span(int(c.offset[row]), int(c.length[row]))
        words.append(f"{start}-{'EOF' if end == END else end}")
    if program == NSM and c.state[row] != NONE:
        words.append(f"state={c.state[row]}")
    return " ".join(words)


def procedure(calls: Calls, row: int) -> str:
    """``NLM4 LOCK``; numbers where there is no name."""
    program, version, number = int(calls.program[row]), int(calls.version[row]), int(calls.procedure[row])
    if program == NONE:
        return "unknown call"
    known = find(program, version, number)
    named = known.name if known else f"procedure {number}" if number != NONE else "unknown call"
    return f"{program_name(program)}{version} {named}"


def result(calls: Calls, row: int) -> str:
    """What the answer said."""
    if calls.rpc_status[row] > 0:
        return RPC_STATUS[int(calls.rpc_status[row])]
    if calls.program[row] == PORTMAP and calls.port[row] != NONE:
        return f"port {calls.port[row]}" if calls.port[row] else "port 0: not registered"
    if calls.program[row] == NLM and calls.status[row] != NONE and not 11 <= calls.procedure[row] <= 15:
        return status_name(int(calls.status[row]))
    if calls.program[row] == NSM and calls.status[row] != NONE:
        return "STAT_SUCC" if calls.status[row] == 0 else "STAT_FAIL"
    return EMPTY


def _rows(calls: Calls, chosen: Chosen) -> Iterator[int]:
    rows = range(len(calls)) if chosen.rows is None else chosen.rows.nonzero()[0].tolist()
    for row in rows:
        if chosen.programs and int(calls.program[row]) not in chosen.programs:
            continue
        if chosen.hosts is None or int(calls.src[row]) in chosen.hosts or int(calls.dst[row]) in chosen.hosts:
            yield row


def _head(history: History, at: At, dated: str) -> tuple[str, str]:
    """The date when it changes, then file (if several), frame and time of day."""
    date = iso(at.time)[:10]
    line = "" if date == dated else f"# {date} UTC\n"
    place = f"{at.capture}:{at.frame}" if len(history.sources) > 1 else str(at.frame)
    return date, f"{line}{place:>7}  {clock(at.time)}"


def _width(history: History) -> int:
    return max((len(history.names.address(host)) for host in history.names.roles), default=15)
