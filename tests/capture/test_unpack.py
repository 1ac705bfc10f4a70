"""Packed captures: told by their bytes, joined members, cut and broken ones."""

from __future__ import annotations

import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from support.captures import pcap

from nlmdissect.capture.block import Source
from nlmdissect.capture.files import open_recording
from nlmdissect.errors import CaptureError

Pack = Callable[[bytes], bytes]

PACKERS: dict[str, Pack] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "xz": lzma.compress,
}
# Frames that do not pack well, so that a cut file has something before the cut.
DATA = pcap([(i, i, (i * 0x9E3779B97F4A7C15 % (1 << 512)).to_bytes(64, "big") * 3) for i in range(3000)])


def read(data: bytes) -> tuple[list[int], Source]:
    recording = open_recording(["-"], stdin=io.BytesIO(data))
    times = [time for b in recording.blocks() for time in b.time]
    return times, recording.sources[0]


WHOLE, _ = read(DATA)


@pytest.mark.parametrize("name", PACKERS)
def test_packed_is_the_same_as_plain(name: str, tmp_path: Path) -> None:
    packed = PACKERS[name](DATA)
    times, source = read(packed)
    assert times == WHOLE
    assert (source.compression, source.truncated, source.defects) == (name, False, [])
    assert source.bytes == len(packed)
    path = tmp_path / "no-suffix"
    path.write_bytes(packed)
    seen: list[tuple[int, int | None]] = []
    list(open_recording([path]).blocks(lambda done, total: seen.append((done, total))))
    assert seen[-1] == (len(packed), len(packed))


@pytest.mark.parametrize("pack", [*PACKERS.values(), bytes])
@pytest.mark.parametrize("most", [1, 7, 1000])
def test_a_pipe_may_give_little_at_a_time(pack: Pack, most: int) -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, most))

        def readinto(self, place: memoryview, /) -> int:  # type: ignore[override]
            return super().readinto(place[:most])

    recording = open_recording(["-"], stdin=Slow(pack(DATA[:200_000])))
    assert [time for b in recording.blocks() for time in b.time] == WHOLE[: (200_000 - 24) // 208]
    assert recording.sources[0].bytes == len(pack(DATA[:200_000]))


@pytest.mark.parametrize("name", PACKERS)
def test_members_are_joined_and_padding_is_no_member(name: str) -> None:
    pack = PACKERS[name]
    half = len(DATA) // 2
    times, source = read(pack(DATA[:half]) + bytes(512) + pack(b"") + pack(DATA[half:]) + bytes(512))
    assert times == WHOLE
    assert source.defects == []


@pytest.mark.parametrize("name", PACKERS)
def test_a_cut_file_gives_what_came_before(name: str) -> None:
    packed = PACKERS[name](DATA)
    times, source = read(packed[: len(packed) // 2])
    assert times == WHOLE[: len(times)]
    assert len(times) > 1000
    assert source.truncated
    assert f"{name}_cut" in [defect.reason for defect in source.defects]


@pytest.mark.parametrize("name", PACKERS)
def test_a_broken_file_gives_what_came_before(name: str) -> None:
    packed = bytearray(PACKERS[name](DATA))
    middle = len(packed) // 2
    packed[middle : middle + 64] = b"\xff" * 64
    times, source = read(bytes(packed))
    # gzip decodes a little beyond the damage before it sees it; xz and zstd check.
    assert times[:1000] == WHOLE[: len(times)][:1000]
    assert len(times) > 300
    assert source.truncated
    assert f"{name}_corrupt" in [defect.reason for defect in source.defects]


def test_a_wrong_check_at_the_end_of_gzip_loses_no_frame() -> None:
    packed = bytearray(gzip.compress(DATA))
    packed[-8] ^= 1
    times, source = read(bytes(packed))
    assert times == WHOLE
    assert [defect.reason for defect in source.defects] == ["gzip_corrupt"]


@pytest.mark.parametrize("name", PACKERS)
def test_garbage_behind_the_last_member_is_told_and_loses_nothing(name: str) -> None:
    times, source = read(PACKERS[name](DATA) + b"garbage")
    assert times == WHOLE
    assert not source.truncated
    assert [defect.reason for defect in source.defects] == [f"{name}_trailing_garbage"]


@pytest.mark.parametrize("name", PACKERS)
def test_cut_or_broken_at_the_very_start_is_an_error(name: str) -> None:
    packed = PACKERS[name](DATA)
    for data in (packed[:7], packed[:6] + b"\xff" * 100):
        with pytest.raises(CaptureError):
            read(data)


@pytest.mark.parametrize("name", PACKERS)
def test_any_cut_of_a_small_file_gives_a_prefix(name: str) -> None:
    packed = PACKERS[name](pcap([(i, 0, bytes(range(50))) for i in range(5)]))
    for size in range(len(packed)):
        try:
            times, _ = read(packed[:size])
        except CaptureError:
            continue
        assert times == [i * 10**9 for i in range(len(times))]


def test_packed_twice_is_refused() -> None:
    with pytest.raises(CaptureError, match="compressed twice"):
        read(gzip.compress(gzip.compress(DATA)))


def test_a_bomb_is_read_in_pieces() -> None:
    bomb = pcap([(0, 0, bytes(1 << 20))] * 40)
    for name, pack in PACKERS.items():
        recording = open_recording(["-"], stdin=io.BytesIO(pack(bomb)))
        sizes = [len(b.buf) for b in recording.blocks()]
        assert max(sizes) <= 6 << 20, name
        assert recording.sources[0].frames == 40
