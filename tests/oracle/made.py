"""Frames that no recording has: every procedure, every RPC error, retransmissions, colliding numbers.

Only the bytes matter here, not whether a host would send them; what they mean is tshark's to say.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from support import packets

from nlmdissect.protocols import PROGRAMS, find, rpc
from nlmdissect.xdr.codec import encode
from nlmdissect.xdr.schema import Array, Enum, FixedOpaque, List, Number, Opaque, String, Struct, Union, Xdr

CLIENT, SERVER, OTHER = "10.0.0.1", "10.0.0.7", "10.0.0.3"
LOCKD, STATD, RPCBIND = 4045, 33662, 111
PORTS = {100000: RPCBIND, 100021: LOCKD, 100024: STATD}
NLM, NSM, PORTMAP = 100021, 100024, 100000

Frames = list[bytes]


def value_of(t: Xdr, name: str = "", salt: int = 1) -> Any:
    """Some value of a type: other numbers in every leaf, so that no two can be mixed up."""
    match t:
        case Number(dtype=dtype):
            return salt % 2 if t.name == "bool" else (salt << 40 | salt) if "8" in dtype else salt
        case Enum(members=members):
            return list(members.values())[salt % len(members)]
        case String() | Opaque():
            return f"{name}{salt}".encode()
        case FixedOpaque(size=size):
            return bytes(range(salt, salt + size))
        case Array():
            return [salt, salt + 1]
        case List(element=element):
            return [value_of(element, name, salt + n) for n in range(3)]
        case Struct(fields=fields):
            return {leaf: value_of(of, leaf, salt + 3 * n) for n, (leaf, of) in enumerate(fields.items())}
        case Union(on=on, arms=arms):
            member = next(iter(arms))
            return {"tag": on.members[member], **value_of(arms[member], name, salt)}


def datagram(
    message: bytes, sport: int = 700, dport: int = LOCKD, src: str = CLIENT, dst: str = SERVER, ident: int = 1
) -> bytes:
    return packets.ethernet(packets.ip(src, dst, packets.UDP, packets.udp(sport, dport, message), ident=ident))


def back(message: bytes, sport: int = LOCKD, dport: int = 700, ident: int = 1) -> bytes:
    return datagram(message, sport, dport, SERVER, CLIENT, ident)


def args(program: int, version: int, procedure: int, **changes: Any) -> bytes:
    """Arguments of a procedure, with the leaves that are given."""
    found = find(program, version, procedure)
    assert found is not None
    value = value_of(found.args)
    for name, new in changes.items():
        within = value if name in value else value["alock"]
        within[name] = new
    return encode(found.args, value)


def lock(xid: int, procedure: int = 2, **changes: Any) -> bytes:
    return packets.rpc_call(xid, NLM, 4, procedure, args(NLM, 4, procedure, **changes), machinename="client1")


def granted(xid: int) -> bytes:
    return packets.rpc_reply(xid, packets.opaque(b"cookie1") + bytes(4))


def every_procedure(program: int) -> Callable[[], Frames]:
    """Each procedure of each version, asked and answered."""

    def frames() -> Frames:
        out, xid = [], 0
        for (number, version), page in PROGRAMS.items():
            for procedure in page.procedures if number == program else ():
                xid += 1
                call = packets.rpc_call(
                    xid, number, version, procedure.number, encode(procedure.args, value_of(procedure.args))
                )
                reply = packets.rpc_reply(xid, encode(procedure.res, value_of(procedure.res)))
                out += [datagram(call, dport=PORTS[program]), back(reply, PORTS[program])]
        return out

    return frames


def unanswered() -> Frames:
    """Calls alone: what they ask must not look like an answer."""
    return [frame for program in PORTS for frame in every_procedure(program)()[::2]]


def rpc_errors() -> Frames:
    """Every way to say no."""
    answers = [
        *(packets.rpc_reply(n, accept=n) for n in (1, 3, 4, 5)),
        packets.rpc_reply(2, struct.pack(">II", 1, 3), accept=2),
        packets.rpc_denied(6, 0, 2, 2),
        packets.rpc_denied(7, 1, 5),
    ]
    return [datagram(lock(n)) for n in range(1, 8)] + [back(answer) for answer in answers]


def strange_values() -> Frames:
    """Legal bytes that few would send."""
    return [
        datagram(lock(1, cookie=b"", caller_name=b"", fh=b"", oh=b"", svid=2**32 - 1, l_offset=2**63, l_len=2**64 - 1, state=-1)),
        back(packets.rpc_reply(1, packets.opaque(b"") + struct.pack(">I", 99))),
        datagram(packets.rpc_call(2, NLM, 4, 2, packets.opaque(b"c") + struct.pack(">II", 7, 9) + args(NLM, 4, 2)[20:])),
        datagram(lock(3, fh=bytes(range(64)), oh=bytes(1024), caller_name=b"\xff\xfe\x00name")),
        datagram(packets.rpc_call(4, NSM, 1, 6, args(NSM, 1, 6, mon_name=b"h\xc3\xb6st", state=-3)), dport=STATD),
        datagram(packets.rpc_call(5, NLM, 4, 1, args(NLM, 4, 1))),
        back(packets.rpc_reply(5, packets.opaque(b"c") + struct.pack(">i", -1))),
    ]  # fmt: skip


def unknown_procedures() -> Frames:
    """A procedure, a version and programs that are not ours to read."""
    calls = (
        (NLM, 4, 30),
        (NLM, 9, 2),
        (NSM, 1, 9),
        (NSM, 2, 6),
        (PORTMAP, 2, 9),
        (PORTMAP, 1, 3),
        (100020, 1, 2),
        (200048, 1, 1),
    )
    out = []
    for xid, (program, version, procedure) in enumerate(calls):
        out += [
            datagram(packets.rpc_call(xid, program, version, procedure, bytes(32)), dport=LOCKD),
            back(packets.rpc_reply(xid, bytes(32))),
        ]
    return out


def relayed() -> Frames:
    """NSM inside of a call of portmap."""
    out = []
    for xid, (version, procedure) in enumerate(((2, 5), (3, 5), (4, 5), (4, 10)), 1):
        inner = struct.pack(">III", NSM, 1, 1) + packets.opaque(args(NSM, 1, 1))
        where = struct.pack(">I", STATD) if version == 2 else packets.opaque(f"{SERVER}.131.126")
        out += [
            datagram(packets.rpc_call(xid, PORTMAP, version, procedure, inner), dport=RPCBIND),
            back(packets.rpc_reply(xid, where + packets.opaque(struct.pack(">II", 0, 5))), RPCBIND),
        ]
    return out


def retransmitted() -> Frames:
    """UDP: the same call twice, answered twice; and one more answer than there were calls."""
    calls = [datagram(lock(n), ident=number) for number, n in enumerate((1, 1, 2))]
    return calls + [back(granted(n), ident=number) for number, n in enumerate((1, 1, 2, 2))]


def port_ignored() -> Frames:
    """UDP: one host, one xid, two ports, two procedures; the second is answered first."""
    unlock = packets.rpc_call(1, NLM, 4, 4, args(NLM, 4, 4))
    return [datagram(lock(1)), datagram(unlock, 701), back(granted(1), dport=701), back(granted(1))]


def xid_again() -> Frames:
    """UDP: one xid for one call, and later for another one."""
    return [
        datagram(lock(1)),
        back(granted(1)),
        datagram(lock(1, 1)),
        back(packets.rpc_reply(1, packets.opaque(b"c") + bytes(4))),
    ]


def same_cookie() -> Frames:
    """Two clients ask with the same cookie, and both are answered."""
    ask = args(NLM, 4, 7)
    answer = packets.opaque(b"cookie1") + bytes(4)
    return [
        datagram(packets.rpc_call(1, NLM, 4, 7, ask)),
        datagram(packets.rpc_call(2, NLM, 4, 7, ask), src=OTHER),
        datagram(packets.rpc_call(3, NLM, 4, 12, answer), 800, LOCKD, SERVER, CLIENT),
        datagram(packets.rpc_call(4, NLM, 4, 12, answer), 800, LOCKD, SERVER, OTHER),
    ]


def other_verb() -> Frames:
    """One host, one cookie: CANCEL_MSG follows LOCK_MSG, and LOCK_RES comes last."""
    cancel = args(NLM, 4, 8, cookie=b"cookie1")
    answer = packets.opaque(b"cookie1") + bytes(4)
    return [
        datagram(packets.rpc_call(1, NLM, 4, 7, args(NLM, 4, 7))),
        datagram(packets.rpc_call(2, NLM, 4, 8, cancel)),
        datagram(packets.rpc_call(3, NLM, 4, 13, answer), 800, LOCKD, SERVER, CLIENT),
        datagram(packets.rpc_call(4, NLM, 4, 12, answer), 800, LOCKD, SERVER, CLIENT),
    ]


def quoted() -> Frames:
    """Nobody listens at statd's port, and the ICMP error quotes the whole NOTIFY."""
    notify = packets.rpc_call(1, NSM, 1, 6, args(NSM, 1, 6))
    packet = packets.ip(SERVER, CLIENT, packets.UDP, packets.udp(680, STATD, notify))
    refused = packets.ip(CLIENT, SERVER, packets.ICMP, packets.unreachable(packet))
    return [packets.ethernet(packet), packets.ethernet(refused)]


def mirrored() -> Frames:
    """A port mirror that shows every frame twice."""
    return [frame for frame in (datagram(lock(1)), back(granted(1))) for _ in range(2)]


def late() -> Frames:
    """The capture begins between call and answer."""
    return [back(granted(1)), datagram(lock(2)), back(granted(2))]


def streams() -> Frames:
    """TCP: two records in one segment, a record in two segments, a record of two fragments; reserved and taken ports."""
    out, at, answer = [], 1, 1
    whole = [packets.record_mark(lock(n)) for n in range(1, 5)]
    pieces = [whole[0] + whole[1], whole[2][:50], whole[2][50:], packets.record_mark(lock(4), 60)]
    for piece in pieces:
        out.append(
            packets.ethernet(
                packets.ip(CLIENT, SERVER, packets.TCP, packets.tcp(995, LOCKD, piece, seq=at, ack=answer))
            )
        )
        at += len(piece)
    for n in range(1, 5):
        said = packets.record_mark(granted(n))
        out.append(
            packets.ethernet(packets.ip(SERVER, CLIENT, packets.TCP, packets.tcp(LOCKD, 995, said, seq=answer, ack=at)))
        )
        answer += len(said)
    return out


def credentials() -> Frames:
    """AUTH_SYS with groups, AUTH_SHORT, and RPCSEC_GSS in clear, with integrity and with privacy."""
    body = args(NLM, 4, 2)
    short = struct.pack(">I", 2) + packets.opaque(b"handle")
    out = [
        datagram(packets.rpc_call(1, NLM, 4, 2, body, cred=packets.auth_sys("client1", 1000, 100, (4, 24, 27), 77))),
        datagram(packets.rpc_call(2, NLM, 4, 2, body, cred=short)),
    ]
    for service in rpc.rpc_gss_service.members.values():
        xid = 2 + service
        cred = struct.pack(">I", 6) + packets.opaque(struct.pack(">IIII", 1, 0, 9, service) + packets.opaque(b"ctx!"))
        clear = struct.pack(">I", 9) + body
        sealed = {1: body, 2: packets.opaque(clear) + packets.opaque(b"checksum"), 3: packets.opaque(bytes(80))}[
            service
        ]
        result = packets.opaque(b"cookie1") + bytes(4)
        answer = {
            1: result,
            2: packets.opaque(struct.pack(">I", 9) + result) + packets.opaque(b"checksum"),
            3: packets.opaque(bytes(40)),
        }[service]
        verf = struct.pack(">I", 6) + packets.opaque(b"checksum")
        out.append(datagram(packets.rpc_call(xid, NLM, 4, 2, sealed, cred=cred, verf=verf)))
        out.append(back(packets.rpc_reply(xid, answer, verf=verf)))
    return out


MADE: Mapping[str, Callable[[], Frames]] = {
    "every-nlm": every_procedure(NLM),
    "every-nsm": every_procedure(NSM),
    "every-portmap": every_procedure(PORTMAP),
    **{
        f.__name__.replace("_", "-"): f
        for f in (
            unanswered, rpc_errors, strange_values, unknown_procedures, relayed, retransmitted, port_ignored, xid_again, same_cookie, other_verb,
            quoted, mirrored, late, streams, credentials,
        )
    },
}  # fmt: skip
