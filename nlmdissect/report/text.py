"""The analysis for a person in a hurry: the verdict, the findings under their causes, the recoveries, what could not
be judged.

Everything goes through ``show`` and into Rich's ``Text``, which reads no markup: what comes from a packet cannot
colour, hide or reorder a line.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import groupby

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nlmdissect.analysis import Analysis, display_filters
from nlmdissect.findings import At, Confidence, Finding, LockRef, Severity
from nlmdissect.hosts.boot import Boot
from nlmdissect.report.escape import shorten, show, show_bytes
from nlmdissect.report.times import clock, day, duration
from nlmdissect.report.unjudged import unjudged
from nlmdissect.report.verdict import ABOUT_THE_CAPTURE, Word, verdict

FRAMES = 8  # of a finding's evidence; JSON has all
LOCKS = 5
RESTARTS = 30
TITLE = 600
NARROW, WIDE = 40, 160

COLOURS = {
    Word.WRONG: "bold white on red",
    Word.SUSPECTED: "bold black on yellow",
    Word.WARNING: "bold black on yellow",
    Word.CANNOT_TELL: "bold black on cyan",
    Word.HEALTHY: "bold black on green",
}
SEVERITY = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold"}


def render(analysis: Analysis, width: int = 100, colour: bool = False, quiet: bool = False) -> str:
    """The report as text of this width. ``quiet``: the verdict alone."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=max(NARROW, min(width, WIDE)),
        force_terminal=colour,
        color_system="standard" if colour else None,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
    )
    report = _Report(analysis, console)
    report.verdict()
    if not quiet:
        report.facts()
        report.findings()
        report.recoveries()
        report.unjudged()
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


class _Report:
    def __init__(self, analysis: Analysis, console: Console) -> None:
        self.analysis, self.history, self.console = analysis, analysis.history, console
        self.date = day(self.history.extent.first)

    def verdict(self) -> None:
        word, sentence = verdict(self.analysis)
        self.console.print(_row((f" {word} ", COLOURS[word]), (show(sentence), "bold")))

    def facts(self) -> None:
        """What was read."""
        history, messages = self.history, self.analysis.messages()
        sources, extent = history.sources, history.extent
        frames = sum(source.frames for source in sources)
        lines = [
            f"{show(source.path)}" if len(sources) == 1 else f"{number}: {show(source.path)}"
            for number, source in enumerate(sources)
        ]
        if frames:
            until = (
                clock(extent.last)[:8]
                if day(extent.last) == self.date
                else f"{day(extent.last)} {clock(extent.last)[:8]}"
            )
            span = f", {self.date} {clock(extent.first)[:8]} to {until} UTC ({duration(extent.last - extent.first)})"
        else:
            span = ""
        seen = ", ".join(
            f"{messages[name]} {word}" for name, word in (("nlm", "NLM"), ("nsm", "NSM"), ("portmap", "portmap"))
        )
        lines.append(f"{frames} frames{span}; {seen} messages")
        for line in lines:
            self.console.print(Text(line, "dim"))
        asked = self.analysis.asked
        if asked.since is not None or asked.until is not None:
            bounds = [
                f"{word} {day(t)} {clock(t)}"
                for word, t in (("from", asked.since), ("until", asked.until))
                if t is not None
            ]
            self.console.print(Text(f"judged only {' '.join(bounds)} UTC", "dim"))

    def findings(self) -> None:
        """Each root with what follows from it; findings about the capture stand with what could not be judged."""
        shown: set[int] = set()
        roots = [n for n in self.analysis.roots if not self.analysis.findings[n].code.startswith(ABOUT_THE_CAPTURE)]
        for place, number in enumerate(roots, 1):
            self._tree(number, f"{place}", 0, shown)

    def _tree(self, number: int, label: str, depth: int, shown: set[int]) -> None:
        if number in shown:
            return
        shown.add(number)
        self._finding(self.analysis.findings[number], label, depth)
        for place, other in enumerate(self.analysis.consequences(number), 1):
            self._tree(other, f"{label}.{place}", depth + 1, shown)

    def _finding(self, finding: Finding, label: str, depth: int) -> None:
        severity = finding.severity or Severity.INFO
        sure = ", only suspected" if finding.confidence is Confidence.SUSPECTED else ""
        head = Text.assemble(
            (f"{label}  ", "bold"),
            (f"{finding.code} {finding.name}", SEVERITY[severity]),
            (f"  {severity.name.lower()}{sure}{'  follows from the above' if depth else ''}", "dim"),
        )
        body = Table.grid(padding=(0, 2))
        body.add_column(no_wrap=True, width=6)
        body.add_column(ratio=1, overflow="fold")
        for name, cell in self._parts(finding):
            body.add_row(Text(name, "dim"), cell)
        indent = 4 * depth
        inside = indent + len(label) + 2
        self._print()
        self._print(head, indent)
        self._print(Text(shorten(finding.title, TITLE), "bold"), inside)
        self._print(body, inside)

    def _parts(self, finding: Finding) -> Iterable[tuple[str, RenderableType]]:
        yield "means", Text(show(finding.consequence))
        yield "do", Text(show(finding.remedy))
        roles = (("client", finding.client), ("server", finding.server), ("other", finding.other))
        hosts = [f"{role} {shorten(self.history.names.label(host))}" for role, host in roles if host is not None]
        if hosts:
            yield "hosts", Text(", ".join(hosts))
        for place, lock in enumerate(finding.locks[:LOCKS]):
            yield "" if place else "locks" if len(finding.locks) > 1 else "lock", Text(self._lock(lock))
        if len(finding.locks) > LOCKS:
            yield "", Text(f"and {len(finding.locks) - LOCKS} more", "dim")
        yield "frames", self._frames(finding)
        for capture, text in display_filters(finding):
            yield "filter", Text(text if len(self.history.sources) == 1 else f"{capture}: {text}", "dim")

    def _frames(self, finding: Finding) -> RenderableType:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1, overflow="fold")
        runs = [list(run) for _, run in groupby(finding.evidence, key=lambda evidence: evidence.what)]
        for place, run in enumerate(runs[:FRAMES]):
            style = "bold" if place == 0 else ""
            first, again = run[0], [self._frame(evidence.at) for evidence in run[1:]]
            what = show(first.what) + (f"; again in {', '.join(again)}" if again else "")
            grid.add_row(Text(self._frame(first.at), style), Text(self._time(first.at.time), "dim"), Text(what, style))
        if len(runs) > FRAMES:
            grid.add_row("", "", Text(f"and {sum(map(len, runs[FRAMES:]))} more", "dim"))
        return grid

    def _lock(self, lock: LockRef) -> str:
        file = show(self.history.paths.text(lock.server, lock.fh, lock.at))
        kind, end = ("write" if lock.exclusive else "read"), ("EOF" if lock.end is None else lock.end)
        owner = f"{shorten(lock.caller_name)} svid {lock.svid} oh {shorten(show_bytes(lock.oh))}"
        return f"{kind} {lock.start}-{end} on {file}, owner {owner} (frame {self._frame(lock.at)})"

    def recoveries(self) -> None:
        """Every restart, and what became of the locks of each of its peers."""
        boots = self.history.boots
        if not boots:
            return
        self._heading("Restarts and recoveries")
        for boot in boots[:RESTARTS]:
            self._print(Text(self._restart(boot)), 2)
            rows = [row for row in self.history.recoveries if row.boot.number == boot.number]
            if not rows:
                self._print(Text("no other host had a lock to recover", "dim"), 4)
                continue
            counts = [row.counts() for row in rows]
            words = [
                "reclaimed",
                *(w for w in ("refused", "missing", "stolen", "released", "unknown") if any(c[w] for c in counts)),
            ]
            table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
            table.add_column("peer", overflow="fold")
            table.add_column("it is a", no_wrap=True)
            table.add_column("notice", no_wrap=True)
            for word in ("held", *words):
                table.add_column(word, justify="right", no_wrap=True)
            for row, of in zip(rows, counts, strict=True):
                held = str(sum(of.values()))
                name = Text(shorten(self.history.names.label(row.peer)))
                cells = [
                    Text(
                        str(of[word]) if of[word] else "-",
                        "" if word in ("reclaimed", "released") or not of[word] else "red",
                    )
                    for word in words
                ]
                table.add_row(name, row.role, row.notify.value.replace("_", " "), held, *cells)
            self._print(table, 4)
        if len(boots) > RESTARTS:
            self._print(Text(f"and {len(boots) - RESTARTS} more restarts", "dim"), 2)

    def _restart(self, boot: Boot) -> str:
        name = shorten(self.history.names.label(boot.host))
        only = "only lockd of " if boot.lived_on else ""
        since = f"between {self._time(boot.not_before.time)} and" if boot.not_before else "before"
        details = []
        if boot.state_after is not None:
            before = f"{boot.state_before} to " if boot.state_before is not None else ""
            details.append(f"NSM state {before}{boot.state_after}")
        if boot.grace_over is not None:
            details.append(f"grace over by {self._time(boot.grace_over.time)}")
        elif boot.in_grace is not None:
            details.append(f"still in grace at {self._time(boot.in_grace.time)}")
        return f"{only}{name} restarted {since} {self._time(boot.not_after.time)}" + (
            f" ({', '.join(details)})" if details else ""
        )

    def unjudged(self) -> None:
        """What the recording could not show, and what that leaves open."""
        rows = unjudged(self.analysis, self._frame)
        if not rows:
            return
        self._heading("What could not be judged, and why")
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1, overflow="fold")
        for name, why in rows:
            grid.add_row(Text(show(name), "dim"), Text(show(why)))
        self._print(grid, 2)

    def _heading(self, text: str) -> None:
        self._print()
        self._print(Text(text, "bold"))

    def _frame(self, at: At) -> str:
        return str(at.frame) if len(self.history.sources) == 1 else f"{at.capture}:{at.frame}"

    def _time(self, time: int) -> str:
        return clock(time) if day(time) == self.date else f"{day(time)} {clock(time)}"

    def _print(self, what: RenderableType = "", indent: int = 0) -> None:
        self.console.print(Padding(what, (0, 0, 0, indent)) if indent else what)


def _row(left: tuple[str, str], right: tuple[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1, overflow="fold")
    grid.add_row(Text(*left), Text(*right))
    return grid
