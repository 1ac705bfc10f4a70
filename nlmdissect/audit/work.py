"""What a worker does: look at files, and judge one recording. Both take and give small plain things, and never raise
for what is wrong with a file or in this program: that is a row of the result.
"""

from __future__ import annotations

import gc
import hashlib
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nlmdissect.capture.compiled import expect_many
from nlmdissect.capture.glance import Glance, glance
from nlmdissect.capture.unpack import EXPANSION
from nlmdissect.errors import NlmdissectError

if TYPE_CHECKING:
    from nlmdissect.history.scan import Scan

LARGE = 4 << 20  # bytes of files after which it pays to look everywhere for memory to give back
ENGINE = (
    "analysis.py", "errors.py", "escape.py", "findings.py", "groups.py", "loops.py", "xdr", "protocols", "capture",
    "rpc", "hosts", "machines", "history", "rules", "tables",
    "audit/columns.py", "audit/rotation.py", "audit/rows.py", "audit/work.py",
)  # fmt: skip
"""The files of this package that a result depends on."""


@dataclass(slots=True)
class Result:
    """What became of a recording: its tables as Parquet; or, if its files turned out to be several recordings, the
    places in ``files`` at which another one begins.
    """

    tables: dict[str, bytes] = field(default_factory=dict)
    apart: list[int] = field(default_factory=list)


def look(paths: Sequence[str]) -> list[Glance]:
    """A short look at some files."""
    return [glance(path) for path in paths]


@dataclass(frozen=True, slots=True)
class Broken:
    """A part that could not be read. ``failed``: that is not the files' fault."""

    error: str
    hint: str
    failed: bool = False


def judge(recordings: Sequence[tuple[Sequence[Glance], bool]], expansion: int = EXPANSION) -> list[Result]:
    """Read and judge recordings: the files of each, and whether it was said by hand that they belong together.
    ``expansion`` is how many bytes a packed byte may become.
    """
    expect_many()
    return [_result(files, given, None, expansion) for files, given in recordings]


def read_part(paths: Sequence[str], tail: Sequence[str], expansion: int) -> Scan | Broken:
    """Read some files of a large recording, and on into what follows."""
    from nlmdissect.capture.part import open_part
    from nlmdissect.history.scan import scan

    expect_many()
    try:
        return scan(open_part(paths, tail, expansion=expansion))
    except Exception as error:
        return _broken(error)


def read_piece(path: str, begin: int, end: int | None) -> Scan | Broken:
    """Read a piece of a large file, from about one byte to about another one; None: to its end."""
    from nlmdissect.capture.piece import open_piece
    from nlmdissect.history.scan import scan

    expect_many()
    try:
        return scan(open_piece(path, begin, end))
    except Exception as error:
        return _broken(error)


def judge_parts(parts: Sequence[Scan | Broken], files: Sequence[Glance]) -> list[Result]:
    """Join the parts of a recording, and judge it. A file that cannot be read in pieces is read whole."""
    whole = len(files) == 1 and any(isinstance(part, Broken) for part in parts)
    return [_result(files, False, None if whole else parts)]


def _result(
    files: Sequence[Glance], given: bool, parts: Sequence[Scan | Broken] | None, expansion: int = EXPANSION
) -> Result:
    from nlmdissect.audit import parquet, rows

    try:
        (first, *others) = files
        if first.error and not others:
            return Result(parquet.encode(rows.broken(files, first.error, first.hint)))
        return _judged(files, given, parts, expansion)
    except Exception as error:
        wrong = _broken(error)
        return Result(parquet.encode(rows.broken(files, wrong.error, wrong.hint, wrong.failed)))
    finally:
        gc.collect(2 if sum(file.size for file in files) > LARGE else 0)  # else each leaves its tables, some MB


def _broken(error: Exception) -> Broken:
    match error:
        case NlmdissectError():
            return Broken(error.message, error.hint)
        case MemoryError():
            return Broken("there was not enough memory", "Give --memory-limit more.", True)
        case _:
            return Broken("".join(traceback.format_exception(error, limit=-4)), "Please report this.", True)


def _judged(
    files: Sequence[Glance], given: bool, parts: Sequence[Scan | Broken] | None, expansion: int
) -> Result:
    from nlmdissect.analysis import analyse
    from nlmdissect.audit import parquet, rows
    from nlmdissect.audit.rotation import apart, silence
    from nlmdissect.history.history import read_history
    from nlmdissect.history.parts import joined

    if parts is None:
        history = read_history([file.path for file in files], expansion=expansion)
    else:
        if wrong := next((part for part in parts if isinstance(part, Broken)), None):
            return Result(parquet.encode(rows.broken(files, wrong.error, wrong.hint, wrong.failed)))
        history = joined([part for part in parts if not isinstance(part, Broken)])
    if len(files) > 1 and not given:
        spans = [(source.path, source.first, source.last) for source in history.sources]
        if places := apart(spans, silence(history.traffic.activity, spans)):
            return Result(apart=places)
    by_path = {file.path: file for file in files}
    analysis = analyse(history)
    return Result(parquet.encode(rows.judged(analysis, [by_path[source.path] for source in history.sources])))


@cache
def engine() -> str:
    """16 hex digits of the code that results depend on: other rules, other results."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for name in ENGINE:
        path = root / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
