"""What the capture path hands on: RPC messages by column, signals, and a summary of the traffic that was visible."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum, auto
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from nlmdissect.capture.block import Defect
from nlmdissect.capture.dns import Answer
from nlmdissect.capture.endpoints import Endpoints
from nlmdissect.findings import At
from nlmdissect.groups import in_order

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Messages:
    """RPC messages, one row each, in the order of their frames.

    Shapes:  ``arena`` holds the bytes of all; every array has one element a message (M).
    Units:   the bytes of message i are ``arena[at[i] : end[i]]``, without record marks, record fragments joined;
             ``length`` is what it was on the wire, more than ``end - at`` where the capture cut it or ended in it;
             ``time`` is in ns since 1970; ``frame`` is Wireshark's number of the frame in which its last missing byte
             arrived; ``src`` and ``dst`` are endpoints; ``stream`` is a row of ``Traffic.streams``.
    Note:    ``duplicate`` marks the second copy of one frame (a mirror of both ports, ``-i any``). TCP repeats are
             never here at all: their bytes were known.
             A message that had to wait for a missing byte may come one batch late.
    """

    arena: bytes
    at: I64
    end: I64
    length: I64
    time: I64
    capture: I32
    frame: I64
    src: I32
    dst: I32
    sport: I32
    dport: I32
    tcp: Bools
    stream: I32
    duplicate: Bools

    def __len__(self) -> int:
        return len(self.at)

    def body(self, i: int) -> bytes:
        """The bytes of one message."""
        return self.arena[int(self.at[i]) : int(self.end[i])]


class Kind(StrEnum):
    """What happened besides RPC. The meaning of ``Signal.a`` and ``Signal.b`` is beside each."""

    SYN = auto()  # a: sequence number
    SYNACK = auto()  # a: sequence number
    FIN = auto()  # a: sequence number
    RST = auto()  # a: sequence number, b: 1 with ACK (the answer to a SYN or to data), 0 without
    ICMP = auto()  # destination unreachable (ICMP or ICMPv6); a: type, b: code; what it quotes is in ``quoted``
    ARP = auto()  # src: sender's IP, dst: target; a: 1 request, 2 reply; b: sender's MAC. Gratuitous: src == dst
    GAP = auto()  # a: bytes of this TCP direction that the capture lost, with later ones present
    UNSEEN_ACK = auto()  # a: bytes of this TCP direction that its peer acknowledged and the capture lacks


@dataclass(frozen=True, slots=True)
class Quoted:
    """The packet that an ICMP error quotes: it is evidence, never a message."""

    src: int
    dst: int
    protocol: int
    sport: int
    dport: int


@dataclass(frozen=True, slots=True)
class Signal:
    """One event. ``src`` to ``dst`` is the direction of the packet (ICMP: of the error), for GAP and UNSEEN_ACK the
    direction that lacks bytes. Ports are 0 where there are none; for ICMP they are the quoted packet's."""

    kind: Kind
    at: At
    src: int
    dst: int
    sport: int = 0
    dport: int = 0
    a: int = 0
    b: int = 0
    quoted: Quoted | None = None


@dataclass(slots=True)
class Stream:
    """One life of a directed flow. TCP: a new one begins with a SYN that has another sequence number, or after a RST.

    UDP flows are here only if they carried RPC. ``ended`` is the first end seen on the connection, in either direction:
    "fin" or "rst" by endpoint ``ended_by`` at ``ended_time``; "" if none. ``programs`` counts the calls by (program,
    version) along this direction, ``replies`` the replies.
    """

    src: int
    dst: int
    sport: int
    dport: int
    tcp: bool
    capture: int = -1
    first_time: int = 0
    last_time: int = 0
    first_frame: int = 0
    last_frame: int = 0
    packets: int = 0
    bytes: int = 0
    began: bool = False
    ended: str = ""
    ended_by: int = -1
    ended_time: int = 0
    programs: dict[tuple[int, int], int] = field(default_factory=dict)
    replies: int = 0

    @property
    def calls(self) -> int:
        """Calls seen along this direction."""
        return sum(self.programs.values())


@dataclass(frozen=True, slots=True)
class Span:
    """A directed pair of endpoints was seen from ``first`` to ``last`` (ns), never silent for more than 5 s."""

    src: int
    dst: int
    first: int
    last: int
    packets: int


@dataclass(frozen=True, slots=True)
class Verifier:
    """A server's answers to NFSv3 WRITE and COMMIT on one connection had one write verifier from ``first`` to ``last``.

    ``loose``: it said with it that data was not on stable storage yet, or answered a COMMIT: then a restart must change
    it (RFC 1813 section 3.3.7).
    """

    server: int
    client: int
    value: bytes
    first: At
    last: At
    loose: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """The messages and signals of some blocks, each in the order of their frames."""

    messages: Messages
    signals: list[Signal]


@dataclass(slots=True)
class Traffic:
    """What was visible. Complete when all batches have been read.

    ``programs`` counts calls by (program, version, src, dst), of every program, so that "NFS is here, NLM is not" can
    be said. Replies that were not kept are counted in their streams. ``cut`` counts the frames of which the capture has
    only the beginning; ``first_cut`` is the first of them, and ``longest_cut`` the most bytes that it has of one.
    ``damaged`` are the moments at which a frame had a wrong checksum: nobody knows whose it was. ``vouched`` are the
    endpoints whose checksums are right, so that what is not damaged is what they said; ``doubted`` are the others that
    said anything.
    ``answers`` are DNS answers in time order. ``failed_writes`` are (server, ns): the last WRITE or COMMIT that failed
    on a connection before another verifier came.
    """

    endpoints: Endpoints = field(default_factory=Endpoints)
    streams: list[Stream] = field(default_factory=list)
    activity: list[Span] = field(default_factory=list)
    programs: dict[tuple[int, int, int, int], int] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    verifiers: list[Verifier] = field(default_factory=list)
    failed_writes: list[tuple[int, int]] = field(default_factory=list)
    defects: list[Defect] = field(default_factory=list)
    damaged: list[At] = field(default_factory=list)
    vouched: set[int] = field(default_factory=set)
    doubted: set[int] = field(default_factory=set)
    cut: int = 0
    first_cut: At | None = None
    longest_cut: int = 0
    _said: dict[int, list[Span]] = field(default_factory=dict, compare=False)
    _last: dict[int, list[int]] = field(default_factory=dict, compare=False)
    _sent: dict[int, list[Stream]] = field(default_factory=dict, compare=False)

    def said(self, host: int) -> list[Span]:
        """When an endpoint was heard, in order of ``first``: the ``activity`` that it is the source of."""
        if not self._said:
            for span in self.activity:
                self._said.setdefault(span.src, []).append(span)
        return self._said.get(host, [])

    def heard(self, host: int, after: int, before: int | None = None) -> bool:
        """Whether an endpoint was heard after a moment (ns), in a span that began before another one."""
        of, until = self.said(host), self._last_of(host)
        begun = len(of) if before is None else bisect_left(of, before, key=_first)
        return begun > 0 and until[begun - 1] > after

    def last_heard(self, host: int) -> int:
        """When an endpoint was last heard (ns), 0 if never."""
        return next(reversed(self._last_of(host)), 0)

    def _last_of(self, host: int) -> list[int]:
        """For each of what it ``said``: when it was last heard in it, or in those before."""
        if host not in self._last:
            self._last[host] = [*accumulate((span.last for span in self.said(host)), max)]
        return self._last[host]

    def sent(self, host: int) -> list[Stream]:
        """The streams that an endpoint is the source of."""
        if not self._sent:
            for stream in self.streams:
                self._sent.setdefault(stream.src, []).append(stream)
        return self._sent.get(host, [])

    def calls(self, program: int) -> dict[int, int]:
        """Calls of one program in the whole recording, by version."""
        found: dict[int, int] = {}
        for (prog, vers, _, _), count in self.programs.items():
            if prog == program:
                found[vers] = found.get(vers, 0) + count
        return found


def join(parts: Sequence[Messages]) -> Messages:
    """All messages of several batches as one table, sorted by time (stable)."""
    if not parts:
        return empty()
    shift = np.cumsum([0] + [len(part.arena) for part in parts[:-1]])
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in Messages.__slots__
        if name not in ("arena", "at", "end")
    }
    at = np.concatenate([part.at + by for part, by in zip(parts, shift, strict=True)])
    end = np.concatenate([part.end + by for part, by in zip(parts, shift, strict=True)])
    order = in_order(columns["time"])
    sorted_columns = {name: column[order] for name, column in columns.items()}
    return Messages(b"".join(part.arena for part in parts), at[order], end[order], **sorted_columns)


def empty() -> Messages:
    """No messages."""
    i64, i32, flags = np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.bool_)
    return Messages(b"", i64, i64, i64, i64, i32, i64, i32, i32, i32, i32, flags, i32, flags)


def _first(span: Span) -> int:
    return span.first
