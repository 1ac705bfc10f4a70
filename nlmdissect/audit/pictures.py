"""What is on the pictures of an audit; ``report/plots`` draws them."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from nlmdissect.audit.summary import Row, Summary
from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE
from nlmdissect.rules.words import count

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

WELL, LOST = ("reclaimed", "released"), ("missing", "refused", "stolen")
NOT = (*LOST, "unknown")


def matrix(summary: Summary, most: int) -> Figure:
    """Recordings in which something is wrong, and the rules that say so."""
    from nlmdissect.report.plots import fleet

    codes = summary.columns
    bad = [one for one in summary.recordings if any(f["severity"] != "info" for f in one.findings)]
    shown = bad[:most]
    rest = len(summary.recordings) - len(bad)
    notes = [f"{count(rest, 'other recording')}: nothing wrong was found, or it could not be read"] if rest else []
    if len(bad) > most:
        notes.append(f"{len(bad) - most} more with findings are not shown")
    return fleet.matrix(
        [summary.called(one) for one in shown],
        codes,
        [[one.cells.get(code) for code in codes] for one in shown],
        [[_words(one.cells.get(code), code, one.of(code)) for code in codes] for one in shown],
        notes,
    )


def servers(summary: Summary, recoveries: list[Any], most: int) -> Figure:
    """The servers that restarted and whose clients did not get all locks back; those that lost most first."""
    from nlmdissect.report.plots import fleet

    counts: dict[str, Counter[str]] = defaultdict(Counter)
    names: dict[str, str] = {}
    for row in recoveries:
        if row["role"] == "client":
            counts[row["host"]].update({fate: row[fate] for fate in (*WELL, *NOT)})
            names[row["host"]] = row["host_name"] or names.get(row["host"], "")
    errors = Counter(f["server"] for f in summary.findings if f["severity"] == "error")

    def badness(host: str) -> tuple[int, int, str]:
        return -sum(counts[host][fate] for fate in LOST), -errors[host], host

    held = [host for host in counts if counts[host].total()]
    worst = sorted((host for host in held if any(counts[host][fate] for fate in NOT)), key=badness)
    notes = [f"{count(len(held) - len(worst), 'other server')} restarted, and every lock was recovered"]
    if summary.shared:
        notes.append("An event that several recordings show counts in each of them.")
    if len(worst) > most:
        notes.append(f"{len(worst) - most} more servers are not shown")
    worst = worst[:most]
    return fleet.fates(
        [f"{names[host].split(', ')[0]} ({host})" if names[host] else host for host in worst],
        {fate: [counts[host][fate] for host in worst] for fate in NOT},
        [
            f"{sum(counts[host][fate] for fate in WELL)} of {counts[host].total()} were; {count(errors[host], 'error')}"
            for host in worst
        ],
        notes,
    )


def _words(outcome: Outcome | None, code: str, findings: list[Row]) -> str:
    said = "" if outcome is None else outcome.value.replace("_", " ")
    return "\n".join([f"{code} {BY_CODE[code].name}: {said}", *(row["title"] for row in findings[:3])])
