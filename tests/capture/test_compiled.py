"""The compiled loop gives what the plain one gives, row for row: on recordings, on made and on damaged ones.

It is compiled with numba's bounds checking here, so that a read without a test before it is an IndexError.
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.captures import SHARED
from support.checked import Code, checked
from support.damage import load
from support.packets import TCP, UDP, ethernet, ipv4, rpc_call, rpc_reply, tcp, udp
from support.reading import Frames, everything

from nlmdissect import loops
from nlmdissect.capture import compiled, native, pcap, pcapng, records, tables
from nlmdissect.capture.engine import TINY, Engine
from nlmdissect.capture.files import open_recording
from nlmdissect.history.history import read_history
from nlmdissect.rules import run

pytest.importorskip("numba")

OURS = Path(__file__).parents[2] / "captures"
RECORDINGS = [path for folder in (SHARED, OURS) for path in sorted(folder.glob("*.pcap*"))]
CORPUS = [path for path in RECORDINGS if path.stat().st_size < 400_000 and path.suffix == ".pcap"]
NLM = 100021


@pytest.fixture(scope="module")
def functions() -> Code:
    return checked(*compiled.ENTRIES)


def small_blocks(patch: pytest.MonkeyPatch, size: int = 2000) -> None:
    for module in (pcap, pcapng):
        patch.setattr(module, "FIRST_BLOCK", size)
        patch.setattr(module, "BLOCK", size)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_recordings_are_read_alike(path: Path, functions: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = [(3, 3), (3, 7), (2, 4)]
    assert everything(open_recording([path]), keep, None) == everything(open_recording([path]), keep, functions)
    small_blocks(monkeypatch)
    plain = everything(open_recording([path]), (), None)
    for after in (0, 1, 7):
        assert plain == everything(open_recording([path]), (), functions, after)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_findings_are_the_same(path: Path, functions: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, _ = run(read_history([path]))
    small_blocks(monkeypatch)
    monkeypatch.setattr("nlmdissect.capture.engine.TINY", 0)
    monkeypatch.setattr(compiled, "LOAD", -1.0)
    monkeypatch.setattr(compiled, "price", lambda: 0.0)
    monkeypatch.setattr(loops, "ready", functions)
    used: list[Engine] = []
    monkeypatch.setattr(Engine, "use", lambda engine, code, use=Engine.use: (used.append(engine), use(engine, code)))
    found, _ = run(read_history([path]))
    assert found == plain
    assert used or path.stat().st_size < 6000


@st.composite
def damaged(draw: st.DrawFn) -> tuple[list[tuple[float, bytes]], int, int]:
    """Some frames in a row of a recording: bytes changed, frames cut, left out, doubled and exchanged."""
    recording = load(draw(st.sampled_from(CORPUS)))
    frames = recording.frames if recording else []
    first = draw(st.integers(0, max(len(frames) - 1, 0)))
    some = [(frame.time / 1e9 - 1.7e9, frame.data) for frame in frames[first : first + draw(st.integers(1, 120))]]
    chance = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(0, 40))):
        n = chance.randrange(len(some)) if some else 0
        if not some:
            break
        time, data = some[n]
        match chance.randrange(6):
            case 0 | 1 if data:
                at = chance.randrange(min(len(data), 120))
                data = data[:at] + chance.choice((b"\0", b"\xff", b"\x80", chance.randbytes(1))) + data[at + 1 :]
                some[n] = time, data
            case 2:
                some[n] = time, data[: chance.randrange(len(data) + 1)]
            case 3:
                del some[n]
            case 4:
                some.insert(n, (time, data))
            case _:
                m = chance.randrange(len(some))
                some[n], some[m] = some[m], some[n]
    return some, draw(st.sampled_from((1, 7, 50, 1000))), draw(st.sampled_from((1 << 30, 60, 96, 130)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(damaged(), st.integers(0, 3))
def test_damaged_recordings_are_read_alike(
    functions: Code, made: tuple[list[tuple[float, bytes]], int, int], after: int
) -> None:
    frames, block, snaplen = made
    source = Frames(frames, per_block=block, snaplen=snaplen)
    assert everything(source, [(3, 3)], None) == everything(source, [(3, 3)], functions, after)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=150), max_size=30), st.sampled_from((0, 1, 12, 101, 108, 113, 276)))
def test_random_bytes_are_read_alike(functions: Code, data: list[bytes], link: int) -> None:
    source = Frames([(float(n), frame) for n, frame in enumerate(data)], link=link)
    assert everything(source, (), None) == everything(source, (), functions)


def test_tables_that_grow_stay_the_same(functions: Code) -> None:
    """More hosts and connections than the first tables hold, over the exchange of the tables."""
    frames = []
    for n in range(1200):
        host, xid = f"10.{n % 3}.{n // 250}.{n % 250}", n
        call, reply = rpc_call(xid, NLM, 4, 2, bytes(60)), rpc_reply(xid, bytes(12))
        frames.append((n * 0.001, ethernet(ipv4(host, "10.9.0.1", UDP, udp(700 + n % 7, 4045, call)))))
        frames.append((n * 0.001, ethernet(ipv4("10.9.0.1", host, UDP, udp(4045, 700 + n % 7, reply)))))
        frames.append((n * 0.001, ethernet(ipv4(host, "10.9.0.1", TCP, tcp(900, 2049, seq=n, flags="S")))))
    for after in (0, 1, 5):
        source = Frames(frames, per_block=300)
        assert everything(source, (), None) == everything(source, (), functions, after)


def test_walks_are_alike(functions: Code) -> None:
    import numpy as np

    chance = random.Random(1)
    for _ in range(200):
        data = b"".join(
            struct.pack("<IIII", 1, 2, size, size) + chance.randbytes(size)
            for size in (chance.choice((0, 5, 60, 2**31)) % 1000 for _ in range(chance.randrange(9)))
        )[: chance.randrange(400)]
        found, starts = [0] * (len(data) // 16), np.zeros(len(data) // 16, np.int64)
        plain = records.walk_pcap(data, 0, len(data), False, 16, 8, 1000, found)
        array = np.frombuffer(data, np.uint8)
        assert functions[records.walk_pcap](array, 0, len(data), False, 16, 8, 1000, starts) == plain
        assert starts.tolist() == found
        blocks = b"".join(
            struct.pack("<II", chance.choice((1, 2, 3, 5, 6, 9, 77)), size) + bytes(size - 8)
            for size in (chance.choice((12, 16, 24, 32, 36, 13)) for _ in range(chance.randrange(9)))
        )
        room = len(blocks) // 12
        lists, arrays = ([0] * room, [0] * room), (np.zeros(room, np.int64), np.zeros(room, np.int64))
        plain = records.walk_pcapng(blocks, 0, len(blocks), False, 1000, *lists)
        array = np.frombuffer(blocks, np.uint8)
        assert functions[records.walk_pcapng](array, 0, len(blocks), False, 1000, *arrays) == plain
        assert [a.tolist() for a in arrays] == list(lists)


def test_bounds_are_checked_here(functions: Code) -> None:
    """The tests above would notice a read behind the end."""
    import numpy as np

    starts = np.zeros(0, np.int64)
    with pytest.raises(IndexError):
        functions[records.walk_pcap](np.zeros(16, np.uint8), 0, 16, False, 16, 8, 1000, starts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the code is kept that a capture is read with: without any checks, and called as C is."""
    where = tmp_path_factory.mktemp("code")
    compiled.machine_code(where)
    return where


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_recordings_are_read_alike_by_what_is_kept(path: Path, folder: Path) -> None:
    kept = compiled.machine_code(folder)
    assert everything(open_recording([path]), [(3, 7)], kept) == everything(open_recording([path]), [(3, 7)], None)


def test_what_is_kept_needs_no_numba(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from nlmdissect.capture import compiled\n"
        f"compiled.machine_code(Path({str(folder)!r}))\n"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_kept_leaves_numba_alone(folder: Path) -> None:
    """Its names in the process are its own, whoever needs them first: an exception in its code is one."""
    code = (
        "from pathlib import Path; from nlmdissect.capture import compiled\n"
        f"compiled.machine_code(Path({str(folder)!r}))\n"
        "import numba, numpy\n"
        "try:\n"
        "    numba.njit(boundscheck=True)(lambda a, i: a[i])(numpy.zeros(3), 5)\n"
        "except IndexError:\n"
        "    print('out of bounds')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert done.stdout == b"out of bounds\n"


def test_what_is_kept_takes_no_other_arrays(folder: Path) -> None:
    import numpy as np

    walk = compiled.machine_code(folder)[records.walk_pcap]
    data, starts = np.zeros(64, np.uint8), np.zeros(4, np.int64)
    assert walk(data, 0, 64, False, 16, 8, 1000, starts) == (4, 64, records.MORE)
    for wrong in (np.zeros(8, np.int64)[::2], np.zeros(4, np.int32)):
        with pytest.raises(TypeError, match="one behind the other"):
            walk(data, 0, 64, False, 16, 8, 1000, wrong)


def test_what_is_kept_gives_one_number_where_there_is_one(folder: Path) -> None:
    import numpy as np

    code = compiled.machine_code(folder)
    keys, room = np.array([7, -1, 7, 2**62, -1, 2**62 + 2**31]), 1 << 6
    first, which = np.zeros(6, np.int64), np.zeros(6, np.int64)
    assert code[loops.number_keys](keys, np.zeros(room, np.int64), 0x2545F491, first, which) == 4
    assert (first[:4].tolist(), which.tolist()) == ([0, 1, 3, 5], [0, 1, 0, 2, 1, 3])
    words = np.zeros(3, np.int64)
    code[loops.read_words](np.frombuffer(b"\1\2\3\4\xff\xff\xff\xfe", np.uint8), np.array([0, 1, 4]), 1 << 31, words)
    assert words.tolist() == [0x01020304, 0x020304FF, -2]


def test_damaged_code_is_not_run(folder: Path, tmp_path: Path) -> None:
    for damage in (lambda code: code[:-1], lambda code: code[:40] + b"?" + code[41:], lambda code: b""):
        for file in folder.iterdir():
            (tmp_path / file.name).write_bytes(damage(file.read_bytes()))
            for entry in compiled.ENTRIES:
                assert compiled._kept(tmp_path, entry) is None
            with pytest.raises(ValueError, match="not what was written"):
                native.load((tmp_path / file.name).read_bytes(), compiled.ENTRIES[0])


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    compiled.folder.cache_clear()
    yield
    compiled.folder.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_code_is_kept_where_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    where = compiled.folder()
    assert where is not None
    assert where.parent == tmp_path / "cache" / "nlmdissect"


@pytest.mark.usefixtures("fresh")
def test_without_a_home_it_is_kept_among_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    where = compiled.folder()
    assert where is not None
    assert where.parent == tmp_path / f"nlmdissect-{os.getuid()}"
    assert where.parent.stat().st_mode & 0o077 == 0


@pytest.mark.usefixtures("fresh")
def test_what_others_can_write_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"nlmdissect-{os.getuid()}").mkdir()
    (tmp_path / f"nlmdissect-{os.getuid()}").chmod(0o777)
    assert compiled.folder() is None


def test_it_is_weighed() -> None:
    """Little is left: no. Much is left of a file, or a pipe has gone on for long: yes, if the price is right."""
    prices = {"LOAD": 0.5, "price": lambda: 8.0}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in prices.items():
            patch.setattr(compiled, name, value)
        asked: list[float] = []
        patch.setattr(compiled, "load", lambda: asked.append(1.0))
        engine = Engine()
        engine._spent = 1.0
        assert not engine.consider(0, 100, 100)  # nothing is left
        assert not engine.consider(0, 100, 800)  # 7 s
        assert not engine.consider(0, 100, None)
        assert not asked
        engine.consider(0, 100, 1000)  # 9 s
        assert len(asked) == 1
        engine._spent = 9.0
        engine.consider(0, 100, None)
        assert len(asked) == 2


def test_what_is_there_is_used_but_for_tiny_files(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiled.load()
    assert not Engine().consider(0, 0, TINY)
    assert Engine().consider(0, 0, TINY + 1)
    assert Engine().consider(0, 0, None)


def test_many_captures_are_weighed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only in a process that expects many; where nothing was kept, as soon as they have cost what compiling does."""
    asked: list[float] = []
    for name, value in {"price": lambda: 3.0, "load": lambda: asked.append(1.0)}.items():
        monkeypatch.setattr(compiled, name, value)
    monkeypatch.setattr(compiled, "_together", None)
    engine = Engine()
    engine._spent = 0.1
    compiled.spent(100.0)
    engine.consider(0, 100, 200)
    compiled.expect_many()
    engine.consider(0, 100, 200)
    assert not asked
    compiled.spent(compiled.COMPILE + 0.1)
    engine.consider(0, 100, 200)
    assert asked
    asked.clear()
    monkeypatch.setattr(compiled, "price", lambda: compiled.LOAD)
    monkeypatch.setattr(compiled, "_together", None)
    compiled.expect_many()
    assert asked


def test_what_can_be_kept_costs_less(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Once for all that come after it; where nothing can be written, each process pays the whole of it."""
    prices = []
    for where in (tmp_path, None):
        monkeypatch.setattr(compiled, "folder", lambda where=where: where)
        compiled._first_price.cache_clear()
        prices.append(compiled._first_price())
    compiled._first_price.cache_clear()
    assert prices == [compiled.KEPT, compiled.COMPILE]


def test_without_numba_there_is_only_python(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from nlmdissect.capture import compiled\n"
        "assert not compiled.load()\n"
        "assert compiled.price() == float('inf')"
    )
    empty = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=empty)


def test_every_table_is_in_the_record() -> None:
    record, view = compiled.record_of(tables.new_tables())
    assert len(record) == 1
    assert set(record.dtype.names) == set(tables.Tables._fields)
    assert len(view.flow_next) == 2 * tables.MAX_CONNECTIONS


def test_a_small_capture_does_not_pay_for_it() -> None:
    code = (
        "import sys; from nlmdissect.history.history import read_history\n"
        f"read_history([{str(OURS / 'S08-reclaim-after-grace.pcap')!r}])\n"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
