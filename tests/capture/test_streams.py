"""TCP: segments in, messages out. Whatever way the bytes are cut, ordered and repeated, the same messages come out."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.packets import TCP, ethernet, ip, record_mark, rpc_call, rpc_reply, tcp
from support.reading import Reading, read_frames

from nlmdissect.capture.messages import Kind

CLIENT, SERVER = "10.0.0.1", "10.0.0.2"
CPORT, SPORT = 802, 45678
NLM, NFS, PORTMAP = 100021, 100003, 100000
LOCK, LOCK2, LOCK3 = (rpc_call(xid, NLM, 4, 2, bytes(range(64)), machinename="client-a") for xid in (1, 2, 3))
WRITE = rpc_call(9, NFS, 3, 7, b"\xa5" * 5000)
GETATTR = rpc_call(8, NFS, 3, 1, bytes(36))

Segment = tuple[int, int]
"""(from, to): positions in the stream."""


def frame(data: bytes, at: int, *, isn: int = 1000, flags: str = "A", ack: int = 1, down: bool = False) -> bytes:
    """A segment whose data is at ``at`` of its stream (-1: the SYN's own place). ``ack`` counts the same way."""
    ends = (SERVER, CLIENT, SPORT, CPORT) if down else (CLIENT, SERVER, CPORT, SPORT)
    segment = tcp(*ends[2:], data, seq=isn + 1 + at, ack=ack, flags=flags)
    return ethernet(ip(ends[0], ends[1], TCP, segment))


def play(
    stream: bytes, segments: list[Segment], *, isn: int = 1000, syn: bool = True, per_block: int = 1 << 30
) -> Reading:
    """One direction, one millisecond a frame. Frame numbers begin with 1 for the SYN, or for the first segment."""
    frames = [frame(b"", -1, isn=isn, flags="S")] if syn else []
    frames += [frame(stream[a:b], a, isn=isn) for a, b in segments]
    return read_frames([(n / 1000, f) for n, f in enumerate(frames)], per_block=per_block)


def pieces(stream: bytes, size: int) -> list[Segment]:
    return [(at, min(at + size, len(stream))) for at in range(0, len(stream), size)]


STREAMS = {
    "one call": ([LOCK], record_mark(LOCK)),
    "two calls": ([LOCK, LOCK2], record_mark(LOCK) + record_mark(LOCK2)),
    "bulk between": ([LOCK, LOCK2], record_mark(LOCK) + record_mark(WRITE) + record_mark(LOCK2)),
    "fragments": ([LOCK, LOCK2], record_mark(LOCK, 40, 20) + record_mark(LOCK2, 100)),
    "tiny fragments": ([LOCK, LOCK2], record_mark(LOCK, *[1] * 60) + record_mark(LOCK2, 3, 7)),
    "empty last fragment": ([LOCK, LOCK2], record_mark(LOCK, len(LOCK)) + record_mark(LOCK2)),
    "bulk in fragments": ([LOCK2], record_mark(WRITE, 1000, 2000) + record_mark(LOCK2)),
    "bulk in tiny fragments": ([LOCK2], record_mark(GETATTR, *[1] * 30) + record_mark(LOCK2)),
    "a reply without call": ([rpc_reply(5, bytes(8))], record_mark(rpc_reply(5, bytes(8)))),
    "rpcvers 3": ([rpc_call(4, NLM, 4, 2, rpcvers=3)], record_mark(rpc_call(4, NLM, 4, 2, rpcvers=3))),
    "unknown version and procedure": ([rpc_call(4, NLM, 99, 77)], record_mark(rpc_call(4, NLM, 99, 77))),
    "garbage, then a call": ([LOCK], b"SSH-2.0-OpenSSH_9.2\r\n" + record_mark(LOCK)),
    "zeros, then a call": ([LOCK], bytes(1001) + record_mark(LOCK)),
    "a record too long to be one, then a call": ([LOCK], b"\x81\0\0\0" + LOCK + record_mark(LOCK)),
}


ONLY_FROM_THE_START = {"tiny fragments", "rpcvers 3"}
"""Recognised only where a record is known to begin."""


@pytest.mark.parametrize(
    ("name", "syn"),
    [(name, syn) for name in STREAMS for syn in (True, False) if syn or name not in ONLY_FROM_THE_START],
)
@pytest.mark.parametrize("isn", [1000, 2**32 - 20], ids=["", "wrap"])
@pytest.mark.parametrize("per_block", [1 << 30, 3], ids=["one block", "three a block"])
@pytest.mark.parametrize("size", [1 << 30, 1, 7, 40, 1448], ids=["whole", "by byte", "7", "40", "1448"])
def test_cut_anyhow(name: str, syn: bool, isn: int, per_block: int, size: int) -> None:
    messages, stream = STREAMS[name]
    reading = play(stream, pieces(stream, size), isn=isn, syn=syn, per_block=per_block)
    assert [m.data for m in reading.messages] == messages
    assert all(m.length == len(m.data) and not m.duplicate for m in reading.messages)
    assert not reading.kinds(Kind.GAP, Kind.UNSEEN_ACK)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("size", [11, 40, 500])
@pytest.mark.parametrize("change", ["reversed", "shuffled", "repeated", "overlapping", "all twice"])
def test_ordered_anyhow(name: str, size: int, change: str) -> None:
    messages, stream = STREAMS[name]
    cut = pieces(stream, size)
    match change:
        case "reversed":
            cut.reverse()
        case "shuffled":
            random.Random(7).shuffle(cut)
        case "repeated":
            cut = [one for pair in zip(cut, cut, strict=True) for one in pair]
        case "overlapping":
            cut = [(max(a - 9, 0), min(b + 9, len(stream))) for a, b in cut]
        case "all twice":
            cut += cut
    assert sorted(m.data for m in play(stream, cut).messages) == sorted(messages)


@st.composite
def conversations(draw: st.DrawFn, syn: bool = True) -> tuple[list[bytes], bytes, list[Segment], int, int]:
    """(wanted messages, stream, segments in any order with repeats that cover it, isn, frames a block)."""
    wanted, stream, others = [], b"", False
    for xid in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["lock", "bulk", "nfs", "portmap", "reply"]))
        size = 4 * draw(st.integers(0, 40))
        match kind:
            case "lock":
                message = rpc_call(xid, NLM, 4, 2, draw(st.binary(min_size=size, max_size=size)), machinename="c")
            case "portmap":
                message = rpc_call(xid, PORTMAP, 2, 3, bytes(16))
            case "reply":
                message = rpc_reply(xid, bytes(size))
            case "bulk":
                message = rpc_call(xid, NFS, 3, 7, b"\x80" * size * 20)
            case _:
                message = rpc_call(xid, NFS, 3, 1, bytes(size))
        if kind == "reply" and others:
            continue  # beside calls of other programs a reply belongs to them
        if kind in ("bulk", "nfs"):
            others = True
        else:
            wanted.append(message)
        cuts = draw(st.lists(st.integers(1, len(message)), max_size=3)) if draw(st.booleans()) else []
        sizes = []
        for cut in cuts:
            if sum(sizes) + cut < len(message) and (syn or sizes or cut >= 32):
                sizes.append(cut)
        stream += record_mark(message, *sizes)
    places = draw(st.lists(st.integers(0, len(stream)), max_size=12))
    edges = sorted({0, len(stream), *places})
    segments = list(itertools.pairwise(edges))
    extra = draw(st.lists(st.tuples(st.integers(0, len(stream)), st.integers(0, len(stream))), max_size=4))
    segments += [(min(e), max(e)) for e in extra if e[0] != e[1]]
    segments = draw(st.permutations(segments))
    return wanted, stream, segments, draw(st.sampled_from([0, 12345, 2**32 - 2, 2**32 - 100])), draw(st.integers(1, 30))


def last_missing_byte(stream: bytes, segments: list[Segment], message: bytes) -> int:
    """The frame in which the last byte of a message (there once, in one fragment) arrives; the SYN is frame 1."""
    end = stream.index(message) + len(message)
    return 2 + max(
        min(n for n, (a, b) in enumerate(segments) if a <= at < b) for at in range(end - len(message) - 4, end)
    )


@settings(max_examples=200, deadline=None)
@given(st.booleans().flatmap(lambda syn: st.tuples(conversations(syn), st.just(syn))))
def test_any_segmentation_order_and_repetition(
    case: tuple[tuple[list[bytes], bytes, list[Segment], int, int], bool],
) -> None:
    (wanted, stream, segments, isn, per_block), syn = case
    reading = play(stream, segments, isn=isn, syn=syn, per_block=per_block)
    assert sorted(m.data for m in reading.messages) == sorted(wanted)
    if not syn:
        return
    for m in reading.messages:
        if stream.count(m.data) == 1 and record_mark(m.data) in stream:
            assert m.frame == last_missing_byte(stream, segments, m.data)


@settings(max_examples=100, deadline=None)
@given(conversations(), st.integers(0, 20))
def test_the_syn_may_be_late(conversation: tuple[list[bytes], bytes, list[Segment], int, int], place: int) -> None:
    wanted, stream, segments, isn, per_block = conversation
    frames = [frame(stream[a:b], a, isn=isn) for a, b in segments]
    frames.insert(min(place, len(frames)), frame(b"", -1, isn=isn, flags="S"))
    reading = read_frames([(n / 1000, f) for n, f in enumerate(frames)], per_block=per_block)
    assert sorted(m.data for m in reading.messages) == sorted(wanted)


@pytest.mark.parametrize("by", [1, 2, 123, 70_000, 8 << 20, 13 << 24, -1, -123])
@pytest.mark.parametrize("size", [1 << 30, 100])
@pytest.mark.parametrize("per_block", [1, 100])
def test_a_syn_with_another_number(by: int, size: int, per_block: int) -> None:
    """One of its bits is wrong: what was said is what counts, not where it was to begin."""
    stream = R1 + R2 + R3
    frames = [frame(b"", -1, isn=1000 + by, flags="S")] + [frame(stream[a:b], a) for a, b in pieces(stream, size)]
    reading = read_frames([(n * 1.0, f) for n, f in enumerate(frames)], per_block=per_block)
    assert reading.xids == [1, 2, 3]


def talk(*events: tuple[float, str, int, bytes, int], syn: bool = True, per_block: int = 1) -> Reading:
    """A connection: (seconds, "up" or "down", position, data, position acknowledged of the other direction)."""
    frames = []
    if syn:
        frames += [(0.0, frame(b"", -1, flags="S")), (0.0, frame(b"", -1, isn=5000, ack=1001, flags="SA", down=True))]
    for seconds, way, at, data, acked in events:
        down = way == "down"
        isn, other = (5000, 1000) if down else (1000, 5000)
        frames.append((seconds, frame(data, at, isn=isn, ack=other + 1 + acked, down=down)))
    return read_frames(frames, per_block=per_block)


R1, R2, R3 = (record_mark(message) for message in (LOCK, LOCK2, LOCK3))
A1 = record_mark(rpc_reply(1, bytes(8)))


@pytest.mark.parametrize("per_block", [1, 100])
def test_lost_by_the_capture(per_block: int) -> None:
    """The peer acknowledged what is missing: nobody will send it again, and the record behind it is found."""
    n = len(R1)
    reading = talk(
        (1.0, "up", 0, R1, 0),
        (1.1, "up", 2 * n, R3, 0),
        (1.2, "down", 0, b"", 3 * n),
        (1.9, "down", 0, A1, 3 * n),
        per_block=per_block,
    )
    assert sorted(reading.frames) == [(3, 1), (4, 3), (6, 1)]
    (gap,) = reading.kinds(Kind.GAP)
    assert (gap.a, gap.at.frame, gap.sport) == (n, 4, CPORT)


def test_lost_on_the_network() -> None:
    """The peer still asks for it, so it is waited for: the retransmission comes after 3 s."""
    n = len(R1)
    late = [(1.2 + k / 2, "down", 0, b"", n) for k in range(6)]
    reading = talk((1.0, "up", 0, R1, 0), (1.1, "up", 2 * n, R3, 0), *late, (4.3, "up", n, R2, 0))  # type: ignore[arg-type]
    assert sorted(reading.frames) == [(3, 1), (4, 3), (11, 2)]
    assert not reading.kinds(Kind.GAP, Kind.UNSEEN_ACK)


def test_one_sided() -> None:
    """Nothing is seen of the peer: after 2 s the gap is given up."""
    n = len(R1)
    reading = talk((1.0, "up", 0, R1, 0), (1.1, "up", 2 * n, R3, 0), (3.2, "up", 3 * n, R1, 0))
    assert sorted(reading.frames) == [(3, 1), (4, 3), (5, 1)]
    assert [signal.a for signal in reading.kinds(Kind.GAP)] == [n]


def test_a_gap_that_was_given_up_and_comes_after_all() -> None:
    n = len(R1)
    reading = talk((1.0, "up", 0, R1, 0), (1.1, "up", 2 * n, R3, 0), (3.2, "up", 3 * n, R1, 0), (3.3, "up", n, R2, 0))
    assert sorted(reading.frames) == [(3, 1), (4, 3), (5, 1), (6, 2)]


def test_bytes_that_were_never_seen() -> None:
    """The peer acknowledges a call that the capture does not have, and nothing follows."""
    n = len(R1)
    reading = talk((1.0, "up", 0, R1, 0), (1.1, "down", 0, A1, 2 * n), (2.0, "down", len(A1), A1, 2 * n))
    assert reading.xids == [1, 1, 1]
    (unseen,) = reading.kinds(Kind.UNSEEN_ACK)
    assert (unseen.a, unseen.sport, unseen.dport) == (n, CPORT, SPORT)


def test_an_acknowledgement_before_its_data() -> None:
    """A mirror of two ports swapped the frames: nothing is lost."""
    n = len(R1)
    reading = talk(
        (1.0, "down", 0, b"", n), (1.001, "up", 0, R1, 0), (1.5, "up", n, R2, 0), (1.6, "down", 0, b"", 2 * n)
    )
    assert reading.xids == [1, 2]
    assert not reading.kinds(Kind.GAP, Kind.UNSEEN_ACK)


def test_a_gap_inside_bulk_data_costs_nothing() -> None:
    """The record mark says where the next record begins, over any hole in this one."""
    bulk = record_mark(WRITE)
    n = len(bulk)
    reading = talk(
        (1.0, "up", 0, bulk[:1000], 0),
        (1.1, "up", 3000, bulk[3000:] + R1, 0),
        (1.2, "down", 0, b"", n + len(R1)),
        (1.5, "up", n + len(R1), R2, 0),
    )
    assert sorted(reading.xids) == [1, 2]
    assert [signal.a for signal in reading.kinds(Kind.GAP)] == [2000]


def test_resynchronisation_behind_a_gap_over_record_marks() -> None:
    bulk = record_mark(WRITE)
    stream = R1 + bulk + R2 + bulk + R3
    reading = talk(
        (1.0, "up", 0, stream[:50], 0),
        (1.1, "up", 1000, stream[1000:], 0),
        (1.2, "down", 0, b"", len(stream)),
        (1.9, "down", 0, b"", len(stream)),
    )
    assert [m.xid for m in reading.messages if m.length == len(m.data)] == [2, 3]
    (cut,) = [m for m in reading.messages if m.length > len(m.data)]
    assert (cut.xid, cut.data, cut.length) == (1, LOCK[:46], len(LOCK))


def test_the_recording_ends_inside_a_message() -> None:
    reading = talk((1.0, "up", 0, R1 + R2[:60], 0))
    first, second = reading.messages
    assert (first.length, len(first.data)) == (len(LOCK), len(LOCK))
    assert (second.xid, second.length, len(second.data)) == (2, len(LOCK2), 56)


def test_the_stream_begins_inside_a_message() -> None:
    reading = talk((1.0, "up", 5000, R1[30:] + R2, 0), (2.0, "up", 5000 + len(R1) - 30 + len(R2), R3, 0), syn=False)
    assert reading.xids == [2, 3]


def test_keep_alive_and_repeats_are_nothing() -> None:
    n = len(R1)
    reading = talk(
        (1.0, "up", 0, R1, 0),
        (1.1, "down", 0, A1, n),
        (61.0, "up", n - 1, b"", len(A1)),
        (61.1, "down", len(A1), b"", n),
        (62.0, "up", n - 1, b"\0", len(A1)),
        (63.0, "up", 0, R1, len(A1)),
        (64.0, "up", n, R2, len(A1)),
    )
    assert reading.frames == [(3, 1), (4, 1), (9, 2)]
    assert not reading.kinds(Kind.GAP, Kind.UNSEEN_ACK)


def test_the_same_ports_again_are_another_stream() -> None:
    """After a RST the client connects from the same port; the same call is sent again with the same xid."""
    frames = [
        frame(b"", -1, flags="S"), frame(b"", -1, isn=5000, flags="SA", ack=1001, down=True), frame(R1, 0, ack=5001),
        frame(b"", 0, isn=5000, flags="R", down=True), frame(b"", -1, isn=777, flags="S"),
        frame(b"", -1, isn=99, flags="SA", ack=778, down=True), frame(R1, 0, isn=777, ack=100),
    ]  # fmt: skip
    reading = read_frames([(float(n), f) for n, f in enumerate(frames)])
    assert reading.frames == [(3, 1), (7, 1)]
    first, second = (reading.traffic.streams[m.stream] for m in reading.messages)
    assert first is not second
    assert (first.began, first.ended, first.packets, first.first_frame, first.last_frame) == (True, "rst", 2, 1, 3)
    assert reading.traffic.endpoints.text(first.ended_by) == SERVER
    assert (second.began, second.ended, second.packets, second.first_frame) == (True, "", 2, 5)
    assert second.programs == {(NLM, 4): 1}
    assert [s.kind for s in reading.signals] == [Kind.SYN, Kind.SYNACK, Kind.RST, Kind.SYN, Kind.SYNACK]


def test_no_time_is_lost_on_zeros() -> None:
    """Marks of length zero must not make the search creep; a megabyte of them is a fraction of a second."""
    stream = bytes(1 << 20)
    reading = play(stream + R1, [*pieces(stream, 60000), (len(stream), len(stream) + len(R1))], syn=False)
    assert reading.xids == [1]


def test_bulk_that_is_no_rpc_is_left_alone_and_a_call_at_a_segment_start_still_found() -> None:
    stream = random.Random(1).randbytes(9 << 20)
    cut = [*pieces(stream, 60000), (len(stream), len(stream) + len(R1))]
    assert play(stream + R1, cut, syn=False, per_block=20).xids == [1]
