"""A recording that is read in parts, by several processes or hosts, and joined.

Theory of operation. ``scan`` reads one part (``capture.part``) and gives what a reading of the whole has at that place:
RPC messages as arrays, signals, what names were told, and the summary of the traffic; of a large capture with little
lock traffic that is little. ``joined`` puts these together as if they had been read in one go: endpoints and streams
get one numbering, a connection that goes on from part to part is one stream, and of the frames that two parts have both
read, those that the second one is not sure of are taken from the first. Everything after that is the way of any
recording.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nlmdissect.capture.block import Defect, Source
from nlmdissect.capture.endpoints import NETWORK, Endpoints
from nlmdissect.capture.ledger import FRAME_BITS
from nlmdissect.capture.messages import Kind, Messages, Signal, Span, Stream, Traffic, join
from nlmdissect.capture.part import Part
from nlmdissect.capture.reader import MessageReader
from nlmdissect.capture.scan import SILENCE
from nlmdissect.findings import At
from nlmdissect.history.history import ARENA, History, build, uncollected
from nlmdissect.rpc.calls import Texts
from nlmdissect.rpc.names import KEEP, NameReader
from nlmdissect.rpc.pairing import Pairing
from nlmdissect.rpc.paths import Paths
from nlmdissect.rpc.told import Told, tell_again

Ints = NDArray[np.int64]
Flow = tuple[int, int, int, int, bool]


@dataclass(slots=True)
class Scan:
    """What one part holds. Files are numbered within the part, those that were read on into behind its own.

    ``read_on`` has the frames that were read of each of those; ``forgotten`` the calls that were given up.
    """

    sources: tuple[Source, ...]
    traffic: Traffic
    messages: Messages
    signals: list[Signal]
    told: Told
    read_on: list[int]
    forgotten: int


def scan(part: Part) -> Scan:
    """Read a part. Raises CaptureError."""
    with uncollected():
        reader, told = MessageReader(part, KEEP), Told()
        names = NameReader(told)
        kept: list[Messages] = []
        waiting: list[Messages] = []
        signals: list[Signal] = []
        for batch in reader:
            messages = batch.messages
            if reader.ended and part.tail:  # what is cut here goes on behind the overlap
                whole = messages.length == messages.end - messages.at
                messages = _only(messages, np.flatnonzero(whole))
            waiting.append(messages)
            signals += batch.signals
            if sum(len(m.arena) for m in waiting) > ARENA:
                kept.append(_packed(names.take(join(waiting))))
                waiting = []
        kept.append(_packed(names.take(join(waiting))))
        return Scan(part.sources, reader.traffic, join(kept), signals, told.done(), part.read_on, names.forgotten)


def joined(scans: Sequence[Scan]) -> History:
    """The history of the recording whose parts these are, in time order."""
    with uncollected():
        traffic, texts, paths = Traffic(), Texts(), Paths()
        messages: list[Messages] = []
        signals: list[Signal] = []
        streams = _Streams(traffic.streams)
        first, before = 0, list[int]()
        for one in scans:
            own = len(one.sources)
            hosts = _endpoints(traffic.endpoints, one.traffic.endpoints, first)
            stream = streams.add(one, hosts, first)
            messages.append(_messages(one, hosts, stream, first, before))
            signals += _signals(one, hosts, first, before)
            _summary(traffic, one, hosts, first)
            tell_again(paths, [fact for fact in one.told.facts if not _known(fact, before)], hosts, first)
            first, before = first + own, one.read_on
        traffic.activity = _spans(traffic.activity)
        traffic.answers.sort()
        traffic.verifiers.sort(key=lambda verifier: verifier.first)
        sources = tuple(source for one in scans for source in one.sources)
        for capture, source in enumerate(sources):
            source.defects = [replace(defect, capture=capture) for defect in source.defects]
        pairing = Pairing(texts)
        whole = join(messages)
        for rows in _slices(whole):
            pairing.add(_only(whole, rows))
        lost = {
            "open_calls_closed": pairing.dropped,
            "naming_calls_forgotten": sum(one.forgotten for one in scans),
            "names_full": paths.full + sum(one.told.full for one in scans),
        }
        return build(sources, traffic, signals, pairing.finish(), texts, paths, lost)


def _endpoints(known: Endpoints, of: Endpoints, first: int) -> list[int]:
    """The number in ``known`` of each endpoint of a part. Files that follow each other are one scope."""
    places = {(scope, address): n for n, (scope, address) in enumerate(zip(known.scopes, known.addresses, strict=True))}
    found = []
    for scope, address, macs in zip(of.scopes, of.addresses, of.macs, strict=True):
        key = (NETWORK if scope == NETWORK else 1, address)
        number = places[key] if key in places else places.setdefault(key, known.add(*key))
        for mac, frame in macs.items():
            known.macs[number].setdefault(mac, frame + (first << FRAME_BITS))
        found.append(number)
    return found


class _Streams:
    """The lives of flows over all parts."""

    def __init__(self, streams: list[Stream]) -> None:
        self.streams = streams
        self.of: dict[Flow, list[int]] = {}

    def add(self, one: Scan, hosts: Sequence[int], first: int) -> Ints:
        """The number of each stream of a part."""
        resets = {signal.at[1:] for signal in one.signals if signal.kind is Kind.RST}
        number = np.zeros(len(one.traffic.streams), np.int64)
        for place, stream in sorted(enumerate(one.traffic.streams), key=lambda pair: pair[1].first_time):
            moved = replace(
                stream,
                src=hosts[stream.src],
                dst=hosts[stream.dst],
                capture=stream.capture + first,
                ended_by=hosts[stream.ended_by] if stream.ended else -1,
                programs=dict(stream.programs),
            )
            lives = self.of.setdefault((moved.src, moved.dst, moved.sport, moved.dport, moved.tcp), [])
            since = moved.first_time if moved.packets else moved.ended_time  # a flow of which only the end was seen
            known = bisect_right(lives, since, key=lambda n: self.streams[n].first_time)
            if known and _goes_on(self.streams[lives[known - 1]], moved):
                number[place] = lives[known - 1]
                _extend(self.streams[lives[known - 1]], moved, (stream.capture, stream.first_frame) in resets)
            else:
                number[place] = len(self.streams)
                lives.insert(known, len(self.streams))
                self.streams.append(moved)
        return number


def _goes_on(before: Stream, after: Stream) -> bool:
    """Is a stream of the next part the life that was there? It may have been seen to begin by both."""
    return not (after.tcp and after.began) or after.first_time == before.first_time


def _extend(stream: Stream, by: Stream, reset: bool) -> None:
    """``reset``: what the part saw first of it was a RST, which is no sign of life, unless there is nothing else."""
    if not reset or by.last_frame != by.first_frame:
        stream.last_time, stream.last_frame = max((stream.last_time, stream.last_frame), (by.last_time, by.last_frame))
    stream.packets += by.packets
    stream.bytes += by.bytes
    stream.replies += by.replies
    if by.ended and not stream.ended:
        stream.ended, stream.ended_by, stream.ended_time = by.ended, by.ended_by, by.ended_time
    for program, calls in by.programs.items():
        stream.programs[program] = stream.programs.get(program, 0) + calls


def _messages(one: Scan, hosts: Sequence[int], streams: Ints, first: int, before: Sequence[int]) -> Messages:
    """Those of its own files, and of what it has read on, but for the frames that the part before has read."""
    m, known = one.messages, np.array(hosts, np.int32)
    limit = np.zeros(max(len(one.sources) + len(one.read_on), len(before)) + 1, np.int64)
    limit[: len(before)] = before
    m = _only(m, np.flatnonzero(m.frame > limit[m.capture]))
    return replace(
        m, capture=m.capture + np.int32(first), src=known[m.src], dst=known[m.dst],
        stream=streams[m.stream].astype(np.int32) if len(streams) else m.stream,
    )  # fmt: skip


def _signals(one: Scan, hosts: Sequence[int], first: int, before: Sequence[int]) -> Iterator[Signal]:
    for signal in one.signals:
        at = signal.at
        if at.capture < len(before) and at.frame <= before[at.capture]:
            continue
        quoted = signal.quoted
        if quoted is not None:
            quoted = replace(quoted, src=hosts[quoted.src], dst=hosts[quoted.dst])
        yield replace(signal, at=At(at.time, at.capture + first, at.frame), src=hosts[signal.src],
                      dst=hosts[signal.dst], quoted=quoted)  # fmt: skip


def _summary(traffic: Traffic, one: Scan, hosts: Sequence[int], first: int) -> None:
    """What is only counted. Frames that two parts have read count twice in numbers of calls, and in nothing else."""
    own, of = len(one.sources), one.traffic
    traffic.activity += [replace(span, src=hosts[span.src], dst=hosts[span.dst]) for span in of.activity]
    for (program, version, src, dst), calls in of.programs.items():
        key = program, version, hosts[src], hosts[dst]
        traffic.programs[key] = traffic.programs.get(key, 0) + calls
    traffic.answers += [
        answer._replace(at=_moved(answer.at, first), server=hosts[answer.server], asker=hosts[answer.asker])
        for answer in of.answers if answer.at.capture < own
    ]  # fmt: skip
    for v in of.verifiers:
        if v.first.capture < own:
            begin, end = _moved(v.first, first), _moved(v.last, first)
            traffic.verifiers.append(replace(v, server=hosts[v.server], client=hosts[v.client], first=begin, last=end))
    traffic.failed_writes += [(hosts[server], time) for server, time in of.failed_writes]
    traffic.defects += [
        Defect(d.capture + first, d.frame, d.layer, d.reason, d.count, d.detail) for d in of.defects if d.capture < own
    ]
    traffic.cut += of.cut
    traffic.longest_cut = max(traffic.longest_cut, of.longest_cut)
    if of.first_cut is not None:
        traffic.first_cut = min(traffic.first_cut or _moved(of.first_cut, first), _moved(of.first_cut, first))


def _spans(spans: Sequence[Span]) -> list[Span]:
    """Those of one pair that touch are one."""
    last: dict[tuple[int, int], Span] = {}
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: span.first):
        before = last.get((span.src, span.dst))
        if before is not None and span.first <= before.last + SILENCE:
            both = replace(before, last=max(before.last, span.last), packets=before.packets + span.packets)
            last[span.src, span.dst] = both
            continue
        if before is not None:
            found.append(before)
        last[span.src, span.dst] = span
    return sorted((*found, *last.values()), key=lambda span: span.first)


def _moved(at: At, first: int) -> At:
    return At(at.time, at.capture + first, at.frame)


def _known(fact: tuple[object, ...], before: Sequence[int]) -> bool:
    """Was the answer that told it read by the part before?"""
    at = next((one for one in reversed(fact) if isinstance(one, At)), None)
    return at is not None and at.capture < len(before) and at.frame <= before[at.capture]


def _slices(messages: Messages) -> Iterator[Ints]:
    """Rows, about ARENA bytes at a time."""
    ends = np.cumsum(messages.end - messages.at)
    at = 0
    while at < len(messages):
        stop = max(bisect_right(ends, int(ends[at]) + ARENA), at + 1)
        yield np.arange(at, stop)
        at = stop


def _only(m: Messages, rows: Ints) -> Messages:
    return replace(m, **{name: getattr(m, name)[rows] for name in Messages.__slots__ if name != "arena"})


def _packed(m: Messages) -> Messages:
    """The same with nothing in the arena but its bodies."""
    size = m.end - m.at
    end = np.cumsum(size, dtype=np.int64)
    arena = b"".join(m.arena[a:b] for a, b in zip(m.at.tolist(), m.end.tolist(), strict=True))
    return replace(m, arena=arena, at=end - size, end=end)
