"""What a run says, for reports: the matrix of recordings and rules, worst first, and everything behind its cells."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import combinations
from typing import Any

from nlmdissect.analysis import CLEAN, FAILED, FOUND, Asked, check
from nlmdissect.audit import parquet
from nlmdissect.audit.columns import TABLES
from nlmdissect.audit.dataset import Run
from nlmdissect.audit.rotation import pattern
from nlmdissect.findings import Outcome, Severity
from nlmdissect.report.verdict import Word
from nlmdissect.rules import RULES

Row = dict[str, Any]
ABOUT_THE_CAPTURE = "CAP"  # codes of this family say what the capture could not show
ORDER = {Outcome.FOUND: 3, Outcome.SUSPECTED: 2, Outcome.NOT_ASSESSED: 1, Outcome.CLEAN: 0}
UNREADABLE = 2  # exit status
SEVERITIES = ("info", "warning", "error")


@dataclass(slots=True)
class Recording:
    """One row of the matrix. ``cells`` has the outcome of each rule; it is empty if the recording could not be judged,
    for ``error``. ``failed``: that is the program's fault, and not the files'.
    """

    id: str
    name: str
    files: list[Row]
    cells: dict[str, Outcome] = field(default_factory=dict)
    rules: dict[str, Row] = field(default_factory=dict)
    findings: list[Row] = field(default_factory=list)
    hosts: list[Row] = field(default_factory=list)

    @property
    def error(self) -> str | None:
        return next((file["error"] for file in self.files if file["error"]), None)

    @property
    def hint(self) -> str | None:
        return next((file["hint"] for file in self.files if file["hint"]), None)

    @property
    def failed(self) -> bool:
        return any(file["failed"] for file in self.files)

    @property
    def crashed(self) -> list[Row]:
        """Rules that crashed."""
        return [rule for rule in self.rules.values() if rule["error"]]

    @property
    def first(self) -> datetime | None:
        return min((file["first"] for file in self.files if file["first"]), default=None)

    @property
    def last(self) -> datetime | None:
        return max((file["last"] for file in self.files if file["last"]), default=None)

    def total(self, column: str) -> int:
        return sum(file[column] or 0 for file in self.files)

    def counts(self) -> Counter[Outcome]:
        return Counter(self.cells.values())

    def of(self, code: str) -> list[Row]:
        return [finding for finding in self.findings if finding["code"] == code]

    @property
    def word(self) -> Word:
        """The answer for this recording, in the words of ``analyze``."""
        wrong = [f for f in self.findings if f["severity"] != "info"]
        errors = [f for f in wrong if f["severity"] == "error"]
        if any(f["confidence"] == "confirmed" for f in errors):
            return Word.WRONG
        if errors:
            return Word.SUSPECTED
        if wrong:
            return Word.WARNING
        blind = any(f["code"].startswith(ABOUT_THE_CAPTURE) for f in self.findings)
        unsure = Outcome.NOT_ASSESSED in self.cells.values()
        return Word.CANNOT_TELL if blind or unsure or self.error else Word.HEALTHY

    @property
    def badness(self) -> tuple[int, ...]:
        """To sort by: what was found, by severity; what is suspected; what failed or could not be read or judged."""
        sure = Counter(SEVERITIES.index(f["severity"]) for f in self.findings if f["confidence"] == "confirmed")
        guessed = Counter(SEVERITIES.index(f["severity"]) for f in self.findings if f["confidence"] != "confirmed")
        counts = self.counts()
        return (
            sure[2],
            guessed[2],
            sure[1],
            guessed[1],
            int(self.failed or bool(self.crashed)),
            int(bool(self.error)),
            sure[0],
            guessed[0],
            counts[Outcome.NOT_ASSESSED],
        )


@dataclass(frozen=True, slots=True)
class Shared:
    """A server that several recordings of one time show: captured on several hosts, or twice."""

    server: str
    names: str
    recordings: tuple[str, ...]


class Summary:
    """A run as it is in the dataset, finished or not. ``recordings`` are worst first."""

    def __init__(self, run: Run, asked: Asked | None = None) -> None:
        self.run = run
        asked = check(asked or Asked())
        self.codes = [rule.code for rule in RULES if asked.wants(rule.code)]
        self.recordings = sorted(_recordings(run, set(self.codes)), key=lambda one: one.badness, reverse=True)

    @cached_property
    def root(self) -> str:
        """What the paths of all files begin with."""
        paths = [os.path.dirname(file["path"]) for one in self.recordings for file in one.files]
        if not paths or any("://" in path for path in paths):
            return ""
        common = os.path.commonpath(paths)
        return "" if common == "/" else f"{common}/"

    def called(self, recording: Recording) -> str:
        return recording.name.removeprefix(self.root)

    @property
    def counts(self) -> Counter[Outcome]:
        """Cells of the whole matrix."""
        return sum((one.counts() for one in self.recordings), Counter())

    @property
    def words(self) -> Counter[Word]:
        """How many recordings have which answer."""
        return Counter(one.word for one in self.recordings)

    @property
    def columns(self) -> list[str]:
        """The rules that found or suspect something somewhere, worse than a note."""
        bad = {f["code"] for one in self.recordings for f in one.findings if f["severity"] != "info"}
        return [code for code in self.codes if code in bad]

    @property
    def broken(self) -> list[Recording]:
        return [one for one in self.recordings if one.error]

    @cached_property
    def shared(self) -> list[Shared]:
        """Recordings of the same servers that overlap in time."""
        of: dict[str, list[tuple[Recording, Row]]] = defaultdict(list)
        for one in self.recordings:
            for host in one.hosts:
                if not host["scope"] and "server" in (host["roles"] or ""):
                    of[host["host"]].append((one, host))
        found = []
        for server, seen in sorted(of.items()):
            both = {one.id for a, b in combinations((r for r, _ in seen), 2) if _overlap(a, b) for one in (a, b)}
            names = sorted({name for _, host in seen for name in (host["names"] or "").split(", ") if name})
            if both:
                found.append(Shared(server, ", ".join(names), tuple(sorted(both))))
        return found

    @cached_property
    def findings(self) -> list[Row]:
        """All of them, worst first, with ``recording``."""
        return [{"recording": one.id, **finding} for one in self.recordings for finding in one.findings]

    def bad(self, fail_on: Severity | None, strict: bool) -> Iterator[Row]:
        """The findings that make the exit status FOUND."""
        for finding in self.findings:
            sure = strict or finding["confidence"] == "confirmed"
            if fail_on is not None and sure and SEVERITIES.index(finding["severity"]) >= fail_on:
                yield finding

    def status(self, fail_on: Severity | None, strict: bool = False) -> int:
        """The exit status: CLEAN, FOUND, UNREADABLE if no recording could be read, or FAILED."""
        if any(one.failed or one.crashed for one in self.recordings):
            return FAILED
        if all(one.error for one in self.recordings):
            return UNREADABLE
        return FOUND if next(self.bad(fail_on, strict), None) is not None else CLEAN


def _recordings(run: Run, codes: set[str]) -> list[Recording]:
    ids = list(run.recordings())
    read: dict[str, dict[str, list[Row]]] = {}
    wanted = {
        "captures": [column.name for column in TABLES["captures"]],
        "rules": [column.name for column in TABLES["rules"]],
        "findings": [column.name for column in TABLES["findings"]],
        "hosts": ["host", "scope", "names", "roles"],
    }
    for table, columns in wanted.items():
        rows: dict[str, list[Row]] = defaultdict(list)
        for row in parquet.rows(table, [(run.name, one, run.file(one, table)) for one in ids], columns):
            rows[row.pop("recording")].append(row)
        read[table] = rows
    found = []
    for one in ids:
        files, rules = read["captures"][one], {row["code"]: row for row in read["rules"][one] if row["code"] in codes}
        found.append(
            Recording(
                one,
                _name([file["path"] for file in files]),
                files,
                {code: Outcome(row["outcome"]) for code, row in rules.items()},
                rules,
                [{**row, "number": n} for n, row in enumerate(read["findings"][one]) if row["code"] in codes],
                read["hosts"][one],
            )
        )
    return found


def _name(paths: Sequence[str]) -> str:
    """``nfs.pcap``, ``nfs.pcap# (23 files)``, ``a.pcap and 3 more files``."""
    if len(paths) == 1:
        return paths[0]
    alike = {pattern(path)[0] for path in paths}
    return f"{alike.pop()} ({len(paths)} files)" if len(alike) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def _overlap(a: Recording, b: Recording) -> bool:
    times = (a.first, a.last, b.first, b.last)
    if any(time is None for time in times):
        return False
    return bool(a.first <= b.last and b.first <= a.last)  # type: ignore[operator]
