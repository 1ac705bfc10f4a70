"""What the capture was able to see: the conditions without which nothing may be called missing.

An absence is a finding only if the packet would have been in the capture. Each condition is asked for a pair of
hosts and a span of time, and answered with a reason that a person can check in Wireshark.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from nlmdissect.capture.ledger import APART
from nlmdissect.capture.messages import Bools, Signal, Traffic
from nlmdissect.groups import groups
from nlmdissect.hosts.losses import Loss, backwards, damage, losses
from nlmdissect.hosts.names import Names
from nlmdissect.hosts.signs import SECOND
from nlmdissect.protocols import NLM, NSM, PORTMAP, find
from nlmdissect.rpc.calls import Calls

AROUND = 2 * SECOND  # a loss this near to a span of time counts as in it


class V(StrEnum):
    """The visibility conditions, in the numbering of the failure catalogue."""

    SPAN = "V1"  # the capture runs from before the event to after the end of the window
    NO_LOSS = "V2"  # nothing between the two hosts was lost by the capture around it
    BOTH_WAYS = "V3"  # packets of both directions are here
    NSM = "V4"  # SM_NOTIFY and its look-ups could have been seen
    ALL_PATHS = "V5"  # every address of the host was in view
    DECODED = "V6"  # bodies are whole and in clear


@dataclass(frozen=True, slots=True)
class Sight:
    """Whether a condition holds for two hosts from ``start`` to ``end`` (ns), and why."""

    condition: V
    hosts: tuple[int, int]
    start: int
    end: int
    holds: bool
    why: str


@dataclass(frozen=True, slots=True)
class Extent:
    """From when to when the recording runs (ns), and how many packets its hosts say that they dropped."""

    first: int
    last: int
    dropped: int


@dataclass(slots=True)
class Visibility:
    """Answers ``visible`` and remembers what was asked: the coverage table of reports."""

    extent: Extent
    directions: set[tuple[int, int]]
    losses: dict[frozenset[int], list[Loss]]
    damage: list[Loss]  # of whom, nobody knows
    datagrams: set[frozenset[int]]  # pairs between which UDP was seen
    announcers: set[int]  # hosts from which NSM or its look-ups were seen
    cut: dict[frozenset[int], list[tuple[int, str]]]
    backwards: str  # where the time goes back, "" if it never does
    names: Names
    asked: dict[tuple[V, int, int, int, int], Sight] = field(default_factory=dict)
    _others: dict[int, list[int]] = field(default_factory=dict)

    def visible(self, pair: tuple[int, int], condition: V, start: int, end: int) -> Sight:
        """Ask one condition. ``pair`` is (the host that would send, the other one); times in ns."""
        key = (condition, *pair, start, end)
        if key not in self.asked:
            holds, why = self._ask(pair, condition, start, end)
            self.asked[key] = Sight(condition, pair, start, end, holds, why)
        return self.asked[key]

    def all(self, pair: tuple[int, int], conditions: tuple[V, ...], start: int, end: int) -> list[Sight]:
        """The conditions that do *not* hold."""
        return [s for c in conditions if not (s := self.visible(pair, c, start, end)).holds]

    def survey(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Ask every condition for pairs over the whole recording, so that the coverage table has them all."""
        for pair in pairs:
            self.all(pair, tuple(V), self.extent.first, self.extent.last)

    def others(self, host: int) -> list[int]:
        """Other endpoints of the network that may be the same host, in order."""
        if host not in self._others:
            scopes, near = self.names.endpoints.scopes, self.names.notifiers(host)
            self._others[host] = [e for e in near if e != host and scopes[e] == scopes[host]]
        return self._others[host]

    def _ask(self, pair: tuple[int, int], condition: V, start: int, end: int) -> tuple[bool, str]:
        both = frozenset(pair)
        a, b = (self.names.address(host) for host in pair)
        match condition:
            case V.SPAN:
                if start < self.extent.first:
                    return False, "the capture begins later"
                if end > self.extent.last:
                    return False, f"the capture ends {(end - self.extent.last) / SECOND:.0f} s too early"
                return True, "the capture covers it"
            case V.NO_LOSS:
                if self.extent.dropped:
                    return False, f"the capturing host dropped {self.extent.dropped} packets"
                if self.backwards:
                    return False, self.backwards
                lost = [
                    loss.what
                    for loss in self.losses.get(both, ())
                    if start - AROUND <= loss.at.time and loss.since <= end + AROUND
                ]
                near = AROUND + APART  # of several damaged frames one is known
                first = bisect_left(self.damage, start - near, key=lambda loss: loss.since)
                lost += [loss.what for loss in self.damage[first : first + 1] if loss.since <= end + near]
                return (False, lost[0]) if lost else (True, "no sign of a lost frame between the two")
            case V.BOTH_WAYS:
                for src, dst in (pair, pair[::-1]):
                    if (src, dst) not in self.directions:
                        return False, f"no packet from {self.names.address(src)} to {self.names.address(dst)} is here"
                return True, "packets of both directions are here"
            case V.NSM:
                if both in self.datagrams:
                    return True, f"UDP between {a} and {b} is in the capture"
                if pair[0] in self.announcers:
                    return True, f"SM_NOTIFY or its look-ups from {a} to others are in the capture"
                return False, f"no UDP between {a} and {b}: a filter may hide SM_NOTIFY"
            case V.ALL_PATHS:
                for other in self.others(pair[0]):
                    if (other, pair[1]) not in self.directions:
                        address = self.names.address(other)
                        return False, f"{a} seems to have the address {address} too; none of its packets to {b} is here"
                for name, address in self.names.elsewhere(pair[0]):
                    return False, f"DNS gives {name}, the name of {a}, the address {address} too, which is not here"
                return True, f"no other address of {a} is known, or all are in view"
            case V.DECODED:
                cut = [what for t, what in self.cut.get(both, ()) if start - AROUND <= t <= end + AROUND]
                return (False, cut[0]) if cut else (True, "bodies are whole and in clear")


def _strange(calls: Calls) -> Bools:
    """The calls of no procedure that any version has; 0 is always one."""
    first, which = groups(calls.program, calls.version, calls.procedure)
    kinds = zip(*(column[first].tolist() for column in (calls.program, calls.version, calls.procedure)), strict=True)
    unknown = [procedure > 0 and find(program, version, procedure) is None for program, version, procedure in kinds]
    found: Bools = np.array(unknown, np.bool_)[which]
    return found


def visibility(extent: Extent, signals: list[Signal], traffic: Traffic, calls: Calls, names: Names) -> Visibility:
    """Collect what the conditions are judged by."""
    streams = traffic.streams
    cut: dict[frozenset[int], list[tuple[int, str]]] = defaultdict(list)
    lock = (calls.program == NLM) | (calls.program == NSM)
    strange = _strange(calls)
    unread = (calls.bad != 0) | (calls.reply_bad != 0) | (calls.encrypted != 0) | strange
    for row in (lock & unread).nonzero()[0].tolist():
        at = calls.at(row)
        why = "is encrypted" if calls.encrypted[row] else "is cut or malformed"
        why = "is of no known procedure" if strange[row] else why
        cut[frozenset((int(calls.src[row]), int(calls.dst[row])))].append(
            (at.time, f"frame {at.frame}: the body {why}")
        )
    announces = (calls.program == NSM) | ((calls.program == PORTMAP) & (calls.asked_program == NSM))
    return Visibility(
        extent=extent,
        directions={(stream.src, stream.dst) for stream in streams if stream.packets},
        losses=losses(signals, streams, calls),
        damage=damage(traffic.damaged),
        datagrams={frozenset((s.src, s.dst)) for s in streams if not s.tcp},
        announcers=set(calls.src[announces & (calls.frame != 0)].tolist()),
        cut=cut,
        backwards=backwards(calls),
        names=names,
    )
