"""From recordings to messages: what is kept, marked and signalled; and tshark's opinion of real captures."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from support.captures import SHARED
from support.packets import (
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    arp,
    ethernet,
    ipv4,
    ipv6,
    pcap,
    record_mark,
    rpc_call,
    rpc_denied,
    rpc_reply,
    sll,
    tcp,
    udp,
    unreachable,
)
from support.reading import Reading, read_files, read_frames

from nlmdissect.capture.messages import Kind
from nlmdissect.errors import CaptureError

NLM, NFS = 100021, 100003
A, B, R = "10.0.0.1", "10.0.0.2", "10.0.0.254"
CALL = rpc_call(7, NLM, 4, 2, bytes(100), machinename="client-a")
REPLY = rpc_reply(7, bytes(8))
GSS = struct.pack(">II20x", 6, 20)


def datagram(
    payload: bytes, *, sport: int = 802, dport: int = 45678, back: bool = False, ident: int = 1, ttl: int = 64
) -> bytes:
    packet = udp(dport, sport, payload) if back else udp(sport, dport, payload)
    return ipv4(B if back else A, A if back else B, UDP, packet, ident=ident, ttl=ttl)


def play(*packets: tuple[float, bytes]) -> Reading:
    return read_frames([(seconds, ethernet(packet)) for seconds, packet in packets])


# Second copies of frames


@pytest.mark.parametrize(
    "copy",
    [
        ethernet(datagram(CALL)),
        ethernet(datagram(CALL), vlans=[(0x8100, 5)]),
        ethernet(datagram(CALL, ttl=63), src="02:00:00:00:00:99"),
    ],
    ids=["mirror of both ports", "with the VLAN tag", "a routed hop later"],
)
def test_a_second_copy_is_marked(copy: bytes) -> None:
    reading = read_frames([(1.0, ethernet(datagram(CALL))), (1.0002, copy), (11.0, ethernet(datagram(CALL, ident=2)))])
    assert [(m.frame, m.duplicate) for m in reading.messages] == [(1, False), (2, True), (3, False)]


@pytest.mark.parametrize(("seconds", "ident"), [(1.0, 1), (0.001, 2)], ids=["a second later", "another IP id"])
def test_a_retransmission_is_no_second_copy(seconds: float, ident: int) -> None:
    reading = play((1, datagram(CALL)), (1 + seconds, datagram(CALL, ident=ident)))
    assert [m.duplicate for m in reading.messages] == [False, False]


def test_second_copies_over_cooked_capture_of_any_interface() -> None:
    three = [(1 + n / 10000, sll(datagram(CALL))) for n in range(3)]
    assert [m.duplicate for m in read_frames(three, link=113).messages] == [False, True, True]


def test_second_copies_over_tcp_vanish() -> None:
    syn = ipv4(A, B, TCP, tcp(802, 4045, seq=9, flags="S"), ident=1)
    data = ipv4(A, B, TCP, tcp(802, 4045, record_mark(CALL), seq=10), ident=2)
    reset = ipv4(A, B, TCP, tcp(802, 4045, seq=10 + len(CALL) + 4, flags="R"), ident=3)
    reading = play((0, syn), (0.0001, syn), (1, data), (1.0001, data), (2, reset), (2.0001, reset))
    assert [(m.frame, m.duplicate) for m in reading.messages] == [(3, False)]
    assert [(s.kind, s.at.frame) for s in reading.signals] == [(Kind.SYN, 1), (Kind.RST, 5)]


# Replies, and what only looks like one


def test_a_reply_is_kept_when_its_call_was() -> None:
    other = rpc_call(8, 100011, 1, 1)
    reading = play(
        (1, datagram(CALL)),
        (1.1, datagram(REPLY, back=True)),
        (2, datagram(other, sport=900, dport=875)),
        (2.1, datagram(rpc_reply(8), sport=900, dport=875, back=True)),
    )
    assert reading.frames == [(1, 7), (2, 7)]


@pytest.mark.parametrize(
    ("sport", "dport", "kept"), [(802, 45678, True), (40000, 111, True), (40000, 45678, False), (802, 2049, False)]
)
@pytest.mark.parametrize(
    "reply",
    [REPLY, rpc_reply(1, accept=5), rpc_denied(1, 0, 2, 2), rpc_denied(1, 1, 5), rpc_reply(1, verf=GSS)],
    ids=["success", "system error", "mismatch", "auth error", "GSS verifier"],
)
def test_an_answer_to_a_call_that_is_not_in_the_capture(sport: int, dport: int, kept: bool, reply: bytes) -> None:
    assert len(play((1, datagram(reply, sport=sport, dport=dport, back=True))).messages) == kept


def test_a_port_that_was_called_is_an_rpc_port() -> None:
    reading = play(
        (1, datagram(CALL, sport=40000)),
        (2, datagram(rpc_reply(99), sport=40001, back=True)),
    )
    assert reading.frames == [(1, 7), (2, 99)]


def test_orphans_over_tcp() -> None:
    def reply(port: int) -> bytes:
        return ipv4(B, A, TCP, tcp(port, 802, record_mark(REPLY), seq=5))

    assert play((1, reply(4045))).xids == [7]
    assert play((1, reply(2049))).xids == []


def name(text: str) -> bytes:
    return b"".join(bytes((len(part),)) + part.encode() for part in text.split(".")) + b"\0"


def dns(ident: int, flags: int, *counts: int, body: bytes) -> bytes:
    return struct.pack(">HHHHHH", ident, flags, *counts) + body


A_RECORD = name("_nfs._tcp.local") + struct.pack(">HHIH4s", 1, 1, 120, 4, b"\x0a\0\0\1")
ROOT_RECORD = name("")[-1:] + struct.pack(">HHIH4s", 1, 1, 120, 4, b"\x0a\0\0\1")
OPT = b"\0" + struct.pack(">HHIH", 41, 4096, 0, 0)
NOISE = {
    "DNS question": (40000, 53, dns(1, 0x100, 1, 0, 0, 0, body=name("server.example") + b"\0\1\0\1")),
    "DNS answer": (53, 700, dns(1, 0x8180, 1, 1, 0, 0, body=name("a.b") + b"\0\1\0\1" + A_RECORD)),
    "DNS answer without a question": (53, 700, dns(1, 0x8180, 0, 1, 0, 0, body=A_RECORD)),
    "the same, and an OPT record": (53, 700, dns(1, 0x8180, 0, 1, 0, 1, body=A_RECORD + OPT)),
    "an answer for the root": (53, 700, dns(1, 0x8180, 0, 1, 0, 0, body=ROOT_RECORD)),
    "an answer for the root, and OPT": (53, 700, dns(1, 0x8180, 0, 1, 0, 1, body=ROOT_RECORD + OPT)),
    "mDNS": (5353, 5353, dns(0, 0x8400, 0, 1, 0, 0, body=A_RECORD)),
    "mDNS for the root": (5353, 5353, dns(0, 0x8400, 0, 1, 0, 0, body=ROOT_RECORD)),
    "NTP question": (123, 123, b"\x23\0\6\xec" + bytes(44)),
    "NTP answer": (123, 123, b"\x24\1\0\xe7\0\0\0\1\0\0\0\0GPS\0" + bytes(32)),
    "DHCP discover": (68, 67, b"\1\1\6\0\x12\x34\x56\x78" + bytes(228) + b"\x63\x82\x53\x63\x35\1\1\xff"),
    "DHCP offer": (67, 68, b"\2\1\6\0\0\0\0\1" + bytes(228) + b"\x63\x82\x53\x63\x35\1\2\xff"),
    "syslog": (514, 514, b"<34>Oct 11 22:14:15 host su: failed"),
    "zeros": (700, 800, bytes(200)),
}


@pytest.mark.parametrize("noise", NOISE)
def test_noise_is_no_reply(noise: str) -> None:
    sport, dport, payload = NOISE[noise]
    reading = play((1, ipv4(B, A, UDP, udp(sport, dport, payload))), (2, datagram(CALL)))
    assert reading.frames == [(2, 7)]
    assert reading.traffic.programs == {(NLM, 4, 1, 0): 1}
    assert len(reading.traffic.streams) == 1


# Signals


@pytest.mark.parametrize("version", [4, 6])
def test_icmp_quotes_are_no_messages(version: int) -> None:
    if version == 4:
        quoted = datagram(CALL)
        error = ipv4(R, A, ICMP, unreachable(quoted, 3))
        ends = (R, A, A, B)
    else:
        quoted = ipv6("fd00::1", "fd00::2", UDP, udp(802, 45678, CALL))
        error = ipv6("fd00::fe", "fd00::1", ICMPV6, unreachable(quoted, 4))
        ends = ("fd00::fe", "fd00::1", "fd00::1", "fd00::2")
    reading = play((1, quoted), (1.1, error))
    assert reading.frames == [(1, 7)]
    (signal,) = reading.signals
    assert signal.quoted
    numbers = (signal.src, signal.dst, signal.quoted.src, signal.quoted.dst)
    assert tuple(map(reading.traffic.endpoints.text, numbers)) == ends
    assert (signal.kind, signal.a, signal.b) == (Kind.ICMP, 3 if version == 4 else 1, 3 if version == 4 else 4)
    assert (signal.sport, signal.dport, signal.quoted.protocol) == (802, 45678, UDP)


def test_arp() -> None:
    frames = [
        (1.0, ethernet(arp(1, A, B), kind=0x806)),
        (1.1, ethernet(arp(2, B, A, src="02:00:00:00:00:0b"), kind=0x806)),
        (2.0, ethernet(arp(1, B, B, src="02:00:00:00:00:0c"), kind=0x806)),
    ]
    reading = read_frames(frames)
    text = reading.traffic.endpoints.text
    assert [(s.kind, text(s.src), text(s.dst), s.a, s.b) for s in reading.signals] == [
        (Kind.ARP, A, B, 1, 0x02000000000A),
        (Kind.ARP, B, A, 2, 0x02000000000B),
        (Kind.ARP, B, B, 1, 0x02000000000C),
    ]


def test_link_layer_addresses_of_an_endpoint() -> None:
    """A service address that moves to another node."""
    frames = [(float(n), ethernet(datagram(CALL, ident=n), src=f"02:00:00:00:00:0{n // 2}")) for n in range(4)]
    endpoints = read_frames(frames).traffic.endpoints
    sender = endpoints.find(A)
    assert sender is not None
    assert endpoints.macs[sender] == {b"\2\0\0\0\0\0": 1, b"\2\0\0\0\0\1": 3}


def test_activity_is_split_where_a_pair_is_silent() -> None:
    reading = play(*((t, datagram(CALL, ident=n)) for n, t in enumerate([0, 1, 5.9, 11, 20, 20.5])))
    spans = [(s.first // 10**9 % 100, s.last // 10**9 % 100, s.packets) for s in reading.traffic.activity]
    assert spans == [(0, 5, 3), (11, 11, 1), (20, 20, 2)]


# Several files


def write(path: Path, frames: list[tuple[float, bytes]]) -> Path:
    path.write_bytes(pcap(frames))
    return path


def test_a_rotated_set_carries_its_streams_on(tmp_path: Path) -> None:
    stream = record_mark(CALL)
    frames = [(0.0, ethernet(ipv4(A, B, TCP, tcp(802, 4045, seq=9, flags="S"))))]
    frames += [
        (1.0 + n, ethernet(ipv4(A, B, TCP, tcp(802, 4045, stream[at : at + 50], seq=10 + at))))
        for n, at in enumerate(range(0, len(stream), 50))
    ]
    files = [write(tmp_path / f"{n}.pcap", frames[n : n + 2]) for n in range(0, len(frames), 2)]
    reading = read_files(*files)
    (message,) = reading.messages
    assert (message.data, message.capture, message.frame) == (CALL, (len(frames) - 1) // 2, (len(frames) - 1) % 2 + 1)


def test_loopback_addresses_of_two_overlapping_files_are_two_hosts(tmp_path: Path) -> None:
    def packet(n: int) -> bytes:
        return ethernet(ipv4("127.0.0.1", "127.0.0.1", UDP, udp(802, 4045, CALL), ident=n))

    files = [write(tmp_path / f"{n}.pcap", [(n / 10, packet(1)), (9.0 + n, packet(2))]) for n in range(2)]
    reading = read_files(*files)
    assert reading.traffic.endpoints.scopes == [1, 2]
    assert len(reading.messages) == 4
    assert len({m.stream for m in reading.messages}) == 2


def test_overlapping_files_do_not_confuse_each_others_streams(tmp_path: Path) -> None:
    other = rpc_call(8, NLM, 4, 2, bytes(60))
    one = record_mark(CALL) + record_mark(other)

    def part(a: int, b: int) -> bytes:
        return ethernet(ipv4(A, B, TCP, tcp(802, 4045, one[a:b], seq=10 + a)))

    files = [
        write(tmp_path / "a.pcap", [(1.0, part(0, 60)), (2.0, part(60, 200)), (3.0, part(200, len(one)))]),
        write(tmp_path / "b.pcap", [(1.1, part(0, 100)), (2.5, part(100, len(one)))]),
    ]
    assert [(m.capture, m.xid) for m in read_files(*files).messages] == [(0, 7), (0, 8), (1, 7), (1, 8)]


# Real captures

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings are not here")
WANTED = {100000, 100005, 100021, 100024}


def expectations() -> list[Path]:
    found = sorted(SHARED.glob("*.expect.json")) if SHARED.is_dir() else []
    return [path for path in found if "wire" in json.loads(path.read_text())]


@needs_shared
@pytest.mark.parametrize("path", expectations(), ids=lambda path: path.name.removesuffix(".expect.json"))
def test_recordings_as_tshark_reads_them(path: Path) -> None:
    """Every portmap, MOUNT, NLM and NSM message, in the frame where tshark shows it."""
    expected = json.loads(path.read_text())
    wire = {
        (int(w["frame"]), w["src"], int(w["sport"]), w["dst"], int(w["dport"]), int(w["xid"], 16), "Reply" in w["msg"])
        for w in expected["wire"]
    }
    reading = read_files(SHARED / expected["capture"])
    assert all(m.length == len(m.data) and not m.duplicate for m in reading.messages)
    found = {(m.frame, m.src, m.sport, m.dst, m.dport, m.xid, m.is_reply) for m in reading.messages}
    assert not wire - found
    if path.name.startswith("P02-"):
        # an SHARE answer that tshark decodes and the list of the recording leaves out
        assert {m[0] for m in found - wire} == {126}
    else:
        assert found == wire
    assert not reading.kinds(Kind.GAP, Kind.UNSEEN_ACK)
    assert not reading.defects


@needs_shared
@pytest.mark.parametrize("form", ["bigendian", "nsec", "qinq", "rawip", "sll", "sll2", "vlan"])
def test_other_forms_of_one_recording(form: str) -> None:
    plain = read_files(SHARED / "T10-base-healthy.pcap")
    other = read_files(SHARED / f"T10-healthy-g-{form}.pcap")
    assert [m.data for m in other.messages] == [m.data for m in plain.messages]
    if form != "rawip":  # has no ARP, so other frame numbers
        assert other.frames == plain.frames


@needs_shared
def test_a_rotated_recording() -> None:
    pieces = [SHARED / f"T10-healthy-g-ring-{letter}.pcap" for letter in "abcde"]
    rotated, plain = read_files(*pieces), read_files(SHARED / "T10-base-healthy.pcap")
    assert [m.data for m in rotated.messages] == [m.data for m in plain.messages]
    assert not rotated.kinds(Kind.GAP, Kind.UNSEEN_ACK)


def tshark(path: Path, *options: str) -> Counter[tuple[int, int, int]]:
    """(frame, xid, message type) of the wanted programs, as tshark reads them."""
    fields = ("frame.number", "rpc.xid", "rpc.msgtyp", "rpc.program")
    command = ["tshark", "-r", str(path), "-Y", "rpc", "-T", "fields", *options]
    command += [word for field in fields for word in ("-e", field)]
    found: Counter[tuple[int, int, int]] = Counter()
    for line in subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines():
        frame, *columns = line.split("\t")
        for xid, kind, program in zip(*(column.split(",") for column in columns), strict=False):
            if program and int(program) in WANTED:
                found[int(frame), int(xid, 16), int(kind)] += 1
    return found


def wrong_checksums(path: Path) -> set[int]:
    """The frames that tshark calls damaged."""
    layers = "ip", "tcp", "udp"
    bad = " || ".join(f"{layer}.checksum.status == 0" for layer in layers)
    options = [word for layer in layers for word in ("-o", f"{layer}.check_checksum:TRUE")]
    command = ["tshark", "-r", str(path), "-Y", bad, "-T", "fields", "-e", "frame.number", *options]
    return set(map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()))


def public() -> list[Path]:
    return sorted(SHARED.glob("public/*.pcap*")) if SHARED.is_dir() else []


@needs_shared
@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("path", public(), ids=lambda path: path.name.partition("__")[2])
def test_public_captures_as_tshark_reads_them(path: Path, tmp_path: Path) -> None:
    """Neither of tshark's two ways finds everything: its port heuristic takes NLM on port 995 for TLS, and trying RPC
    first loses the records that straddle segments. What either finds is right."""
    reading = read_files(path)
    if path.suffix == ".xz":
        unpacked = tmp_path / path.stem
        with unpacked.open("wb") as file:
            subprocess.run(["xz", "-dc", str(path)], stdout=file, check=True)
        path = unpacked
    expected = tshark(path) | tshark(path, "-o", "tcp.try_heuristic_first:TRUE")
    damaged = {at.frame for at in reading.traffic.damaged}
    assert damaged <= wrong_checksums(path)
    expected = Counter({key: count for key, count in expected.items() if key[0] not in damaged})
    assert Counter((m.frame, m.xid, int(m.is_reply)) for m in reading.messages) == expected


def hostile() -> list[Path]:
    return sorted(SHARED.glob("hostile/*.pcap*")) if SHARED.is_dir() else []


@needs_shared
@pytest.mark.parametrize("path", hostile(), ids=lambda path: path.name.partition("__")[2])
def test_hostile_captures(path: Path) -> None:
    try:
        reading = read_files(path)
    except CaptureError:
        return
    assert not reading.messages
