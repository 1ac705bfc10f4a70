"""Damaged frames, told by their checksums: real recordings, in which tshark calls all of them right, with bits changed."""

from __future__ import annotations

import lzma
import random
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.captures import OWN, SHARED
from support.corruption import HEAD, RECORD, boundaries
from support.packets import TCP, UDP, ethernet, ipv4, pcap, rpc_call, tcp
from support.reading import read_files

from nlmdissect.history.history import read_history
from nlmdissect.hosts.visibility import V

UDP_CAPTURE, TCP_CAPTURE, SIX = (OWN / f"{n}.pcap" for n in ("S01-baseline-udp", "S02-blocking-tcp", "S16-ipv6"))


def frames(data: bytes | bytearray) -> Iterator[int]:
    """Where the frames of a little-endian pcap begin."""
    yield from (place + RECORD for place in boundaries(bytes(data))[:-1])


def sum_at(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """(IP protocol, where its checksum stands) of an Ethernet frame; None for others."""
    kind = data[at + 12 : at + 14]
    if kind not in (b"\x08\0", b"\x86\xdd"):
        return None
    protocol, payload = (data[at + 23], at + 34) if kind == b"\x08\0" else (data[at + 20], at + 54)
    return (protocol, payload + {TCP: 16, UDP: 6}[protocol]) if protocol in (TCP, UDP) else None


def damaged(data: bytes | bytearray, folder: Path) -> list[int]:
    path = folder / "damaged.pcap"
    path.write_bytes(data)
    return [at.frame for at in read_files(path).traffic.damaged]


@pytest.mark.parametrize("path", [UDP_CAPTURE, TCP_CAPTURE, SIX], ids=lambda path: path.name)
def test_a_message_with_another_bit_is_not_taken(path: Path, tmp_path: Path) -> None:
    """It is damaged, or does not look like a message any more and is passed over as if it were lost."""
    data, chance, noticed = path.read_bytes(), random.Random(7), 0
    edges = boundaries(data)
    said = sorted({message.frame for message in read_files(path).messages})
    assert damaged(data, tmp_path) == []
    for frame in chance.sample(said, 25):
        changed = bytearray(data)
        begin, end = edges[frame - 1] + RECORD + 14, edges[frame]
        begin += 8 if data[begin] >> 4 == 6 else 0  # of IPv6 the addresses are summed up, and the rest does not matter
        changed[chance.randrange(begin, end)] ^= 1 << chance.randrange(8)
        (tmp_path / "changed.pcap").write_bytes(changed)
        reading = read_files(tmp_path / "changed.pcap")
        assert frame not in {message.frame for message in reading.messages}
        found = [at.frame for at in reading.traffic.damaged]
        assert found in ([], [frame])
        noticed += len(found)
    assert noticed > 15


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared recordings are not here")
@pytest.mark.parametrize("form", ["nsec", "qinq", "rawip", "sll", "sll2", "vlan"])
def test_in_other_forms(form: str, tmp_path: Path) -> None:
    path = SHARED / f"T10-healthy-g-{form}.pcap"
    data, frame = bytearray(path.read_bytes()), read_files(path).messages[50].frame
    data[boundaries(bytes(data))[frame] - 1] ^= 1
    assert damaged(data, tmp_path) == [frame]


def spoil(value: Callable[[bytearray, int, int], int], whose: bytes = b"") -> bytearray:
    """A recording in which checksums are other ones: all, or those of one source address."""
    data = bytearray(TCP_CAPTURE.read_bytes())
    for at in frames(data):
        found = sum_at(data, at)
        if found and data[at + 26 : at + 30].startswith(whose):
            struct.pack_into(">H", data, found[1], value(data, at, found[0]))
    return data


def pseudo(data: bytearray, at: int, protocol: int, length: bool) -> int:
    words = struct.unpack(">4H", data[at + 26 : at + 34])
    total = sum(words) + protocol + (struct.unpack_from(">H", data, at + 16)[0] - 20 if length else 0)
    return total % 65535


@pytest.mark.parametrize(
    "value",
    [
        lambda data, at, protocol: pseudo(data, at, protocol, True),  # Linux: the card adds the rest
        lambda data, at, protocol: pseudo(data, at, protocol, False),  # and cuts it as well
        lambda data, at, protocol: 0,
        lambda data, at, protocol: 0xBEEF,  # an address that was changed, or what lay there before
    ],
    ids=["pseudo-header", "without length", "zero", "anything"],
)
@pytest.mark.parametrize("whose", [b"", bytes((10, 77, 0, 10))], ids=["all", "own host"])
def test_a_habit_is_no_damage(value: Callable[[bytearray, int, int], int], whose: bytes, tmp_path: Path) -> None:
    path = tmp_path / "habit.pcap"
    path.write_bytes(spoil(value, whose))
    other, plain = read_files(path), read_files(TCP_CAPTURE)
    assert not other.traffic.damaged
    assert [m.data for m in other.messages] == [m.data for m in plain.messages]
    addresses = plain.traffic.endpoints.addresses
    assert plain.traffic.vouched == {*range(len(addresses))}
    assert other.traffic.vouched == ({n for n, a in enumerate(addresses) if a != whose} if whose else set())


def test_a_host_with_a_habit_does_not_hide_others(tmp_path: Path) -> None:
    data = spoil(lambda data, at, protocol: pseudo(data, at, protocol, True), bytes((10, 77, 0, 10)))
    begins = [*frames(data)]
    for message in read_files(TCP_CAPTURE).messages[20:40]:
        changed = bytearray(data)
        changed[begins[message.frame] - RECORD - 1] ^= 4
        assert damaged(changed, tmp_path) == ([] if message.src == "10.77.0.10" else [message.frame])


def test_what_is_cut_or_joined_cannot_be_told(tmp_path: Path) -> None:
    """A frame without its end; and segments that the receiver joined, with the checksum of one of them."""
    data = lzma.decompress((OWN / "T10-healthy-g.pcap.xz").read_bytes())
    out = bytearray(data[:HEAD])
    for at in frames(data):
        size, wire = struct.unpack_from("<II", data, at - 8)
        out += data[at - RECORD : at - 8] + struct.pack("<II", min(size, 150), wire) + data[at : at + min(size, 150)]
    assert damaged(out, tmp_path) == []
    call = struct.pack(">I", 0x80000000 | 40 + 1600) + rpc_call(7, 100003, 3, 1, bytes(1600))
    long = ipv4("10.77.0.21", "10.77.0.10", TCP, tcp(700, 2049, call, seq=1, ack=1))
    long = long[:36] + b"\xbe\xef" + long[38:]
    joined = TCP_CAPTURE.read_bytes() + pcap([(0.0, ethernet(long))])[HEAD:]
    assert damaged(joined, tmp_path) == []


def test_nobody_knows_whose_a_damaged_frame_was(tmp_path: Path) -> None:
    """Then nothing that the capture lacks at that moment is certain, between whomever. It stays a defect."""
    data = bytearray(TCP_CAPTURE.read_bytes())
    frame = read_files(TCP_CAPTURE).messages[30].frame
    data[boundaries(bytes(data))[frame] - 1] ^= 1
    path = tmp_path / "damaged.pcap"
    path.write_bytes(data)
    history = read_history([path])
    assert [(d.frame, d.reason, d.count) for d in history.defects] == [(frame, "damaged_frame", 1)]
    (at,) = history.traffic.damaged
    client, other = 0, 2  # have nothing to do with each other
    why = f"frame {frame}: the frame is damaged, its checksum is wrong"
    assert history.visibility.visible((client, other), V.NO_LOSS, at.time, at.time).why == why
    for pair in history.requests.pairs:
        assert not history.visibility.visible(pair, V.NO_LOSS, at.time, at.time).holds
        assert history.visibility.visible(pair, V.NO_LOSS, 0, history.extent.first - 3 * 10**9).holds


def test_a_thousand_tags_are_no_work(tmp_path: Path) -> None:
    """Whose packet is so deep in VLANs is not summed up: of a frame of 4 MB that would be a million looks."""
    data = bytearray(UDP_CAPTURE.read_bytes())
    edges, frame = boundaries(bytes(data)), read_files(UDP_CAPTURE).messages[20].frame
    for tags, found in ((3, [frame]), (50, []), (1_000_000, [])):
        begin, end = edges[frame - 1] + RECORD, edges[frame]
        deep = data[begin : begin + 12] + b"\x81\0\0\7" * tags + data[begin + 12 : end - 1] + bytes((data[end - 1] ^ 1,))
        size = struct.pack("<II", len(deep), len(deep))
        start = time.process_time()
        assert damaged(data[: begin - 8] + size + deep + data[end:], tmp_path) == found
        assert time.process_time() - start < 5


def test_a_frame_that_ends_behind_its_header(tmp_path: Path) -> None:
    """The last one of a block: nothing is read that is not there."""
    short = ipv4("10.77.0.21", "10.77.0.10", 1, b"", total=60)
    for link, packet in ((1, ethernet(short, pad=0)), (101, short)):
        path = tmp_path / "short.pcap"
        path.write_bytes(pcap([(0.0, packet)], link=link))
        assert not read_files(path).traffic.damaged
