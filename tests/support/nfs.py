"""Calls of NFS and MOUNT that name file handles, with their answers, word by word from RFC 1094 and RFC 1813.

    wire = Wire()
    wire.mnt("/export", b"R")
    wire.lookup(b"R", "a", b"A", fileid=7)
    wire.write(path)

Each message is a frame of its own, one second after the one before it. A handle is padded to 28 bytes in version 3 and
to 32 in version 2.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

from support.packets import START, ethernet, ip, opaque, pcap, rpc_call, rpc_reply, udp

from nlmdissect.findings import At

CLIENT, SERVER = "10.0.0.21", "10.0.0.1"
NFS, MOUNT, NLM = 100003, 100005, 100021
NOENT = 2
SECOND = 10**9


def fh(name: bytes, version: int = 3) -> bytes:
    """The bytes of a handle."""
    return name.ljust(32 if version == 2 else 28, b".")


def fattr3(fileid: int, kind: int = 1) -> bytes:
    """RFC 1813, 2.6: 84 bytes, fileid at 52."""
    return struct.pack(">IIIIIQQIIQQ", kind, 0o644, 1, 0, 0, 10, 10, 0, 0, 77, fileid) + bytes(24)


def fattr2(fileid: int, kind: int = 1) -> bytes:
    """RFC 1094, 2.3.5: 17 words, fileid the eleventh."""
    return struct.pack(">11I", kind, 0o644, 1, 0, 0, 10, 4096, 0, 1, 77, fileid) + bytes(24)


def post_op(attributes: bytes | None) -> bytes:
    """Something that may follow."""
    return bytes(4) if attributes is None else b"\0\0\0\1" + attributes


WCC = bytes(8)  # neither before nor after


@dataclass
class Wire:
    """``place(n)`` is where frame n is; ``pace`` the seconds between two."""

    version: int = 3
    client: str = CLIENT
    server: str = SERVER
    frames: list[tuple[float, bytes]] = field(default_factory=list)
    xid: int = 100
    pace: int = 1

    def place(self, frame: int) -> At:
        return At((START + (frame - 1) * self.pace) * SECOND, 0, frame)

    def write(self, path: Path, snaplen: int = 262144) -> Path:
        path.write_bytes(pcap(self.frames, snaplen=snaplen))
        return path

    def call(self, procedure: int, body: bytes, *, program: int = NFS, version: int = 0, again: bool = False) -> int:
        """A call; its frame. ``again``: with the xid of the one before."""
        self.xid += not again
        port = 635 if program == MOUNT else 4045 if program == NLM else 2049
        version = version or self.version
        return self.send(rpc_call(self.xid, program, version, procedure, body, machinename="c"), True, port)

    def reply(self, body: bytes, *, port: int = 2049, xid: int | None = None) -> int:
        """An answer to the last call; its frame."""
        return self.send(rpc_reply(self.xid if xid is None else xid, body), False, port)

    def send(self, message: bytes, asks: bool, port: int = 2049) -> int:
        """A frame with these bytes, from the client if it ``asks``."""
        ends, ports = ((self.client, self.server), (800, port)) if asks else ((self.server, self.client), (port, 800))
        number = len(self.frames) + 1
        self.frames.append(((number - 1) * self.pace, ethernet(ip(*ends, 17, udp(*ports, message), ident=number))))
        return number

    def handle(self, name: bytes) -> bytes:
        return fh(name, 2) if self.version == 2 else opaque(fh(name))

    def name(self, directory: bytes, name: str | bytes) -> bytes:
        """diropargs of both versions."""
        return self.handle(directory) + opaque(name)

    def mnt(self, path: str, root: bytes) -> int:
        """MNT of MOUNT 3, or 1 beside NFSv2; the frame of the answer."""
        self.call(1, opaque(path), program=MOUNT, version=1 if self.version == 2 else 3)
        flavors = b"" if self.version == 2 else struct.pack(">II", 1, 1)
        return self.reply(bytes(4) + self.handle(root) + flavors, port=635)

    def found(self, file: bytes, fileid: int) -> bytes:
        """Results of LOOKUP."""
        if self.version == 2:
            return bytes(4) + self.handle(file) + fattr2(fileid)
        return bytes(4) + self.handle(file) + post_op(fattr3(fileid)) + post_op(None)

    def lookup(self, directory: bytes, name: str | bytes, file: bytes, fileid: int = 5) -> int:
        self.call(4 if self.version == 2 else 3, self.name(directory, name))
        return self.reply(self.found(file, fileid))

    def missing(self, directory: bytes, name: str) -> int:
        """A LOOKUP that is answered NOENT."""
        self.call(4 if self.version == 2 else 3, self.name(directory, name))
        return self.reply(struct.pack(">I", NOENT) + (b"" if self.version == 2 else post_op(None)))

    def remove(self, directory: bytes, name: str, status: int = 0) -> int:
        self.call(10 if self.version == 2 else 12, self.name(directory, name))
        return self.reply(struct.pack(">I", status) + (b"" if self.version == 2 else WCC))

    def rename(self, directory: bytes, name: str, to: bytes, new: str, status: int = 0) -> int:
        self.call(11 if self.version == 2 else 14, self.name(directory, name) + self.name(to, new))
        return self.reply(struct.pack(">I", status) + (b"" if self.version == 2 else WCC + WCC))

    def link(self, file: bytes, directory: bytes, name: str) -> int:
        self.call(12 if self.version == 2 else 15, self.handle(file) + self.name(directory, name))
        return self.reply(bytes(4) + (b"" if self.version == 2 else post_op(None) + WCC))

    def getattr(self, file: bytes, fileid: int) -> int:
        self.call(1, self.handle(file))
        return self.reply(bytes(4) + (fattr2(fileid) if self.version == 2 else fattr3(fileid)))

    def readdirplus(self, directory: bytes, entries: list[tuple[str, bytes | None]]) -> int:
        self.call(17, self.handle(directory) + bytes(16) + struct.pack(">II", 512, 4096))
        listed = b"".join(
            struct.pack(">IQ", 1, number) + opaque(name) + struct.pack(">Q", number)
            + post_op(fattr3(number)) + post_op(None if file is None else opaque(fh(file)))
            for number, (name, file) in enumerate(entries, 1)
        )  # fmt: skip
        return self.reply(bytes(4) + post_op(None) + bytes(8) + listed + struct.pack(">II", 0, 1))

    def lock(self, file: bytes) -> int:
        """NLM_LOCK of version 4, or 1 beside NFSv2; the frame of the call."""
        owner = opaque("c") + opaque(fh(file, self.version)) + opaque("o") + struct.pack(">I", 1)
        alock = owner + (bytes(8) if self.version == 2 else bytes(16))
        body = opaque(b"\1") + struct.pack(">II", 0, 1) + alock + struct.pack(">II", 0, 3)
        frame = self.call(2, body, program=NLM, version=1 if self.version == 2 else 4)
        self.reply(opaque(b"\1") + bytes(4), port=4045)
        return frame
