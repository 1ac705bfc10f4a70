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

from nlmdissect.capture.glance import Glance, glance
from nlmdissect.errors import NlmdissectError

LARGE = 4 << 20  # bytes of files after which it pays to look for memory to give back
ENGINE = (
    "analysis.py", "errors.py", "escape.py", "findings.py", "xdr", "protocols", "capture", "rpc", "hosts", "machines",
    "history", "rules", "tables", "audit/columns.py", "audit/rotation.py", "audit/rows.py", "audit/work.py",
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


def judge(recordings: Sequence[tuple[Sequence[Glance], bool]]) -> list[Result]:
    """Read and judge recordings: the files of each, and whether it was said by hand that they belong together."""
    return [_result(files, given) for files, given in recordings]


def _result(files: Sequence[Glance], given: bool) -> Result:
    from nlmdissect.audit import parquet, rows

    try:
        (first, *others) = files
        if first.error and not others:
            return Result(parquet.encode(rows.broken(files, first.error, first.hint)))
        return _judge(files, given)
    except NlmdissectError as error:
        return Result(parquet.encode(rows.broken(files, error.message, error.hint)))
    except MemoryError:
        return Result(parquet.encode(rows.broken(files, "there was not enough memory", "Give --memory-limit more.", True)))
    except Exception:
        return Result(parquet.encode(rows.broken(files, traceback.format_exc(limit=-4), "Please report this.", True)))
    finally:
        if sum(file.size for file in files) > LARGE:
            gc.collect()


def _judge(files: Sequence[Glance], given: bool) -> Result:
    from nlmdissect.analysis import analyse
    from nlmdissect.audit import parquet, rows
    from nlmdissect.audit.rotation import apart, silence
    from nlmdissect.history.history import read_history

    by_path = {file.path: file for file in files}
    history = read_history([file.path for file in files])
    if len(files) > 1 and not given:
        spans = [(source.path, source.first, source.last) for source in history.sources]
        if places := apart(spans, silence(history.traffic.activity, spans)):
            return Result(apart=places)
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
