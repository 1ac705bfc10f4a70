"""What is fuzzed: one target a stage. Each takes bytes, and raises for anything that must not happen.

Beside not failing, a target asks for what holds of any input: two ways of reading that agree, sums that fit, text that
cannot act. An input that stands for several things is cut by ``fuzz.draw``.
"""

from __future__ import annotations

import gzip
import io
import lzma
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

from fuzz import mutate, results
from fuzz.draw import Draw, conversation
from support import packets
from support.agree import assert_agree
from support.captures import OWN, block, epb, idb, option, shb
from support.damage import load
from support.reading import Frames, everything
from support.xdr_values import TYPES

from nlmdissect.capture import fragments, pcap, pcapng, unpack
from nlmdissect.capture.files import open_recording
from nlmdissect.capture.marks import Records, Stamp
from nlmdissect.errors import CaptureError, UsageError
from nlmdissect.report.times import parse, parse_at

Seeds = Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Target:
    """``most`` bytes of input are tried; ``change`` makes another input of one."""

    name: str
    run: Callable[[bytes], None]
    seeds: Seeds
    most: int
    change: Callable[[bytes, Random, int], bytes] = mutate.blindly


def files(data: bytes) -> None:
    """Capture files, plain and packed: the same frames whatever the size of a block."""
    whole = _frames_of(data)
    with _block_size(64):
        assert _frames_of(data) == whole


def packed(data: bytes) -> None:
    """What unpacks: never more at a time than it says, and the same in small pieces."""
    most = 8 << 20
    stream = unpack.Unpacked(io.BytesIO(data), "input")
    one = stream.read(most)
    again = unpack.Unpacked(io.BytesIO(data), "input")
    pieces = []
    while sum(map(len, pieces)) < most and (piece := again.read(min(4096, most - sum(map(len, pieces))))):
        pieces.append(piece)
    assert b"".join(pieces) == one
    assert len(one) == most or stream.fault == again.fault


def scan(data: bytes) -> None:
    """Frames to messages: the same in one block, in many, and by machine code that checks its bounds."""
    frames = _pcap_frames(data)
    link = struct.unpack_from("<I", data, 20)[0] & 0xFFFF if len(data) >= 24 else 1
    keep = [(3, 3), (3, 7)]
    whole = everything(Frames(frames, link=link), keep, None)
    if checked is not None and crc32(data) % SELDOM == 0:
        assert everything(Frames(frames, link=link, per_block=7), keep, checked, 1) == everything(
            Frames(frames, link=link, per_block=7), keep, None
        )
    for row in whole[0:-9:2]:  # the messages of each batch
        arena, at, end, length = row[:4]  # type: ignore[index]
        assert all(0 <= a <= e <= len(arena) and e - a <= size for a, e, size in zip(at, end, length, strict=True))


SELDOM = 16  # one input of so many is read by compiled code too: its tables take their time to make

checked: Mapping[Any, Any] | None = None
"""The compiled loops, with tests of all bounds; ``fuzz.run`` sets it."""


class _Taken:
    """A sink of records that wants them all."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, bytes, int]] = []

    def wants(self, flow: int, what: int, header: bytes, length: int) -> bool:
        return True

    def message(self, flow: int, what: int, data: bytes, length: int, stamp: Stamp) -> None:
        assert len(data) <= length
        self.messages.append((what, data, length))


def records(data: bytes) -> None:
    """Record marks: the same messages however the bytes are cut."""
    cuts, stream = Draw(data[:64]), data[64:]
    searching = bool(cuts.number() & 1)
    whole, cut = _Taken(), _Taken()
    one, other = Records(whole, 0, 0, searching=searching), Records(cut, 0, 0, searching=searching)
    one.feed(stream, (0, 0, 0, 1))
    at = 0
    while at < len(stream):
        size = cuts.one_of((1, 2, 3, 4, 5, 7, 23, 24, 25, 64, 300, 1448))
        other.feed(stream[at : at + size], (0, 0, 0, 1))
        at += size
    assert whole.messages == cut.messages
    assert one.lost == other.lost
    hole = Records(_Taken(), 0, 0)
    for piece in (stream[: len(stream) // 2], stream[len(stream) // 2 :]):
        hole.feed(piece, (0, 0, 0, 1))
        hole.hole(cuts.word())
    for reader in (one, other, hole):
        reader.finish()


def streams(data: bytes) -> None:
    """TCP in any order, and repeated with other bytes: the plain loop, the slow road, and compiled code agree."""
    draw, frames, now = Draw(data), [], 0.0
    stream = b"".join(
        packets.record_mark(packets.rpc_call(n, 100021, 4, 2, bytes(60 + 4 * n), machinename="m"), *((40,) if n % 3 == 2 else ()))
        for n in range(24)
    )
    base = draw.one_of((1000, 2**32 - 900, 2**31 - 500))
    while draw.more and len(frames) < 300:
        now += draw.one_of((0.0, 0.001, 0.05, 0.2, 3.0, -0.5))
        side, kind = draw.number(), draw.number()
        at, size = draw.word() % (len(stream) + 8), draw.one_of((0, 1, 4, 28, 60, 200, 700, 1448))
        part = stream[at : at + size] if kind < 200 else bytes((kind,)) * size
        flags = draw.one_of(("A", "PA", "A", "S", "SA", "FA", "R", "RA"))
        seq = base + 1 + at + (draw.number() << 24 if kind > 240 else 0)
        ends = ("10.0.0.1", "10.0.0.2", 700, 4045) if side & 1 else ("10.0.0.2", "10.0.0.1", 4045, 700)
        segment = packets.tcp(*ends[2:], part, seq=seq, ack=base + 1 + draw.word(), flags=flags)
        frames.append((now, packets.ethernet(packets.ipv4(ends[0], ends[1], packets.TCP, segment, ident=len(frames)))))
    one = everything(Frames(frames, per_block=5), (), None)
    if checked is not None and crc32(data) % SELDOM == 0:
        assert everything(Frames(frames, per_block=5), (), checked, 1) == one


def pieces(data: bytes) -> None:
    """IP fragments of one datagram: it comes out as it was or not at all, and what waits is counted right."""
    draw = Draw(data)
    truth = bytes(n * 7 % 251 for n in range(3000))
    wrong: list[str] = []
    reader = fragments.Fragments(wrong.append)
    lied, time = False, 0
    while draw.more:
        key = (0, 0, 17, draw.number() % 5, 0)
        offset, size = draw.number() * 8, draw.one_of((0, 8, 16, 64, 512, 1480, 5))
        last = draw.number() < 40
        part = truth[offset : offset + size]
        if draw.number() > 250:
            lied, part = True, bytes(len(part))
        time += draw.one_of((0, 1000, 10**7, 10**9, 10**11, -(10**9)))
        done = reader.add(key, offset, not last, len(part), part[: len(part) - draw.number() % 3], time)
        if done is not None:
            assert lied or truth.startswith(done[0])
            assert len(done[0]) <= done[1] <= fragments.MAX_PACKET
        assert reader.bytes == sum(p.bytes for p in reader.packets.values()) <= fragments.MAX_BYTES
        assert len(reader.packets) <= fragments.MAX_PACKETS
    reader.finish()


def xdr(data: bytes) -> None:
    """XDR: the codec and the columns say the same of any bytes, and fail at the same one."""
    if len(data) < 4:
        return
    t = TYPES[data[0] % len(TYPES)]
    body, cut = data[3:], data[1] % (len(data) - 3 + 1)
    gap = data[2] % 4
    buf = b"\xff" * gap + body + body[:cut]
    edges = [(gap, gap + len(body)), (gap + len(body), len(buf)), (gap, gap + len(body) - min(len(body), 1 + data[1] % 5))]
    assert_agree(t, buf, [a for a, _ in edges], [b for _, b in edges])


def analysis(data: bytes) -> None:
    """A whole capture: every stage up to the rules."""
    results.judged(data)


def machines(data: bytes) -> None:
    """Made conversations: pairing, requests, restarts, the walk, and the rules."""
    results.judged(packets.pcap(conversation(data)))


def reports(data: bytes) -> None:
    """Made conversations with hostile names: every writer, and nothing of it acts."""
    judged = results.judged(packets.pcap(conversation(data)))
    if judged is not None:
        results.write_all(judged)


def where(data: bytes) -> None:
    """Expressions of ``show --where``, and times: an answer, or a UsageError."""
    text = data.decode("utf-8", "replace")
    capture = results.sample()
    first, last = capture.history.extent.first, capture.history.extent.last
    for ask in (capture.rows, parse, lambda text: parse_at(text, first, last)):
        try:
            ask(text)
        except UsageError as error:
            results.assert_says_what(error)


def _frames_of(data: bytes) -> tuple[Any, ...]:
    try:
        recording = open_recording(["-"], stdin=io.BytesIO(data))
    except CaptureError as error:
        results.assert_says_what(error)
        return ("refused", error.message)
    frames: list[tuple[Any, ...]] = []
    refused, blocks = "", recording.blocks()
    try:
        for b in blocks:
            assert b.first_frame == len(frames) + 1
            for row in zip(b.at.tolist(), b.captured.tolist(), b.wire.tolist(), b.time.tolist(), b.link.tolist(), strict=True):
                at, captured, wire, time, link = row
                assert 0 <= at <= at + captured <= len(b.buf)
                assert wire >= 0
                assert abs(time) <= 2**62
                frames.append((b.buf[at : at + captured], wire, time, link))
    except CaptureError as error:
        refused = error.message
    source = recording.sources[0]
    assert source.frames == len(frames)
    # behind a place where the capture cannot be read on, what packs it may be damaged too: it is not looked at on purpose
    defects = sorted(repr(d) for d in source.defects if not d.reason.startswith(("gzip", "xz", "zstd")))
    return frames, refused, defects, source.link_types, source.dropped, source.truncated


class _block_size:  # noqa: N801
    def __init__(self, size: int) -> None:
        self._size = size

    def __enter__(self) -> None:
        self._was = [(m, m.FIRST_BLOCK, m.BLOCK) for m in (pcap, pcapng)]
        for module, _, _ in self._was:
            module.FIRST_BLOCK = module.BLOCK = self._size

    def __exit__(self, *_: object) -> None:
        for module, first, later in self._was:
            module.FIRST_BLOCK, module.BLOCK = first, later


def _pcap_frames(data: bytes) -> list[tuple[float, bytes]]:
    """The frames of a pcap file, by a reader that believes nothing."""
    found, at = [], 24
    while at + 16 <= len(data) and len(found) < 400:
        seconds, fraction, captured, _ = struct.unpack_from("<IIII", data, at)
        found.append(((seconds - packets.START) % 100_000 + fraction % 10**9 / 1e9, data[at + 16 : at + 16 + captured]))
        at += 16 + captured
    return found


@cache
def _recorded(most: int) -> list[bytes]:
    """What is about locks in the project's own recordings, as small captures."""
    found = []
    for path in sorted(OWN.glob("*.pcap")):
        recording = load(path)
        assert recording is not None
        pairs = zip(recording.frames, recording.packets, strict=True)
        some = [f for f, p in pairs if p is None or p.matters]
        for first in range(0, min(len(some), 2 * most), most):
            start = some[first].time
            frames = [(1 + (f.time - start) / 1e9, f.data) for f in some[first : first + most]]
            found.append(packets.pcap(frames))
    return found


def _of_files() -> Iterator[bytes]:
    small = packets.pcap([(n * 0.5, packets.ethernet(bytes(20 + n))) for n in range(4)])
    yield small
    for order in "<>":
        yield (
            shb(order)
            + idb(order, options=option(9, b"\x09", order) + option(0, b"", order))
            + idb(order, link=113, snaplen=40)
            + epb(bytes(60), 5, order, options=option(4, bytes(8), order))
            + block(3, struct.pack(order + "I", 30) + bytes(32), order)
            + block(2, struct.pack(order + "HHIIII", 0, 1, 0, 7, 20, 20) + bytes(20), order)
            + block(5, struct.pack(order + "III", 0, 0, 0) + option(5, bytes(8), order), order)
            + shb(order) + idb(order, link=101) + epb(b"E" + bytes(30), 9, order)
        )  # fmt: skip
    yield from _of_packed(small)


def _of_packed(data: bytes = b"") -> Iterator[bytes]:
    import zstandard

    for plain in (data,) if data else (b"", b"abc" * 50, bytes(5000)):
        yield from (gzip.compress(plain, mtime=0), lzma.compress(plain), zstandard.compress(plain))
        yield gzip.compress(plain, mtime=0) * 2 + b"\0" * 20


def _of_records() -> Iterator[bytes]:
    cuts = bytes(range(64))
    call = packets.rpc_call(1, 100021, 4, 2, bytes(80), machinename="m")
    reply = packets.rpc_reply(1, bytes(12))
    yield cuts + packets.record_mark(call) + packets.record_mark(reply)
    yield b"\1" + cuts[1:] + b"garbage" * 9 + packets.record_mark(call, 8, 40) + packets.record_mark(call)
    yield cuts + struct.pack(">I", 0) * 8 + packets.record_mark(call, 0, 4) + struct.pack(">I", 2**31) + bytes(64)


def _of_xdr() -> Iterator[bytes]:
    chance = Random(1)
    for number in range(0, len(TYPES), 3):
        words = (chance.choice((0, 1, 2, 3, 4, 8, 2**32 - 1, chance.randrange(2**32))) for _ in range(24))
        yield bytes((number, 7, 1)) + struct.pack(">24I", *words)


def _of_draws() -> Iterator[bytes]:
    chance = Random(2)
    for size in (40, 120, 400, 1200, 1200, 2400):
        yield chance.randbytes(size)


def _of_where() -> Iterator[bytes]:
    yield from (
        b'procedure == "LOCK" and reclaim and status != "GRANTED"',
        b'client == "client-a" and time > "11:30:20" and took < 0.5 or not (xid in (1, 0x2))',
        b'"4d00" in fh and reply_frame is None and svid + 1 >= 2 - -3',
        b'1 < frame <= 100 and program in ["NLM", "NSM"] and end == 18446744073709551615',
        b"2026-11-22T11:30:00.5+02:00",
        b"+12.5",
        b"11:30:20",
        b"1795347000.25",
    )


TARGETS = {
    target.name: target
    for target in (
        Target("files", files, _of_files, 4096),
        Target("packed", packed, _of_packed, 4096),
        Target("scan", scan, lambda: _recorded(12), 8192, mutate.capture),
        Target("records", records, _of_records, 4096),
        Target("streams", streams, _of_draws, 2400),
        Target("pieces", pieces, _of_draws, 1024),
        Target("xdr", xdr, _of_xdr, 1024),
        Target("analysis", analysis, lambda: _recorded(40), 16384, mutate.capture),
        Target("machines", machines, _of_draws, 2400),
        Target("reports", reports, _of_draws, 1200),
        Target("where", where, _of_where, 400),
    )
}


def corpus(target: Target) -> Iterator[bytes]:
    """The seeds, and what is kept of earlier runs."""
    yield from target.seeds()
    folder = Path(__file__).parent / "corpus" / target.name
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        yield path.read_bytes()

