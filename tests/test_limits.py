"""Whatever a recording is made of, the work is in proportion to its size (docs/limits.md).

Time is that of the processor, and only how it grows is looked at: eight times as much of something may take twenty times
as long, for the machine is busy and small runs are fast in caches; where work goes with the square it takes sixty-four.
"""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard
from support import adversaries
from support.captures import block, idb, option, shb
from support.packets import UDP, ethernet, ipv4, pcap, udp
from support.reading import read_frames

from nlmdissect.capture import fragments, tables, unpack
from nlmdissect.capture.files import open_recording
from nlmdissect.errors import CaptureError
from nlmdissect.history import history as building
from nlmdissect.history import looks, open_requests, table, waits, watching
from nlmdissect.history.history import History, read_history
from nlmdissect.rules import TOO_MUCH, nlm022_wait_cycle, run

SMALL, MORE, GROWTH = 400, 8, 20
LEAST = 0.02  # s: shorter times are noise


def worked(frames: adversaries.Frames, path: Path) -> tuple[float, History]:
    path.write_bytes(pcap(frames))
    start = time.process_time()
    history = read_history([path])
    _, results = run(history)
    took = time.process_time() - start
    assert not [result.error for result in results if result.error]
    return took, history


@pytest.mark.parametrize("make", adversaries.ALL, ids=lambda make: make.__name__)
def test_work_grows_with_size(make: Callable[[int], adversaries.Frames], tmp_path: Path) -> None:
    size = SMALL // 4 if make in adversaries.COSTLY else SMALL
    small, _ = min((worked(make(size), tmp_path / "small.pcap") for _ in range(2)), key=lambda run: run[0])
    large, history = worked(make(size * MORE), tmp_path / "large.pcap")
    assert large < GROWTH * max(small, LEAST)
    assert len(history.defects) < 20  # of one kind they are counted, not listed


def test_the_measure_can_fail() -> None:
    """The work of a square is seen."""

    def square(n: int) -> float:
        start = time.process_time()
        sum(1 for a in range(n) for b in range(n))
        return time.process_time() - start

    assert square(1000 * MORE) > GROWTH * max(square(1000), LEAST)


def test_everybody_waits_for_everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph of 60 owners has more than 10**12 circles of eight: 50 short ones are told, and that there are more."""
    looked = []
    monkeypatch.setattr(nlm022_wait_cycle, "LOOKS", 20_000)
    real = nlm022_wait_cycle._Search
    monkeypatch.setattr(nlm022_wait_cycle, "_Search", lambda graph: looked.append(real(graph)) or looked[-1])
    _, history = worked(adversaries.crowd(60), tmp_path / "crowd.pcap")
    findings, results = run(history)
    circles = [f for f in findings if f.code == "NLM022"]
    assert 0 < len(circles) <= nlm022_wait_cycle.MANY
    assert looked[0].looks > -10
    (told,) = (result for result in results if result.rule.code == "NLM022")
    assert any("too many" in reason for reason in told.reasons)


def test_more_refusals_than_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file that too many have, and too many want, it is not said that nothing is wrong."""
    _, history = worked(adversaries.everybody(30), tmp_path / "everybody.pcap")
    reasons = []
    for most in (looks.LOOKS, 200):
        monkeypatch.setattr(looks, "LOOKS", most)
        _, results = run(history)
        reasons += [result.reasons for result in results if result.rule.code == "NLM005"]
    few, many = ([reason == TOO_MUCH for reason in of] for of in reasons)
    assert not any(few)
    assert many.count(True) == 1


def test_a_rule_that_looks_too_often_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had found by then is told, and that there may be more."""
    _, history = worked(adversaries.leftovers(20), tmp_path / "leftovers.pcap")
    told = []
    for most in (looks.LOOKS, 1000):
        monkeypatch.setattr(looks, "LOOKS", most)
        _, results = run(history)
        (result,) = (result for result in results if result.rule.code == "NSM002")
        told.append((len(result.findings), [reason for reason in result.reasons if reason.startswith("too much")]))
    (all_of_them, none), (some, one) = told
    assert (none, one) == ([], [TOO_MUCH])
    assert 0 < some < all_of_them


def test_notices_of_strangers_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them is strange: each tells of a lock at the client, so that all are looked at for each restart."""
    frames = adversaries.untold(20)
    for i in range(20):
        frames += adversaries.asked(400 + i, adversaries.lock(), client=adversaries.address(20 + i), time=9100.0 + i)
    _, history = worked(frames, tmp_path / "strangers.pcap")
    monkeypatch.setattr(looks, "LOOKS", 300)
    _, results = run(history)
    (result,) = (result for result in results if result.rule.code == "NSM001")
    assert TOO_MUCH in result.reasons


def test_rivals_are_told_once_each(tmp_path: Path) -> None:
    """Steps of the machines, not time: what is in doubt already is not doubted again for each further owner."""
    _, history = worked(adversaries.rivals(100), tmp_path / "rivals.pcap")
    assert len(history.walked.table.steps) < 5 * 100


def test_restarts_over_what_restarts_had_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they came over too often is not followed, nothing is said of it, and that is said."""
    for module in (table, building):
        monkeypatch.setattr(module, "AGAIN", 1000)
    _, read = worked(adversaries.superseded(60), tmp_path / "superseded.pcap")
    assert [(d.reason, d.count) for d in read.defects if d.layer == "locks"] == [("restarted_too_often", 60)]
    assert len(read.walked.table.fates) == 1000
    assert not list(read.walked.table.of())
    assert {row.how for row in read.walked.table.rows} == {"restarted too often"}


def test_restarts_that_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests, and who watches whom, are the same without the steps that are left out; that they are is said."""
    frames = [*adversaries.outlived(60), *adversaries.asked(10**6, adversaries.lock(start=2**40), time=200_000.0)]
    read = []
    for most in (10**6, 500):
        for module in (open_requests, watching):
            monkeypatch.setattr(module, "AGAIN", most)
        read.append(worked(frames, tmp_path / "outlived.pcap")[1])
    assert [[d.count for d in history.defects if d.reason == "steps_left_out"] for history in read] == [[], [60]]
    undecided = [[(r.at, state) for r, state in history.walked.undecided] for history in read]
    assert undecided[0] == undecided[1]
    assert len(undecided[0]) == 60
    edges = [{pair: edge.state for pair, edge in history.walked.edges.items()} for history in read]
    assert edges[0] == edges[1]


def test_more_waits_than_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of waits that nobody looked at again the rules say that they do not know."""
    monkeypatch.setattr(waits, "MANY", 20)
    frames = [*adversaries.waiters(30), *adversaries.asked(40, adversaries.unlock(0, 10), adversaries.UNLOCK, time=5.0)]
    frames += adversaries.asked(41, adversaries.lock(start=2**40), time=3600.0)
    _, read = worked(frames, tmp_path / "waits.pcap")
    assert len(read.walked.crowded) == 1
    findings, results = run(read)
    assert not [f for f in findings if f.code == "NLM009"]
    assert [r.reasons[0] for r in results if r.rule.code == "NLM009"] == [waits.TOO_MANY]


def test_one_packet_of_too_many_fragments_is_dropped_alone() -> None:
    wrong: list[str] = []
    reader = fragments.Fragments(wrong.append)
    reader.add((1, 2, 17, 1, 0), 0, True, 8, bytes(8), 0)
    for n in range(fragments.MAX_PARTS + 1):
        reader.add((1, 2, 17, 7, 0), 16 * n, True, 8, bytes(8), 0)
    assert wrong == ["too_many_fragments"]
    assert list(reader.packets) == [(1, 2, 17, 1, 0)]
    assert reader.bytes == 8


def test_addresses_that_were_made_to_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for a slot ends; the hosts that come too late are a defect, and the others are there."""
    monkeypatch.setattr(tables, "PROBES", 16)
    mask = len(tables.new_tables().ep_slot) - 1
    words = np.arange(0x0A000001, 0x0A000001 + (1 << 20), dtype=np.int64)
    mixed = words * 0x2C9277B5
    mixed ^= mixed >> 31
    mixed ^= mixed >> 15
    same = words[(mixed & mask) == 5][:100]
    assert len(same) == 100
    frames = [
        (n * 0.1, ethernet(ipv4(".".join(map(str, int(word).to_bytes(4, "big"))), "10.0.0.1", UDP, udp(1, 2, b"x"))))
        for n, word in enumerate(same.tolist())
    ]
    reading = read_frames(frames)
    assert reading.defects["too_many_endpoints"] >= 100 - 17
    assert len(reading.traffic.endpoints.addresses) <= 20


def test_keys_that_collide_keep_their_numbers_when_tables_grow() -> None:
    t = tables.new_tables()
    numbers = [tables.endpoint(t, 0, 0x0A000000 + n, 0, 0, 0) for n in range(len(t.ep_w0) - 4)]
    t.used[tables.GROW] = 1
    before = len(t.ep_w0)
    while len(t.ep_w0) == before:
        n = len(numbers)
        numbers.append(tables.endpoint(t, 0, 0x0A000000 + n, 0, 0, 0))
        tables.grow(t)
    assert [tables.endpoint(t, 0, 0x0A000000 + n, 0, 0, 0) for n in range(len(numbers))] == numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize("length", [2**32 - 4, 2**31, 300 << 20, 12, 8, 0, 13])
@pytest.mark.parametrize("kind", [6, 1, 5, 3, 0x0A0D0D0A, 77])
def test_blocks_that_lie_about_their_length(kind: int, length: int) -> None:
    lie = struct.pack("<II", kind, length) + bytes(1000)
    defects = read_all(shb() + idb() + lie)
    assert defects


@pytest.mark.parametrize("options", [option(2, b"x" * 40) * 300, struct.pack("<HH", 9, 65535), struct.pack("<HH", 2, 0) * 500])
def test_options_without_an_end(options: bytes) -> None:
    read_all(shb() + idb(options=options) + block(5, struct.pack("<III", 0, 0, 0) + options) + idb())


def read_all(data: bytes) -> list[str]:
    """The defects of a file, read with little memory."""
    tracemalloc.start()
    try:
        recording = open_recording(["-"], stdin=io.BytesIO(data))
        list(recording.blocks())
        _, peak = tracemalloc.get_traced_memory()
    except CaptureError as error:
        return [error.message]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20
    return [defect.reason for defect in recording.sources[0].defects]


PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstandard.compress, "xz": lzma.compress}


@pytest.mark.parametrize("name", PACKERS)
def test_bombs_stop(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came before is used, how it ended is said, and nobody unpacks the rest."""
    monkeypatch.setattr(unpack, "FREE", 1 << 20)
    frames = pcap([(n * 0.1, ethernet(bytes(50))) for n in range(20)])
    packed = PACKERS[name](frames + bytes(64 << 20))
    stream = unpack.Unpacked(io.BytesIO(packed), "bomb", expansion=10)
    given = 0
    while piece := stream.read(1 << 16):
        given += len(piece)
    assert given <= (1 << 20) + 10 * len(packed)
    assert stream.fault == f"{name}_expands_beyond_limit"
    recording = open_recording(["-"], stdin=io.BytesIO(packed), expansion=10)
    assert sum(len(b.at) for b in recording.blocks()) >= 20
    assert recording.sources[0].truncated
    whole = open_recording(["-"], stdin=io.BytesIO(packed), expansion=100_000)
    list(whole.blocks())
    assert not [d for d in whole.sources[0].defects if "expands" in d.reason]
