"""The analysis for a person in a hurry: the verdict, the findings under their causes, the recoveries, what could not
be judged.

Everything goes through ``show`` and into Rich's ``Text``, which reads no markup: what comes from a packet cannot
colour, hide or reorder a line.
"""

from __future__ import annotations

import io

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nlmdissect.analysis import Analysis
from nlmdissect.escape import show
from nlmdissect.history.recovery import RANKING
from nlmdissect.report.facts import facts
from nlmdissect.report.ladder import ladder
from nlmdissect.report.ladder_text import draw
from nlmdissect.report.next_steps import next_steps
from nlmdissect.report.story_text import Stories
from nlmdissect.report.unjudged import unjudged
from nlmdissect.report.verdict import ABOUT_THE_CAPTURE, Word, verdict, worst
from nlmdissect.report.voice import Voice

RESTARTS, PEERS = 30, 200
HOSTS = 8  # what they were taken for
NARROW, WIDE = 40, 160

COLOURS = {
    Word.WRONG: "bold white on red",
    Word.SUSPECTED: "bold black on yellow",
    Word.WARNING: "bold black on yellow",
    Word.CANNOT_TELL: "bold black on cyan",
    Word.HEALTHY: "bold black on green",
}
TONES = {"": "dim", "proof": "", "bad": "bold red"}  # of the ladder


def render(analysis: Analysis, width: int = 100, colour: bool = False, quiet: bool = False) -> str:
    """The report as text of this width. ``quiet``: the verdict alone."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=max(NARROW, min(width, WIDE)),
        force_terminal=colour,
        force_jupyter=False,  # in a notebook too it writes there, and shows nothing by itself
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
        report.ladder()
        Stories(analysis, console).print()
        report.recoveries()
        report.assumptions()
        report.unjudged()
        report.next_steps()
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


class _Report:
    def __init__(self, analysis: Analysis, console: Console) -> None:
        self.analysis, self.history, self.console = analysis, analysis.history, console
        self.voice = Voice(self.history)
        self.worst = worst(analysis)

    def verdict(self) -> None:
        word, sentence = verdict(self.analysis)
        self.console.print(_row((f" {word} ", COLOURS[word]), (show(sentence), "bold")))

    def facts(self) -> None:
        """What was read."""
        for line in facts(self.analysis):
            self.console.print(Text(line, "dim"))

    def ladder(self) -> None:
        """Who said what, and did not: of the finding that the verdict is about."""
        if self.worst is None:
            return
        self._print()
        for line in draw(ladder(self.analysis, self.worst), self.voice, self.console.width):
            self._print(Text.assemble(*((part.text, TONES[part.tone]) for part in line), no_wrap=True, overflow="crop"))

    def next_steps(self) -> None:
        """Commands. They are not broken into lines, so that they can be copied."""
        if self.worst is None:
            return
        self._heading("Where to look next")
        for step in next_steps(self.analysis, self.worst):
            line = Text.assemble((f"  {step.about:13}", "dim"), step.command)
            self.console.print(line, soft_wrap=True)

    def recoveries(self) -> None:
        """Every restart, and what became of the locks of each of its peers."""
        boots = self.history.boots
        if not boots:
            return
        self._heading("Restarts and recoveries")
        for boot in boots[:RESTARTS]:
            self._print(Text(self.voice.restart(boot)), 2)
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
            if len(rows) > PEERS:
                rows.sort(key=lambda row: [-row.counts()[word] for word in RANKING])
                counts = [row.counts() for row in rows]
            for row, of in zip(rows[:PEERS], counts, strict=False):
                held = str(sum(of.values()))
                name = Text(self.voice.host(row.peer))
                cells = [
                    Text(
                        str(of[word]) if of[word] else "-",
                        "" if word in ("reclaimed", "released") or not of[word] else "red",
                    )
                    for word in words
                ]
                table.add_row(name, row.role, row.notify.value.replace("_", " "), held, *cells)
            self._print(table, 4)
            if len(rows) > PEERS:
                rest = f"and {len(rows) - PEERS} more, which lost nothing more than these"
                self._print(Text(rest, "dim"), 4)
        if len(boots) > RESTARTS:
            self._print(Text(f"and {len(boots) - RESTARTS} more restarts", "dim"), 2)

    def assumptions(self) -> None:
        """What the hosts that something is found about were taken for: times and severities depend on it."""
        roots = [self.analysis.findings[n] for n in self.analysis.roots]
        found = [f for f in roots if not f.code.startswith(ABOUT_THE_CAPTURE)]
        hosts = dict.fromkeys(h for f in found for h in (f.server, f.client, f.other) if h is not None)
        if not hosts:
            return
        self._heading("What these hosts were taken for, and why")
        grid = Table.grid(padding=(0, 2))
        grid.add_column(overflow="fold")
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1, overflow="fold")
        for host in list(hosts)[:HOSTS]:
            guess = self.history.guess(host)
            grid.add_row(Text(self.voice.host(host)), guess.kind.name, Text("; ".join(guess.why)))
        self._print(grid, 2)
        if len(hosts) > HOSTS:
            self._print(Text(f"and {len(hosts) - HOSTS} more", "dim"), 2)

    def unjudged(self) -> None:
        """What the recording could not show, and what that leaves open."""
        rows = unjudged(self.analysis, self.voice.frame)
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

    def _print(self, what: RenderableType = "", indent: int = 0) -> None:
        self.console.print(Padding(what, (0, 0, 0, indent)) if indent else what)


def _row(left: tuple[str, str], right: tuple[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1, overflow="fold")
    grid.add_row(Text(*left), Text(*right))
    return grid
