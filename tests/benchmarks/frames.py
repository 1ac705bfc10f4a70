"""Large captures, fast: a *unit* of some frames is made once, by hand, and written again and again with other numbers.

A number of a unit is 32 bits at a fixed place. In turn ``k`` of a part with so many clients the unit is about client
``k % clients`` for the ``k // clients``-th time, and the number is ``(first + step * time + spread * client) % modulo``.
So sequence numbers, xids, cookies and handles go on as they do in a real capture, and each client has connections of
its own. All is a function of its arguments: no clock, no random numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from support import packets

SERVER, CLIENT = 0x0A000001, 0x0A010001
CHUNK = 8 << 20
FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
MSS = 1448
TIMESTAMPS = bytes.fromhex("0101080a") + bytes(8)


class Number(NamedTuple):
    """A number of a unit; ``at`` is its place in the unit."""

    at: int
    first: int
    step: int = 0
    spread: int = 0
    modulo: int = 1 << 32


class Unit:
    """Some frames as records of a pcap file, each cut at ``snaplen``, ``gap`` microseconds apart."""

    def __init__(self, snaplen: int = 262144, gap: int = 20) -> None:
        self.snaplen = snaplen
        self.gap = gap
        self.frames = 0
        self.data = bytearray()
        self.numbers: list[Number] = []
        self.names: list[int] = []
        self._sent: dict[tuple[int, bool], int] = {}
        self._follow: list[tuple[int, tuple[int, bool]]] = []

    def message(self, client_port: int, server_port: int, up: bool, message: bytes, inside: list[Number],
                names: list[int], tcp: bool) -> None:  # fmt: skip
        """An RPC message from (``up``) or to the client; ``inside`` are its numbers, by their place in the message,
        and ``names`` the places of the four digits of the client's name.
        """
        if not tcp:
            ports = (client_port, server_port) if up else (server_port, client_port)
            self._frame(up, packets.UDP, packets.udp(*ports, message), 42, 0, inside, names)
            return
        record = packets.record_mark(message)
        moved = [number._replace(at=number.at + 4) for number in inside]
        for at in range(0, len(record), MSS):
            self._segment(client_port, server_port, up, record[at : at + MSS], at, moved, [n + 4 for n in names])
            if at // MSS % 4 == 3:
                self._segment(client_port, server_port, not up, b"", 0, [], [])

    def _segment(self, client_port: int, server_port: int, up: bool, data: bytes, skip: int,
                 inside: list[Number], names: list[int]) -> None:  # fmt: skip
        ports = (client_port, server_port) if up else (server_port, client_port)
        key = (client_port, up)
        other = (client_port, not up)
        start = len(self.data) + 16
        self._follow += [(start + 38, key), (start + 42, other)]
        self.numbers += [
            Number(start + 38, self._sent.get(key, 1)), Number(start + 42, self._sent.get(other, 1))
        ]  # fmt: skip
        segment = packets.tcp(*ports, data, options=TIMESTAMPS)
        self._frame(up, packets.TCP, segment, 66, skip, inside, names)
        self._sent[key] = self._sent.get(key, 1) + len(data)

    def _frame(self, up: bool, protocol: int, payload: bytes, head: int, skip: int,
               inside: list[Number], names: list[int]) -> None:  # fmt: skip
        ends = ("10.1.0.1", "10.0.0.1") if up else ("10.0.0.1", "10.1.0.1")
        frame = packets.ethernet(packets.ipv4(*ends, protocol, payload))
        start = len(self.data) + 16
        kept = frame[: self.snaplen]
        self.data += struct.pack("<IIII", 0, 0, len(kept), len(frame)) + kept
        self.numbers.append(Number(start + (26 if up else 30), CLIENT, spread=1))
        low, high = skip, skip + len(kept) - head - 4
        self.numbers += [n._replace(at=start + head + n.at - skip) for n in inside if low <= n.at <= high]
        self.names += [start + head + at - skip for at in names if low <= at <= high]
        self.frames += 1

    def finished(self) -> list[Number]:
        """All numbers; sequence numbers go on by what a unit sends."""
        steps = {at: self._sent.get(key, 1) - 1 for at, key in self._follow}
        return [n._replace(step=steps.get(n.at, n.step)) for n in self.numbers]


class Part(NamedTuple):
    """``turns`` repetitions of a unit among ``clients``, beginning with client ``begin``. Units: ``at`` is in
    microseconds after 2026-01-01.
    """

    unit: Unit
    turns: int
    clients: int
    at: int = 0
    begin: int = 0

    @property
    def until(self) -> int:
        return self.at + self.turns * self.unit.frames * self.unit.gap


def capture(parts: list[Part]) -> Iterator[memoryview]:
    """A pcap file in pieces."""
    yield memoryview(FILE_HEADER)
    for part in parts:
        yield from _repeat(part)


def _repeat(part: Part) -> Iterator[memoryview]:
    unit, numbers = part.unit, part.unit.finished()
    size, rows = len(unit.data), max(min(CHUNK // len(unit.data), part.turns), 1)
    buffer = np.frombuffer(bytes(unit.data) * rows, np.uint8).copy()
    big = np.ndarray((len(buffer) - 3,), ">u4", buffer, strides=(1,))
    little = np.ndarray((len(buffer) - 3,), "<u4", buffer, strides=(1,))
    base = np.arange(rows, dtype=np.int64)[:, None] * size
    at, first, step, spread, modulo = np.array(numbers, np.int64).T
    names = np.array(unit.names, np.int64)
    stamps = np.array(_records(unit.data), np.int64)
    clock = np.arange(len(stamps), dtype=np.int64) * unit.gap
    for done in range(0, part.turns, rows):
        turn = (np.arange(rows, dtype=np.int64) + done)[:, None]
        client, time = turn % part.clients + part.begin, turn // part.clients
        big[base + at] = (first + step * time + spread * client) % modulo
        if len(names):
            big[base + names] = _digits(client)
        now = part.at + turn * unit.frames * unit.gap + clock
        little[base + stamps] = 1767225600 + now // 1000000
        little[base + stamps + 4] = now % 1000000
        yield memoryview(buffer)[: min(part.turns - done, rows) * size]


def _records(data: bytes | bytearray) -> list[int]:
    found, at = [], 0
    while at < len(data):
        found.append(at)
        at += 16 + int.from_bytes(data[at + 8 : at + 12], "little")
    return found


def _digits(client: NDArray[np.int64]) -> NDArray[np.int64]:
    """A client's number as four ASCII digits, read as one big-endian number."""
    thousands, hundreds, tens, ones = client // 1000 % 10, client // 100 % 10, client // 10 % 10, client % 10
    return 0x30303030 + (thousands << 24) + (hundreds << 16) + (tens << 8) + ones
