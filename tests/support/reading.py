"""Frames in, what the capture path says about them out: in plain values that tests can compare."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from support.packets import START

from nlmdissect.capture.block import Block
from nlmdissect.capture.engine import Engine
from nlmdissect.capture.files import open_recording
from nlmdissect.capture.messages import Kind, Signal, Traffic
from nlmdissect.capture.reader import MessageReader


class Found(NamedTuple):
    """One row of ``Messages``."""

    frame: int
    src: str
    sport: int
    dst: str
    dport: int
    data: bytes
    length: int
    duplicate: bool
    tcp: bool
    stream: int
    capture: int
    time: int

    @property
    def xid(self) -> int:
        return int.from_bytes(self.data[:4], "big")

    @property
    def is_reply(self) -> bool:
        return self.data[7] == 1


@dataclass
class Reading:
    messages: list[Found]
    signals: list[Signal]
    traffic: Traffic

    @property
    def xids(self) -> list[int]:
        return [message.xid for message in self.messages]

    @property
    def frames(self) -> list[tuple[int, int]]:
        return [(message.frame, message.xid) for message in self.messages]

    def kinds(self, *kinds: Kind) -> list[Signal]:
        return [signal for signal in self.signals if signal.kind in kinds]

    @property
    def defects(self) -> dict[str, int]:
        return {defect.reason: defect.count for defect in self.traffic.defects}


@dataclass
class Frames:
    """A recording without a file: (seconds, frame), ``per_block`` of them at a time, cut at ``snaplen``."""

    frames: Sequence[tuple[float, bytes]]
    link: int = 1
    per_block: int = 1 << 30
    snaplen: int = 1 << 30

    def blocks(self, progress: object = None) -> Iterator[Block]:
        for first in range(0, len(self.frames), self.per_block):
            some = self.frames[first : first + self.per_block]
            cut = [frame[: self.snaplen] for _, frame in some]
            at = [0, *itertools.accumulate(map(len, cut))][: len(cut)]
            time = [START * 10**9 + round(seconds * 10**9) for seconds, _ in some]
            wire = [len(frame) for _, frame in some]
            columns = (at, [len(c) for c in cut], wire, time, [self.link] * len(cut))
            yield Block(b"".join(cut), 0, first + 1, *(np.array(column, np.int64) for column in columns))


def read(recording: object, keep: Iterable[tuple[int, int]] = ()) -> Reading:
    reader = MessageReader(recording, keep)  # type: ignore[arg-type]
    parts, signals = [], []
    for batch in reader:
        parts.append(batch.messages)
        signals += batch.signals
    text = reader.traffic.endpoints.text
    messages = []
    for m in parts:
        for i in range(len(m)):
            src, dst = text(int(m.src[i])), text(int(m.dst[i]))
            ends = (int(m.frame[i]), src, int(m.sport[i]), dst, int(m.dport[i]))
            rest = (int(m.length[i]), bool(m.duplicate[i]), bool(m.tcp[i]), int(m.stream[i]))
            messages.append(Found(*ends, m.body(i), *rest, int(m.capture[i]), int(m.time[i])))
    messages.sort(key=lambda message: (message.capture, message.frame))
    return Reading(messages, signals, reader.traffic)


def read_frames(
    frames: Sequence[tuple[float, bytes]], *, link: int = 1, per_block: int = 1 << 30, snaplen: int = 1 << 30
) -> Reading:
    return read(Frames(frames, link, per_block, snaplen))


def read_files(*paths: Path) -> Reading:
    return read(open_recording(list(paths)))


def everything(recording: object, keep: object, functions: Mapping[Any, Any] | None, after: int = 0) -> list[object]:
    """All that a reader gives. With ``functions``, those run from block ``after`` on."""
    reader = MessageReader(recording, keep)  # type: ignore[arg-type]
    blocks = 0

    def consider(engine: Engine, frames: int, done: int, total: int | None) -> bool:
        nonlocal blocks
        blocks += 1
        if functions is None or blocks != after + 1:
            return False
        engine.use(functions)
        return True

    reader._engine.consider = consider.__get__(reader._engine)  # type: ignore[method-assign]
    found: list[object] = []
    for batch in reader:
        m = batch.messages
        found.append([m.arena, *(getattr(m, name).tolist() for name in m.__slots__ if name != "arena")])
        found.append(batch.signals)
    traffic = reader.traffic
    found += [traffic.streams, traffic.activity, traffic.programs, traffic.defects, traffic.endpoints.addresses]
    return [*found, traffic.endpoints.macs, traffic.cut, traffic.first_cut, traffic.longest_cut]
