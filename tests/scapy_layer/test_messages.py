"""What Scapy builds, held against bytes that were put together by hand from the specifications."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, UDPerror
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw
from support import packets
from support.xdr_values import values

from nlmdissect import scapy_layer
from nlmdissect.protocols import PROGRAMS, rpc
from nlmdissect.scapy_layer import (
    CLASSES,
    PROCEDURES,
    NLM4_GRANTED_Call,
    NLM4_LOCK_Call,
    NLM4_LOCK_Reply,
    NLM4_TEST_Reply,
    NSM1_NOTIFY_Call,
    NSM1_NOTIFY_Reply,
    NSM1_STAT_Reply,
    OpaqueAuth,
    PORTMAP2_DUMP_Reply,
    PORTMAP2_GETPORT_Call,
    RpcCall,
    RpcRecord,
    RpcReply,
    auth_sys,
)  # fmt: skip
from nlmdissect.xdr.codec import encode

LOCK = {
    "cookie": b"\x12\x34", "exclusive": True, "reclaim": True, "state": 5,
    "alock": {"caller_name": "client-a", "fh": bytes(range(28)), "oh": "7@client-a", "svid": 7, "l_offset": 10, "l_len": 90},
}  # fmt: skip
LOCK_BYTES = (
    packets.opaque(b"\x12\x34") + struct.pack(">II", 0, 1) + packets.opaque("client-a") + packets.opaque(bytes(range(28)))
    + packets.opaque("7@client-a") + struct.pack(">IQQIi", 7, 10, 90, 1, 5)
)  # fmt: skip


def test_a_reclaim() -> None:
    call = RpcCall(xid=9, cred=auth_sys("client-a", 1000, 100, (4, 24), 3)) / NLM4_LOCK_Call(**LOCK)
    cred = packets.auth_sys("client-a", 1000, 100, (4, 24), 3)
    assert bytes(call) == packets.rpc_call(9, 100021, 4, 2, LOCK_BYTES, cred=cred)


def test_lengths_of_udp_and_tcp() -> None:
    call = RpcCall(xid=9) / NSM1_NOTIFY_Call(mon_name="nfs-server", state=5)
    message = packets.rpc_call(9, 100024, 1, 6, packets.opaque("nfs-server") + struct.pack(">i", 5))
    assert bytes(UDP() / call)[4:6] == struct.pack(">H", 8 + len(message))
    assert bytes(RpcRecord() / call) == packets.record_mark(message)
    assert bytes(RpcRecord(last=0) / call) == struct.pack(">I", len(message)) + message


def test_answers_of_every_kind() -> None:
    for status in range(6):
        words = struct.pack(">II", 1, 4) if status == 2 else b""
        reply = RpcReply(xid=1, accept_stat=status, low=1, high=4)
        assert bytes(reply) == packets.rpc_reply(1, words, accept=status)
        assert bytes(RpcReply(bytes(reply))) == bytes(reply)
    mismatch = RpcReply(xid=1, reply_stat="MSG_DENIED", reject_stat="RPC_MISMATCH", low=2, high=2)
    assert bytes(mismatch) == packets.rpc_denied(1, 0, 2, 2)
    refused = RpcReply(xid=1, reply_stat="MSG_DENIED", reject_stat="AUTH_ERROR", auth_stat="AUTH_TOOWEAK")
    assert bytes(refused) == packets.rpc_denied(1, 1, 5)
    for reply in (mismatch, refused):
        assert type(UDP(bytes(UDP(dport=4) / reply)).payload) is RpcReply


def test_every_procedure_fills_in_its_numbers() -> None:
    assert len(CLASSES) == 2 * sum(len(program.procedures) for program in PROGRAMS.values())
    for (program, version, procedure), (call, reply) in PROCEDURES.items():
        packet = IP(bytes(IP(dst="10.0.0.7") / UDP(sport=700, dport=1234) / RpcCall() / call()))
        header = packet[RpcCall]
        assert (header.prog, header.vers, header.proc) == (program, version, procedure)
        assert getattr(scapy_layer, call.__name__) is call
        if call().fields_desc:
            assert type(header.payload) is call
        answer = UDP(bytes(UDP() / RpcReply(xid=header.xid) / reply()))[RpcReply]
        answer.results_of(header)
        if reply().fields_desc:
            assert type(answer.payload) is reply


@settings(max_examples=60, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize(("t", "cls"), [(rpc.call, RpcCall), (rpc.reply, RpcReply)])
def test_headers_are_those_of_the_schema(t: Any, cls: type[Packet], data: st.DataObject) -> None:
    value = data.draw(values(t))
    raw = encode(t, value)
    packet = cls(raw)
    assert (packet.xid, packet.mtype) == (value["xid"], value["mtype"])
    packet.raw_packet_cache = None
    assert bytes(packet) == raw


def test_names() -> None:
    shown = (RpcCall(xid=1, cred=auth_sys("client-a")) / NLM4_LOCK_Call(**LOCK)).show(dump=True)
    for line in ("mtype=CALL", "prog=NLM", "proc=2LOCK", "flavor=AUTH_SYS", "machinename=b'client-a'", "reclaim=TRUE", "block=FALSE"):
        assert line in shown.replace(" ", "")
    assert "fh        = 000102" in shown
    denied = NLM4_TEST_Reply(cookie=b"1", stat="NLM4_DENIED", nlm4_holder={"svid": 3, "oh": b"3@b"})
    assert "stat      = NLM4_DENIED" in denied.show(dump=True)
    assert "nlm4_holder" not in NLM4_TEST_Reply(stat="NLM4_GRANTED").show(dump=True)
    assert "res_stat  = STAT_FAIL" in NSM1_STAT_Reply(res_stat=1, state=-1).show(dump=True)
    assert "prot      = UDP" in PORTMAP2_GETPORT_Call(prog=100024, vers=1, prot="UDP").show(dump=True)
    assert (RpcCall(xid=1) / NLM4_LOCK_Call(**LOCK)).summary() == "NLM4 LOCK call xid=0x1 / NLM4_LOCK_Call"


@pytest.mark.parametrize("network", [lambda a, b: IP(src=a, dst=b), lambda a, b: IPv6(src=f"fd00::{a[-1]}", dst=f"fd00::{b[-1]}")])
@pytest.mark.parametrize("tcp", [False, True])
def test_answers(network: Any, tcp: bool) -> None:
    """As sr1 sees it: an answer that was read without knowing its call."""
    def sent(a: str, b: str, sport: int, dport: int, seq: int, ack: int, message: Packet) -> Packet:
        transport = TCP(sport=sport, dport=dport, seq=seq, ack=ack, flags="PA") / RpcRecord() if tcp else UDP(sport=sport, dport=dport)
        packet = network(a, b) / transport / message
        return type(packet)(bytes(packet))

    call = sent("10.0.0.1", "10.0.0.7", 700, 4045, 100, 1, RpcCall(xid=9) / NLM4_LOCK_Call(**LOCK))
    reply = sent("10.0.0.7", "10.0.0.1", 4045, 700, 1, 240, RpcReply(xid=9) / NLM4_LOCK_Reply(cookie=b"\x12\x34", stat=4))
    other = sent("10.0.0.7", "10.0.0.1", 4045, 700, 1, 240, RpcReply(xid=8) / NLM4_LOCK_Reply())
    assert type(reply[RpcReply].payload) is Raw
    assert reply.hashret() == call.hashret() != other.hashret()
    assert reply.answers(call)
    if tcp:  # Scapy's TCP goes by its numbers alone; what asks on a connection of the system's is a StreamSocket
        call, reply, other = call[RpcRecord], reply[RpcRecord], other[RpcRecord]
        assert reply.answers(call)
    assert not other.answers(call)
    assert not call.answers(reply)
    assert reply[NLM4_LOCK_Reply].sprintf("%stat%") == "NLM4_DENIED_GRACE_PERIOD"
    assert type(other[RpcReply].payload) is Raw


def test_ports_do_not_matter() -> None:
    """Clients of NFS call from reserved ports that Scapy takes for LDP, DNS or RIP, and lockd listens anywhere."""
    for port in (53, 123, 520, 646, 4045, 33333):
        packet = UDP(bytes(UDP(sport=port, dport=port) / RpcCall() / NLM4_GRANTED_Call()))
        assert NLM4_GRANTED_Call in packet
    assert RpcCall not in UDP(bytes(UDP(dport=111) / Raw(bytes(60))))


def test_what_is_not_whole_is_raw() -> None:
    whole = bytes(UDP() / RpcCall() / NLM4_LOCK_Call(**LOCK))
    assert type(UDP(whole[:-1])[RpcCall].payload) is Raw
    assert UDP(whole + b"more")[NLM4_LOCK_Call].payload.load == b"more"
    late = RpcReply(packets.rpc_reply(1, b"\0\0"))
    late.results_of(RpcCall() / NLM4_LOCK_Call())
    assert late.payload.load == b"\0\0"


def test_nothing_is_guessed_of_bodies_that_rpcsec_gss_hides() -> None:
    for service, clear in ((1, True), (2, False), (3, False)):
        body = struct.pack(">4I", 1, 0, 1, service) + packets.opaque(b"ctx")
        cred = struct.pack(">I", 6) + packets.opaque(body)
        call = RpcCall(packets.rpc_call(1, 100021, 4, 2, LOCK_BYTES, cred=cred))
        assert (type(call.payload) is NLM4_LOCK_Call) is clear
        assert call.cred.body.sprintf("%gss_proc%") == "RPCSEC_GSS_DATA"
    broken = OpaqueAuth(struct.pack(">I", 1) + packets.opaque(b"not AUTH_SYS"))
    assert broken.body == b"not AUTH_SYS"


def test_a_message_that_an_icmp_error_quotes() -> None:
    call = IP(src="10.0.0.1", dst="10.0.0.7") / UDP(sport=700, dport=4045) / RpcCall(xid=3) / NSM1_NOTIFY_Call(mon_name="a")
    packet = IP(bytes(IP() / ICMP(type=3, code=3) / call))
    assert packet[UDPerror][NSM1_NOTIFY_Call].mon_name == b"a"
    assert packet[IPerror].dst == "10.0.0.7"


def test_lists() -> None:
    row = {"prog": 100024, "vers": 1, "prot": "UDP", "port": 662}
    assert bytes(PORTMAP2_DUMP_Reply(entries=[row, row])) == struct.pack(">5I", 1, 100024, 1, 17, 662) * 2 + bytes(4)
    assert bytes(NSM1_NOTIFY_Reply()) == b""
