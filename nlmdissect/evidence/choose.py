"""Which frames are evidence, and which others make them readable.

Theory of operation. Frames lie in rings around what was asked for: each has all frames of the one inside of it.

* CLOSE: the evidence itself; the calls and answers about its files; the look-ups, SM_NOTIFYs and SM_MONs of its hosts;
  their attempts to connect, and ICMP about them.
* LOCKS: all that these hosts said to each other in the lock protocols, and ARP.
* AROUND: all that they said to anybody in these protocols, and their NFS around the evidence.
* HOSTS: everything that these hosts sent to each other, and everything of the lock protocols.
* ALL: the capture.

A verdict may rest on absence: nobody notified, no connection went on. What shows that in a slice is in one of these
rings, but which one depends on the verdict; ``slice.py`` takes the smallest one that leads to the same findings.

Of a TCP connection either all frames are in a ring or none is, for a stream with holes reads like one with losses. Only
NFS is cut, to stretches of time around the evidence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlmdissect.capture.messages import Kind
from nlmdissect.errors import UsageError
from nlmdissect.findings import Finding
from nlmdissect.history.history import History
from nlmdissect.protocols import MOUNT, NFS, NLM, NSM, PORTMAP
from nlmdissect.rpc.calls import NONE

AROUND_NFS = 90 * 10**9  # ns
FIRST, LAST = -(1 << 62), 1 << 62  # ns
LOCK_PROGRAMS = frozenset({MOUNT, NLM, NSM, PORTMAP})

End = tuple[bytes, int]
Bools = NDArray[np.bool_]


class Ring(IntEnum):
    CLOSE = 0
    LOCKS = 1
    AROUND = 2
    HOSTS = 3
    ALL = 4


RINGS = tuple(Ring)


class Flow(NamedTuple):
    """Two ends, the smaller one first, and whether it is TCP."""

    one: End
    other: End
    tcp: bool


def flow(source: bytes, sport: int, target: bytes, dport: int, tcp: bool) -> Flow:
    ends = (source, sport), (target, dport)
    return Flow(min(ends), max(ends), tcp)


@dataclass(slots=True)
class Wanted:
    """What belongs to which ring. ``frames`` are (capture, frame), ``hosts`` addresses, ``flows`` whole connections,
    ``nfs`` those that are cut to ``spans`` (ns) in the ring AROUND. Everything that two of ``hosts`` say to each other
    is in HOSTS, and everything ``between`` two moments in CLOSE.
    """

    frames: dict[tuple[int, int], Ring] = field(default_factory=dict)
    flows: dict[Flow, Ring] = field(default_factory=dict)
    nfs: set[Flow] = field(default_factory=set)
    hosts: set[bytes] = field(default_factory=set)
    spans: list[tuple[int, int]] = field(default_factory=list)
    between: tuple[int, int] = (LAST, FIRST)

    def frame(self, capture: int, frame: int, ring: Ring) -> None:
        if frame:
            self.frames[capture, frame] = min(ring, self.frames.get((capture, frame), ring))

    def flow(self, flow: Flow, ring: Ring) -> None:
        self.flows[flow] = min(ring, self.flows.get(flow, ring))


def of_findings(history: History, findings: Iterable[Finding]) -> Wanted:
    """What proves these findings."""
    wanted, calls = Wanted(), history.calls
    hosts: set[int] = set()
    files: set[bytes] = set()
    times = []
    evidence = set()
    for f in findings:
        hosts |= {h for h in (f.server, f.client, f.other, *(lock.server for lock in f.locks)) if h is not None}
        files |= {lock.fh for lock in f.locks}
        for at in [*(e.at for e in f.evidence), *(lock.at for lock in f.locks)]:
            wanted.frame(at.capture, at.frame, Ring.CLOSE)
            evidence.add((at.capture, at.frame))
            times.append(at.time)
    # a finding that names no host is about the traffic that its first frame begins
    begun = (s for s in history.traffic.streams if (s.capture, s.first_frame) in evidence)
    hosts |= {host for s in begun for host in (s.src, s.dst)} if not hosts else set()
    own = _in(calls.capture, calls.frame, evidence) | _in(calls.reply_capture, calls.reply_frame, evidence)
    hosts |= {*calls.src[own].tolist(), *calls.dst[own].tolist()} - {NONE}
    inside = np.isin(calls.src, list(hosts)) & np.isin(calls.dst, list(hosts))
    about = np.isin(calls.fh, [n for n in range(len(history.texts)) if history.texts[n] in files])
    told = _finding_each_other(history)
    rows = own | (inside & (about | told)) | (_loopback(history) & (told | (calls.program == NLM)))
    _rings(history, wanted, hosts, rows)
    times += [b.not_after.time for b in history.boots if b.host in hosts]
    times += [b.not_before.time for b in history.boots if b.host in hosts and b.not_before is not None]
    wanted.spans = _spans(times)
    return wanted


def of_traffic(
    history: History,
    rows: Bools | None,
    hosts: Collection[int] | None,
    fh: str | None,
    since: int | None,
    until: int | None,
) -> Wanted:
    """The calls of which a mask is true (None: all), from or to these hosts, about a handle with ``fh`` (hex) in it,
    from ``since`` until ``until`` (ns). With nothing but times: all frames between them. Raises UsageError.
    """
    calls, texts = history.calls, history.texts
    since, until = (FIRST if since is None else since), (LAST if until is None else until)
    if since > until:
        raise UsageError("--since is later than --until", "Exchange the two.")
    chosen = np.ones(len(calls), np.bool_) if rows is None else rows.copy()
    if hosts is not None:
        chosen &= np.isin(calls.src, list(hosts)) | np.isin(calls.dst, list(hosts))
    if fh is not None:
        if not fh or set(fh.casefold()) - set("0123456789abcdef"):
            raise UsageError("a file handle is written in hex", "'nlmdissect show' and the report have them.")
        chosen &= np.isin(calls.fh, [n for n in range(len(texts)) if fh.casefold() in texts[n].hex()])
    time = np.where(calls.frame > 0, calls.time, calls.reply_time)
    chosen &= (time >= since) & (time <= until)
    between = rows is None and hosts is None and fh is None
    if not chosen.any() and not between:
        raise UsageError("no call is like that", "See what there is: nlmdissect show CAPTURE")
    wanted = _of_calls(history, chosen)
    if between:
        wanted.between = since, until
    return wanted


def _of_calls(history: History, chosen: Bools) -> Wanted:
    calls = history.calls
    hosts = {*calls.src[chosen].tolist(), *calls.dst[chosen].tolist()} - {NONE}
    inside = np.isin(calls.src, list(hosts)) & np.isin(calls.dst, list(hosts))
    wanted = Wanted()
    _rings(history, wanted, hosts, chosen | (inside & _finding_each_other(history)))
    return wanted


def _rings(history: History, wanted: Wanted, hosts: set[int], close: Bools) -> None:
    calls, ends = history.calls, history.names.endpoints
    wanted.hosts = {ends.addresses[host] for host in hosts}
    inside = np.isin(calls.src, list(hosts)) & np.isin(calls.dst, list(hosts))
    touching = np.isin(calls.src, list(hosts)) | np.isin(calls.dst, list(hosts))
    ring = np.select([close, inside, touching], [Ring.CLOSE, Ring.LOCKS, Ring.AROUND], Ring.HOSTS)
    columns = (ring, calls.capture, calls.frame, calls.reply_capture, calls.reply_frame, calls.tcp,
               calls.src, calls.sport, calls.dst, calls.dport)  # fmt: skip
    asked: dict[tuple[int, int], Ring] = {}
    for row in zip(*(column.tolist() for column in columns), strict=True):
        number, capture, frame, reply_capture, reply_frame, tcp, src, sport, dst, dport = row
        place = RINGS[number]
        if tcp:
            wanted.flow(flow(ends.addresses[src], sport, ends.addresses[dst], dport, True), place)
        else:
            wanted.frame(capture, frame, place)
            wanted.frame(reply_capture, reply_frame, place)
        asked[dst, dport] = min(place, asked.get((dst, dport), place))
    told = _finding_each_other(history) & (calls.port > 0)
    for dst, port in zip(calls.dst[told].tolist(), calls.port[told].tolist(), strict=True):
        asked.setdefault((dst, port), Ring.CLOSE if dst in hosts else Ring.HOSTS)
    for s in history.traffic.streams:
        programs = {program for program, _ in s.programs}
        if NFS in programs and not programs & LOCK_PROGRAMS and {s.src, s.dst} <= hosts:
            wanted.nfs.add(flow(ends.addresses[s.src], s.sport, ends.addresses[s.dst], s.dport, s.tcp))
    _signals(history, wanted, hosts, asked)


def _signals(history: History, wanted: Wanted, hosts: set[int], asked: dict[tuple[int, int], Ring]) -> None:
    """Connections to ports of the lock protocols, whether they came about or not; ICMP and ARP."""
    addresses = history.names.endpoints.addresses
    spoken = {
        flow(addresses[s.src], s.sport, addresses[s.dst], s.dport, s.tcp) for s in history.traffic.streams if s.programs
    }
    for s in history.signals:
        if s.kind is Kind.ICMP and s.quoted is not None:
            about = {s.quoted.src, s.quoted.dst}
            ring = Ring.CLOSE if about <= hosts else Ring.AROUND if about & hosts else Ring.HOSTS
            wanted.frame(s.at.capture, s.at.frame, ring)
        elif s.kind is Kind.ARP:
            wanted.frame(s.at.capture, s.at.frame, Ring.LOCKS if {s.src, s.dst} & hosts else Ring.HOSTS)
        elif s.kind is Kind.SYN and (s.dst, s.dport) in asked:
            ring = Ring.LOCKS if {s.src, s.dst} <= hosts else Ring.AROUND if {s.src, s.dst} & hosts else Ring.HOSTS
            of = flow(addresses[s.src], s.sport, addresses[s.dst], s.dport, True)
            # a connection that never carried a call says that somebody could not be reached
            ring = asked[s.dst, s.dport] if ring is Ring.LOCKS and of not in spoken else ring
            if of not in wanted.nfs:
                wanted.flow(of, ring)
    for answer in history.traffic.answers:
        wanted.frame(answer.at.capture, answer.at.frame, Ring.CLOSE if answer.asker in hosts else Ring.HOSTS)


def _finding_each_other(history: History) -> Bools:
    """SM_NOTIFY and the like, and look-ups of lockd and statd."""
    calls = history.calls
    asked = (calls.asked_program == NLM) | (calls.asked_program == NSM)
    found: Bools = (calls.program == NSM) | ((calls.program == PORTMAP) & asked)
    return found


def _loopback(history: History) -> Bools:
    """Calls on the loopback interfaces of hosts: between lockd and statd."""
    scopes = np.array([*history.names.endpoints.scopes, 0])
    found: Bools = (scopes[history.calls.src] > 0) | (scopes[history.calls.dst] > 0)
    return found


def _in(capture: NDArray[np.int64], frame: NDArray[np.int64], wanted: set[tuple[int, int]]) -> Bools:
    keys = np.array([c << 40 | f for c, f in wanted], np.int64)
    found: Bools = np.isin(capture << 40 | frame, keys) & (frame > 0)
    return found


def _spans(times: list[int]) -> list[tuple[int, int]]:
    """Stretches of time around moments, joined where they touch."""
    spans: list[tuple[int, int]] = []
    for time in sorted(times):
        start, end = time - AROUND_NFS, time + AROUND_NFS
        if spans and start <= spans[-1][1]:
            spans[-1] = spans[-1][0], end
        else:
            spans.append((start, end))
    return spans
