"""Segments in, messages out."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP, fragment
from scapy.packet import Packet, Raw
from support import packets

from nlmdissect.scapy_layer import (
    NLM4_LOCK_Call,
    NLM4_LOCK_Reply,
    NSM1_NOTIFY_Call,
    NSM1_STAT_Call,
    NSM1_STAT_Reply,
    RpcCall,
    RpcRecord,
    RpcReply,
    RpcSession,
)
from nlmdissect.scapy_layer import session as module

ONE, TWO = (bytes(RpcCall(xid=xid) / NSM1_NOTIFY_Call(mon_name="nfs-server", state=5)) for xid in (1, 2))
RECORDS = packets.record_mark(ONE) + packets.record_mark(TWO)
MANY = packets.record_mark(ONE, 8, 20, 12)
SYN = -1


def segment(at: int, data: bytes, start: int = 1000) -> Packet:
    packet = packets.ip("10.0.0.1", "10.0.0.7", packets.TCP, packets.tcp(700, 4045, data, seq=(start + at) % 2**32, flags="S" if at == SYN else "A"))
    return IP(packet)


def cut(data: bytes, *ends: int) -> list[tuple[int, bytes]]:
    starts = (0, *ends)
    return [(a, data[a:b]) for a, b in zip(starts, (*ends, len(data)), strict=True)]


N = len(RECORDS)
HALF = N // 2
# fmt: off
STREAMS = {
    "one segment":             (cut(RECORDS), [ONE, TWO]),
    "byte by byte":            ([(SYN, b""), *cut(RECORDS, *range(1, N))], [ONE, TWO]),
    "first data after a SYN":  ([(SYN, b""), *cut(RECORDS, 10)], [ONE, TWO]),
    "in two fragments":        ([(SYN, b""), *cut(MANY, 30)], [ONE]),
    "repeated":                ([*cut(RECORDS, HALF), *cut(RECORDS, HALF)], [ONE, TWO]),
    "overlapping":             ([(0, RECORDS[:30]), (20, RECORDS[20:])], [ONE, TWO]),
    "turned round":            ([(SYN, b""), *reversed(cut(RECORDS, 10, 30))], [ONE, TWO]),
    "begins in a record":      ([(10, RECORDS[10:HALF]), (HALF, RECORDS[HALF:])], [TWO]),
    "one lost":                ([(SYN, b""), (0, RECORDS[:10]), *((HALF * n, RECORDS[HALF:]) for n in range(1, 20))], [TWO] * 19),
    "not RPC":                 ([(SYN, b""), (0, b"GET / HTTP/1.0\r\n\r\n" * 3)], []),
}
# fmt: on


@pytest.mark.parametrize("start", [1000, 2**32 - 1, 2**32 - 30])
@pytest.mark.parametrize("name", STREAMS)
def test_streams(name: str, start: int) -> None:
    segments, messages = STREAMS[name]
    found = list(RpcSession.follow(segment(at, data, start) for at, data in segments))
    assert [bytes(packet[RpcCall]) for packet in found if RpcCall in packet] == messages
    for packet in found:
        assert RpcCall not in packet or (packet[RpcRecord].last, packet[RpcRecord].length) == (1, len(ONE))


def test_what_is_not_rpc_stays() -> None:
    for before in ([], [segment(SYN, b"")], [segment(SYN, b""), segment(0, RECORDS)]):
        *_, packet = RpcSession.follow([*before, segment(N if len(before) > 1 else 0, b"GET / HTTP/1.0\r\n\r\n" * 3)])
        assert packet[Raw].load.startswith(b"GET")
    assert len(list(RpcSession.follow([segment(0, b""), segment(SYN, b"")]))) == 2


def both_ways(xid: int, sport: int, message: Packet, back: bool = False) -> Packet:
    ends = ("10.0.0.7", "10.0.0.1", 33662, sport) if back else ("10.0.0.1", "10.0.0.7", sport, 33662)
    return IP(bytes(IP(src=ends[0], dst=ends[1]) / UDP(sport=ends[2], dport=ends[3]) / message))


def test_an_xid_belongs_to_its_conversation() -> None:
    sent = [
        both_ways(1, 700, RpcCall(xid=1) / NSM1_STAT_Call(mon_name="a")),
        both_ways(1, 701, RpcCall(xid=1) / NLM4_LOCK_Call(cookie=b"1")),
        both_ways(1, 701, RpcReply(xid=1) / NLM4_LOCK_Reply(cookie=b"1", stat=2), back=True),
        both_ways(1, 700, RpcReply(xid=1) / NSM1_STAT_Reply(res_stat=1, state=-1), back=True),
        both_ways(1, 702, RpcReply(xid=1) / NSM1_STAT_Reply(), back=True),
    ]
    *_, locked, status, late = RpcSession.follow(sent)
    assert locked[NLM4_LOCK_Reply].stat == 2
    assert status[NSM1_STAT_Reply].state == -1
    assert type(late[RpcReply].payload) is Raw


def test_fragments_of_ipv4() -> None:
    big = IP(src="10.0.0.1", dst="10.0.0.7") / UDP(sport=700, dport=4045) / RpcCall(xid=4) / NSM1_NOTIFY_Call(mon_name="n" * 1000)
    found = list(RpcSession.follow(IP(bytes(part)) for part in fragment(big, 400)))
    assert [packet[NSM1_NOTIFY_Call].mon_name for packet in found if RpcCall in packet] == [b"n" * 1000]


def test_connections_that_end_are_forgotten() -> None:
    session = RpcSession()
    for flags in ("F", "R"):
        last = IP(packets.ip("10.0.0.1", "10.0.0.7", packets.TCP, packets.tcp(700, 4045, packets.record_mark(ONE), seq=1000, flags=flags)))
        assert [bytes(packet[RpcCall]) for packet in session.messages(last)] == [ONE]
        assert not session.streams


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PENDING", 3)
    session = RpcSession()
    for xid in range(10):
        list(session.messages(both_ways(xid, 700, RpcCall(xid=xid) / NSM1_STAT_Call(mon_name="a"))))
    assert [key[-1] for key in session.calls] == [7, 8, 9]
