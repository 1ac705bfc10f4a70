"""The analysis for a person in a hurry: the verdict, the findings under their causes, the recoveries, what could not
be judged.

Everything goes through ``show`` and into Rich's ``Text``, which reads no markup: what comes from a packet cannot
colour, hide or reorder a line.
"""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nlmdissect.analysis import Analysis
from nlmdissect.hosts.boot import Boot
from nlmdissect.report.escape import shorten, show
from nlmdissect.report.printer import Printer
from nlmdissect.report.story_text import Stories
from nlmdissect.report.times import clock, day, duration
from nlmdissect.report.unjudged import unjudged
from nlmdissect.report.verdict import Word, verdict

RESTARTS = 30
NARROW, WIDE = 40, 160

COLOURS = {
    Word.WRONG: "bold white on red",
    Word.SUSPECTED: "bold black on yellow",
    Word.WARNING: "bold black on yellow",
    Word.CANNOT_TELL: "bold black on cyan",
    Word.HEALTHY: "bold black on green",
}


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
    report = _Report(Printer(analysis, console))
    report.verdict()
    if not quiet:
        report.facts()
        Stories(report.out).print()
        report.recoveries()
        report.unjudged()
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


class _Report:
    def __init__(self, out: Printer) -> None:
        self.out = out

    def verdict(self) -> None:
        word, sentence = verdict(self.out.analysis)
        self.out.print(_row((f" {word} ", COLOURS[word]), (show(sentence), "bold")))

    def facts(self) -> None:
        """What was read."""
        history, messages = self.out.history, self.out.analysis.messages()
        sources, extent = history.sources, history.extent
        frames = sum(source.frames for source in sources)
        lines = [
            f"{show(source.path)}" if len(sources) == 1 else f"{number}: {show(source.path)}"
            for number, source in enumerate(sources)
        ]
        if frames:
            until = (
                clock(extent.last)[:8]
                if day(extent.last) == self.out.date
                else f"{day(extent.last)} {clock(extent.last)[:8]}"
            )
            span = (
                f", {self.out.date} {clock(extent.first)[:8]} to {until} UTC ({duration(extent.last - extent.first)})"
            )
        else:
            span = ""
        seen = ", ".join(
            f"{messages[name]} {word}" for name, word in (("nlm", "NLM"), ("nsm", "NSM"), ("portmap", "portmap"))
        )
        lines.append(f"{frames} frames{span}; {seen} messages")
        for line in lines:
            self.out.print(Text(line, "dim"))
        asked = self.out.analysis.asked
        if asked.since is not None or asked.until is not None:
            bounds = [
                f"{word} {day(t)} {clock(t)}"
                for word, t in (("from", asked.since), ("until", asked.until))
                if t is not None
            ]
            self.out.print(Text(f"judged only {' '.join(bounds)} UTC", "dim"))

    def recoveries(self) -> None:
        """Every restart, and what became of the locks of each of its peers."""
        boots = self.out.history.boots
        if not boots:
            return
        self.out.heading("Restarts and recoveries")
        for boot in boots[:RESTARTS]:
            self.out.print(Text(self._restart(boot)), 2)
            rows = [row for row in self.out.history.recoveries if row.boot.number == boot.number]
            if not rows:
                self.out.print(Text("no other host had a lock to recover", "dim"), 4)
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
                name = Text(shorten(self.out.history.names.label(row.peer)))
                cells = [
                    Text(
                        str(of[word]) if of[word] else "-",
                        "" if word in ("reclaimed", "released") or not of[word] else "red",
                    )
                    for word in words
                ]
                table.add_row(name, row.role, row.notify.value.replace("_", " "), held, *cells)
            self.out.print(table, 4)
        if len(boots) > RESTARTS:
            self.out.print(Text(f"and {len(boots) - RESTARTS} more restarts", "dim"), 2)

    def _restart(self, boot: Boot) -> str:
        name = shorten(self.out.history.names.label(boot.host))
        only = "only lockd of " if boot.lived_on else ""
        since = f"between {self.out.time(boot.not_before.time)} and" if boot.not_before else "before"
        details = []
        if boot.state_after is not None:
            before = f"{boot.state_before} to " if boot.state_before is not None else ""
            details.append(f"NSM state {before}{boot.state_after}")
        if boot.grace_over is not None:
            details.append(f"grace over by {self.out.time(boot.grace_over.time)}")
        elif boot.in_grace is not None:
            details.append(f"still in grace at {self.out.time(boot.in_grace.time)}")
        return f"{only}{name} restarted {since} {self.out.time(boot.not_after.time)}" + (
            f" ({', '.join(details)})" if details else ""
        )

    def unjudged(self) -> None:
        """What the recording could not show, and what that leaves open."""
        rows = unjudged(self.out.analysis, self.out.frame)
        if not rows:
            return
        self.out.heading("What could not be judged, and why")
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1, overflow="fold")
        for name, why in rows:
            grid.add_row(Text(show(name), "dim"), Text(show(why)))
        self.out.print(grid, 2)


def _row(left: tuple[str, str], right: tuple[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1, overflow="fold")
    grid.add_row(Text(*left), Text(*right))
    return grid
