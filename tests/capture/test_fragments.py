"""IP fragments: whatever their order and repetition, the same message comes out, or none."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.packets import (
    FRAGMENT,
    TCP,
    UDP,
    ethernet,
    fragment_header,
    ipv4,
    ipv6,
    record_mark,
    rpc_call,
    tcp,
    udp,
)
from support.reading import Reading, read_frames

NLM = 100021
CALL = rpc_call(7, NLM, 4, 2, bytes(range(200)) * 20, machinename="client-a")
DATAGRAM = udp(700, 45678, CALL)
EDGES = [0, 1480, 2960, len(DATAGRAM)]


def v4(
    offset: int, end: int, *, ident: int = 5, src: str = "10.0.0.1", payload: bytes = DATAGRAM, proto: int = UDP
) -> bytes:
    part = payload[offset:end]
    packet = ipv4(src, "10.0.0.2", proto, part, ident=ident, offset=offset, more=end < len(payload))
    return ethernet(packet)


def v6(offset: int, end: int, *, ident: int = 5) -> bytes:
    header = fragment_header(UDP, offset, end < len(DATAGRAM), ident)
    return ethernet(ipv6("fd00::1", "fd00::2", FRAGMENT, header + DATAGRAM[offset:end]))


def play(*frames: bytes, seconds: float = 0.001, snaplen: int = 1 << 30) -> Reading:
    return read_frames([(n * seconds, frame) for n, frame in enumerate(frames)], snaplen=snaplen)


def test_the_message_is_where_its_last_missing_byte_arrives() -> None:
    reading = play(v4(2960, len(DATAGRAM)), v4(0, 1480), v4(1480, 2960))
    (message,) = reading.messages
    assert (message.frame, message.data, message.length) == (3, CALL, len(CALL))
    assert (message.src, message.sport, message.dst, message.dport) == ("10.0.0.1", 700, "10.0.0.2", 45678)
    assert not reading.defects


@settings(deadline=None)
@given(
    places=st.lists(st.integers(1, len(DATAGRAM) // 8 - 1), min_size=1, max_size=8),
    more=st.lists(st.tuples(st.integers(0, 500), st.integers(1, 500)), max_size=4),
    data=st.data(),
    make=st.sampled_from([v4, v6]),
)
def test_any_order_overlap_and_repetition(places, more, data, make) -> None:  # type: ignore[no-untyped-def]
    edges = sorted({0, len(DATAGRAM), *(8 * place for place in places)})
    spans = [*itertools.pairwise(edges)]
    spans += [(8 * a, min(8 * (a + b), len(DATAGRAM))) for a, b in more if 8 * a < len(DATAGRAM)]
    spans = [span for span in spans if span != (0, len(DATAGRAM))]  # that is no fragment
    spans = data.draw(st.permutations(spans))
    reading = play(*(make(*span) for span in spans))
    seen: set[int] = set()
    frame = 0
    while len(seen) < len(DATAGRAM):
        seen |= set(range(*spans[frame]))
        frame += 1
    assert [(m.frame, m.data) for m in reading.messages] == [(frame, CALL)]
    assert not reading.defects


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_one_is_missing(missing: int) -> None:
    parts = [v4(0, 1480), v4(1480, 2960), v4(2960, len(DATAGRAM))]
    del parts[missing]
    reading = play(*parts)
    assert not reading.messages
    assert reading.defects == {"incomplete_fragments": 1}


def test_datagrams_interleaved() -> None:
    """The key is source, destination, protocol and identification."""
    others = [v4(0, 1480, ident=6), v4(1480, 2960, ident=6), v4(2960, len(DATAGRAM), ident=6)]
    sources = [v4(0, 1480, src="10.0.0.3"), v4(1480, 2960, src="10.0.0.3"), v4(2960, len(DATAGRAM), src="10.0.0.3")]
    mine = [v4(0, 1480), v4(1480, 2960), v4(2960, len(DATAGRAM))]
    frames = [frame for three in zip(others, mine, sources, strict=True) for frame in three]
    assert [(m.frame, m.src) for m in play(*frames).messages] == [(7, "10.0.0.1"), (8, "10.0.0.1"), (9, "10.0.0.3")]


def test_too_late() -> None:
    """RFC 1122: after 60 s the parts are dropped."""
    reading = play(v4(0, 1480), v4(1480, 2960), v4(2960, len(DATAGRAM)), seconds=31)
    assert not reading.messages
    assert reading.defects == {"incomplete_fragments": 2}


def test_identification_comes_round() -> None:
    """What is left of a packet that lost a part must not be mixed with the next of the same number."""
    other = udp(700, 45678, rpc_call(8, NLM, 4, 2, bytes(3000), machinename="client-a"))
    reading = play(
        v4(0, 1480),
        v4(2960, len(DATAGRAM)),
        v4(0, 1480, payload=other),
        v4(1480, 2960, payload=other),
        v4(2960, len(other), payload=other),
    )
    assert reading.frames == [(5, 8)]
    assert reading.defects == {"conflicting_fragments": 1}


def test_second_copies_are_no_new_datagram() -> None:
    parts = [v4(0, 1480), v4(1480, 2960), v4(2960, len(DATAGRAM))]
    twice = [frame for frame in parts for _ in "xx"]
    assert play(*twice, seconds=0.0001).frames == [(5, 7)]
    assert play(*parts, *parts, seconds=0.0001).frames == [(3, 7)]
    assert not play(*parts, *parts, seconds=0.0001).defects


def test_a_retransmission_is_a_new_datagram() -> None:
    again = [v4(0, 1480, ident=9), v4(1480, 2960, ident=9), v4(2960, len(DATAGRAM), ident=9)]
    reading = play(v4(0, 1480), v4(1480, 2960), v4(2960, len(DATAGRAM)), *again)
    assert [(m.frame, m.duplicate) for m in reading.messages] == [(3, False), (6, False)]


def test_cut_by_snaplen() -> None:
    (message,) = play(v4(0, 1480), v4(1480, 2960), v4(2960, len(DATAGRAM)), snaplen=200).messages
    assert (message.frame, message.length) == (3, len(CALL))
    assert message.data == CALL[: 200 - 14 - 20 - 8]


def test_a_tcp_segment_in_fragments() -> None:
    call = rpc_call(3, NLM, 4, 2, bytes(2000))
    segment = tcp(700, 45678, record_mark(call), seq=1001, ack=1)
    frames = [
        ethernet(ipv4("10.0.0.1", "10.0.0.2", TCP, tcp(700, 45678, seq=1000, flags="S"))),
        v4(1480, len(segment), payload=segment, proto=TCP),
        v4(0, 1480, payload=segment, proto=TCP),
        ethernet(
            ipv4("10.0.0.1", "10.0.0.2", TCP, tcp(700, 45678, record_mark(call), seq=1001 + len(call) + 4, ack=1))
        ),
    ]
    assert play(*frames).frames == [(3, 3), (4, 3)]


@pytest.mark.parametrize(
    "frame",
    [
        ethernet(ipv4("10.0.0.1", "10.0.0.2", UDP, bytes(1000), offset=65528)),
        ethernet(ipv4("10.0.0.1", "10.0.0.2", UDP, bytes(11), offset=8, more=True, total=31), pad=0),
        ethernet(ipv4("10.0.0.1", "10.0.0.2", UDP, b"", offset=8, more=True), pad=0),
    ],
    ids=["beyond 64 KiB", "no multiple of 8", "empty"],
)
def test_impossible(frame: bytes) -> None:
    reading = play(frame)
    assert not reading.messages
    assert reading.defects == {"bad_fragment": 1}


def test_a_flood_is_bounded() -> None:
    frames = [v4(0, 1480, ident=n % 65536, src=f"10.1.{n >> 8 & 255}.{n & 255}") for n in range(5000)]
    reading = play(*frames, v4(0, 1480), v4(1480, len(DATAGRAM)), seconds=0.0001)
    assert reading.xids == [7]
    assert reading.defects["too_many_fragments"] == 5001 - 1024
