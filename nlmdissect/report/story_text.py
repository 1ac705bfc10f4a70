"""Findings as text: each root with what follows from it, and what happened to several hosts told once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nlmdissect.analysis import Analysis, display_filters
from nlmdissect.escape import shorten, show
from nlmdissect.findings import At, Confidence, Evidence, Finding, LockRef, Severity
from nlmdissect.report.pages import summary
from nlmdissect.report.verdict import ABOUT_THE_CAPTURE, told_of
from nlmdissect.report.voice import Voice
from nlmdissect.rules import BY_CODE

FRAMES = 8  # of a finding's evidence; JSON has all
LOCKS = 5
ROWS = 20  # of one story
TITLE = 600
SEVERITY = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold"}


class Stories:
    """Prints the findings of an analysis."""

    def __init__(self, analysis: Analysis, console: Console) -> None:
        self.analysis, self.console = analysis, console
        self.voice = Voice(analysis.history)

    def print(self) -> None:
        """Each root with what follows from it; findings about the capture stand with what could not be judged."""
        stories = [
            story
            for story in self.analysis.stories()
            if not self.analysis.findings[story[0]].code.startswith(ABOUT_THE_CAPTURE)
        ]
        for place, story in enumerate(stories, 1):
            self._tree(story, f"{place}", 0)

    def _tree(self, story: list[int], label: str, depth: int) -> None:
        if len(story) > 1:
            self._story(story, label, depth)
            return
        self._finding(self.analysis.findings[story[0]], label, depth)
        for place, other in enumerate(self.analysis.together(self.analysis.consequences(story[0])), 1):
            self._tree(other, f"{label}.{place}", depth + 1)

    def _finding(self, finding: Finding, label: str, depth: int) -> None:
        sure = ", only suspected" if finding.confidence is Confidence.SUSPECTED else ""
        inside = self._head(finding, label, depth, sure)
        self._print(Text(shorten(finding.title, TITLE), "bold"), inside)
        self._print(_grid(self._parts(finding)), inside)

    def _head(self, finding: Finding, label: str, depth: int, more: str) -> int:
        severity = finding.severity or Severity.INFO
        head = Text.assemble(
            (f"{label}  ", "bold"),
            (f"{finding.code} {finding.name}", SEVERITY[severity]),
            (f"  {severity.name.lower()}{more}{'  follows from the above' if depth else ''}", "dim"),
        )
        self._print()
        self._print(head, 4 * depth)
        return 4 * depth + len(label) + 2

    def _story(self, story: list[int], label: str, depth: int) -> None:
        """One thing that happened to several hosts: what it is, the first of them in full, and a row for each."""
        findings = [self.analysis.findings[number] for number in story]
        lead = findings[0]
        unsure = sum(f.confidence is Confidence.SUSPECTED for f in findings)
        sure = f", {'all' if unsure == len(story) else unsure} only suspected" if unsure else ""
        inside = self._head(lead, label, depth, f"{sure}: {told_of(self.analysis, findings)}")
        self._print(Text(summary(BY_CODE[lead.code].doc), "bold"), inside)
        shared = set.intersection(*({e.at for e in f.evidence} for f in findings))
        parts: list[tuple[str, RenderableType]] = [
            ("e.g.", Text(shorten(lead.title, TITLE))),
            ("means", Text(show(lead.consequence))),
            ("do", Text(show(lead.remedy))),
        ]
        if common := [e for e in lead.evidence if e.at in shared]:
            parts.append(("frames", self._frames(common)))
        self._print(_grid(parts), inside)
        self._print(self._rows_of(story[:ROWS], shared), inside)
        if len(story) > ROWS:
            self._print(Text(f"and {len(story) - ROWS} more", "dim"), inside)

    def _rows_of(self, story: list[int], shared: set[At]) -> Table:
        """Who, which locks, the frames that are about nobody else, and what came of it."""
        findings = [self.analysis.findings[number] for number in story]
        role = "client" if len({f.client for f in findings}) > 1 else "server"
        columns: list[tuple[str, list[RenderableType]]] = [
            (role, [Text(self.voice.host(getattr(f, role))) for f in findings]),
            ("locks", [Text(self._owned(f.locks)) for f in findings]),
            ("frames", [Text(self._own_frames(f, shared)) for f in findings]),
            ("then", [self._then(number) for number in story]),
        ]
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
        for name, cells in columns:
            if any(str(cell) for cell in cells):
                table.add_column(name, overflow="fold")
        for row in zip(*(cells for _, cells in columns if any(str(cell) for cell in cells)), strict=True):
            table.add_row(*row)
        return table

    def _owned(self, locks: tuple[LockRef, ...]) -> str:
        if not locks:
            return ""
        more = f" and {len(locks) - 1} more" if len(locks) > 1 else ""
        return f"{self.voice.piece(locks[0])}{more}"

    def _own_frames(self, finding: Finding, shared: set[At]) -> str:
        return ", ".join(self.voice.frame(e.at) for e in finding.evidence if e.at not in shared)

    def _then(self, number: int) -> Text:
        """What follows from one finding, each with the frame to open."""
        then = Text()
        for of in (self.analysis.findings[other] for other in self.analysis.follow(number)):
            first = of.evidence[0]
            then.append("; " if then else "")
            then.append(of.code, SEVERITY[of.severity or Severity.INFO])
            then.append(f" {show(first.what)} ({self.voice.frame(first.at)})")
        return then

    def _parts(self, finding: Finding) -> Iterable[tuple[str, RenderableType]]:
        yield "means", Text(show(finding.consequence))
        yield "do", Text(show(finding.remedy))
        roles = (("client", finding.client), ("server", finding.server), ("other", finding.other))
        hosts = [f"{role} {self.voice.host(host)}" for role, host in roles if host is not None]
        if hosts:
            yield "hosts", Text(", ".join(hosts))
        for place, lock in enumerate(finding.locks[:LOCKS]):
            yield "" if place else "locks" if len(finding.locks) > 1 else "lock", Text(self.voice.lock(lock))
        if len(finding.locks) > LOCKS:
            yield "", Text(f"and {len(finding.locks) - LOCKS} more", "dim")
        yield "frames", self._frames(finding.evidence)
        for capture, text in display_filters(finding):
            yield "filter", Text(text if len(self.analysis.history.sources) == 1 else f"{capture}: {text}", "dim")

    def _frames(self, of: Sequence[Evidence]) -> RenderableType:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1, overflow="fold")
        runs = [list(run) for _, run in groupby(of, key=lambda evidence: evidence.what)]
        for place, run in enumerate(runs[:FRAMES]):
            style = "bold" if place == 0 else ""
            first, again = run[0], [self.voice.frame(evidence.at) for evidence in run[1:]]
            what = show(first.what) + (f"; again in {', '.join(again)}" if again else "")
            grid.add_row(
                Text(self.voice.frame(first.at), style), Text(self.voice.time(first.at.time), "dim"), Text(what, style)
            )
        if len(runs) > FRAMES:
            grid.add_row("", "", Text(f"and {sum(map(len, runs[FRAMES:]))} more", "dim"))
        return grid

    def _print(self, what: RenderableType = "", indent: int = 0) -> None:
        self.console.print(Padding(what, (0, 0, 0, indent)) if indent else what)


def _grid(rows: Iterable[tuple[str, RenderableType]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, width=6)
    grid.add_column(ratio=1, overflow="fold")
    for name, cell in rows:
        grid.add_row(Text(name, "dim"), cell)
    return grid
