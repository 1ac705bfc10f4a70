"""A recording that is read in parts, by several processes or hosts, and joined.

Theory of operation. ``scan`` reads one part (``capture.part``, ``capture.piece``) and gives what a reading of the whole
has at that place: RPC messages as arrays, signals, what names were told, and the summary of the traffic; of a large
capture with little lock traffic that is little. ``joined`` puts these together as if they had been read in one go:
endpoints and streams get one numbering, a connection that goes on from part to part is one stream, and of the frames
that two parts have both read, those that the second one is not sure of are taken from the first. Everything after that
is the way of any recording.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlmdissect.capture.block import Defect, Source
from nlmdissect.capture.endpoints import NETWORK, Endpoints
from nlmdissect.capture.ledger import FRAME_BITS
from nlmdissect.capture.messages import Kind, Messages, Signal, Span, Stream, Traffic, join
from nlmdissect.capture.scan import SILENCE
from nlmdissect.findings import At
from nlmdissect.history.history import ARENA, History, build, uncollected
from nlmdissect.history.scan import Scan, only
from nlmdissect.rpc.calls import Texts
from nlmdissect.rpc.pairing import Pairing
from nlmdissect.rpc.paths import Paths
from nlmdissect.rpc.told import Fact, tell_again

Ints = NDArray[np.int64]
Flow = tuple[int, int, int, int, bool]


class Place(NamedTuple):
    """Where the files of a part are in the recording, its own and those that it has read on into: the number of each,
    and how many frames of it come before.
    """

    capture: list[int]
    frames: list[int]

    def moved(self, at: At) -> At:
        return At(at.time, self.capture[at.capture], at.frame + self.frames[at.capture])


def joined(scans: Sequence[Scan]) -> History:
    """The history of the recording whose parts these are, in time order."""
    with uncollected():
        traffic, texts, paths = Traffic(), Texts(), Paths()
        messages: list[Messages] = []
        signals: list[Signal] = []
        streams = _Streams(traffic.streams)
        sources, before = list[Source](), list[int]()
        for one in scans:
            place = _place(sources, one)
            if one.inside:  # who read on may have come to the end of this piece
                before = [*before, before[0] - one.sources[0].frames]
            hosts = _endpoints(traffic.endpoints, one.traffic.endpoints, place)
            stream = streams.add(one, hosts, place)
            messages.append(_messages(one, hosts, stream, place, before))
            signals += _signals(one, hosts, place, before)
            _summary(traffic, one, hosts, place)
            traffic.damaged += [place.moved(at) for at in one.traffic.damaged if not _read(at, before)]
            facts = [_moved(fact, place) for fact in one.told.facts if not _known(fact, before)]
            tell_again(paths, facts, hosts)
            if one.inside:
                _go_on(sources[-1], *one.sources)
            else:
                sources += map(replace, one.sources)
            before = one.read_on
        traffic.activity = _spans(traffic.activity)
        traffic.defects = _counted(traffic.defects)
        traffic.vouched -= traffic.doubted  # who wants to be believed has to be in every part
        traffic.answers.sort()
        traffic.verifiers.sort(key=lambda verifier: verifier.first)
        for capture, source in enumerate(sources):
            source.defects = [replace(defect, capture=capture) for defect in source.defects]
        pairing = Pairing(texts)
        whole = join(messages)
        for rows in _slices(whole):
            pairing.add(only(whole, rows))
        lost = {
            "open_calls_closed": pairing.dropped,
            "naming_calls_forgotten": sum(one.forgotten for one in scans),
            "names_full": paths.full + sum(one.told.full for one in scans),
        }
        return build(tuple(sources), traffic, signals, pairing.finish(), texts, paths, lost)


def _place(sources: Sequence[Source], one: Scan) -> Place:
    """Of the next part behind these files. What follows a piece is the same file."""
    count, own = len(one.sources) + len(one.read_on), [source.frames for source in one.sources]
    if not one.piece:
        return Place([len(sources) + n for n in range(count)], [0] * count)
    if not one.inside:
        return Place([len(sources)] * count, [0, *own][:count])
    before = sources[-1].frames
    return Place([len(sources) - 1] * count, [before, before + own[0]][:count])


def _go_on(source: Source, by: Source) -> None:
    """Add the next piece of a file. Only the last one may have something wrong."""
    source.defects = [*source.defects, *(replace(defect, frame=defect.frame + source.frames) for defect in by.defects)]
    source.frames += by.frames
    source.first = min((t for t in (source.first, by.first) if t is not None), default=None)
    source.last = max((t for t in (source.last, by.last) if t is not None), default=None)
    source.truncated, source.dropped = by.truncated, by.dropped


def _endpoints(known: Endpoints, of: Endpoints, place: Place) -> list[int]:
    """The number in ``known`` of each endpoint of a part. Files that follow each other are one scope."""
    places = {(scope, address): n for n, (scope, address) in enumerate(zip(known.scopes, known.addresses, strict=True))}
    found = []
    for scope, address, macs in zip(of.scopes, of.addresses, of.macs, strict=True):
        key = (NETWORK if scope == NETWORK else 1, address)
        number = places[key] if key in places else places.setdefault(key, known.add(*key))
        for mac, seen in macs.items():
            capture, frame = seen >> FRAME_BITS, seen & (1 << FRAME_BITS) - 1
            frame += place.frames[capture] + (place.capture[capture] << FRAME_BITS)
            known.sent_from(number, mac, frame)
        found.append(number)
    return found


class _Streams:
    """The lives of flows over all parts."""

    def __init__(self, streams: list[Stream]) -> None:
        self.streams = streams
        self.of: dict[Flow, list[int]] = {}

    def add(self, one: Scan, hosts: Sequence[int], place: Place) -> Ints:
        """The number of each stream of a part."""
        resets = {signal.at[1:] for signal in one.signals if signal.kind is Kind.RST}
        number = np.zeros(len(one.traffic.streams), np.int64)
        for n, stream in sorted(enumerate(one.traffic.streams), key=lambda pair: pair[1].first_time):
            moved = replace(
                stream,
                src=hosts[stream.src],
                dst=hosts[stream.dst],
                capture=place.capture[stream.capture],
                first_frame=stream.first_frame + place.frames[stream.capture],
                last_frame=stream.last_frame + place.frames[stream.capture],
                ended_by=hosts[stream.ended_by] if stream.ended else -1,
                programs=dict(stream.programs),
            )
            lives = self.of.setdefault((moved.src, moved.dst, moved.sport, moved.dport, moved.tcp), [])
            since = moved.first_time if moved.packets else moved.ended_time  # a flow of which only the end was seen
            known = bisect_right(lives, since, key=lambda n: self.streams[n].first_time)
            if known and _goes_on(self.streams[lives[known - 1]], moved):
                number[n] = lives[known - 1]
                _extend(self.streams[lives[known - 1]], moved, (stream.capture, stream.first_frame) in resets)
            else:
                number[n] = len(self.streams)
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


def _messages(one: Scan, hosts: Sequence[int], streams: Ints, place: Place, before: Sequence[int]) -> Messages:
    """Those of its own files, and of what it has read on, but for the frames that the part before has read."""
    m, known = one.messages, np.array(hosts, np.int32)
    limit = np.zeros(max(len(one.sources) + len(one.read_on), len(before)) + 1, np.int64)
    limit[: len(before)] = before
    m = only(m, np.flatnonzero(m.frame > limit[m.capture]))
    return replace(
        m, capture=np.array(place.capture, np.int32)[m.capture], frame=m.frame + np.array(place.frames)[m.capture],
        src=known[m.src], dst=known[m.dst],
        stream=streams[m.stream].astype(np.int32) if len(streams) else m.stream,
    )  # fmt: skip


def _signals(one: Scan, hosts: Sequence[int], place: Place, before: Sequence[int]) -> Iterator[Signal]:
    for signal in one.signals:
        if _read(signal.at, before):
            continue
        quoted = signal.quoted
        if quoted is not None:
            quoted = replace(quoted, src=hosts[quoted.src], dst=hosts[quoted.dst])
        yield replace(signal, at=place.moved(signal.at), src=hosts[signal.src],
                      dst=hosts[signal.dst], quoted=quoted)  # fmt: skip


def _summary(traffic: Traffic, one: Scan, hosts: Sequence[int], place: Place) -> None:
    """What is only counted. Frames that two parts have read count twice in numbers of calls, and in nothing else."""
    own, of = len(one.sources), one.traffic
    traffic.activity += [replace(span, src=hosts[span.src], dst=hosts[span.dst]) for span in of.activity]
    for (program, version, src, dst), calls in of.programs.items():
        key = program, version, hosts[src], hosts[dst]
        traffic.programs[key] = traffic.programs.get(key, 0) + calls
    traffic.answers += [
        answer._replace(at=place.moved(answer.at), server=hosts[answer.server], asker=hosts[answer.asker])
        for answer in of.answers if answer.at.capture < own
    ]  # fmt: skip
    for v in of.verifiers:
        if v.first.capture < own:
            begin, end = place.moved(v.first), place.moved(v.last)
            traffic.verifiers.append(replace(v, server=hosts[v.server], client=hosts[v.client], first=begin, last=end))
    traffic.failed_writes += [(hosts[server], time) for server, time in of.failed_writes]
    traffic.defects += [
        replace(d, capture=place.capture[d.capture], frame=d.frame and d.frame + place.frames[d.capture])
        for d in of.defects if d.capture < own
    ]
    traffic.vouched |= {hosts[n] for n in of.vouched}
    traffic.doubted |= {hosts[n] for n in of.doubted}
    traffic.cut += of.cut
    traffic.longest_cut = max(traffic.longest_cut, of.longest_cut)
    if of.first_cut is not None:
        traffic.first_cut = min(traffic.first_cut or place.moved(of.first_cut), place.moved(of.first_cut))


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


def _known(fact: Fact, before: Sequence[int]) -> bool:
    """Was the answer that told it read by the part before?"""
    at = next((one for one in reversed(fact) if isinstance(one, At)), None)
    return at is not None and _read(at, before)


def _read(at: At, before: Sequence[int]) -> bool:
    """Was a frame read by the part before?"""
    return at.capture < len(before) and at.frame <= before[at.capture]


def _counted(defects: Sequence[Defect]) -> list[Defect]:
    """Those of one kind in one file are one."""
    found: dict[tuple[int, str, str, str], Defect] = {}
    for d in defects:
        key = d.capture, d.layer, d.reason, d.detail
        found[key] = replace(found[key], count=found[key].count + d.count) if key in found else d
    return list(found.values())


def _moved(fact: Fact, place: Place) -> Fact:
    return tuple(place.moved(one) if isinstance(one, At) else one for one in fact)


def _slices(messages: Messages) -> Iterator[Ints]:
    """Rows, about ARENA bytes at a time."""
    ends = np.cumsum(messages.end - messages.at)
    at = 0
    while at < len(messages):
        stop = max(bisect_right(ends, int(ends[at]) + ARENA), at + 1)
        yield np.arange(at, stop)
        at = stop
