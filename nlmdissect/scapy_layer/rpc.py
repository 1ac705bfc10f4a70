"""The headers of ONC RPC as Packet classes, and how Scapy comes to them: by content, never by port (RFC 5531).

The ports of lockd and statd are dynamic, and clients call from reserved ports that belong to other protocols. So UDP
and TCP look at what they carry before they look at their ports: an RPC call has version 2 and a program that is known
here, an answer has a header in which every word is right. A segment is looked at alone, unless a session follows it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from scapy.config import conf
from scapy.fields import BitField, ConditionalField, IntEnumField, IntField, SignedIntEnumField, XIntField
from scapy.layers.inet import TCP, UDP
from scapy.packet import Packet, bind_top_down
from scapy.volatile import RandInt

from nlmdissect.protocols import PROGRAMS, find, program_name, rpc
from nlmdissect.scapy_layer.procedures import PROCEDURES
from nlmdissect.scapy_layer.xdr import OpaqueField, StructField, XdrPacket, layer
from nlmdissect.xdr.schema import Enum

LONGEST = 4 << 20  # a record mark that says more is none
LAST = 0x80000000
HEAD = 8  # xid and message type

CALL, REPLY = rpc.msg_type.members["CALL"], rpc.msg_type.members["REPLY"]
ACCEPTED, DENIED = rpc.reply_stat.members["MSG_ACCEPTED"], rpc.reply_stat.members["MSG_DENIED"]
SUCCESS, PROG_MISMATCH = rpc.accept_stat.members["SUCCESS"], rpc.accept_stat.members["PROG_MISMATCH"]
RPC_MISMATCH, AUTH_ERROR = rpc.reject_stat.members["RPC_MISMATCH"], rpc.reject_stat.members["AUTH_ERROR"]
AUTH_SYS, GSS = rpc.auth_flavor.members["AUTH_SYS"], rpc.auth_flavor.members["RPCSEC_GSS"]
CLEAR = rpc.rpc_gss_service.members["rpc_gss_svc_none"]
KNOWN = frozenset(number for number, _ in PROGRAMS)


def _enum(name: str, default: int, t: Enum) -> SignedIntEnumField:
    return SignedIntEnumField(name, default, {number: member for member, number in t.members.items()})


class CredentialField(OpaqueField):
    """The body of a credential: a packet where its flavor has a structure and the bytes have it, else bytes."""

    def i2repr(self, pkt: Packet, x: Any) -> str:
        return repr(x) if isinstance(x, Packet) else str(super().i2repr(pkt, x))

    def addfield(self, pkt: Packet, s: bytes, val: Any) -> bytes:
        return bytes(super().addfield(pkt, s, bytes(val)))

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, Any]:
        rest, body = super().getfield(pkt, s)
        t = rpc.CREDENTIALS.get(pkt.flavor)
        if t is None:
            return rest, body
        try:
            inner = layer(t)(body)
        except struct.error:
            return rest, body
        return rest, inner if body and not inner.payload else body


class OpaqueAuth(XdrPacket):
    """A credential or a verifier."""

    name = "opaque_auth"
    fields_desc = [_enum("flavor", 0, rpc.auth_flavor), CredentialField("body", rpc.MAX_AUTH_BYTES)]  # noqa: RUF012


def auth_sys(
    machinename: str | bytes, uid: int = 0, gid: int = 0, gids: Sequence[int] = (), stamp: int = 0
) -> OpaqueAuth:
    """A credential of AUTH_SYS, for ``RpcCall(cred=...)``."""
    body = layer(rpc.authsys_parms)(stamp=stamp, machinename=machinename, uid=uid, gid=gid, gids=list(gids))
    return OpaqueAuth(flavor=AUTH_SYS, body=body)


class ProcedureField(IntField):  # type: ignore[misc]
    """A procedure's number, shown with the name that it has in its program and version."""

    def i2repr(self, pkt: Packet, x: int) -> str:
        known = find(pkt.prog, pkt.vers, x)
        return f"{x} {known.name}" if known else str(x)


class RpcCall(Packet):  # type: ignore[misc]
    """A call. ``RpcCall() / NLM4_LOCK_Call(...)`` fills in program, version and procedure."""

    name = "RPC call"
    fields_desc = [  # noqa: RUF012
        XIntField("xid", RandInt()),
        _enum("mtype", CALL, rpc.msg_type),
        IntField("rpcvers", rpc.RPC_VERSION),
        IntEnumField("prog", 0, {number: program_name(number) for number in KNOWN}),
        IntField("vers", 0),
        ProcedureField("proc", 0),
        StructField("cred", OpaqueAuth(), OpaqueAuth),
        StructField("verf", OpaqueAuth(), OpaqueAuth),
    ]

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        known = PROCEDURES.get((self.prog, self.vers, self.proc))
        return known[0] if known and in_clear(self) else conf.raw_layer

    def hashret(self) -> bytes:
        return struct.pack("!I", self.xid)

    def mysummary(self) -> str:
        known = find(self.prog, self.vers, self.proc)
        what = f"{program_name(self.prog)}{self.vers} {known.name if known else self.proc}"
        return f"{what} call xid={self.sprintf('%xid%')}"


def _accepted(pkt: Packet) -> bool:
    return bool(pkt.reply_stat == ACCEPTED)


def _denied(pkt: Packet) -> bool:
    return bool(pkt.reply_stat == DENIED)


def _mismatch(pkt: Packet) -> bool:
    if _accepted(pkt):
        return bool(pkt.accept_stat == PROG_MISMATCH)
    return _denied(pkt) and bool(pkt.reject_stat == RPC_MISMATCH)


class RpcReply(Packet):  # type: ignore[misc]
    """An answer. What follows its header only the call can tell: a session knows it, ``answers()`` learns it, and
    ``results_of(call)`` says it.
    """

    name = "RPC reply"
    fields_desc = [  # noqa: RUF012
        XIntField("xid", 0),
        _enum("mtype", REPLY, rpc.msg_type),
        _enum("reply_stat", ACCEPTED, rpc.reply_stat),
        ConditionalField(StructField("verf", OpaqueAuth(), OpaqueAuth), _accepted),
        ConditionalField(_enum("accept_stat", SUCCESS, rpc.accept_stat), _accepted),
        ConditionalField(_enum("reject_stat", RPC_MISMATCH, rpc.reject_stat), _denied),
        ConditionalField(IntField("low", 0), _mismatch),
        ConditionalField(IntField("high", 0), _mismatch),
        ConditionalField(
            _enum("auth_stat", 0, rpc.auth_stat), lambda pkt: _denied(pkt) and pkt.reject_stat == AUTH_ERROR
        ),
    ]

    def results_of(self, call: RpcCall) -> None:
        """Take the results apart, which are those of this call. Bytes that are not stay Raw."""
        known = PROCEDURES.get((call.prog, call.vers, call.proc))
        success = _accepted(self) and self.accept_stat == SUCCESS
        if known is None or not success or not in_clear(call) or not isinstance(self.payload, conf.raw_layer):
            return
        try:
            results = known[1](bytes(self.payload))
        except struct.error:
            return
        self.remove_payload()
        self.add_payload(results)

    def hashret(self) -> bytes:
        return struct.pack("!I", self.xid)

    def answers(self, other: Packet) -> bool:
        if not isinstance(other, RpcCall) or other.xid != self.xid:
            return False
        self.results_of(other)
        return True

    def mysummary(self) -> str:
        return f"RPC reply xid={self.sprintf('%xid%')}"


class RpcRecord(Packet):  # type: ignore[misc]
    """The record mark before a message on TCP. Sessions make one fragment of a record that has several."""

    name = "RPC record mark"
    fields_desc = [BitField("last", 1, 1), BitField("length", None, 31)]  # noqa: RUF012

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        if self.length is None:
            pkt = struct.pack("!I", self.last << 31 | len(pay))
        return pkt + pay

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        return (self.last and message(payload)) or conf.raw_layer

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return s[: self.length], s[self.length :]

    def hashret(self) -> bytes:
        return bytes(self.payload.hashret())

    def answers(self, other: Packet) -> bool:
        return isinstance(other, RpcRecord) and bool(self.payload.answers(other.payload))

    @classmethod
    def tcp_reassemble(cls, data: bytes, metadata: dict[str, Any], session: dict[str, Any]) -> Packet | None:
        """Scapy's interface for streams: the first record once all of it is there; Raw for what is none."""
        try:
            whole, used = take(data)
        except NotRpcError:
            return conf.raw_layer(data)
        return None if whole is None else cls(struct.pack("!I", LAST | len(whole)) + whole + data[used:])


class NotRpcError(Exception):
    """Bytes of a stream that are no record of RPC."""


def take(data: bytes | bytearray) -> tuple[bytes | None, int]:
    """The first record of a stream without its marks, or None while it is not whole, and how many bytes it took.

    Raises NotRpcError.
    """
    fragments: list[bytes] = []
    at, size, last = 0, 0, False
    while not last:
        if len(data) < at + 4:
            return None, 0
        (mark,) = struct.unpack_from("!I", data, at)
        last, length = bool(mark & LAST), mark & ~LAST
        size += length
        kind = int.from_bytes(data[at + 8 : at + 12]) if not fragments and length >= HEAD else 0
        if not length or size > LONGEST or kind > REPLY:
            raise NotRpcError
        if len(data) < at + 4 + length:
            return None, 0
        fragments.append(bytes(data[at + 4 : at + 4 + length]))
        at += 4 + length
    return b"".join(fragments), at


def in_clear(call: RpcCall) -> bool:
    """Do arguments and results stand as they are? RPCSEC_GSS may hide or wrap them, or carry a token instead."""
    if call.cred.flavor != GSS:
        return True
    body = call.cred.body
    return not isinstance(body, bytes) and body.gss_proc == 0 and body.service == CLEAR


def message(payload: bytes) -> type[Packet] | None:
    """RpcCall or RpcReply, if these bytes begin as one."""
    if len(payload) < 20:
        return None
    _, kind, word, one, two = struct.unpack_from("!5I", payload)
    if kind == CALL:
        return RpcCall if word == rpc.RPC_VERSION and one in KNOWN else None
    if kind != REPLY:
        return None
    if word == DENIED:
        denied = (one == AUTH_ERROR and len(payload) == 20) or (one == RPC_MISMATCH and len(payload) == 24)
        return RpcReply if denied else None
    status = payload[20 + two + -two % 4 :][:4]
    accepted = one in rpc.auth_flavor.members.values() and two <= rpc.MAX_AUTH_BYTES
    known = len(status) == 4 and int.from_bytes(status) in rpc.accept_stat.members.values()
    return RpcReply if word == ACCEPTED and accepted and known else None


def record(payload: bytes) -> type[Packet] | None:
    """RpcRecord, if these bytes begin with a record mark and a message."""
    size = int.from_bytes(payload[:4]) & ~LAST
    return RpcRecord if 0 < size <= LONGEST and message(payload[4:]) else None


def _by_content(transport: type[Packet], found: Callable[[bytes], type[Packet] | None]) -> None:
    """Let a transport look at what it carries, and at its ports after that."""
    by_port = transport.guess_payload_class

    def guess(self: Packet, payload: bytes) -> type[Packet]:
        return found(payload) or by_port(self, payload)

    transport.guess_payload_class = guess


for (_program, _version, _procedure), (_arguments, _) in PROCEDURES.items():
    bind_top_down(RpcCall, _arguments, prog=_program, vers=_version, proc=_procedure)
_by_content(UDP, message)
_by_content(TCP, record)
