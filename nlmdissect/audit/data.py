"""The audit for programs: JSON, whose keys are never renamed and never left out, and the matrix as CSV."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from typing import Any

from nlmdissect.audit.dataset import SCHEMA
from nlmdissect.audit.summary import Recording, Summary
from nlmdissect.audit.trend import Trend
from nlmdissect.escape import show
from nlmdissect.findings import Outcome
from nlmdissect.report.verdict import Word

Object = dict[str, Any]
FORMULA = ("=", "+", "-", "@", "\t")  # what a spreadsheet would calculate
COUNTS = ("frames", "size", "nlm", "nsm", "portmap", "defects")


def render_json(summary: Summary, trend: Trend | None, version: str) -> str:
    """The document, with a line end; outside of ASCII everything is escaped."""
    text = json.dumps(document(summary, trend, version), indent=1, ensure_ascii=True, allow_nan=False, default=_plain)
    return text.replace("\x7f", "\\u007f") + "\n"


def document(summary: Summary, trend: Trend | None, version: str) -> Object:
    """The document as plain lists and dicts; moments are datetimes."""
    run, counts, words = summary.run, summary.counts, summary.words
    return {
        "schema": SCHEMA,
        "version": version,
        "run": {"name": run.name, "started": run.about["started"], "finished": run.about["finished"],
                "version": run.about.get("version")},
        "totals": {
            "recordings": len(summary.recordings),
            "files": sum(len(one.files) for one in summary.recordings),
            **{name: sum(one.total(name) for one in summary.recordings) for name in COUNTS},
            "answers": {word.name.lower(): words[word] for word in Word},
            "cells": {outcome.value: counts[outcome] for outcome in Outcome},
        },
        "recordings": [_recording(summary, one) for one in summary.recordings],
        "findings": [_finding(row) for row in summary.findings],
        "shared_servers": [
            {"server": s.server, "names": s.names.split(", ") if s.names else [], "recordings": list(s.recordings)}
            for s in summary.shared
        ],
        "trend": None if trend is None else _trend(trend),
        "errors": [
            {"recording": one.id, "code": rule["code"], "error": rule["error"]}
            for one in summary.recordings for rule in one.crashed
        ],
    }  # fmt: skip


def render_csv(summary: Summary) -> str:
    """The matrix: one row a recording, one column a rule. Text from files cannot become a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["recording", "name", "answer", "files", "first", "last", *COUNTS, "error", *summary.codes])
    for one in summary.recordings:
        cells = [one.cells[code].value if code in one.cells else "" for code in summary.codes]
        writer.writerow(
            [
                _cell(one.id), _cell(summary.called(one)), one.word.name.lower(), len(one.files), _plain(one.first),
                _plain(one.last), *(one.total(name) for name in COUNTS), _cell(one.error or ""), *cells,
            ]
        )  # fmt: skip
    return out.getvalue()


def _recording(summary: Summary, one: Recording) -> Object:
    return {
        "recording": one.id,
        "name": summary.called(one),
        "answer": one.word.name.lower(),
        "captures": [
            {
                name: file[name]
                for name in ("path", "hash", "size", "format", "frames", "first", "last", "truncated", "dropped")
            }
            for file in one.files
        ],
        **{name: one.total(name) for name in COUNTS},
        "outcomes": {code: one.cells[code].value for code in summary.codes if code in one.cells},
        "reasons": {code: row["reason"] for code, row in one.rules.items() if row["reason"]},
        "error": one.error,
        "hint": one.hint,
        "failed": one.failed,
    }


def _finding(row: Object) -> Object:
    return {name: value for name, value in row.items() if name != "boot"}


def _trend(trend: Trend) -> Object:
    words = ("new", "persisting", "gone", "unseen")
    return {
        "before": trend.before,
        **{word: trend.count(word) for word in words},
        "changes": [
            {
                "server": change.server, "client": change.client,
                **{word: [_changed(row) for row in getattr(change, word)] for word in words},
            }
            for change in trend.changes
        ],
    }  # fmt: skip


def _changed(row: Object) -> Object:
    names = ("fingerprint", "code", "severity", "confidence", "title", "recording", "capture", "frame", "time")
    return {name: row[name] for name in names}


def _plain(value: Any) -> Any:
    return f"{value:%Y-%m-%dT%H:%M:%S.%f}Z" if isinstance(value, datetime) else value


def _cell(text: str) -> str:
    shown = show(text)
    return f"'{shown}" if shown.startswith(FORMULA) else shown
