"""The audit as one HTML file: the matrix, each cell opening its findings. Reports fill it in with Jinja."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from nlmdissect.audit.summary import Recording, Row, Summary
from nlmdissect.audit.text import CELLS, WORDS, answer
from nlmdissect.audit.trend import Trend
from nlmdissect.findings import Outcome
from nlmdissect.report.html import fill
from nlmdissect.report.verdict import Word
from nlmdissect.rules import BY_CODE
from nlmdissect.rules.words import count

EVIDENCE = 12  # frames of a finding; the dataset has all
FINDINGS = 5000  # that have a card; the dataset has all
TONES = {Outcome.FOUND: "bad", Outcome.SUSPECTED: "warn", Outcome.CLEAN: "", Outcome.NOT_ASSESSED: ""}


class Cell(NamedTuple):
    kind: str
    letter: str = ""
    title: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A recording: its row of the matrix, and what its cells open."""

    id: str
    name: str
    span: str
    words: str
    tone: str
    error: str | None
    hint: str | None
    crashed: list[str]
    cells: list[Cell]
    findings: list[Row]


@dataclass(frozen=True, slots=True)
class Page:
    word: Word
    answer: str
    counts: list[tuple[str, str]]
    facts: list[str]
    codes: list[tuple[str, str]]
    rows: list[Line]
    shared: list[tuple[str, str]]
    before: str
    change_heads: list[str]
    changes: list[list[str]]


def render(summary: Summary, trend: Trend | None, version: str) -> str:
    """The whole file."""
    return fill("audit.html.j2", page=page(summary, trend), version=version)


def page(summary: Summary, trend: Trend | None) -> Page:
    """What stands on it, as plain text."""
    counts, words = summary.counts, summary.words
    names = {one.id: summary.called(one) for one in summary.recordings}
    rows, room = [], FINDINGS
    for one in summary.recordings:
        rows.append(_line(summary, one, room))
        room = max(room - len(one.findings), 0)
    heads = ["server", "client", "new", "persisting", "gone", "not looked at"]
    return Page(
        word=next((word for word in Word if words[word]), Word.CANNOT_TELL),
        answer=answer(summary),
        counts=[(f"{counts[outcome]} {word}", TONES[outcome]) for outcome, word in WORDS.items() if counts[outcome]],
        facts=_facts(summary, trend),
        codes=[(code, BY_CODE[code].name) for code in summary.codes],
        rows=rows,
        shared=[
            (f"{s.server} {s.names}", ", ".join(names[one] for one in s.recordings)) for s in summary.shared
        ],
        before="" if trend is None else trend.before,
        change_heads=heads,
        changes=[] if trend is None else [
            [c.server or "-", c.client or "-", *(_codes(rows) for rows in (c.new, c.persisting, c.gone, c.unseen))]
            for c in trend.changes
        ],
    )  # fmt: skip


def _facts(summary: Summary, trend: Trend | None) -> list[str]:
    recordings = summary.recordings
    files, frames = (sum(len(r.files) for r in recordings), sum(r.total("frames") for r in recordings))
    read = f"{count(len(recordings), 'recording')} of {count(files, 'file')}, {count(frames, 'frame')}"
    facts = [f"{read}; all names below {summary.root or '/'}"]
    about = summary.run.about
    facts.append(f"run {summary.run.name}, {about['started']} to {about['finished'] or 'now: it has not ended'}")
    if trend is not None:
        facts.append(
            f"since {trend.before}: {trend.count('new')} new, {trend.count('persisting')} persisting, "
            f"{trend.count('gone')} gone, {trend.count('unseen')} not looked at"
        )
    return facts


def _line(summary: Summary, one: Recording, room: int) -> Line:
    anchors: dict[str, str] = {}
    findings = []
    for number, row in enumerate(one.findings[:room]):
        anchor = f"f-{one.id}-{number}"
        anchors.setdefault(row["code"], anchor)
        findings.append(_finding(one, row, anchor))
    by_number = {row["number"]: row for row in findings}
    for row in findings:
        cause = by_number.get(row["caused_by"])
        row["cause"] = None if cause is None else (cause["anchor"], f"{cause['code']} {cause['name']}")
    word = one.word
    return Line(
        id=one.id,
        name=summary.called(one),
        span=_span(one.first, one.last),
        words=" ".join(
            [word.value, *(host["names"] or "" for host in one.hosts), *(host["host"] for host in one.hosts)]
        ),
        tone="error"
        if word is Word.WRONG or one.failed
        else "warning"
        if word in (Word.SUSPECTED, Word.WARNING)
        else "",
        error=one.error,
        hint=one.hint,
        crashed=[f"{rule['code']} failed: {rule['error']}" for rule in one.crashed],
        cells=[_cell(one, code, anchors) for code in summary.codes],
        findings=findings,
    )


def _cell(one: Recording, code: str, anchors: dict[str, str]) -> Cell:
    outcome = one.cells.get(code)
    if outcome is None:
        return Cell("")
    if outcome is Outcome.CLEAN:
        return Cell("")
    letter = CELLS[outcome][0]
    if outcome is Outcome.NOT_ASSESSED:
        return Cell(outcome.value, letter, f"{code}: {one.rules[code]['reason'] or 'not assessed'}")
    note = all(row["severity"] == "info" for row in one.of(code))
    return Cell(
        "note" if note else outcome.value, letter, f"{code} {BY_CODE[code].name}", anchors.get(code, f"r-{one.id}")
    )


def _finding(one: Recording, row: Row, anchor: str) -> dict[str, Any]:
    evidence = [
        (
            str(e["frame"]) if len(one.files) == 1 else f"{e['capture']}:{e['frame']}",
            f"{e['time']:%Y-%m-%d %H:%M:%S.%f}",
            e["what"],
        )
        for e in row["evidence"][:EVIDENCE]
    ]
    more = len(row["evidence"]) - EVIDENCE
    path = one.files[row["capture"]]["path"]
    return {
        **row,
        "anchor": anchor,
        "path": path,
        "evidence": evidence,
        "more": f"{more} more frames" if more > 0 else "",
    }


def _codes(rows: list[Row]) -> str:
    return ", ".join(sorted({row["code"] for row in rows}))


def _span(first: datetime | None, last: datetime | None) -> str:
    return (
        "no frames" if first is None or last is None else f"{first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC"
    )
