"""What the capture lost between two hosts, and since when it may be missing.

A loss shows only when something later arrives: bytes of a TCP connection that follow a gap, an answer without its call,
an xid that skips some. What is missing was sent at any time since the last message of that direction. A gap in a
connection that carries nothing but NFS loses no lock call; it only tells that frames were dropped at that moment.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from nlmdissect.capture.messages import Kind, Signal, Stream
from nlmdissect.findings import At
from nlmdissect.hosts.lives import counted
from nlmdissect.protocols import NFS
from nlmdissect.rpc.calls import Calls

BACK = 2 * 10**9  # ns; queues of one interface, and interfaces of one host, are mixed up by less

WHAT = {
    Kind.GAP: "bytes of a TCP connection are missing",
    Kind.UNSEEN_ACK: "bytes were acknowledged that are not here",
}


class Loss(NamedTuple):
    """Something between two hosts was lost after ``since`` (ns) and not after ``at``."""

    since: int
    at: At
    what: str


def losses(signals: Iterable[Signal], streams: Iterable[Stream], calls: Calls) -> dict[frozenset[int], list[Loss]]:
    """Every loss that shows, by pair of hosts."""
    found: dict[frozenset[int], list[Loss]] = defaultdict(list)
    seen: dict[tuple[int, int], list[int]] = {}  # made when something is lost
    bulk = _only_nfs(streams)

    def lost(src: int, dst: int, at: At, what: str, moment_only: bool = False) -> None:
        seen.update(seen or _moments(calls))
        times = seen.get((src, dst), [])
        place = bisect_left(times, at.time)
        since = at.time if moment_only else times[place - 1] if place else 0
        found[frozenset((src, dst))].append(Loss(since, at, f"frame {at.frame}: {what}"))

    for s in signals:
        if s.kind in WHAT:
            flow = (s.src, s.sport, s.dst, s.dport)
            lost(s.src, s.dst, s.at, WHAT[s.kind], flow in bulk or (*flow[2:], *flow[:2]) in bulk)
    for row in (calls.frame == 0).nonzero()[0].tolist():
        at = calls.reply_at(row)
        lost(int(calls.src[row]), int(calls.dst[row]), at, "an answer whose call is not in the capture")
    for step in counted(calls):  # a call that is lost together with its answer leaves no other trace over UDP
        if step.missing:
            what = f"frame {step.at.frame}: calls before it are missing, the xids have a hole"
            found[frozenset((step.src, step.dst))].append(Loss(step.before.time, step.at, what))
    return found


def damage(moments: Iterable[At]) -> list[Loss]:
    """What damaged frames took with them, by time. Of any two hosts, for their addresses may be what is damaged."""
    what = "the frame is damaged, its checksum is wrong"
    return sorted((Loss(at.time, at, f"frame {at.frame}: {what}") for at in moments), key=lambda loss: loss.since)


def backwards(calls: Calls) -> str:
    """Where the time of a capture goes back: its clock was set, or recordings stand in it one after another. Then the
    order of its frames is not the order of events. "" if time always goes on.
    """
    rows = np.argsort(calls.frame, kind="stable")
    rows = rows[calls.frame[rows] > 0]
    for capture in np.unique(calls.capture[rows]).tolist():
        here = rows[calls.capture[rows] == capture]
        back = calls.time[here][:-1] - calls.time[here][1:]
        if len(back) and back.max() > BACK:
            frame, seconds = calls.frame[here[back.argmax() + 1]], back.max() / 1e9
            return f"frame {frame}: the time goes back by {seconds:.0f} s, so the frames are not in the order of events"
    return ""


def _moments(calls: Calls) -> dict[tuple[int, int], list[int]]:
    """When messages went from one host to another, sorted."""
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    rows = zip(
        calls.src.tolist(), calls.dst.tolist(), calls.frame.tolist(), calls.time.tolist(),
        calls.reply_frame.tolist(), calls.reply_time.tolist(), strict=True,
    )  # fmt: skip
    for src, dst, frame, time, reply_frame, reply_time in rows:
        if frame:
            found[src, dst].append(time)
        if reply_frame:
            found[dst, src].append(reply_time)
    return {pair: sorted(times) for pair, times in found.items()}


def _only_nfs(streams: Iterable[Stream]) -> set[tuple[int, int, int, int]]:
    """Connections that carried NFS calls and no others, as (client, port, server, port)."""
    return {
        (s.src, s.sport, s.dst, s.dport)
        for s in streams
        if s.tcp and s.programs and all(p == NFS for p, _ in s.programs)
    }
