"""The hot loop, compiled.

Theory of operation. ``scan.py`` and what it calls are plain functions, and ``jit.py`` compiles copies of them; so there
is one source for both ways of running it. The tables become one record of arrays as long as the tables may ever grow,
which the operating system backs with memory only where it is written.

Compiling takes seconds, loading what was compiled before less than a tenth of one (``native.py``), so ``engine.py``
asks for the price first. What is compiled is kept in a folder of the user, under a name made from the sources and the
versions of all that took part, and for each kind of processor. Where no folder can be written, each process that needs
it compiles again.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib import util
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlmdissect import loops

from . import jit, native, records, scan, tables, words

LOAD, KEPT, COMPILE = 0.1, 2.0, 8.0
"""Seconds: to load what was compiled before; to import numba and compile it. Where the code can be kept, a quarter of
that is asked for: the next large captures have it for nothing.
"""

Function = Callable[..., Any]

ENTRIES: tuple[Function, ...] = (
    records.walk_pcap, records.walk_pcapng, words.add_words, loops.number_keys, loops.read_words, scan.scan,
)  # fmt: skip  # made and kept in this order
LIMITS = {
    "ep": tables.MAX_ENDPOINTS,
    "pair": tables.MAX_PAIRS,
    "conn": tables.MAX_CONNECTIONS,
    "flow": 2 * tables.MAX_CONNECTIONS,
}


_broken = False
_together: float | None = None  # seconds of plain scanning in a process that reads many captures


def price() -> float:
    """Seconds until the functions would be ready; infinite where that cannot be."""
    return 0.0 if loops.ready else float("inf") if _broken else _first_price()


@cache
def _first_price() -> float:
    if util.find_spec("numba") is None or os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return float("inf")
    where = folder()
    if where is None:
        return COMPILE
    try:
        return LOAD if any(where.iterdir()) and _file(where, ENTRIES[-1]).exists() else KEPT
    except OSError:
        return KEPT
    except Exception:  # llvmlite
        return float("inf")


def load() -> bool:
    """Make the functions ready. False if that fails: whatever a compiler has against them, Python reads the capture."""
    global _broken
    if not loops.ready and not _broken:
        try:
            loops.ready.update(machine_code(folder()))
        except Exception:
            _broken = True
    return bool(loops.ready)


def expect_many() -> None:
    """This process reads many captures: what was kept is made ready, and else they are weighed together."""
    global _together
    if _together is None:
        _together = 0.0
        if price() <= LOAD:
            load()


def spent(seconds: float) -> None:
    """Plain scanning took so long."""
    global _together
    if _together is not None:
        _together += seconds


def wanted() -> bool:
    """Have many captures cost as much as compiling does?"""
    return _together is not None and _together > COMPILE and price() < float("inf")


@cache
def folder() -> Path | None:
    """Where compiled code is kept; None where nothing can be written."""
    from importlib import metadata

    known = hashlib.sha256(platform.python_version().encode() + platform.machine().encode())
    for name in ("numba", "llvmlite", "numpy"):
        known.update(metadata.version(name).encode())
    parts = {part.__code__.co_filename for entry in ENTRIES for part in (entry, *jit.called(entry))}
    for source in (__file__, jit.__file__, native.__file__, *sorted(parts)):
        known.update(Path(source).read_bytes())
    for root in _roots():
        try:
            path = root / known.hexdigest()[:16]
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                return path
        except OSError:
            continue
    return None


def _roots() -> Iterator[Path]:
    """Folders to try. What lies in the last is loaded as code, so in a shared place it must be this user's alone."""
    if told := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(told)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if os.path.isabs(home):
        yield Path(home) / "nlmdissect"
    if hasattr(os, "getuid"):
        shared = Path(tempfile.gettempdir()) / f"nlmdissect-{os.getuid()}"
        try:
            shared.mkdir(mode=0o700, exist_ok=True)
            found = shared.lstat()
        except OSError:
            return
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
            yield shared


def machine_code(where: Path | None) -> dict[Function, Function]:
    """The compiled form of each of ENTRIES: what was kept, and what was not is compiled.

    They take numpy arrays where the plain ones take lists, and ``scan`` the record of ``record_of``.
    """
    maker = jit.Jit(layout())
    return {entry: _kept(where, entry) or _new(where, entry, maker) for entry in ENTRIES}


def _kept(where: Path | None, entry: Function) -> Function | None:
    if where is not None:
        with suppress(OSError, ValueError):
            return native.load(_file(where, entry).read_bytes(), entry)
    return None


def _new(where: Path | None, entry: Function, maker: jit.Jit) -> Function:
    code = native.keep(*maker.text(entry))
    if where is not None:
        path = _file(where, entry)
        part = path.with_suffix(f".{os.getpid()}")  # never half of it under the name that is looked for
        with suppress(OSError):
            try:
                part.write_bytes(code)
                part.replace(path)
            except OSError:
                part.unlink()
    return native.load(code, entry)


def _file(where: Path, entry: Function) -> Path:
    return where / f"{entry.__name__}-{native.processor()}"


def layout() -> np.dtype[np.void]:
    """The tables as one record; its fields are those of ``Tables``."""
    fields: list[tuple[str, str, tuple[int]]] = [("used", "i8", (5,)), ("asked", "u1", (tables.ASKED,))]
    for name in tables.Tables._fields:
        if name not in ("used", "asked"):
            size = LIMITS[name.split("_")[0]]
            fields.append((name, "i8", (4 * size if name.endswith("_slot") else size,)))
    return np.dtype(fields)


def record_of(plain: tables.Tables) -> tuple[NDArray[np.void], tables.Tables]:
    """The same tables for compiled code, and a view of them for everybody else."""
    fields = layout()
    # not np.zeros: it asks for huge pages, and each field would have some of them
    record = np.frombuffer(mmap(-1, fields.itemsize), fields)
    record["ep_mac"] = -1
    for name, column in zip(plain._fields, plain, strict=True):
        if not name.endswith("_slot"):
            record[name][0, : len(column)] = column
    view = tables.Tables(*(memoryview(record[name][0]) for name in plain._fields))  # type: ignore[arg-type]
    tables.rehash(view)
    return record, view
