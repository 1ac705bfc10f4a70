"""One recording as rows of the dataset's tables: ``columns.TABLES`` has their order. Times are ns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nlmdissect.analysis import Analysis, display_filters, reason
from nlmdissect.audit.columns import TABLES
from nlmdissect.capture.glance import Glance
from nlmdissect.protocols import NLM, NSM, PORTMAP
from nlmdissect.tables import rows as of_one

Row = tuple[Any, ...]
Rows = dict[str, list[Row]]


def judged(analysis: Analysis, files: Sequence[Glance]) -> Rows:
    """A recording that was read. ``files`` are what it was read from, in the order of its sources."""
    return {
        "captures": list(_captures(analysis, files)),
        "rules": [
            (result.rule.code, result.outcome.value, result.judged, reason(result), result.error or None)
            for result in analysis.results
        ],
        "findings": list(_findings(analysis)),
        "recoveries": list(_recoveries(analysis)),
        "coverage": list(of_one.coverage(analysis)),
        "hosts": list(of_one.hosts(analysis)),
    }


def broken(files: Sequence[Glance], error: str, hint: str, failed: bool = False) -> Rows:
    """A recording that could not be judged: a row for each file, with the error. ``failed``: it is not the file's."""
    found: Rows = {name: [] for name in TABLES}
    for number, file in enumerate(files):
        row: dict[str, Any] = dict.fromkeys((column.name for column in TABLES["captures"]), 0)
        row |= {
            "capture": number,
            "path": file.path,
            "hash": file.digest,
            "size": file.size,
            "format": file.format,
            "compression": file.compression,
            "link_types": ", ".join(file.links),
            "snaplen": file.snaplen,
            "first": file.first,
            "last": file.last,
            "dropped": None,
            "truncated": False,
            "error": error,
            "hint": hint or None,
            "failed": failed,
        }
        found["captures"].append(tuple(row.values()))
    return found


def _captures(analysis: Analysis, files: Sequence[Glance]) -> Iterator[Row]:
    history = analysis.history
    counts = {program: _messages(analysis, program) for program in (NLM, NSM, PORTMAP)}
    defects = [0] * len(history.sources)
    for defect in history.defects:
        defects[defect.capture] += defect.count
    for number, (source, file) in enumerate(zip(history.sources, files, strict=True)):
        yield (
            number,
            source.path,
            file.digest,
            source.bytes,
            source.format,
            source.compression,
            ", ".join(source.link_types),
            source.snaplen,
            source.first,
            source.last,
            source.frames,
            source.dropped,
            source.truncated,
            *(int(of[number]) for of in counts.values()),
            defects[number],
            None,
            None,
            False,
        )


def _messages(analysis: Analysis, program: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Calls of a program and answers to them, by file: as ``Analysis.messages`` counts them."""
    calls, files = analysis.history.calls, len(analysis.history.sources)
    of = calls.program == program
    asked, answered = of & (calls.frame != 0), of & (calls.replies > 0)
    found = np.bincount(calls.capture[asked], minlength=files)
    answers = np.bincount(calls.reply_capture[answered], weights=calls.replies[answered], minlength=files)
    return found + answers.astype(np.int64)


def _findings(analysis: Analysis) -> Iterator[Row]:
    for finding, row in zip(analysis.findings, of_one.findings(analysis), strict=True):
        filters = dict(display_filters(finding))
        evidence = [(e.at.capture, e.at.frame, e.at.time, e.what) for e in finding.evidence]
        names = (_called(analysis, host) for host in (finding.server, finding.client))
        yield (*row, *names, filters.get(finding.evidence[0].at.capture), evidence)


def _recoveries(analysis: Analysis) -> Iterator[Row]:
    for recovery, row in zip(analysis.history.recoveries, of_one.recoveries(analysis), strict=True):
        names = (_called(analysis, host) for host in (recovery.boot.host, recovery.peer))
        yield (*row, recovery.boot.not_after.time, *names)


def _called(analysis: Analysis, host: int | None) -> str | None:
    names = () if host is None else analysis.history.names.claimed.get(host, ())
    return ", ".join(names) or None
