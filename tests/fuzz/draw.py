"""Bytes as decisions: what a fuzzer changes byte by byte becomes a conversation of hosts that lock, restart and lie."""

from __future__ import annotations

import struct
from typing import Any

from support import packets, zoo

from nlmdissect.protocols import MOUNT, NFS, NLM, NSM, PORTMAP, PROGRAMS, find
from nlmdissect.protocols.program import Procedure, Program
from nlmdissect.xdr.codec import encode
from nlmdissect.xdr.schema import Array, Enum, FixedOpaque, List, Number, Opaque, String, Struct, Union, Xdr

HOSTS = ("10.0.0.10", "10.0.0.21", "10.0.0.22", "10.0.0.23", "fd00::10", "127.0.0.1")
PORTS = {NLM: 4045, NSM: 662, PORTMAP: 111, MOUNT: 635, NFS: 2049}
PAUSES = (0, 1e-6, 0.001, 0.05, 1.0, 5.0, 30.0, 95.0, 600.0, -2.0)
NUMBERS = (0, 1, 2, 3, 4, 5, 6, 99, 100, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, NLM, NSM)
NAMES = (b"client-a", b"client-b", b"nfs-server", b"nfs-server.example.com", b"10.0.0.10", *zoo.NAMES)
CALLED: tuple[tuple[Program, Procedure], ...] = tuple(
    (program, procedure)
    for program in PROGRAMS.values()
    for procedure in program.procedures
    for _ in range(4 if program.number == NLM and program.version == 4 else 1)
)
LONGEST = 400  # messages


class Draw:
    """Decisions from bytes; when there are no more, each is 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def more(self) -> bool:
        return self._at < len(self._data)

    def number(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def word(self) -> int:
        return self.number() << 8 | self.number()

    def one_of(self, things: Any) -> Any:
        return things[(self.number() if len(things) <= 256 else self.word()) % len(things)]

    def bytes(self, most: int) -> bytes:
        size = self.number() % (most + 1)
        self._at += size
        return self._data[self._at - size : self._at]

    def value(self, t: Xdr) -> Any:
        """A value of an XDR type."""
        match t:
            case Number(dtype=dtype):
                number = self.one_of(NUMBERS)
                bits = 8 * int(dtype[2])
                number %= 2**bits
                return number - 2**bits if dtype[1] == "i" and number >= 2 ** (bits - 1) else number
            case Enum(members=members):
                return self.one_of((*members.values(), *members.values(), 77))
            case String(max=limit):
                return self.name()[:limit]
            case Opaque(max=limit):
                which = self.number()
                if which < 200:
                    return f"{which % 4}@client-{'ab'[which & 1]}".encode()[:limit]
                return (self.name() if which < 230 else self.bytes(32))[:limit]
            case FixedOpaque(size=size):
                return self.bytes(size).ljust(size, b"x")
            case Array(element=element):
                return [self.value(element) for _ in range(self.number() % 4)]
            case List(element=element):
                return [self.value(element) for _ in range(self.number() % 3)]
            case Struct(fields=fields):
                return {name: self.value(field) for name, field in fields.items()}
            case Union(on=on, arms=arms, default=default):
                tag = self.value(on)
                arm = next((arm for member, arm in arms.items() if on.members[member] == tag), default)
                return {"tag": tag, **self.value(arm)}
        raise TypeError(t)

    def name(self) -> bytes:
        which = self.number()
        return self.bytes(64) if which >= 240 else NAMES[which % len(NAMES)]


def conversation(data: bytes) -> list[tuple[float, bytes]]:
    """(seconds, frame) of hosts that say what the bytes decide."""
    draw, frames, now = Draw(data), [], 0.0
    asked: list[tuple[int, str, str, int, int, Procedure]] = []
    while draw.more and len(frames) < LONGEST:
        now += draw.one_of(PAUSES)
        kind = draw.number()
        a, b = draw.number(), draw.number()
        source, target = HOSTS[a % len(HOSTS)], HOSTS[b % len(HOSTS)]
        if (":" in source) != (":" in target):
            target = source
        if kind < 120:
            program, procedure = draw.one_of(CALLED)
            body = encode(procedure.args, draw.value(procedure.args))
            xid, port, own = draw.number(), PORTS[program.number], 700 + a % 7
            message = packets.rpc_call(xid, program.number, program.version, procedure.number, body, machinename="m")
            asked.append((xid, source, target, own, port, procedure))
            del asked[:-32]
            frames.append((now, _datagram(source, target, own, port, message)))
        elif kind < 220 and asked:
            xid, source, target, own, port, procedure = asked[-1 - draw.number() % len(asked)]
            accept = draw.one_of((0,) * 12 + (1, 2, 3, 4, 5))
            body = b"" if accept else encode(procedure.res, draw.value(procedure.res))
            frames.append((now, _datagram(target, source, port, own, packets.rpc_reply(xid, body, accept=accept))))
        elif kind < 228 and asked:
            _, source, target, own, port, _ = asked[-1]
            quoted = packets.ip(source, target, packets.UDP, packets.udp(own, port, b""))
            v6 = ":" in source
            error = packets.unreachable(quoted, draw.number() % 16)
            frames.append((now, packets.ethernet(packets.ip(target, source, packets.ICMPV6 if v6 else packets.ICMP, error))))
        elif kind < 236:
            flags = draw.one_of(("S", "SA", "R", "RA", "F", "A"))
            segment = packets.tcp(900 + a % 4, draw.one_of((2049, 4045, 111)), seq=draw.word(), flags=flags)
            frames.append((now, packets.ethernet(packets.ip(source, target, packets.TCP, segment))))
        elif kind < 242 and ":" not in source:
            frames.append((now, packets.ethernet(packets.arp(draw.number() % 3, source, target, src=f"02:00:00:00:00:{b % 4:02x}"), kind=0x806)))
        elif kind < 249:
            told = [("client-a", 1, bytes((10, 0, 0, 20 + a % 4))), ("x", 5, packets.dns_name("client-a"))]
            answer = packets.dns_answer(a, "client-a", draw.one_of((1, 12, 28)), told[: draw.number() % 3])
            frames.append((now, _datagram(source, target, 53, 3000, answer + draw.bytes(40))))
        else:
            frames.append((now, _datagram(source, target, draw.word(), draw.one_of((111, 4045, 662)), draw.bytes(200))))
    return frames


def call(program: int, version: int, procedure: int, values: dict[str, Any]) -> bytes:
    """The arguments of a call."""
    found = find(program, version, procedure)
    assert found is not None
    return encode(found.args, values)


def _datagram(source: str, target: str, sport: int, dport: int, message: bytes) -> bytes:
    return packets.ethernet(packets.ip(source, target, packets.UDP, packets.udp(sport, dport, message)))


def blocks(data: bytes) -> list[bytes]:
    """Cut the input at its own length bytes, for targets that take several pieces."""
    found, at = [], 0
    while at + 2 <= len(data):
        (size,) = struct.unpack_from(">H", data, at)
        found.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return found
