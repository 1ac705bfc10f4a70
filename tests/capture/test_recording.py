"""Several files: rotated pieces, copies, two vantage points, loopback captures, other people's networks."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import random
import struct
from pathlib import Path

import pytest
from support.captures import SECOND, SHARED, ipv4, pcap, udp

from nlmdissect.capture import files
from nlmdissect.capture.files import open_recording
from nlmdissect.errors import CaptureError

CLIENT, SERVER, OTHER = "10.0.0.1", "10.0.0.7", "10.0.0.2"
Packet = tuple[int, bytes]  # ns, frame


def talk(count: int, start: int = 1000, client: str = CLIENT, server: str = SERVER, first: int = 0) -> list[Packet]:
    """One call a second, each with its xid and answer."""
    packets = []
    for n in range(first, first + count):
        time = (start + n - first) * SECOND
        xid = struct.pack(">II", n, 0)
        packets.append((time, udp(client, server, xid, mark=n & 0xFFFF, ports=(733, 4045))))
        packets.append((time + 500_000, udp(server, client, xid, mark=n + 7 & 0xFFFF, ports=(4045, 733))))
    return packets


def write(path: Path, packets: list[Packet], **how: int) -> Path:
    path.write_bytes(pcap([(*divmod(time, SECOND), data) for time, data in packets], magic=0xA1B23C4D, **how))
    return path


def seen(*paths: Path) -> list[str]:
    recording = open_recording(paths)
    captures = [b.capture for b in recording.blocks()]
    assert captures == sorted(captures)
    return [Path(source.path).name for source in recording.sources]


def refusal(*paths: Path) -> CaptureError:
    with pytest.raises(CaptureError) as caught:
        open_recording(paths)
    return caught.value


def test_rotated_pieces_come_out_in_time_order(tmp_path: Path) -> None:
    packets = talk(30)
    pieces = {name: packets[i * 20 : i * 20 + 20] for i, name in enumerate(("x.pcap2", "x.pcap10", "a"))}
    paths = [write(tmp_path / name, piece) for name, piece in pieces.items()]
    for order in itertools.permutations(paths):
        assert seen(*order) == ["x.pcap2", "x.pcap10", "a"]


def test_a_piece_without_frames_comes_last(tmp_path: Path) -> None:
    empty, full = write(tmp_path / "a", []), write(tmp_path / "b", talk(3))
    assert seen(empty, full) == ["b", "a"]


def test_two_vantage_points_are_refused_with_the_offset_and_the_choice(tmp_path: Path) -> None:
    """The second clock is 2.5 s ahead and 50 ppm fast; the second point is behind a router and sees one client only."""
    behind = talk(60)
    at_server = sorted(behind + talk(60, client=OTHER, first=500))
    start = behind[0][0]
    shifted = [
        (time + 2_500_000_000 + (time - start) * 50 // 1_000_000, data[:22] + bytes([data[22] - 1]) + data[23:])
        for time, data in behind
    ]
    one, other = write(tmp_path / "server", at_server), write(tmp_path / "client", shifted)
    error = refusal(one, other)
    assert "two vantage points" in error.message
    assert "client they are about 2.50 s later (120 packets" in error.message
    assert "part by 50 ppm" in error.message
    assert f"{one} shows more (240 packets with data, the other 120)" in error.hint
    assert "about 2.50 s earlier" in refusal(other, one).message


@pytest.mark.parametrize("offset", [-3600 * SECOND, -40_000, 40_000, 5_000_000, 100 * SECOND])
def test_vantage_points_with_any_offset(offset: int, tmp_path: Path) -> None:
    packets = talk(50, start=10_000)
    one = write(tmp_path / "one", packets)
    other = write(tmp_path / "other", [(time + offset, data) for time, data in packets])
    assert "two vantage points" in refusal(one, other).message


def test_a_vantage_point_is_found_among_rotated_pieces(tmp_path: Path) -> None:
    packets = talk(90)
    pieces = [write(tmp_path / f"ring{i}", packets[i * 60 : i * 60 + 60]) for i in range(3)]
    other = write(tmp_path / "other", [(time + SECOND, data) for time, data in packets[70:110]])
    assert "ring1" in refusal(*pieces, other).message


def test_the_same_packets_at_the_same_times_are_copies(tmp_path: Path) -> None:
    packets = talk(50)
    one = write(tmp_path / "one", packets)
    overlapping = write(tmp_path / "overlapping", packets[60:] + talk(20, start=1050, first=50))
    assert seen(one, overlapping) == ["one", "overlapping"]
    micro = tmp_path / "micro"
    micro.write_bytes(pcap([(t // SECOND, t % SECOND // 1000, data) for t, data in packets]))
    assert len(seen(one, micro)) == 2


def test_the_same_file_twice_is_read_once(tmp_path: Path) -> None:
    one = write(tmp_path / "one", talk(5))
    copy = tmp_path / "copy"
    copy.write_bytes(one.read_bytes())
    recording = open_recording([one, one, copy])
    assert sum(len(b.at) for b in recording.blocks()) == 10
    (source,) = recording.sources
    assert [(d.reason, d.detail) for d in source.defects] == [
        ("same_file_again", str(one)),
        ("same_file_again", str(copy)),
    ]


def test_calls_that_are_sent_again_in_the_next_piece_are_no_second_vantage_point(tmp_path: Path) -> None:
    """The server is away; the client repeats its calls every 10 s with the same bytes, as Linux does over UDP."""
    calls = [udp(CLIENT, SERVER, struct.pack(">II", n, 0), ports=(733, 4045)) for n in range(5)]
    before = talk(60) + [(1070 * SECOND + n, data) for n, data in enumerate(calls)]
    after = [(1080 * SECOND + n, data) for n, data in enumerate(calls)] + talk(60, start=1100, first=60)
    assert seen(write(tmp_path / "b", before), write(tmp_path / "a", after)) == ["b", "a"]


def test_keep_alives_are_no_second_vantage_point(tmp_path: Path) -> None:
    def segment(size: int) -> bytes:
        head = struct.pack(">HHIIBBHHH", 700, 2049, 99, 55, 5 << 4, 0x10, 500, 0, 0)
        return bytes(12) + b"\x08\x00" + ipv4(CLIENT, SERVER, head + bytes(size), protocol=6)

    pieces = []
    for i in range(2):
        packets = talk(60, start=1000 + 60 * i, first=60 * i)
        alive = [(packets[0][0] + n, segment(1)[:38] + bytes([n]) + segment(1)[39:]) for n in range(1, 20)]
        pieces.append(write(tmp_path / str(i), sorted(packets + alive)))
    assert len(seen(*pieces)) == 2


def test_unrelated_captures_are_refused_with_their_groups(tmp_path: Path) -> None:
    one = write(tmp_path / "one", talk(5))
    two = write(tmp_path / "two", talk(5, client=OTHER, start=1010, first=10))
    alien = write(tmp_path / "alien", talk(5, client="192.168.1.1", server="192.168.1.2"))
    assert seen(one, two) == ["one", "two"]
    error = refusal(alien, one, two)
    assert "no host address in common" in error.message
    assert f"{alien} (192.168.1.1, 192.168.1.2); " in error.message
    assert f"{one}, {two} (10.0.0.1, 10.0.0.2, 10.0.0.7)" in error.message


def test_captures_are_related_over_a_third(tmp_path: Path) -> None:
    a = write(tmp_path / "a", talk(3, client="10.0.0.1", server="10.0.0.2"))
    c = write(tmp_path / "c", talk(3, client="10.0.0.3", server="10.0.0.4", first=5))
    b = write(tmp_path / "b", talk(3, client="10.0.0.2", server="10.0.0.3", first=9))
    assert len(seen(a, c, b)) == 3
    assert "in common" in refusal(a, c).message


def loop(start: int, count: int = 20, first: int = 0) -> list[Packet]:
    return talk(count, start=start, client="127.0.0.1", server="127.0.0.1", first=first)


def test_loopback_captures_belong_to_what_was_captured_at_their_time(tmp_path: Path) -> None:
    network = write(tmp_path / "network", talk(60))
    during = write(tmp_path / "during", loop(1020))
    beside = write(tmp_path / "beside", loop(1065))
    # The loopback captures of two hosts may hold the same bytes at other times: each host counts from the same start.
    other = write(tmp_path / "other", loop(1025))
    assert len(seen(network, during, beside, other)) == 4
    assert len(seen(during, other)) == 2
    later = write(tmp_path / "later", loop(100_000))
    assert "loopback capture of another time" in refusal(network, later).message


def test_large_files_are_compared_while_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the beginnings do not show is found on the way: here the second point saw nothing for a long time."""
    monkeypatch.setattr(files, "SAMPLE", 1)
    monkeypatch.setattr(files, "FINGERPRINTS", 400)
    filler = bytes(12) + b"\x08\x00" + ipv4(CLIENT, SERVER, bytes(1400), protocol=1)
    late = talk(3000, start=100_000, first=20_000)
    # Each begins with more than a block of something else.
    one = write(tmp_path / "one", [(n * SECOND, filler) for n in range(5000)] + late)
    other = write(
        tmp_path / "other", [(n * SECOND + 7, filler) for n in range(4000)] + [(t + 3 * SECOND, d) for t, d in late]
    )
    recording = open_recording([one, other])
    with pytest.raises(CaptureError, match="two vantage points"):
        list(recording.blocks())


def test_the_fingerprint_does_not_depend_on_the_link_or_the_cut(tmp_path: Path) -> None:
    """Raw IP beside Ethernet, VLAN and Linux cooked captures, cut at 68 bytes, half a second apart each."""
    packets = talk(50)
    dressings = {
        "raw": (101, lambda data: data[14:]),
        "vlan": (1, lambda data: data[:12] + b"\x81\x00\x00\x05" + data[12:]),
        "qinq": (1, lambda data: data[:12] + b"\x88\xa8\x00\x05\x81\x00\x00\x06" + data[12:]),
        "sll": (113, lambda data: bytes(14) + data[12:]),
        "sll2": (276, lambda data: data[12:14] + bytes(18) + data[14:]),
        "null": (0, lambda data: b"\x02\0\0\0" + data[14:]),
        "cut": (1, lambda data: data[:68]),
    }
    plain = write(tmp_path / "plain", packets)
    for name, (link, dress) in dressings.items():
        path = write(tmp_path / name, [(time + SECOND // 2, dress(data)) for time, data in packets], link=link)
        assert "(100 packets" in refusal(plain, path).message, name


def test_random_bytes_are_no_reason_to_fail(tmp_path: Path) -> None:
    chance = random.Random(1)
    for link in (0, 1, 101, 113, 276):
        paths = []
        for i in range(2):
            junk = [(n * SECOND, chance.randbytes(chance.randrange(90))) for n in range(500)]
            frames = [(t, data[:12] + b"\x08\x00\x45" + data[15:]) for t, data in junk]
            paths.append(write(tmp_path / f"{link}-{i}", junk + frames, link=link))
        with contextlib.suppress(CaptureError):  # chance makes addresses, and they need not meet
            seen(*paths)


needs_recorded = pytest.mark.skipif(not SHARED.exists(), reason="the recorded files are not here")


@needs_recorded
def test_recorded_vantage_points() -> None:
    """Recorded with clocks 3.217 s apart and 20 ppm."""
    names = [SHARED / f"V02-two-points-healthy.{point}.pcap" for point in ("client", "server")]
    error = refusal(*names)
    assert "two vantage points" in error.message
    assert "about 3.22 s earlier" in error.message
    assert f"{names[1]} shows more" in error.hint


@needs_recorded
def test_recorded_ring() -> None:
    pieces = [SHARED / f"T10-healthy-g-ring-{letter}.pcap" for letter in "abcde"]
    assert seen(*pieces) == [f"T10-healthy-g-ring-{letter}.pcap" for letter in "caebd"]


@needs_recorded
@pytest.mark.parametrize("name", ["S13-loopback", "T14-loopback-upcall-dropped"])
def test_recorded_loopback(name: str) -> None:
    paths = sorted(SHARED.glob(f"{name}*.pcap"))
    assert len(seen(*paths)) == len(paths) == 6


@needs_recorded
def test_one_recording_in_many_formats_is_many_copies() -> None:
    paths = sorted(path for path in SHARED.glob("T10-healthy-g*") if ".json" not in path.name)
    assert len(seen(*paths)) == len(paths)


@needs_recorded
def test_recorded_strangers(tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress((SHARED / "S01-baseline-udp.pcap").read_bytes()))
    error = refusal(packed, SHARED / "T10-base-healthy.pcap")
    assert "no host address in common" in error.message
