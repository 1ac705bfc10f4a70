"""The hot loop, compiled: the door to numba.

Theory of operation. ``scan.py`` and what it calls are plain functions. Here each gets a copy whose globals are the
compiled copies of what it calls, and numba compiles those; so there is one source for both ways of running it. The
tables become one record of arrays as long as the tables may ever grow, which the operating system backs with memory
only where it is written: a record is passed as one pointer, where a tuple of arrays would be passed by value.

Compiling takes seconds, loading what was compiled before a fraction of one, so ``engine.py`` asks for the price first.
What is compiled is kept in a folder of the user, under a name made from the sources and the versions of all that took
part: numba itself looks only at the file of the outermost function. Where no folder can be written, each process that
needs it compiles again.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import util
from mmap import mmap
from pathlib import Path
from types import FunctionType
from typing import Any, cast

import numpy as np

from . import records, scan, tables

LOAD, KEPT, COMPILE = 0.6, 6.0, 12.0
"""Seconds: to import numba and load what it compiled before; to compile it. Where the code can be kept, half of that
is asked for: the next large captures have it for nothing.
"""

CACHE_DIR = "CACHE_DIR"  # numba's name for it

Function = Callable[..., Any]

ENTRIES: tuple[Function, ...] = (scan.scan, records.walk_pcap, records.walk_pcapng)
LIMITS = {
    "ep": tables.MAX_ENDPOINTS,
    "pair": tables.MAX_PAIRS,
    "conn": tables.MAX_CONNECTIONS,
    "flow": 2 * tables.MAX_CONNECTIONS,
}


_loaded: Compiled | None = None
_broken = False


def price() -> float:
    """Seconds until the functions would be ready; infinite where that cannot be."""
    return 0.0 if _loaded else float("inf") if _broken else _first_price()


@cache
def _first_price() -> float:
    if util.find_spec("numba") is None or os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return float("inf")
    where = folder()
    if where is None:
        return COMPILE
    return LOAD if _kept(where, scan.scan) else KEPT


def functions() -> Compiled | None:
    """The compiled functions of this process, if ``load`` made them."""
    return _loaded


def load() -> Compiled | None:
    """Make the functions ready. None if that fails: whatever a compiler has against them, Python reads the capture."""
    global _loaded, _broken
    if _loaded is None and not _broken:
        made = Compiled(folder())
        try:
            made(scan.scan)
            _loaded = made
        except Exception:
            _broken = True
    return _loaded


@cache
def folder() -> Path | None:
    """Where compiled code is kept; None where nothing can be written."""
    from importlib import metadata

    known = hashlib.sha256(platform.python_version().encode() + platform.machine().encode())
    for name in ("numba", "llvmlite", "numpy"):
        known.update(metadata.version(name).encode())
    parts = {part.__code__.co_filename for entry in ENTRIES for part in (entry, *_called(entry))}
    for source in (__file__, *sorted(parts)):
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
    if told := os.environ.get(f"NUMBA_{CACHE_DIR}"):
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


class Compiled:
    """``scan``, ``walk_pcap`` and ``walk_pcapng`` as machine code, each made when it is first asked for.

    They take numpy arrays where the plain ones take lists, and ``scan`` the record of ``record_of``. The types are
    those of the annotations.
    """

    def __init__(self, where: Path | None = None, *, boundscheck: bool = False) -> None:
        self._where = where
        self._options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": boundscheck}
        self._made: dict[Function, Any] = {}

    def __call__(self, entry: Function) -> Any:
        """The compiled form of one of ENTRIES."""
        if entry not in self._made:
            kept = self._where is not None and _kept(self._where, entry)
            for inner in _called(entry):
                if inner not in self._made:
                    self._make(inner, compiles=not kept)
            with _kept_in(self._where):
                self._make(entry, compiles=True, cache=self._where is not None)
        return self._made[entry]

    def _make(self, plain: Any, compiles: bool, cache: bool = False) -> None:
        import numba

        inside = {name: self._made.get(value, value) for name, value in plain.__globals__.items() if name in
                  plain.__code__.co_names}  # fmt: skip
        copy = FunctionType(plain.__code__, inside, plain.__name__)
        copy.__module__ = plain.__module__
        self._made[plain] = numba.njit(cache=cache, **self._options)(copy)
        if compiles:
            self._made[plain].compile(_signature(plain))


def _called(function: Any) -> list[Any]:
    """The functions of this package that a function calls, callees first."""
    found: dict[Function, None] = {}
    for name in function.__code__.co_names:
        inner = function.__globals__.get(name)
        if isinstance(inner, FunctionType):
            found |= dict.fromkeys((*_called(inner), inner))
    return list(found)


def _kept(where: Path, entry: Any) -> bool:
    return any(where.rglob(f"{Path(entry.__code__.co_filename).stem}.{entry.__qualname__}-*.nbi"))


@contextmanager
def _kept_in(where: Path | None) -> Iterator[None]:
    """numba asks for its folder when a function is wrapped; what others compile goes where it went before."""
    from numba import config

    before = getattr(config, CACHE_DIR)
    setattr(config, CACHE_DIR, str(where or before))
    try:
        yield
    finally:
        setattr(config, CACHE_DIR, before)


def _layout() -> np.dtype[np.void]:
    """The tables as one record; its fields are those of ``Tables``."""
    fields: list[tuple[str, str, tuple[int]]] = [("used", "i8", (5,)), ("asked", "u1", (tables.ASKED,))]
    for name in tables.Tables._fields:
        if name not in ("used", "asked"):
            size = LIMITS[name.split("_")[0]]
            fields.append((name, "i8", (4 * size if name.endswith("_slot") else size,)))
    return np.dtype(fields)


def record_of(plain: tables.Tables) -> tuple[Any, tables.Tables]:
    """The same tables for compiled code, and a view of them for everybody else."""
    layout = _layout()
    # not np.zeros: it asks for huge pages, and each field would have some of them
    record = np.frombuffer(mmap(-1, layout.itemsize), layout)
    record["ep_mac"] = -1
    for name, column in zip(plain._fields, plain, strict=True):
        if not name.endswith("_slot"):
            record[name][0, : len(column)] = column
    view = tables.Tables(*(memoryview(record[name][0]) for name in plain._fields))  # type: ignore[arg-type]
    tables.rehash(view)
    return record[0], view


def _signature(plain: Any) -> Any:
    """The types of a function, as numba names them."""
    from numba import boolean, from_dtype, int64, types, void

    ints, several = int64[::1], cast(Any, types.UniTuple)
    known = {
        "int": int64, "bool": boolean, "None": void, "Ints": ints, "list[int]": ints, "Tables": from_dtype(_layout()),
        "bytes": types.Array(types.uint8, 1, "C", readonly=True),
        "tuple[int, int]": several(int64, 2), "tuple[int, int, int]": several(int64, 3),
    }  # fmt: skip
    of = {name: known[str(annotation)] for name, annotation in plain.__annotations__.items()}
    return of.pop("return")(*of.values())
