"""Every form of a pcap file, by hand-made bytes; what is cut, broken or something else."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from threading import Thread
from time import perf_counter, sleep

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.captures import SECOND, epb, idb, pcap, shb

from nlmdissect.capture.block import Source
from nlmdissect.capture.files import open_recording
from nlmdissect.errors import CaptureError

Frame = tuple[int, int, bytes, int, int]  # number, time, data, wire length, link


def read(data: bytes) -> tuple[list[Frame], Source]:
    """All frames of a capture that comes through a pipe."""
    recording = open_recording(["-"], stdin=io.BytesIO(data))
    frames: list[Frame] = []
    for b in recording.blocks():
        assert len(b.at) == len(b.captured) == len(b.wire) == len(b.time) == len(b.link) > 0
        for i, at in enumerate(b.at):
            assert at + b.captured[i] <= len(b.buf)
            frames.append((b.first_frame + i, b.time[i], b.buf[at : at + b.captured[i]], b.wire[i], b.link[i]))
    (source,) = recording.sources
    assert source.frames == len(frames)
    return frames, source


def reasons(source: Source) -> list[str]:
    return [defect.reason for defect in source.defects]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "tick"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_both_byte_orders_and_both_units(order: str, magic: int, tick: int) -> None:
    frames, source = read(pcap([(1_700_000_000, 5, b"one"), (4_294_967_295, 999_999, b"")], order=order, magic=magic))
    assert frames == [
        (1, 1_700_000_000 * SECOND + 5 * tick, b"one", 3, 1),
        (2, 4_294_967_295 * SECOND + 999_999 * tick, b"", 0, 1),
    ]
    assert (source.format, source.compression, source.link_types, source.snaplen) == ("pcap", "", ["ethernet"], 65535)
    assert (source.first, source.last) == (frames[0][1], frames[1][1])
    assert (source.truncated, source.dropped, source.defects) == (False, None, [])


def test_a_frame_cut_by_the_snap_length_keeps_its_length_on_the_wire() -> None:
    data = pcap() + struct.pack("<IIII", 1, 0, 2, 1500) + b"ab"
    assert read(data)[0] == [(1, SECOND, b"ab", 1500, 1)]


def test_the_patched_libpcap_of_kuznetsov_has_longer_record_headers() -> None:
    record = struct.pack("<IIIIIHBB", 1, 2, 3, 3, 7, 0x0800, 0, 0) + b"abc"
    assert read(pcap(magic=0xA1B2CD34) + record * 2)[0] == [(n, SECOND + 2000, b"abc", 3, 1) for n in (1, 2)]


def test_before_version_2_3_the_lengths_stood_the_other_way_round() -> None:
    data = pcap(version=(2, 2)) + struct.pack("<IIII", 1, 0, 1500, 3) + b"abc"
    assert read(data)[0] == [(1, SECOND, b"abc", 1500, 1)]


def test_the_length_of_the_frame_check_sequence_is_not_part_of_the_link_type() -> None:
    # f = 1, FCS of 2 * 16 bits: 0x2400_0001 in the link type field
    assert read(pcap([(1, 0, b"abc")], link=0x24000001))[0] == [(1, SECOND, b"abc", 3, 1)]


@pytest.mark.parametrize("link", [0, 1, 12, 14, 101, 108, 113, 228, 229, 276])
def test_supported_link_types_go_through(link: int) -> None:
    assert read(pcap([(1, 0, b"abc")], link=link))[0] == [(1, SECOND, b"abc", 3, link)]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"\xd4\xc3\xb2\xa1\x02\x00", "cut after 6 bytes"),
        (b"\x0a\x0d", "cut after 2 bytes"),
        (shb()[:20], "cut after 20 bytes"),
        (pcap(version=(543, 0)), "version 543.0"),
        (pcap(version=(1, 4)), "version 1.4"),
        (pcap(link=105), "IEEE802_11 (105)"),
        (pcap(link=0x00300000), "reserved bits"),
        (shb(version=(1, 1)), "section version 1 1"),
        (shb(version=(2, 0)), "section version 2 0"),
        (shb()[:8] + bytes(20), "byte order"),
        (shb() + idb(link=105) + epb(b"abc"), "IEEE802_11 (105)"),
        (b"snoop\0\0\0" + bytes(20), "Solaris snoop"),
        (b"iptrace 2.0" + bytes(20), "AIX iptrace"),
        (b"10:00:00.000000 IP 10.0.0.1 > 10.0.0.2: NFS request\n", "is text"),
        (b"BZh91AY&SY" + bytes(20), "bzip2"),
        (bytes(40), "neither pcap nor pcapng"),
        (b"\x80" * 40, "neither pcap nor pcapng"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(data: bytes, says: str) -> None:
    with pytest.raises(CaptureError, match=r".") as caught:
        read(data)
    assert says in caught.value.message
    assert caught.value.hint


def test_a_snoop_file_comes_with_the_command_that_converts_it() -> None:
    with pytest.raises(CaptureError) as caught:
        read(b"snoop\0\0\0" + bytes(20))
    assert "tshark -F pcap -r IN -w OUT" in caught.value.hint


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="is a directory"):
        open_recording([tmp_path])
    with pytest.raises(CaptureError, match="no such file"):
        open_recording([tmp_path / "missing"])
    with pytest.raises(CaptureError, match="no capture given"):
        open_recording([])
    with pytest.raises(CaptureError, match="cannot be opened"):
        open_recording(["nul\0byte"])


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap())
    path.chmod(0)
    with pytest.raises(CaptureError, match="permission denied"):
        open_recording([path])


def test_a_capture_without_frames_is_no_error() -> None:
    assert read(pcap())[0] == []
    assert read(shb())[0] == []


def test_a_pipe_is_read_once() -> None:
    recording = open_recording(["-"], stdin=io.BytesIO(pcap([(1, 0, b"abc")])))
    assert len(list(recording.blocks())) == 1
    with pytest.raises(CaptureError, match="only once"):
        list(recording.blocks())


def test_a_pipe_is_not_combined_with_files(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(pcap())
    with pytest.raises(CaptureError, match="cannot be combined"):
        open_recording([tmp_path / "a.pcap", "-"], stdin=io.BytesIO(pcap()))


def test_a_named_pipe_is_read_as_a_pipe(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as file:
        file.write(pcap([(1, 0, b"abc")]))
    try:
        (b,) = open_recording([f"/dev/fd/{reader}"]).blocks()
    finally:
        os.close(reader)
    assert b.captured == [3]


def test_a_file_is_read_again_with_fresh_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([(1, 0, b"abc")]) + b"cut")
    recording = open_recording([path])
    for _ in range(2):
        assert [b.first_frame for b in recording.blocks()] == [1]
        assert recording.sources[0].frames == 1
        assert reasons(recording.sources[0]) == ["record_cut"]


LARGE = pcap([(i, 0, bytes(1000)) for i in range(12_000)])  # six blocks: two are read ahead


@pytest.mark.parametrize("left", [0, 10, 24, 5_000_000])
def test_a_file_that_becomes_shorter_while_it_is_read(tmp_path: Path, left: int) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(LARGE)
    recording = open_recording([path])
    blocks = recording.blocks()
    some = [next(blocks)]
    os.truncate(path, left)
    some += blocks
    frames = sum(len(b.at) for b in some)
    assert recording.sources[0].frames == frames < 12_000
    assert reasons(recording.sources[0]) in (["record_cut"], [])


def test_a_file_that_becomes_longer_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(LARGE)
    recording = open_recording([path])
    blocks = recording.blocks()
    some = [next(blocks)]
    with path.open("ab") as file:
        file.write(LARGE[24:])
    some += blocks
    assert recording.sources[0].frames == sum(len(b.at) for b in some) == 24_000
    assert reasons(recording.sources[0]) == []


def test_a_reading_that_is_given_up_does_not_wait_for_the_pipe() -> None:
    reader, writer = os.pipe()
    Thread(target=os.write, args=(writer, LARGE[:3_000_000]), daemon=True).start()
    try:
        blocks = open_recording([f"/dev/fd/{reader}"]).blocks()
        next(blocks)
        next(blocks)  # made in a thread, which waits for the third
        begin = perf_counter()
        blocks.close()  # type: ignore[attr-defined]
        assert perf_counter() - begin < 5
    finally:
        os.close(writer)
        os.close(reader)


def test_a_pipe_that_was_told_not_to_wait() -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)

    def write() -> None:
        for at in range(0, 300_000, 50_000):
            sleep(0.01)
            os.write(writer, LARGE[at : at + 50_000])
        os.close(writer)

    Thread(target=write).start()
    with os.fdopen(reader, "rb", buffering=0) as raw:
        assert sum(len(b.at) for b in open_recording(["-"], stdin=raw).blocks()) == (300_000 - 24) // 1016


def test_progress_reaches_the_total(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([(i, 0, bytes(1000)) for i in range(10_000)]))
    size = path.stat().st_size
    seen: list[tuple[int, int | None]] = []
    list(open_recording([path]).blocks(lambda done, total: seen.append((done, total))))
    assert seen == sorted(seen)
    assert len(seen) > 2
    assert {total for _, total in seen} == {size}
    assert seen[-1][0] == size


def test_blocks_are_bounded_and_a_long_frame_gets_a_longer_one() -> None:
    long = bytes(9 << 20)
    recording = open_recording(
        ["-"],
        stdin=io.BytesIO(pcap([(i, 0, bytes(1000)) for i in range(9000)]) + pcap([(9, 0, long), (9, 0, b"x")])[24:]),
    )
    blocks = list(recording.blocks())
    assert sum(len(b.at) for b in blocks) == 9002
    assert len(long) in blocks[-1].captured or len(long) in blocks[-2].captured
    assert all(len(b.buf) <= 5 << 20 for b in blocks if len(long) not in b.captured)


TWO = [(1, 0, b"abc"), (2, 0, b"defgh")]
SMALL = {
    "pcap": pcap(TWO),
    "pcapng": shb() + idb() + epb(b"abc", SECOND // 1000) + epb(b"defgh", 2 * SECOND // 1000),
}


@pytest.mark.parametrize("form", SMALL)
def test_cut_at_any_byte_what_came_before_is_used(form: str) -> None:
    data = SMALL[form]
    whole, _ = read(data)
    assert [frame[2] for frame in whole] == [b"abc", b"defgh"]
    for size in range(len(data)):
        try:
            frames, source = read(data[:size])
        except CaptureError:
            assert size < 28
            continue
        assert frames == whole[: len(frames)]
        assert source.truncated == bool(source.defects)
    assert reasons(read(data[:-1])[1]) == ["record_cut" if form == "pcap" else "block_cut"]
    assert len(read(data[:-1])[0]) == 1


@pytest.mark.parametrize("form", SMALL)
@given(data=st.data())
def test_any_damage_is_data_or_a_capture_error(form: str, data: st.DataObject) -> None:
    broken = bytearray(SMALL[form])
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        frames, _ = read(bytes(broken))
    except CaptureError:
        return
    assert all(abs(frame[1]) <= 1 << 62 for frame in frames)


def test_a_length_that_no_packet_has_ends_the_file_there() -> None:
    data = pcap(TWO) + struct.pack("<IIII", 3, 0, (256 << 20) + 1, 60) + bytes(100)
    frames, source = read(data)
    assert len(frames) == 2
    assert source.truncated
    assert reasons(source) == ["record_too_long"]
    assert source.defects[0].frame == 3
