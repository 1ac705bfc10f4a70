"""The two loops that run unchecked under a compiler: they may not read beyond ``end``, whatever the bytes say."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.captures import block, epb, idb, pcap, shb

from nlmdissect.capture import records

LIMIT = 1000


class Watched(bytes):
    """Bytes that refuse to be read at or behind ``end``."""

    end: int

    def __getitem__(self, at):  # type: ignore[no-untyped-def]
        assert 0 <= at < self.end, f"read at {at}, end is {self.end}"
        return super().__getitem__(at)


def walk_pcap(data: bytes, end: int, big: bool = False) -> tuple[list[int], int, int]:
    buf = Watched(data)
    buf.end = end
    starts = [0] * (end // 16)
    count, at, stop = records.walk_pcap(buf, 0, end, big, 16, 8, LIMIT, starts)
    return starts[:count], at, stop


def walk_pcapng(data: bytes, end: int, big: bool = False) -> tuple[list[tuple[int, int]], int, int]:
    buf = Watched(data)
    buf.end = end
    room = end // 12
    starts, kinds = [0] * room, [0] * room
    count, at, stop = records.walk_pcapng(buf, 0, end, big, LIMIT, starts, kinds)
    return list(zip(starts[:count], kinds[:count], strict=True)), at, stop


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcap_records_start_where_the_one_before_ends(order: str) -> None:
    data = pcap([(0, 0, b"abc"), (0, 0, b""), (0, 0, bytes(10))], order=order)[24:]
    # 16 + 3, then 16 + 0, then 16 + 10
    assert walk_pcap(data, len(data), order == ">") == ([0, 19, 35], 61, records.MORE)


def test_pcap_stops_at_the_record_that_is_not_whole() -> None:
    data = pcap([(0, 0, b"abc"), (0, 0, b"defg")])[24:]
    for end in range(len(data)):
        whole = [0] if end >= 19 else []
        assert walk_pcap(data, end) == (whole, 19 if whole else 0, records.MORE)


def test_pcap_stops_at_a_length_beyond_the_limit() -> None:
    data = struct.pack("<IIII", 0, 0, 3, 3) + b"abc" + struct.pack("<IIII", 0, 0, LIMIT + 1, 5)
    assert walk_pcap(data, len(data)) == ([0], 19, records.TOO_LONG)


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_keeps_packets_and_steps_over_what_it_does_not_know(order: str) -> None:
    data = epb(b"abc", order=order) + block(0x1234, bytes(8), order) + epb(b"abcd", order=order) + shb(">")
    # An EPB of 3 bytes: 28 + 4 + 4 = 36; the unknown block: 12 + 8 = 20.
    assert walk_pcapng(data, len(data), order == ">") == ([(0, 6), (56, 6)], 92, records.SECTION)


def test_pcapng_stops_at_an_interface_that_is_whole() -> None:
    data = epb(b"") + idb()
    assert walk_pcapng(data, len(data)) == ([(0, 6)], 32, records.INTERFACE)
    assert walk_pcapng(data, len(data) - 1) == ([(0, 6)], 32, records.MORE)


@pytest.mark.parametrize(
    ("kind", "length"), [(6, 28), (2, 28), (3, 12), (5, 20), (1, 16), (7, 8), (7, 0), (7, 13), (7, 14)]
)
def test_pcapng_stops_at_a_length_that_no_such_block_has(kind: int, length: int) -> None:
    data = struct.pack("<II", kind, length) + bytes(40)
    assert walk_pcapng(data, len(data)) == ([], 0, records.BAD_LENGTH)


def test_pcapng_stops_at_a_length_beyond_the_limit() -> None:
    data = struct.pack("<II", 6, 0xFFFFFFFC) + bytes(40)
    assert walk_pcapng(data, len(data)) == ([], 0, records.TOO_LONG)


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_lead_a_walk_beyond_its_end(data: bytes, big: bool) -> None:
    for end in (len(data), len(data) // 2):
        starts, at, _ = walk_pcap(data, end, big)
        assert starts == sorted(starts)
        assert at <= end
        kept, at, _ = walk_pcapng(data, end, big)
        assert kept == sorted(kept)
        assert at <= end
