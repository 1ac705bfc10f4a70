"""The audit on a screen: the matrix, worst first, what was found, and what could not be read."""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from nlmdissect.audit.summary import ORDER, Recording, Summary
from nlmdissect.audit.trend import Change, Trend
from nlmdissect.escape import shorten, show
from nlmdissect.findings import Outcome
from nlmdissect.report.text import COLOURS
from nlmdissect.report.verdict import Word
from nlmdissect.rules.words import count

CELLS = {
    Outcome.FOUND: ("X", "bold red"),
    Outcome.SUSPECTED: ("?", "yellow"),
    Outcome.NOT_ASSESSED: ("-", "cyan"),
    Outcome.CLEAN: (".", "dim"),
}
WORDS = {
    Outcome.FOUND: "found", Outcome.SUSPECTED: "suspected", Outcome.CLEAN: "clean", Outcome.NOT_ASSESSED: "not assessed"
}  # fmt: skip
ANSWERS = {
    Word.WRONG: "locks were lost, or two may believe to have one, in", Word.SUSPECTED: "suspected in",
    Word.WARNING: "warnings in", Word.CANNOT_TELL: "not enough was seen in", Word.HEALTHY: "healthy",
}  # fmt: skip
ROWS = 40  # recordings, findings or changes of a list; the rest is counted
SERVERS = 10
CELL = 3  # letters of a cell, one of them blank
NARROW, WIDE, NAME = 60, 200, 44


def render(summary: Summary, trend: Trend | None, width: int = 100, colour: bool = False, quiet: bool = False) -> str:
    """The report as text of this width. ``quiet``: the totals alone."""
    out = io.StringIO()
    console = Console(
        file=out, width=max(NARROW, min(width, WIDE)), force_terminal=colour, force_jupyter=False,
        color_system="standard" if colour else None, markup=False, highlight=False, emoji=False, legacy_windows=False,
    )  # fmt: skip
    for line in _totals(summary, trend):
        console.print(line)
    if not quiet:
        for part in (_matrix(summary, console.width), _findings(summary), _shared(summary), _changes(trend),
                     _broken(summary)):  # fmt: skip
            for line in part:
                console.print(line)
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


def _totals(summary: Summary, trend: Trend | None) -> Iterator[Text]:
    recordings, counts, words = summary.recordings, summary.counts, summary.words
    worst = next((word for word in Word if words[word]), Word.CANNOT_TELL)
    yield Text.assemble((f" {worst.value} ", COLOURS[worst]), " ", (answer(summary), "bold"))
    files, frames = (
        sum(one) for one in zip((0, 0), *((len(r.files), r.total("frames")) for r in recordings), strict=True)
    )
    yield Text(f"{count(len(recordings), 'recording')} of {count(files, 'file')}, {count(frames, 'frame')}", "dim")
    cells = (part for outcome, word in WORDS.items() for part in (CELLS[outcome], f" {word} {counts[outcome]}   "))
    yield Text.assemble("cells  ", *cells)
    if not summary.run.finished:
        yield Text("This run has not ended: the same command goes on.", "bold yellow")
    if trend is not None:
        yield Text(
            f"since {trend.before}: {trend.count('new')} new, {trend.count('persisting')} persisting, "
            f"{trend.count('gone')} gone, {trend.count('unseen')} not looked at"
        )


def answer(summary: Summary) -> str:
    """Did a recovery fail, where, and was enough seen to know?"""
    words, all_of = summary.words, len(summary.recordings)
    parts = [
        f"{ANSWERS[word]} {words[word]}{f' of {all_of}' if place == 0 else ''}"
        for place, word in enumerate(word for word in Word if words[word])
    ]
    return "; ".join(parts) or "there is no recording"


def _matrix(summary: Summary, width: int) -> Iterator[Text]:
    """Only rules that found or suspect something have a column; the counts at the end are of all rules."""
    codes = summary.columns
    shown = [
        one for one in summary.recordings if any(code in one.cells and ORDER[one.cells[code]] > 1 for code in codes)
    ]
    if not shown:
        return
    name = min(max(len(shorten(summary.called(one), NAME)) for one in shown[:ROWS]), NAME)
    room = max((width - name - 24) // CELL, 1)
    for at in range(0, len(codes), room):
        part = codes[at : at + room]
        yield Text()
        families = [family(code) for code in part]
        for letter in range(max(map(len, families))):
            yield Text(" " * name + "".join(f"{word[letter : letter + 1]:>{CELL}}" for word in families), "dim")
        heads = "".join(f"{code[-CELL + 1 :]:>{CELL}}" for code in part)
        yield Text(f"{'recording':{name}}{heads}   found susp. clean  n/a")
        for one in shown[:ROWS]:
            yield _row(summary, one, part, name)
    if len(shown) > ROWS:
        yield Text(f"{len(shown) - ROWS} more recordings with findings: --format html or csv shows all", "dim")
    others = len(summary.recordings) - len(shown) - len(summary.broken)
    if others:
        yield Text(f"{count(others, 'other recording')}: nothing wrong was found", "dim")


def _row(summary: Summary, one: Recording, codes: list[str], name: int) -> Text:
    counts = one.counts()
    text = Text(f"{shorten(summary.called(one), name):{name}}", no_wrap=True)
    for code in codes:
        letter, style = CELLS[one.cells[code]] if code in one.cells else (" ", "")
        text.append(f"{letter:>{CELL}}", style)
    outcomes = (Outcome.FOUND, Outcome.SUSPECTED, Outcome.CLEAN, Outcome.NOT_ASSESSED)
    text.append("   " + " ".join(f"{counts[outcome]:5}" for outcome in outcomes))
    return text


def family(code: str) -> str:
    """``NLM`` of ``NLM001``."""
    return code.rstrip("0123456789")


def _findings(summary: Summary) -> Iterator[Text]:
    """The titles of what is wrong; consequences of another finding are left to the other reports."""
    wrong = [f for f in summary.findings if f["severity"] != "info" and f["caused_by"] is None]
    if not wrong:
        return
    yield Text()
    yield Text("What was found", "bold")
    names = {one.id: summary.called(one) for one in summary.recordings}
    for f in wrong[:ROWS]:
        sure = "" if f["confidence"] == "confirmed" else ", suspected"
        yield Text.assemble(
            (f"{f['code']} ", "bold red" if f["severity"] == "error" and not sure else "yellow"),
            (f"{f['severity']}{sure}  ", "dim"),
            f"{shorten(names[f['recording']], 60)}, frame {f['frame']}",
        )
        yield Text(f"       {show(f['title'])}")
    if len(wrong) > ROWS:
        yield Text(f"{len(wrong) - ROWS} more: --format html or json shows all", "dim")


def _shared(summary: Summary) -> Iterator[Text]:
    if not summary.shared:
        return
    yield Text()
    yield Text("Servers that several recordings of one time show: one event may be found in each", "bold")
    names = {one.id: summary.called(one) for one in summary.recordings}
    for shared in summary.shared[:SERVERS]:
        who = f"{shared.server} ({shorten(shared.names, 40)})" if shared.names else shared.server
        some = ", ".join(shorten(names[one], 60) for one in shared.recordings[:4])
        more = f" and {len(shared.recordings) - 4} more" if len(shared.recordings) > 4 else ""
        yield Text(f"{who}: {some}{more}")
    if len(summary.shared) > SERVERS:
        yield Text(f"{len(summary.shared) - SERVERS} more", "dim")


def _changes(trend: Trend | None) -> Iterator[Text]:
    if trend is None or not trend.changes:
        return
    yield Text()
    yield Text(f"Since {trend.before}, for each server and client", "bold")
    for change in trend.changes[:ROWS]:
        yield Text(f"{change.server or '-'}, {change.client or '-'}: {_words(change)}")
    if len(trend.changes) > ROWS:
        yield Text(f"{len(trend.changes) - ROWS} more", "dim")


def _words(change: Change) -> str:
    words = (
        ("new", change.new),
        ("persisting", change.persisting),
        ("gone", change.gone),
        ("not looked at", change.unseen),
    )
    return "; ".join(f"{word} {', '.join(sorted({row['code'] for row in rows}))}" for word, rows in words if rows)


def _broken(summary: Summary) -> Iterator[Text]:
    crashed = [(one, rule) for one in summary.recordings for rule in one.crashed]
    if not summary.broken and not crashed:
        return
    yield Text()
    yield Text("What could not be judged", "bold")
    for one in summary.broken[:ROWS]:
        last = (one.error or "").strip().splitlines()[-1]
        said = last if last.startswith(tuple(file["path"] for file in one.files)) else f"{summary.called(one)}: {last}"
        yield Text(shorten(said.replace(summary.root, "", 1), 300), "yellow")
    for one, rule in crashed[:ROWS]:
        said = rule["error"].strip().splitlines()[-1]
        yield Text(shorten(f"{summary.called(one)}: rule {rule['code']} failed: {said}", 300), "bold red")
    if more := max(len(summary.broken) - ROWS, 0) + max(len(crashed) - ROWS, 0):
        yield Text(f"{more} more", "dim")
