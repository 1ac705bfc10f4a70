"""What could not be judged and why, as (what, why): the part of a report that keeps silence from sounding like
health.
"""

from __future__ import annotations

from collections.abc import Callable

from nlmdissect.analysis import Analysis, reason
from nlmdissect.capture.block import Defect
from nlmdissect.findings import At
from nlmdissect.report.verdict import ABOUT_THE_CAPTURE

MANY = 12  # of one kind; JSON has all

Rows = list[tuple[str, str]]


def unjudged(analysis: Analysis, frame: Callable[[At], str]) -> Rows:
    """Findings about the capture, rules that could not judge, conditions that did not hold, and what the bytes got
    wrong.
    """
    return [
        *_capture(analysis, frame),
        *_rules(analysis),
        *_coverage(analysis),
        *_files(analysis),
        *_defects(analysis, frame),
    ]


def _capture(analysis: Analysis, frame: Callable[[At], str]) -> Rows:
    about = [f for f in analysis.findings if f.code.startswith(ABOUT_THE_CAPTURE)]
    return [(f.code, f"{f.title} (frame {frame(f.evidence[0].at)}). {f.consequence} To do: {f.remedy}") for f in about]


def _rules(analysis: Analysis) -> Rows:
    return [
        (result.rule.code, f"{result.rule.name}: {reason(result)}")
        for result in analysis.results
        if (result.reasons or result.error) and analysis.asked.wants(result.rule.code)
    ]


def _coverage(analysis: Analysis) -> Rows:
    names = analysis.history.names
    failed: dict[tuple[str, str], list[str]] = {}
    for sight in analysis.history.visibility.asked.values():
        if not sight.holds:
            pairs = failed.setdefault((sight.condition.value, sight.why), [])
            hosts = [names.address(host) for host in sorted(sight.hosts)]
            pair = " and ".join(hosts)
            named = {word.rstrip(":,;") for word in sight.why.split()}
            if pair not in pairs and not named.issuperset(hosts):
                pairs.append(pair)
    rows = []
    for (condition, why), pairs in failed.items():
        more = f" and {len(pairs) - 3} more pairs" if len(pairs) > 3 else ""
        rows.append((condition, f"{why} ({', '.join(pairs[:3])}{more})" if pairs else why))
    return _some(sorted(rows))


def _files(analysis: Analysis) -> Rows:
    rows = []
    for source in analysis.history.sources:
        if source.truncated:
            rows.append(("file", f"{source.path} is cut off at its end"))
        if source.dropped:
            rows.append(("file", f"{source.path}: the capturing host dropped {source.dropped} packets"))
    return _some(rows)


def _defects(analysis: Analysis, frame: Callable[[At], str]) -> Rows:
    groups: dict[tuple[str, str], list[Defect]] = {}
    for defect in analysis.history.defects:
        groups.setdefault((defect.layer, defect.reason), []).append(defect)
    rows = []
    for (layer, why), defects in groups.items():
        count = sum(defect.count for defect in defects)
        first = next((d for d in defects if d.frame), None)
        where = f", first in frame {frame(At(0, first.capture, first.frame))}" if first else ""
        detail = next((f": {d.detail}" for d in defects if d.detail), "")
        rows.append((layer, f"{why.replace('_', ' ')}{detail} ({count} time{'' if count == 1 else 's'}{where})"))
    return _some(rows)


def _some(rows: Rows) -> Rows:
    return rows if len(rows) <= MANY else [*rows[:MANY], ("", f"and {len(rows) - MANY} more")]
