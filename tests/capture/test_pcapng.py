"""pcapng by hand-made blocks: sections, interfaces, units of time, the three forms of packets, lost packets."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.captures import SECOND, block, epb, idb, option, shb

from nlmdissect.capture.block import Block, Source
from nlmdissect.capture.files import open_recording
from nlmdissect.capture.formats import NO_PACKET

END = struct.pack("<HH", 0, 0)


def read(data: bytes) -> tuple[list[Block], Source]:
    recording = open_recording(["-"], stdin=io.BytesIO(data))
    columns = ("at", "captured", "wire", "time", "link")
    blocks = [replace(b, **{name: getattr(b, name).tolist() for name in columns}) for b in recording.blocks()]
    return blocks, recording.sources[0]


def times(data: bytes) -> list[int]:
    return [time for b in read(data)[0] for time in b.time]


def payloads(data: bytes) -> list[bytes]:
    return [b.buf[at : at + size] for b in read(data)[0] for at, size in zip(b.at, b.captured, strict=True)]


def reasons(source: Source) -> list[str]:
    return [defect.reason for defect in source.defects]


@pytest.mark.parametrize(
    ("power", "ticks", "expected"),
    [
        (None, 1_700_000_000_123_456, 1_700_000_000_123_456_000),  # the default unit is a microsecond
        (6, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        (9, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        (0, 1_700_000_000, 1_700_000_000_000_000_000),
        (3, 1_700_000_000_123, 1_700_000_000_123_000_000),
        (12, 1_700_000_000_123_456_789 * 10, 17_000_000_001_234_567),  # picoseconds, the last three digits are cut
        (0x80 | 1, 3, 1_500_000_000),  # halves of a second
        (0x80 | 10, 1024 * 5 + 1, 5_000_976_562),  # 1/1024 s is 976562.5 ns
        (0x80 | 32, (1 << 62) + 1, (1 << 30) * SECOND),  # the 1 is 0.23 ns
        (0x80 | 63, (1 << 64) - 1, 2 * SECOND - 1),
        (127, (1 << 64) - 1, 0),
    ],
)
def test_units_of_time_are_exact(power: int | None, ticks: int, expected: int) -> None:
    options = b"" if power is None else option(9, bytes([power])) + END
    assert times(shb() + idb(options=options) + epb(b"a", ticks)) == [expected]


@pytest.mark.parametrize(("offset", "expected"), [(1_600_000_000, 1_600_000_005), (-3, 2)])
def test_time_offset_is_in_seconds(offset: int, expected: int) -> None:
    options = option(14, struct.pack("<q", offset)) + END
    assert times(shb() + idb(options=options) + epb(b"a", 5_000_000)) == [expected * SECOND]


@given(st.integers(0, 255), st.integers(0, (1 << 64) - 1), st.integers(-(1 << 63), (1 << 63) - 1))
def test_no_time_leaves_the_range(power: int, ticks: int, offset: int) -> None:
    options = option(9, bytes([power])) + option(14, struct.pack("<q", offset)) + END
    blocks, source = read(shb() + idb(options=options) + epb(b"a", ticks))
    unit = 2 ** (power & 127) if power & 128 else 10 ** (power & 127)
    exact = ticks * SECOND // unit + offset * SECOND
    if abs(exact) <= 1 << 62:
        assert blocks[0].time == [exact]
        assert source.defects == []
    else:
        assert abs(blocks[0].time[0]) == 1 << 62
        assert reasons(source) == ["time_out_of_range"]


def test_each_section_has_its_own_byte_order_and_interfaces() -> None:
    data = (
        shb("<")
        + idb("<")
        + epb(b"one", 1)
        + shb(">")
        + idb(">", link=113, options=option(9, b"\x09", ">"))
        + epb(b"two", 2, ">")
        + epb(b"three", 3, ">")
        + shb("<")
        + idb("<", link=276)
        + epb(b"four", 4)
    )
    blocks, source = read(data)
    assert [(b.first_frame, b.time, b.link) for b in blocks] == [
        (1, [1000], [1]),
        (2, [2, 3], [113, 113]),
        (4, [4000], [276]),
    ]
    assert payloads(data) == [b"one", b"two", b"three", b"four"]
    assert source.link_types == ["ethernet", "linux_sll", "linux_sll2"]


def test_interfaces_differ_in_link_type_unit_and_snap_length() -> None:
    nano = option(9, b"\x09") + END
    data = shb() + idb(snaplen=200) + idb(link=101, snaplen=96, options=nano)
    data += epb(b"a", 7, interface=1) + epb(b"b", 7, interface=0) + epb(b"c", 8, interface=1)
    (b,), source = read(data)
    assert b.time == [7, 7000, 8]
    assert b.link == [101, 1, 101]
    assert source.snaplen == 96


def test_a_frame_that_was_cut_keeps_its_length_on_the_wire() -> None:
    (b,), _ = read(shb() + idb() + epb(b"abc", wire=1500))
    assert (b.captured, b.wire) == ([3], [1500])


def test_simple_packets_have_no_time_and_are_cut_by_the_first_interface() -> None:
    simple = block(3, struct.pack("<I", 10) + b"abcd")
    data = shb() + idb(snaplen=3) + epb(b"x", 5) + simple + epb(b"y", 6) + simple
    blocks, source = read(data)
    assert [(b.captured, b.wire, b.time) for b in blocks] == [([1, 3, 1, 3], [1, 10, 1, 10], [5000, 5000, 6000, 6000])]
    assert payloads(data) == [b"x", b"abc", b"y", b"abc"]
    assert [(d.reason, d.count) for d in source.defects] == [("frame_without_time", 2)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_obsolete_packets_carry_a_drop_count(order: str) -> None:
    def packet(interface: int, drops: int, data: bytes) -> bytes:
        head = struct.pack(order + "HHIIII", interface, drops, 0, 9, len(data), len(data))
        return block(2, head + data, order)

    data = shb(order) + idb(order) + idb(order, link=113)
    data += packet(1, 0xFFFF, b"abcd") + packet(0, 3, b"efgh") + packet(0, 4, b"ijkl")
    (b,), source = read(data)
    assert (b.link, b.time) == ([113, 1, 1], [9000] * 3)
    assert payloads(data) == [b"abcd", b"efgh", b"ijkl"]
    assert source.dropped == 7


def statistics(interface: int, *options: tuple[int, int]) -> bytes:
    body = struct.pack("<III", interface, 0, 0)
    return block(5, body + b"".join(option(code, struct.pack("<Q", value)) for code, value in options) + END)


def test_lost_packets_are_the_last_counters_of_each_interface() -> None:
    data = shb() + idb() + idb() + epb(b"a")
    data += statistics(0, (4, 1000), (5, 3)) + statistics(0, (4, 2000), (5, 10), (7, 5)) + statistics(1, (5, 100))
    assert read(data)[1].dropped == 115
    assert read(data + shb() + idb() + statistics(0, (5, 1)))[1].dropped == 116
    assert read(shb() + idb() + statistics(0, (4, 1000)))[1].dropped is None
    assert read(shb() + idb() + statistics(0, (5, 0)))[1].dropped == 0


def test_lost_packets_are_counted_from_packet_options_too() -> None:
    lost = option(2, bytes(4)) + option(4, struct.pack("<Q", 6)) + END
    assert read(shb() + idb() + epb(b"abc", options=lost) + epb(b"abc", options=lost))[1].dropped == 12
    assert read(shb() + idb() + epb(b"abc", options=lost) + statistics(0, (5, 20)))[1].dropped == 20


def test_an_option_longer_than_its_packet_costs_only_the_options() -> None:
    cut = struct.pack("<HH", 4, 400) + bytes(8)
    blocks, source = read(shb() + idb() + epb(b"abc", options=cut) + epb(b"d"))
    assert [len(b.at) for b in blocks] == [2]
    assert reasons(source) == ["options_cut"]


def test_an_option_longer_than_its_interface_ends_the_file() -> None:
    blocks, source = read(shb() + idb() + epb(b"a") + idb(options=struct.pack("<HH", 9, 400)) + epb(b"b"))
    assert [len(b.at) for b in blocks] == [1]
    assert reasons(source) == ["interface_options_cut"]


def test_unknown_blocks_are_stepped_over_and_numbered_ones_keep_their_number() -> None:
    names, unknown = block(4, bytes(8)), block(0x7777, bytes(100))
    journal, custom = block(9, b"MESSAGE=x\n"), block(0xBAD, bytes(8))
    (b,), _ = read(shb() + unknown + idb() + names + epb(b"a", 5) + journal + custom + unknown + epb(b"b", 6))
    assert b.link == [1, NO_PACKET, NO_PACKET, 1]
    assert b.captured == [1, 0, 0, 1]
    assert b.time == [5000, 5000, 5000, 6000]


def test_an_unsupported_interface_beside_a_supported_one_is_a_defect() -> None:
    data = shb() + idb() + idb(link=105) + epb(b"a", interface=1) + epb(b"b") + epb(b"c", interface=1)
    (b,), source = read(data)
    assert b.link == [105, 1, 105]
    (defect,) = source.defects
    assert (defect.layer, defect.reason, defect.count) == ("link", "unsupported_link_type", 2)
    assert "interface 1: IEEE802_11 (105)" in defect.detail


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (struct.pack("<II", 6, 0xFFFFFFFC) + bytes(100), "block_too_long"),
        (struct.pack("<II", 6, 16) + bytes(100), "block_length_wrong"),
        (struct.pack("<II", 6, 33) + bytes(100), "block_length_wrong"),
        (struct.pack("<II", 6, 64 << 20) + bytes(100), "block_cut"),
        (epb(b"abcd")[:20] + struct.pack("<I", 5) + epb(b"abcd")[24:], "captured_length_wrong"),
        (epb(b"abcd")[:20] + struct.pack("<I", 0xFFFFFFFF) + epb(b"abcd")[24:], "captured_length_wrong"),
        (epb(b"abcd")[:-4] + struct.pack("<I", 40), "block_lengths_differ"),
        (epb(b"abcd", interface=1), "unknown_interface"),
        (shb(version=(1, 1)), "section_version_1_1"),
        (shb()[:8] + bytes(20), "section_without_byte_order"),
        (shb()[:27], "block_cut"),
        (b"\0" * 11, "block_cut"),
    ],
)
def test_a_broken_block_ends_the_file_there(broken: bytes, reason: str) -> None:
    good = shb() + idb() + epb(b"one", 1) + epb(b"two", 2)
    data = good + broken + epb(b"never")
    if reason == "block_cut":
        data = good + broken
    blocks, source = read(data)
    assert [b.time for b in blocks] == [[1000, 2000]]
    assert source.truncated
    assert reasons(source) == [reason]
    assert source.defects[0].frame == 3


def test_a_packet_before_any_interface_ends_the_file() -> None:
    blocks, source = read(shb() + epb(b"a"))
    assert blocks == []
    assert reasons(source) == ["unknown_interface"]
