"""The hot loop: link layers, IP, and what is payload and what is not."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.packets import (
    AH,
    DSTOPTS,
    FRAGMENT,
    TCP,
    UDP,
    ethernet,
    ethertype,
    extension,
    fragment_header,
    ip,
    ipv4,
    ipv6,
    null,
    record_mark,
    rpc_call,
    sll,
    sll2,
    tcp,
    udp,
)
from support.reading import Frames, read, read_frames

from nlmdissect.capture import tables

NLM, NSM, PORTMAP, MOUNT, NFS = 100021, 100024, 100000, 100005, 100003
CALL = rpc_call(7, NLM, 4, 2, bytes(100), machinename="client-a")
A4, B4, A6, B6 = "10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"
P4 = ipv4(A4, B4, UDP, udp(802, 45678, CALL))
P6 = ipv6(A6, B6, UDP, udp(802, 45678, CALL))


@pytest.mark.parametrize("packet", [P4, P6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize(
    ("link", "wrap"),
    [
        (1, ethernet),
        (1, lambda p: ethernet(p, vlans=[(0x8100, 7)])),
        (1, lambda p: ethernet(p, vlans=[(0x88A8, 7), (0x8100, 8)])),
        (1, lambda p: ethernet(p, vlans=[(0x9100, 7), (0x8100, 8), (0x8100, 9), (0x8100, 10)])),
        (1, lambda p: ethernet(b"\xaa\xaa\x03\0\0\0" + struct.pack(">H", ethertype(p)) + p, kind=300)),
        (113, sll),
        (276, sll2),
        (101, lambda p: p),
        (12, lambda p: p),
        (14, lambda p: p),
    ],
    ids=["Ethernet", "VLAN", "QinQ", "four tags", "SNAP", "SLL", "SLL2", "RAW 101", "RAW 12", "RAW 14"],
)
def test_link_layers(packet: bytes, link: int, wrap) -> None:  # type: ignore[no-untyped-def]
    (message,) = read_frames([(0, wrap(packet))], link=link).messages
    assert message.data == CALL
    assert (message.src, message.dst) in ((A4, B4), (A6, B6))


@pytest.mark.parametrize("link", [0, 108])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("family", "packet"), [(2, P4), (24, P6), (28, P6), (30, P6), (10, P6)])
def test_bsd_loopback(link: int, order: str, family: int, packet: bytes) -> None:
    (message,) = read_frames([(0, null(packet, family, order))], link=link).messages
    assert message.data == CALL


def test_other_link_types_are_passed_over() -> None:
    assert not read_frames([(0, ethernet(P4))], link=147).messages


def authentication(following: int) -> bytes:
    """An AH (RFC 4302): its length counts words of four bytes, less two."""
    return struct.pack(">BBHIII", following, 2, 0, 1, 1, 0)


EXTENSIONS = {
    "hop by hop": (0, lambda rest: extension(UDP) + rest),
    "routing": (43, lambda rest: extension(UDP, bytes(22)) + rest),
    "destination": (DSTOPTS, lambda rest: extension(UDP, bytes(14)) + rest),
    "authentication": (AH, lambda rest: authentication(UDP) + rest),
    "atomic fragment": (FRAGMENT, lambda rest: fragment_header(UDP, 0, False, 9) + rest),
    "four of them": (0, lambda rest: extension(43) + extension(AH) + authentication(DSTOPTS) + extension(UDP) + rest),
}


@pytest.mark.parametrize("name", EXTENSIONS)
def test_extension_headers(name: str) -> None:
    first, build = EXTENSIONS[name]
    (message,) = read_frames([(0, ethernet(ipv6(A6, B6, first, build(udp(802, 45678, CALL)))))]).messages
    assert message.data == CALL


def test_ipv4_options() -> None:
    packet = ipv4(A4, B4, UDP, udp(802, 45678, CALL), options=bytes(12))
    assert read_frames([(0, ethernet(packet))]).messages[0].data == CALL


def test_padding_is_no_payload() -> None:
    """A bare ACK is padded to 60 bytes; six zeros would be read as the next bytes of the stream."""
    stream = record_mark(CALL)
    half = len(stream) // 2
    ends = (802, 45678)
    frames = [
        ethernet(ipv4(A4, B4, TCP, tcp(*ends, seq=99, flags="S"))),
        ethernet(ipv4(A4, B4, TCP, tcp(*ends, stream[:half], seq=100, ack=1))) + bytes(6),
        ethernet(ipv4(A4, B4, TCP, tcp(*ends, seq=100 + half, ack=1))),
        ethernet(ipv4(A4, B4, TCP, tcp(*ends, stream[half:], seq=100 + half, ack=1))) + bytes(4),
        ethernet(P4) + bytes(18),
    ]
    reading = read_frames([(n / 1000, frame) for n, frame in enumerate(frames)])
    assert [(m.frame, m.data, m.length) for m in reading.messages] == [(4, CALL, len(CALL)), (5, CALL, len(CALL))]


@pytest.mark.parametrize("version", [4, 6])
def test_segmentation_offload(version: int) -> None:
    """More than 64 KiB in one frame: the IP length is 0, and the captured length counts."""
    bulk = rpc_call(1, NFS, 3, 7, bytes(90000))
    segment = tcp(802, 2049, record_mark(bulk) + record_mark(CALL), seq=100, ack=1)
    packet = ipv4(A4, B4, TCP, segment, total=0) if version == 4 else ipv6(A6, B6, TCP, segment, length=0)
    syn = ip(A4 if version == 4 else A6, B4 if version == 4 else B6, TCP, tcp(802, 2049, seq=99, flags="S"))
    reading = read_frames([(0, ethernet(syn)), (0.1, ethernet(packet))])
    assert [m.data for m in reading.messages] == [CALL]
    assert reading.traffic.calls(NFS) == {3: 1}


def test_udp_length() -> None:
    """Bytes behind the datagram belong to nobody; a length of 0 means "as much as IP says" (RFC 2675)."""
    trailing = ipv4(A4, B4, UDP, udp(802, 45678, CALL, length=8 + len(CALL)) + b"xxxx")
    unknown = ipv4(A4, B4, UDP, udp(802, 45678, CALL, length=0), ident=2)
    reading = read_frames([(0, ethernet(trailing)), (9, ethernet(unknown))])
    assert [m.data for m in reading.messages] == [CALL, CALL]


@pytest.mark.parametrize("snaplen", [96, 128, 200])
def test_cut_frames(snaplen: int) -> None:
    """The mark tells the length on the wire, so records are followed across frames that are cut."""
    lock = rpc_call(1, NLM, 4, 2, bytes(200), machinename="client-a")
    bulk = rpc_call(2, NFS, 3, 7, bytes(3000))
    stream = record_mark(lock) + record_mark(bulk) + record_mark(lock)
    cut = [(0, len(lock) + 4), (len(lock) + 4, 1500), (1500, 2900), (2900, len(lock) + len(bulk) + 8)]
    cut.append((cut[-1][1], len(stream)))
    frames = [(0.0, ethernet(ipv4(A4, B4, TCP, tcp(802, 45678, seq=99, flags="S"))))]
    for n, (a, b) in enumerate(cut):
        frames.append((n + 1, ethernet(ipv4(A4, B4, TCP, tcp(802, 45678, stream[a:b], seq=100 + a)))))
    reading = read_frames([*frames, (9, ethernet(P4))], snaplen=snaplen)
    seen = [min(snaplen - 58, len(lock)), min(snaplen - 58, len(lock)), min(snaplen - 42, len(CALL))]
    assert [(m.frame, m.length, len(m.data)) for m in reading.messages] == [
        (2, len(lock), seen[0]),
        (6, len(lock), seen[1]),
        (7, len(CALL), seen[2]),
    ]
    assert reading.traffic.calls(NFS) == {3: 1}


@pytest.mark.parametrize("program", [PORTMAP, NLM, NSM, MOUNT, NFS, 100011])
@pytest.mark.parametrize("port", [995, 802, 705, 53, 2049, 40000])
def test_rpc_is_found_by_content(program: int, port: int) -> None:
    call = rpc_call(1, program, 3, 1, bytes(40))
    over_tcp = tcp(port, 4045, record_mark(call), seq=5)
    packets = [ipv4(A4, B4, UDP, udp(port, 4045, call)), ipv4(A4, B4, TCP, over_tcp)]
    reading = read_frames([(n, ethernet(packet)) for n, packet in enumerate(packets)])
    assert len(reading.messages) == (0 if program in (NFS, 100011) else 2)
    assert reading.traffic.programs == {(program, 3, 0, 1): 2}


def test_nfs_procedures_on_request() -> None:
    calls = [rpc_call(n, NFS, vers, proc, bytes(40)) for n, (vers, proc) in enumerate([(3, 3), (3, 7), (2, 4), (2, 3)])]
    stream = b"".join(map(record_mark, calls))
    frames = [(0.0, ethernet(ipv4(A4, B4, TCP, tcp(802, 2049, stream, seq=5))))]
    assert read(Frames(frames), keep=[(3, 3), (2, 4)]).xids == [0, 2]
    assert read(Frames(frames)).xids == []


@given(st.binary(max_size=200), st.sampled_from([0, 1, 12, 14, 101, 108, 113, 228, 229, 276]), st.integers(0, 200))
def test_any_bytes(data: bytes, link: int, snaplen: int) -> None:
    read_frames([(0, data), (1, data[::-1])], link=link, snaplen=snaplen)


@given(
    st.sampled_from([P4, P6]),
    st.integers(0, 300),
    st.lists(st.tuples(st.integers(0, 79), st.integers(0, 255)), max_size=6),
)
def test_broken_headers(packet: bytes, keep: int, changes: list[tuple[int, int]]) -> None:
    broken = bytearray(packet)
    for at, value in changes:
        broken[at] = value
    read_frames([(0, ethernet(bytes(broken))[:keep]), (1, ethernet(bytes(broken)))])


def test_tables_grow() -> None:
    """More endpoints, pairs and connections than the tables first have room for."""
    calls = [rpc_call(n, NLM, 4, 2) for n in range(3000)]
    frames = [
        (n / 1000, ethernet(ipv4(f"10.1.{n >> 8}.{n & 255}", B4, TCP, tcp(700, 4045, record_mark(call), seq=1))))
        for n, call in enumerate(calls)
    ]
    for per_block in (1 << 30, 100):
        reading = read_frames(frames, per_block=per_block)
        assert reading.xids == list(range(3000))
        assert len(reading.traffic.endpoints) == 3001
        assert [m.src for m in reading.messages] == [f"10.1.{n >> 8}.{n & 255}" for n in range(3000)]
        assert len({m.stream for m in reading.messages}) == 3000


def test_full_tables_are_a_defect_and_nothing_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_CONNECTIONS", 256)
    frames = [
        (n / 1000, ethernet(ipv4(A4, B4, UDP, udp(1000 + n, 4045, rpc_call(n, NLM, 4, 2), length=0), ident=n)))
        for n in range(400)
    ]
    reading = read_frames(frames)
    assert reading.xids == list(range(256))
    assert reading.defects["too_many_connections"] == 144
