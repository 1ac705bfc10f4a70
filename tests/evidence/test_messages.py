"""Single messages and packets under other names, made by hand from the specifications."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from ipaddress import ip_address

import dns.message
import pytest
from support.packets import (
    ICMP,
    TCP,
    UDP,
    arp,
    auth_sys,
    dns_answer,
    dns_name,
    ethernet,
    fragment_header,
    ip,
    ipv4,
    ipv6,
    opaque,
    pcap,
    record_mark,
    rpc_call,
    rpc_reply,
    tcp,
    udp,
    unreachable,
)

from nlmdissect.capture.block import Source
from nlmdissect.capture.unpack import Unpacked
from nlmdissect.capture.whole import Record, read
from nlmdissect.evidence.anonymise import anonymiser
from nlmdissect.evidence.anonymise.anonymiser import Anonymiser
from nlmdissect.evidence.anonymise.pseudonyms import Pseudonyms
from nlmdissect.evidence.anonymise.rpc import Talk
from nlmdissect.protocols import find
from nlmdissect.xdr.codec import XdrError, decode

NAMES = Pseudonyms(b"d" * 32)  # under which the text of 10.77.0.21 takes more bytes
SERVER, CLIENT, OTHER = "10.77.0.10", "10.77.0.21", "10.77.0.22"
PORTMAP, NLM, NSM, NFS, MOUNT = 100000, 100021, 100024, 100003, 100005
FLOW = (ip_address(CLIENT).packed, 700, ip_address(SERVER).packed, 4045, False)
BACK = (*FLOW[2:4], *FLOW[:2], False)
HANDLE = bytes(range(1, 29))
LOCK = (
    opaque(b"\x35\x12\0\0") + struct.pack(">II", 1, 1) + opaque("client-a") + opaque(HANDLE) + opaque("7@client-a")
    + struct.pack(">IQQ", 7, 0, 100) + struct.pack(">II", 0, 3)
)  # fmt: skip
NEW_LOCK = (
    opaque(b"\x35\x12\0\0") + struct.pack(">II", 1, 1) + opaque(NAMES.name(b"client-a")) + opaque(NAMES.handle(HANDLE))
    + opaque(b"7@" + NAMES.name(b"client-a")) + struct.pack(">IQQ", 7, 0, 100) + struct.pack(">II", 0, 3)
)  # fmt: skip


def text(address: str) -> bytes:
    return str(ip_address(NAMES.address(ip_address(address).packed))).encode()


def test_a_lock() -> None:
    old = rpc_call(5, NLM, 4, 2, LOCK, cred=auth_sys("client-a", uid=1000, gid=100, gids=(0, 7), stamp=9))
    users = [NAMES.user(number) for number in (1000, 100, 7)]
    cred = auth_sys(NAMES.name(b"client-a").decode(), uid=users[0], gid=users[1], gids=(0, users[2]))
    assert Talk(NAMES).message(old, FLOW) == (rpc_call(5, NLM, 4, 2, NEW_LOCK, cred=cred), [])


def test_the_text_of_an_address_may_get_another_length() -> None:
    my_id = opaque("client-a") + struct.pack(">III", NLM, 3, 16)
    old, new = opaque(CLIENT), opaque(text(CLIENT))
    assert len(old) != len(new)
    call, edits = Talk(NAMES).message(rpc_call(1, NSM, 1, 2, old + my_id + b"p" * 16), FLOW)
    my_id = opaque(NAMES.name(b"client-a")) + struct.pack(">III", NLM, 3, 16)
    assert call == rpc_call(1, NSM, 1, 2, new + my_id + NAMES.private(b"p" * 16))
    assert [(edit.start, edit.end, edit.by) for edit in edits] == [(44, 56, len(new) - len(old))]


def test_a_message_that_is_cut_is_broken_at_the_same_place() -> None:
    args = find(NLM, 4, 2).args  # type: ignore[union-attr]
    whole = rpc_call(5, NLM, 4, 2, LOCK)
    for length in range(len(whole)):
        new, edits = Talk(NAMES).message(whole[:length], FLOW)
        assert (len(new), edits) == (length, [])
        if length >= 40:
            places = []
            for body in (whole[40:length], new[40:]):
                with pytest.raises(XdrError) as error:
                    decode(args, body)
                places.append((error.value.reason, error.value.at))
            assert places[0] == places[1]
    assert b"client" not in new


ANSWERS: dict[str, tuple[tuple[int, int, int], bytes, bytes, bytes]] = {
    "GETADDR": (
        (PORTMAP, 4, 3), struct.pack(">II", NSM, 1) + opaque("udp") + opaque(f"{SERVER}.0.111") + opaque("root"),
        opaque(f"{CLIENT}.3.197"), opaque(text(CLIENT) + b".3.197"),
    ),
    "DUMP of MOUNT": (
        (MOUNT, 3, 2), b"", struct.pack(">I", 1) + opaque("client-a") + opaque("/data/export") + bytes(4),
        struct.pack(">I", 1) + opaque(NAMES.name(b"client-a")) + opaque(NAMES.path(b"/data/export")) + bytes(4),
    ),
    "EXPORT": (
        (MOUNT, 3, 5), b"", struct.pack(">I", 1) + opaque("/srv") + struct.pack(">I", 1) + opaque(CLIENT) + bytes(8),
        struct.pack(">I", 1) + opaque(NAMES.path(b"/srv")) + struct.pack(">I", 1) + opaque(text(CLIENT)) + bytes(8),
    ),
    "CALLIT of SM_STAT": (
        (PORTMAP, 2, 5), struct.pack(">III", NSM, 1, 1) + opaque(opaque("filer1")),
        struct.pack(">I", 662) + opaque(struct.pack(">II", 0, 3)), struct.pack(">I", 662) + opaque(struct.pack(">II", 0, 3)),
    ),
    "TEST": (
        (NLM, 4, 1), opaque(b"c") + struct.pack(">I", 1) + LOCK[16:-8],
        opaque(b"c") + struct.pack(">III", 1, 1, 9) + opaque("9@client-b") + struct.pack(">QQ", 0, 0),
        opaque(b"c") + struct.pack(">III", 1, 1, 9) + opaque(NAMES.owner(b"9@client-b")) + struct.pack(">QQ", 0, 0),
    ),
    "LOOKUP": (
        (NFS, 3, 3), opaque(HANDLE) + opaque("secret.txt"), struct.pack(">I", 0) + opaque(HANDLE) + bytes(8),
        struct.pack(">I", 0) + opaque(NAMES.handle(HANDLE)) + bytes(8),
    ),
    "COMMIT": (
        (NFS, 3, 21), opaque(HANDLE) + bytes(12), bytes(12) + b"verifier", bytes(12) + b"verifier",
    ),
    "READ": (
        (NFS, 3, 6), opaque(HANDLE) + bytes(12), struct.pack(">IIII", 0, 0, 8, 1) + opaque("the data"), bytes(28),
    ),
    "a program that nobody knows": ((390000, 1, 1), b"secrets!", b"more of them", bytes(12)),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_as_its_call_wants_it(name: str) -> None:
    (program, version, procedure), args, res, new = ANSWERS[name]
    talk = Talk(NAMES)
    asked = talk.datagram(call := rpc_call(9, program, version, procedure, args), len(call), FLOW)
    assert asked is not None
    assert not any(word in asked for word in (b"secret", b"filer1", b"client-a", HANDLE, SERVER.encode()))
    reply = rpc_reply(9, res)
    assert talk.datagram(reply, len(reply), BACK) == rpc_reply(9, new)
    assert talk.datagram(b"GET / of nobody", 15, BACK) is None


def test_bodies_behind_rpcsec_gss() -> None:
    talk = Talk(NAMES)
    gss = struct.pack(">I", 6) + opaque(struct.pack(">IIII", 1, 0, 3, 2) + opaque(b"context!"))
    body = opaque(struct.pack(">I", 3) + opaque(CLIENT) + struct.pack(">I", 5)) + opaque(b"checksum")
    new, _ = talk.message(rpc_call(4, NSM, 1, 6, body, cred=gss, verf=struct.pack(">I", 6) + opaque(b"check!!!")), FLOW)
    gss = struct.pack(">I", 6) + opaque(struct.pack(">IIII", 1, 0, 3, 2) + opaque(NAMES.handle(b"context!")))
    body = opaque(struct.pack(">I", 3) + opaque(text(CLIENT)) + struct.pack(">I", 5)) + bytes(12)
    assert new == rpc_call(4, NSM, 1, 6, body, cred=gss, verf=struct.pack(">I", 6) + opaque(bytes(8)))


def frame(packet: bytes) -> bytes:
    """One Ethernet frame, and what becomes of it."""
    return frames([packet])[0]


def frames(packets: list[bytes]) -> list[bytes]:
    data = pcap([(float(n), ethernet(packet, pad=0)) for n, packet in enumerate(packets)])
    stream = Unpacked(BytesIO(data), "made")
    new = Anonymiser(NAMES).run(read(stream, Source("made", "pcap")))
    return [record.packet[14:] for record in new if record.frame]


def renamed(source: str, target: str, protocol: int, payload: bytes) -> bytes:
    return ip(str(ip_address(NAMES.address(ip_address(source).packed))), str(ip_address(NAMES.address(ip_address(target).packed))),
              protocol, payload)  # fmt: skip


def without_sums(packet: bytes, *places: int) -> bytes:
    """The packet with zeros for its checksums (of IPv4, and at these places)."""
    out = bytearray(packet)
    for at in (10, *places):
        out[at : at + 2] = bytes(2)
    return bytes(out)


def test_a_datagram_that_grows() -> None:
    notify, new = (rpc_call(1, NSM, 1, 6, opaque(name) + struct.pack(">I", 5)) for name in (CLIENT, text(CLIENT)))
    assert without_sums(frame(ip(CLIENT, SERVER, UDP, udp(700, 662, notify)))) == renamed(CLIENT, SERVER, UDP, udp(700, 662, new))


def test_an_error_quotes_other_names_too() -> None:
    notify = rpc_call(1, NSM, 1, 6, opaque("client-a") + struct.pack(">I", 5))
    new = rpc_call(1, NSM, 1, 6, opaque(NAMES.name(b"client-a")) + struct.pack(">I", 5))
    old = ip(SERVER, CLIENT, ICMP, unreachable(ip(CLIENT, SERVER, UDP, udp(700, 662, notify))))
    quoted = renamed(CLIENT, SERVER, UDP, udp(700, 662, new))
    assert without_sums(frame(old), 22, 38) == renamed(SERVER, CLIENT, ICMP, unreachable(quoted))


def test_a_redirect_names_another_router() -> None:
    quoted = ip(CLIENT, OTHER, TCP, tcp(700, 22)[:8])
    made = frame(ip(SERVER, CLIENT, ICMP, b"\x05\x01\0\0" + ip_address(SERVER).packed + quoted))
    assert made[24:28] == NAMES.address(ip_address(SERVER).packed)
    assert made[44:48] == NAMES.address(ip_address(OTHER).packed)


def test_what_is_no_rpc_becomes_zeros() -> None:
    assert without_sums(frame(ip(CLIENT, SERVER, UDP, udp(5000, 5001, b"secret"))))[28:] == bytes(6)
    assert frame(ip(CLIENT, SERVER, TCP, tcp(5000, 22, b"SSH-2.0-secret")))[40:] == bytes(14)
    assert frame(ip(CLIENT, SERVER, 47, b"a tunnel"))[20:] == bytes(8)
    assert frame(ip(CLIENT, SERVER, ICMP, b"\x08\0\0\0\0\1\0\1ping of a secret"))[24:] == bytes(20)
    options = ipv4(CLIENT, SERVER, UDP, udp(1, 2, b""), options=b"\x07\x07\x04" + ip_address(OTHER).packed + b"\0")
    assert frame(options)[20:28] == b"\1" * 8


def test_arp_and_what_follows_it() -> None:
    old = arp(1, CLIENT, SERVER, src="52:54:00:77:00:15") + b"left over in memory"
    new = arp(1, text(CLIENT).decode(), text(SERVER).decode(), src=NAMES.mac(bytes.fromhex("525400770015")).hex(":"))
    data = ethernet(old, kind=0x806, pad=0)
    stream = Unpacked(BytesIO(pcap([(0.0, data)])), "made")
    (record,) = (r for r in Anonymiser(NAMES).run(read(stream, Source("made", "pcap"))) if r.frame)
    assert record.packet[14:] == new + bytes(19)


CALL = rpc_call(1, NSM, 1, 6, opaque("client-a") + struct.pack(">I", 5), cred=auth_sys("client-a"))
WHOLE = {
    "UDP": ip(CLIENT, SERVER, UDP, udp(700, 662, CALL)),
    "TCP": ip(CLIENT, SERVER, TCP, tcp(700, 662, record_mark(CALL), seq=5, options=b"\1\1\x05\x0a" + bytes(8))),
    "IPv6": ip("fd77::21", "fd77::10", UDP, udp(700, 662, CALL)),
    "ICMP": ip(SERVER, CLIENT, ICMP, unreachable(ip(CLIENT, SERVER, UDP, udp(700, 662, CALL)))),
    "options": ipv4(CLIENT, SERVER, UDP, udp(700, 662, CALL), options=b"\x07\x07\x04" + ip_address(OTHER).packed + b"\0"),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_frame_that_is_cut_anywhere(kind: str) -> None:
    whole = ethernet(WHOLE[kind], src="52:54:00:77:00:15", pad=0)
    secrets = [b"client", ip_address(CLIENT).packed, ip_address(OTHER).packed, ip_address("fd77::21").packed[-8:], whole[9:12]]
    for length in range(len(whole) + 1):
        data = pcap([(0.0, whole)], snaplen=length) if length else pcap([(0.0, b"")])
        (record,) = (r for r in Anonymiser(NAMES).run(read(Unpacked(BytesIO(data), "made"), Source("made", "pcap"))) if r.frame)
        assert (record.captured, record.wire) == (length, len(whole) if length else 0)
        assert not [secret for secret in secrets if secret in record.packet and len(secret) > 3]


def test_fragments_in_any_order() -> None:
    body = rpc_call(1, NSM, 1, 6, opaque(CLIENT) + struct.pack(">I", 5))
    whole, new = udp(700, 662, body), udp(700, 662, rpc_call(1, NSM, 1, 6, opaque(text(CLIENT)) + struct.pack(">I", 5)))
    four = [ipv4(CLIENT, SERVER, UDP, whole[at : at + 24], offset=at, more=at + 24 < len(whole)) for at in (48, 0, 24)]
    six = [
        ipv6("fd77::21", "fd77::10", 44, fragment_header(UDP, at, at + 24 < len(whole), 9) + whole[at : at + 24])
        for at in (0, 24, 48)
    ]  # fmt: skip
    for packets, head in ((four, 20), (six, 48)):
        made = frames([*packets, ip(CLIENT, SERVER, UDP, udp(1, 2, b""))])[:3]
        parts = sorted((int.from_bytes(p[6:8] if head == 20 else p[42:44], "big") & 0x1FFF, p[head:]) for p in made)
        assert b"".join(part for _, part in parts) == new
    alone = frames(four[:1])[0]
    assert alone[20:] == bytes(len(alone) - 20)


def test_answers_of_dns() -> None:
    turned = ".".join(reversed(CLIENT.split("."))) + ".in-addr.arpa"
    old = dns_answer(7, turned, 12, [(turned, 12, dns_name("client-a.corp.example"))])
    new = dns.message.from_wire(frame(ip(SERVER, CLIENT, UDP, udp(53, 4000, old)))[28:])
    again = ".".join(reversed(text(CLIENT).decode().split("."))) + ".in-addr.arpa."
    (answer,) = new.answer
    assert (str(new.question[0].name), str(answer.name), new.id) == (again, again, 7)
    assert [str(rdata.target) for rdata in answer] == [NAMES.name(b"client-a.corp.example").decode() + "."]
    old = dns_answer(8, "client-a", 1, [("client-a", 1, ip_address(CLIENT).packed)])
    (answer,) = dns.message.from_wire(frame(ip(SERVER, CLIENT, UDP, udp(53, 4000, old)))[28:]).answer
    assert [rdata.address for rdata in answer] == [text(CLIENT).decode()]


MON = record_mark(rpc_call(1, NSM, 1, 1, opaque(CLIENT)))
NEW_MON = record_mark(rpc_call(1, NSM, 1, 1, opaque(text(CLIENT))))
STAT = record_mark(rpc_call(2, NSM, 1, 1, opaque("client-a")))
NEW_STAT = record_mark(rpc_call(2, NSM, 1, 1, opaque(NAMES.name(b"client-a"))))
SPLIT = record_mark(rpc_call(1, NSM, 1, 1, opaque(CLIENT)), 41, 6)  # in fragments that end within the name


def segments(size: int, stream: bytes) -> list[tuple[int, bytes]]:
    return [(at, stream[at : at + size]) for at in range(0, len(stream), size)]


def swapped(parts: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    return [parts[n ^ 1] if n ^ 1 < len(parts) else parts[n] for n in range(len(parts))]


CUTS: dict[str, Callable[[bytes], list[tuple[int, bytes]]]] = {
    "whole": lambda stream: segments(10_000, stream),
    "byte by byte": lambda stream: segments(1, stream),
    "by seven": lambda stream: segments(7, stream),
    "reordered": lambda stream: swapped(segments(30, stream)),
    "twice": lambda stream: [part for part in segments(50, stream) for _ in range(2)],
    "overlapping": lambda stream: [(max(at - 9, 0), stream[max(at - 9, 0) : at + 40]) for at, _ in segments(40, stream)],
}  # fmt: skip


@pytest.mark.parametrize(("cut", "began"), [*((cut, True) for cut in CUTS), ("whole", False), ("by seven", False)])
def test_streams_grow_where_their_messages_do(cut: str, *, began: bool) -> None:
    """However a stream is cut: the new segments make the new stream, at places that follow each other."""
    stream, expected = MON + STAT + MON, NEW_MON + NEW_STAT + NEW_MON
    packets = [ip(CLIENT, SERVER, TCP, tcp(700, 662, seq=99, flags="S"))] if began else []
    packets += [ip(CLIENT, SERVER, TCP, tcp(700, 662, data, seq=100 + at, ack=7)) for at, data in CUTS[cut](stream)]
    packets.append(ip(SERVER, CLIENT, TCP, tcp(662, 700, b"", seq=7, ack=100 + len(stream))))
    made = frames(packets)
    assert rebuilt(made[began:-1]) == expected
    assert int.from_bytes(made[-1][28:32], "big") == 100 + len(expected)  # what is acknowledged has moved as well


def rebuilt(packets: list[bytes]) -> bytes:
    stream: dict[int, int] = {}
    for packet in packets:
        seq = int.from_bytes(packet[24:28], "big") - 100
        assert int.from_bytes(packet[2:4], "big") == len(packet)
        for place, byte in enumerate(packet[40:], seq):
            assert stream.setdefault(place, byte) == byte
    assert sorted(stream) == list(range(len(stream)))
    return bytes(stream[place] for place in sorted(stream))


def test_a_record_in_fragments_grows_in_the_fragment_with_its_name() -> None:
    made = rebuilt(frames([ip(CLIENT, SERVER, TCP, tcp(700, 662, seq=99, flags="S")),
                           ip(CLIENT, SERVER, TCP, tcp(700, 662, SPLIT + STAT, seq=100))])[1:])  # fmt: skip
    message, at, last = b"", 0, False
    while not last:
        mark = int.from_bytes(made[at : at + 4], "big")
        last, size = mark >= 1 << 31, mark & 0x7FFFFFFF
        message, at = message + made[at + 4 : at + 4 + size], at + 4 + size
    assert record_mark(message) == NEW_MON
    assert made[at:] == NEW_STAT


def test_only_so_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that never ends, and a hole that is never filled, hold others up for a while only."""
    monkeypatch.setattr(anonymiser, "WAITING_FRAMES", 5)
    endless = struct.pack(">I", 0x80000000 | 1 << 20) + STAT[4:]
    packets = [ip(CLIENT, SERVER, TCP, tcp(700, 662, seq=99, flags="S")), ip(CLIENT, SERVER, TCP, tcp(700, 662, endless, seq=100))]
    packets += [ip(OTHER, SERVER, TCP, tcp(700, 662, seq=99, flags="S")), ip(OTHER, SERVER, TCP, tcp(700, 662, STAT, seq=900))]
    packets += [ip(OTHER, SERVER, UDP, udp(800 + n, 662, STAT[4:])) for n in range(20)]
    data = pcap([(float(n), ethernet(packet, pad=0)) for n, packet in enumerate(packets)])
    given, taken = 0, 0
    source = read(Unpacked(BytesIO(data), "made"), Source("made", "pcap"))

    def counted() -> Iterator[Record]:
        nonlocal taken
        for record in source:
            taken += 1
            yield record

    for record in Anonymiser(NAMES).run(counted()):
        given += 1
        assert taken - given <= 6
        assert b"client" not in record.block
    assert given == taken


def test_behind_a_hole_messages_are_found_again() -> None:
    stream = STAT + STAT + STAT
    parts = [part for part in segments(20, stream) if not len(STAT) <= part[0] < len(STAT) + 25]
    packets = [ip(CLIENT, SERVER, TCP, tcp(700, 662, data, seq=100 + at)) for at, data in parts]
    made = frames([ip(CLIENT, SERVER, TCP, tcp(700, 662, seq=99, flags="S")), *packets])[1:]
    places = {int.from_bytes(p[24:28], "big") - 100: p[40:] for p in made}
    assert sorted(places) == [at for at, _ in parts]
    got = bytearray(len(stream))
    for at, data in places.items():
        got[at : at + len(data)] = data
    assert bytes(got[: len(STAT)]) == NEW_STAT == bytes(got[-len(STAT) :])
    assert b"client" not in got
