"""Attempts to reach a lockd whose port is known, and the runs of them that died on the way; likewise attempts of a
server to reach a client's port 111, which it only needs to find the lockd there.

A run is a series of attempts of one host at one port of another between two signs that packets get through. Over TCP
an attempt is a SYN: a SYN/ACK or RST in answer shows that it arrived; a SYN/ACK after which the same SYN comes again
shows that the answer did not. Over UDP it is a lock request; as lockd may also be slow, silence there is a run only if
lockd served somebody else meanwhile. ICMP "prohibited" from anywhere, or any "unreachable" from another host than the
asked one, says it in so many words.

Being down is not being unreachable: without ICMP the asked host must have been heard after the first attempt, or soon
after the last, and not have restarted before it got through.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nlmdissect.capture.messages import Kind, Signal, Stream, Traffic
from nlmdissect.findings import At
from nlmdissect.groups import mixed
from nlmdissect.hosts.boot import Boots
from nlmdissect.hosts.over_time import OverTime
from nlmdissect.hosts.signs import GETPORT, SECOND
from nlmdissect.protocols import NLM, PORTMAP
from nlmdissect.rpc.calls import Calls, Texts
from nlmdissect.rpc.requests import Bools, Op, Requests

ICMP, ICMPV6 = 3, 1  # types "destination unreachable"
PROHIBITED = frozenset({(ICMP, 9), (ICMP, 10), (ICMP, 13), (ICMPV6, 1), (ICMPV6, 5), (ICMPV6, 6)})
TCP, UDP = 6, 17
APART = SECOND // 2  # attempts closer together are one: a SYN is repeated at once after ICMP, and by a mirror port
SYNS, SYNS_LAST = 3, 5 * SECOND  # fewer, or in less time, are ordinary loss
CALLS, CALLS_LAST = 2, 10 * SECOND
SOON = SECOND
ALIVE = 30 * SECOND  # a waiter asks again within this
RPCBIND = 111


class Path(NamedTuple):
    """From one host to lockd's port on another."""

    caller: int
    callee: int
    port: int
    tcp: bool


@dataclass(frozen=True, slots=True)
class Unreached:
    """One run. ``lookup`` is the answer that told the port (None: other traffic did), ``errors`` the ICMP about it.

    ``back`` says that the attempts arrived and the answers did not. ``again`` is the first sign that packets get
    through, None if there was none. ``served``: lockd answered somebody else meanwhile.
    """

    path: Path
    tries: tuple[At, ...]
    lookup: At | None
    errors: tuple[Signal, ...]
    back: bool
    again: At | None
    served: At | None

    @property
    def prohibited(self) -> bool:
        return any((e.a, e.b) in PROHIBITED for e in self.errors)


class _Event(NamedTuple):
    """A sign that packets get through, or an attempt that did not. ``back``: it arrived, its answer did not.

    ``repeated``: it was sent before; a caller that was answered does not send again, whatever the capture shows.
    """

    at: At
    through: bool
    back: bool = False
    repeated: bool = False


def unreached(
    calls: Calls, texts: Texts, requests: Requests, signals: list[Signal], traffic: Traffic, boots: Boots
) -> list[Unreached]:
    """All runs of the recording, in time order."""
    ports = _ports(calls, texts, traffic.streams)
    called_back = set(requests.pairs)
    errors: dict[Path, list[Signal]] = defaultdict(list)
    for s in signals:
        if s.kind is Kind.ICMP and s.quoted is not None and s.quoted.protocol in (TCP, UDP):
            q = s.quoted
            errors[Path(q.src, q.dst, q.dport, q.protocol == TCP)].append(s)
    events = _events(calls, requests, signals, traffic.streams, errors)
    found: list[Unreached] = []
    for path, of in events.items():
        port = ports.get((path.callee, path.port, path.tcp))
        if port is None and path.port == RPCBIND and (path.caller, path.callee) in called_back:
            port = []
        if port is None:
            continue
        known = sorted(at for at in port if at is not None)
        about = sorted(errors.get(path, []), key=lambda e: e.at)
        runs = _runs(path, sorted(of), about, known, requests)
        found += [run for run in runs if run.prohibited or (_heard(traffic, run) and not _restarted(boots, run))]
    return sorted(found, key=lambda run: run.tries[0])


def _ports(calls: Calls, texts: Texts, streams: list[Stream]) -> dict[tuple[int, int, bool], list[At | None]]:
    """(host, port, tcp) of every lockd that a look-up or calls to it show, with the answers to look-ups."""
    found: dict[tuple[int, int, bool], list[At | None]] = defaultdict(list)
    asked = (calls.program == PORTMAP) & (calls.asked_program == NLM) & (calls.port > 0) & (calls.reply_frame != 0)
    for row in (asked & (calls.procedure == GETPORT)).nonzero()[0].tolist():
        tcp = calls.asked_protocol[row] == TCP or texts[int(calls.netid[row])].startswith(b"tcp")
        found[int(calls.dst[row]), int(calls.port[row]), bool(tcp)].append(calls.reply_at(row))
    for s in streams:
        if any(program == NLM for program, _ in s.programs):
            found[s.dst, s.dport, s.tcp].append(None)
    return found


def _events(
    calls: Calls,
    requests: Requests,
    signals: list[Signal],
    streams: list[Stream],
    errors: dict[Path, list[Signal]],
) -> dict[Path, list[_Event]]:
    events: dict[Path, list[_Event]] = defaultdict(list)
    for path, of in errors.items():
        events[path] += [_Event(s.at, False) for s in of if not _closed(path, s)]
    _tcp(signals, streams, events)
    paths = {path for path in (*_slow(calls), *events) if not path.tcp}
    for r in requests.where(_along(requests, paths)) if paths else ():
        for number, send in enumerate(r.sends):
            row = send.row
            path = Path(r.client, r.server, int(calls.dport[row]), False)
            if not calls.tcp[row] and path in paths:
                events[path].append(_Event(send.at, False, repeated=number > 0))
                if calls.reply_frame[row]:
                    events[path].append(_Event(calls.reply_at(row), True))
    return events


def _along(requests: Requests, paths: Iterable[Path]) -> Bools:
    """The requests that may have gone along these. Of a _MSG only its _RES can tell, over another port."""
    said, calls, row = requests.said, requests.calls, requests.row
    keys = mixed(*np.array([(path.caller, path.callee, path.port) for path in paths]).T)
    along = (calls.tcp[row] == 0) & np.isin(mixed(said.client, said.server, calls.dport[row]), keys)
    found: Bools = ~said.asynchronous & ~requests.is_a(Op.GRANTED) & (along | ~requests.alone)
    return found


def _slow(calls: Calls) -> set[Path]:
    """Paths over UDP with a call that was not answered soon: on all others every try got through."""
    of = (calls.program == NLM) & (calls.tcp == 0) & (calls.frame != 0)
    took = calls.reply_time - calls.time
    rows = of & ~((calls.reply_frame != 0) & (took >= 0) & (took < SOON))
    return {
        Path(src, dst, port, False)
        for src, dst, port in zip(
            calls.src[rows].tolist(), calls.dst[rows].tolist(), calls.dport[rows].tolist(), strict=True
        )
    }


def _closed(path: Path, error: Signal) -> bool:
    """Whether the asked host itself says that nobody listens: the packet arrived."""
    return not path.tcp and error.src == path.callee and (error.a, error.b) in ((ICMP, 3), (ICMPV6, 4))


def _tcp(signals: list[Signal], streams: list[Stream], events: dict[Path, list[_Event]]) -> None:
    lives: dict[tuple[int, int, int, int], list[Stream]] = defaultdict(list)
    for stream in streams:
        if stream.tcp:
            lives[stream.src, stream.sport, stream.dst, stream.dport].append(stream)
    answers: dict[tuple[int, int, int, int], list[Signal]] = defaultdict(list)
    syns: dict[tuple[int, int, int, int], list[Signal]] = defaultdict(list)
    for s in signals:
        if s.kind in (Kind.SYNACK, Kind.RST):
            answers[s.dst, s.dport, s.src, s.sport].append(s)
        elif s.kind is Kind.SYN:
            syns[s.src, s.sport, s.dst, s.dport].append(s)
    for flow, of in syns.items():
        answered = sorted(answers[flow], key=lambda answer: answer.at)
        used_for = OverTime((s for s in lives[flow] if s.bytes), lambda s: s.first_time, lambda s: s.last_time)
        src, _, dst, dport = flow
        path = Path(src, dst, dport, True)
        for syn, following in zip(of, [*of[1:], None], strict=True):
            until = following.at if following is not None else None
            end = None if until is None else bisect_left(answered, until, key=lambda answer: answer.at)
            said = answered[bisect_left(answered, syn.at, key=lambda answer: answer.at) : end]
            used = used_for.over(syn.at.time + 1, syn.at.time - 1)
            if used is not None:
                at = said[0].at if said else At(used.last_time, used.capture, used.last_frame)
                events[path].append(_Event(at, True))
            elif said:
                again = following is not None and following.a == syn.a and said[0].kind is Kind.SYNACK
                events[path].append(_Event(syn.at if again else said[0].at, not again, again))
            else:
                events[path].append(_Event(syn.at, False))


def _runs(
    path: Path, events: list[_Event], errors: list[Signal], lookups: list[At], requests: Requests
) -> Iterator[Unreached]:
    """The runs of one path that are long enough."""
    pending: list[_Event] = []
    for event in [*events, None]:
        if event is not None and not event.through:
            pending.append(event)
            continue
        again = event.at if event is not None else None
        tried = [e for e in pending if again is None or again.time - e.at.time >= SOON]
        pending = []
        tries = _apart(e.at for e in tried)
        if not tries:
            continue
        first, last = tries[0], tries[-1]
        near = errors[bisect_left(errors, first, key=lambda e: e.at) :]
        near = near if again is None else near[: bisect_left(near, again, key=lambda e: e.at)]
        about = tuple(e for e in near if not _closed(path, e))
        other = _served(requests, path, first, last)
        told = lookups[: bisect_right(lookups, first)][-1:]
        back, lookup = 2 * sum(e.back for e in tried) > len(tried), told[-1] if told else None
        run = Unreached(path, tries, lookup, about, back, again, other)
        lasted = last.time - first.time
        if about:
            enough = len(tries) > 1 and lasted >= SOON
        elif path.tcp:
            enough = len(tries) >= SYNS and lasted >= SYNS_LAST
        else:
            repeated = any(e.repeated for e in tried)
            enough = len(tries) >= CALLS and lasted >= CALLS_LAST and other is not None and repeated
        if enough:
            yield run


def _served(requests: Requests, path: Path, first: At, last: At) -> At | None:
    """When the asked host answered somebody else meanwhile."""
    said, c, row = requests.said, requests.calls, requests.row
    then = ~requests.alone | ((c.reply_time[row] >= first.time) & (c.reply_time[row] <= last.time))
    of = (said.server == path.callee) & (said.client != path.caller) & ~requests.is_a(Op.GRANTED)
    answers = (a.at for r in requests.where(of & then & requests.heard) for a in r.answers)
    return next((at for at in answers if first < at <= last), None)


def _apart(times: Iterable[At]) -> tuple[At, ...]:
    kept: list[At] = []
    for at in times:
        if not kept or at.time - kept[-1].time >= APART:
            kept.append(at)
    return tuple(kept)


def _heard(traffic: Traffic, run: Unreached) -> bool:
    """Whether the asked host sent anything to anybody during the run, or soon after it."""
    first, last = run.tries[0].time, run.tries[-1].time + ALIVE
    return traffic.heard(run.path.callee, first + SOON, last)


def _restarted(boots: Boots, run: Unreached) -> bool:
    """Whether a restart of the asked host explains the run."""
    end = run.again.time if run.again else run.tries[-1].time + 60 * SECOND
    return any(run.tries[0].time <= b.not_after.time <= end for b in boots.of(run.path.callee))
