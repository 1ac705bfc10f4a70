"""The captures of the benchmarks. As a program: ``captures.py NAME SIZE FILE`` writes one, ``-`` is standard output.

Locks are NLM 4 as Linux speaks it: AUTH_SYS, ``caller_name`` and owner with the client's name, cNNNN. Bulk is NFSv3
READ and WRITE of 32 KiB over TCP, in segments of 1448 bytes with an acknowledgement for each four.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.frames import Number, Part, Unit, capture
from support import packets

NLM, NSM, NFS = 100021, 100024, 100003
LOCKD, STATD, NFSD = 4045, 662, 2049
LOCK, UNLOCK, GRANTED = 2, 4, 5
OK, BLOCKED = 0, 3
READ, WRITE = 6, 7
TRANSFER = 32768
SECOND = 1_000_000
NAME = b"c0000.example.net"
CREDENTIAL = packets.auth_sys(NAME.decode(), gids=(0, 1, 2))


class Talk:
    """Writes calls and answers of one client into a unit. ``life`` keeps the xids of several units apart."""

    def __init__(self, unit: Unit, life: int, *, tcp: bool = False) -> None:
        self.unit, self.tcp = unit, tcp
        self.xid = life << 24

    def lock(self, procedure: int, status: int = OK, *, files: int = 1024, reclaim: bool = False) -> None:
        """LOCK and UNLOCK from the client, GRANTED to it, of the file of this turn, one of ``files``; 0: of its own."""
        self.xid += 1
        cookie, handle = packets.opaque(struct.pack(">I", self.xid)), bytes.fromhex("01000701") + bytes(28)
        before = {LOCK: struct.pack(">II", 1, 1), GRANTED: struct.pack(">I", 1)}.get(procedure, b"")
        name = packets.opaque(NAME)
        lock = name + packets.opaque(handle) + packets.opaque(b"17@" + NAME) + struct.pack(">IQQ", 17, 0, 100)
        after = struct.pack(">II", int(reclaim), 3) if procedure == LOCK else b""
        body = cookie + before + lock + after
        up = procedure != GRANTED
        credential = CREDENTIAL if up else packets.auth_sys("nfs-server")
        call = packets.rpc_call(self.xid, NLM, 4, procedure, body, cred=credential)
        at = len(call) - len(body)
        fh = at + len(cookie + before + name) + 32
        file = Number(fh, 1, 1, 7, files) if files else Number(fh, 1 << 20, 0, 1)
        names = [i + 1 for i in range(len(call)) if call.startswith(b"c0000", i)]
        ports = (700, LOCKD) if up else (LOCKD, 701)  # the client's side first
        self._put(ports, up, call, [self._again(0), self._again(at + 4), file], names)
        reply = packets.rpc_reply(self.xid, cookie + struct.pack(">I", status))
        self._put(ports, not up, reply, [self._again(0), self._again(28)])

    def notify(self) -> None:
        """SM_NOTIFY of the server to the client."""
        self.xid += 1
        call = packets.rpc_call(self.xid, NSM, 1, 6, packets.opaque("nfs-server") + struct.pack(">I", 5))
        self._put((STATD, 703), False, call, [self._again(0)])
        self._put((STATD, 703), True, packets.rpc_reply(self.xid), [self._again(0)])

    def transfer(self, procedure: int) -> None:
        """READ or WRITE of 32 KiB."""
        self.xid += 1
        data = packets.opaque(bytes(range(256)) * (TRANSFER // 256))
        args = packets.opaque(bytes(32)) + struct.pack(">QI", 0, TRANSFER)
        args += struct.pack(">I", 0) + data if procedure == WRITE else b""
        call = packets.rpc_call(self.xid, NFS, 3, procedure, args, cred=CREDENTIAL)
        results = struct.pack(">II", 0, 1) + bytes(84)
        results += struct.pack(">II", TRANSFER, 1) + data if procedure == READ else bytes(16)
        self._put((800, NFSD), True, call, [self._again(0)])
        self._put((800, NFSD), False, packets.rpc_reply(self.xid, results), [self._again(0)])

    def _again(self, at: int) -> Number:
        """The xid, or the cookie, which goes on from turn to turn."""
        return Number(at, self.xid, 256)

    def _put(
        self, ports: tuple[int, int], up: bool, message: bytes, numbers: list[Number], names: list[int] | None = None
    ) -> None:
        self.unit.message(*ports, up, message, numbers, names or [], self.tcp)


def locks(frames: int, clients: int = 200) -> list[Part]:
    """LOCK and UNLOCK, granted, over UDP."""
    unit = Unit()
    talk = Talk(unit, 1)
    talk.lock(LOCK)
    talk.lock(UNLOCK)
    return [Part(unit, frames // unit.frames, clients)]


def bulk(frames: int, share: int = 100, snaplen: int = 262144, clients: int = 200) -> list[Part]:
    """READ and WRITE; one frame in ``share`` is of a lock. All over TCP."""
    unit = Unit(snaplen)
    talk = Talk(unit, 1, tcp=True)
    for procedure in (LOCK, UNLOCK):
        until = unit.frames + 2 * share - 1
        while unit.frames < until:
            talk.transfer(READ)
            talk.transfer(WRITE)
        talk.lock(procedure)
    return [Part(unit, max(frames // unit.frames, 1), clients)]


def hot(requests: int, clients: int = 50) -> list[Part]:
    """One lock, for which all clients wait in turn: who is called back unlocks it, and asks again."""
    first, waiting, called, release = Unit(), Unit(), Unit(gap=1000), Unit()
    Talk(first, 1).lock(LOCK, files=1)
    Talk(waiting, 2).lock(LOCK, BLOCKED, files=1)
    Talk(release, 3).lock(UNLOCK, files=1)
    talk = Talk(called, 4)
    talk.lock(GRANTED, files=1)
    talk.lock(UNLOCK, files=1)
    talk.lock(LOCK, BLOCKED, files=1)
    parts = [Part(first, 1, 1, begin=clients), Part(waiting, clients, clients), Part(release, 1, 1, begin=clients)]
    return in_turn([*parts, Part(called, requests // 3, clients)])


def restart(frames: int, clients: int = 20) -> list[Part]:
    """Locks; in the middle the server restarts and calls all clients but the last: that one loses its lock."""
    hold, work, back, more = Unit(), Unit(), Unit(gap=1000), Unit()
    Talk(hold, 1).lock(LOCK, files=0)
    talk = Talk(work, 2)
    talk.lock(LOCK)
    talk.lock(UNLOCK)
    talk = Talk(back, 3)
    talk.notify()
    talk.lock(LOCK, files=0, reclaim=True)
    talk = Talk(more, 4)
    talk.lock(LOCK)
    talk.lock(UNLOCK)
    turns = frames // 2 // work.frames
    before = in_turn([Part(hold, clients, clients), Part(work, turns, clients)])
    down = before[-1].until + 20 * SECOND
    after = in_turn([Part(back, clients - 1, clients - 1, down), Part(more, turns, clients, down + 100 * SECOND)])
    return before + after


def in_turn(parts: list[Part]) -> list[Part]:
    """Parts that follow each other, where they do not say when they begin."""
    placed: list[Part] = []
    for part in parts:
        placed.append(part if part.at or not placed else part._replace(at=placed[-1].until))
    return placed


MAKERS: dict[str, Callable[[int], list[Part]]] = {
    "locks": locks,
    "locks-1-client": lambda frames: locks(frames, clients=1),
    "bulk-1%": bulk,
    "bulk-0.1%": lambda frames: bulk(frames, share=1000),
    "cut-200": lambda frames: bulk(frames, snaplen=200),
    "hot": hot,
    "restart": restart,
}


def write(name: str, size: int, path: str) -> None:
    """Write a capture; ``size`` is its frames, for "hot" its requests."""
    with os.fdopen(1, "wb", 0) if path == "-" else open(path, "wb", 0) as file:
        for piece in capture(MAKERS[name](size)):
            while piece:
                piece = piece[file.write(piece) :]


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]), sys.argv[3])
