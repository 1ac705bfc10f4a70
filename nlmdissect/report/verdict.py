"""The one line that a person in a hurry reads: what is wrong, or healthy, or that it cannot be told and why."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from nlmdissect.analysis import Analysis, reason
from nlmdissect.escape import shorten
from nlmdissect.findings import Confidence, Finding, Outcome, Severity
from nlmdissect.report.pages import summary
from nlmdissect.report.times import SECOND
from nlmdissect.rules import BY_CODE
from nlmdissect.rules.words import count

IN_FLIGHT = 2 * SECOND  # what was asked this short before the end may well have been answered after it
ABOUT_THE_CAPTURE = "CAP"  # codes of this family say what the capture could not show


class Word(StrEnum):
    """The verdict in a word."""

    WRONG = "WRONG"
    SUSPECTED = "SUSPECTED"
    WARNING = "WARNING"
    CANNOT_TELL = "CANNOT TELL"
    HEALTHY = "HEALTHY"


class Verdict(NamedTuple):
    word: Word
    sentence: str


def worst(analysis: Analysis) -> int | None:
    """The finding that the verdict is about, as its index: the worst root cause; None if nothing is wrong."""
    bad = [n for n, f in enumerate(analysis.findings) if (f.severity or 0) >= Severity.WARNING]
    roots = [n for n in bad if analysis.findings[n].caused_by is None] or bad

    def badness(number: int) -> tuple[int, int]:
        finding = analysis.findings[number]
        return finding.severity or 0, finding.confidence

    return max(roots, key=badness, default=None)


def verdict(analysis: Analysis) -> Verdict:
    """The worst root cause, or what was seen to go well, or why nothing can be said."""
    number = worst(analysis)
    if number is None:
        return _nothing_found(analysis)
    bad = [f for f in analysis.findings if (f.severity or 0) >= Severity.WARNING]
    finding = analysis.findings[number]
    if finding.severity is Severity.WARNING:
        word = Word.WARNING
    else:
        word = Word.WRONG if finding.confidence is Confidence.CONFIRMED else Word.SUSPECTED
    harm = max(bad, key=lambda f: (f.severity or 0, f.confidence, f.caused_by is None))
    if word is Word.SUSPECTED and harm.confidence is Confidence.CONFIRMED and harm.severity is Severity.ERROR:
        # what happened is certain, and only why it did is not
        because = f"; suspected cause {_who(analysis, [finding])}"
        return Verdict(Word.WRONG, f"{_what(harm)} ({_who(analysis, [harm])}){because}")
    story = next((story for story in analysis.stories() if number in story), [number])
    told = [analysis.findings[n] for n in story]
    others = [f for n, f in enumerate(analysis.findings) if n not in story and (f.severity or 0) >= Severity.WARNING]
    return Verdict(word, f"{_what(finding)} ({_who(analysis, told)}){_rest(others)}")


def told_of(analysis: Analysis, story: list[Finding]) -> str:
    """Of whom a story tells: ``5 clients at server``; with one finding ``client at server``."""
    roles = (("client", {f.client for f in story}), ("server", {f.server for f in story}))
    return " at ".join(
        f"{len(hosts)} {role}s" if len(hosts) > 1 else shorten(_name(analysis.history.names.label(host)))
        for role, hosts in roles
        if (host := next(iter(hosts))) is not None
    )


def _what(finding: Finding) -> str:
    """The rule's own sentence; the finding's where it is milder than the rule at its worst."""
    rule = BY_CODE.get(finding.code)
    if rule is None or (finding.severity or 0) < rule.severity:
        return shorten(finding.title, 300)
    return summary(rule.doc).rstrip(".")


def _who(analysis: Analysis, story: list[Finding]) -> str:
    return ": ".join(part for part in (story[0].code, told_of(analysis, story)) if part)


def _name(label: str) -> str:
    """The name alone; the address where there is none."""
    return label.rpartition(" (")[0] or label


def _rest(others: list[Finding]) -> str:
    counts = [
        (sum(1 for f in others if f.severity is Severity.ERROR and f.caused_by is not None), "consequence"),
        (sum(1 for f in others if f.severity is Severity.ERROR and f.caused_by is None), "more error"),
        (sum(1 for f in others if f.severity is Severity.WARNING), "warning"),
    ]
    words = [f"{count} {what}{'s' if count > 1 else ''}" for count, what in counts if count]
    return f"; {', '.join(words)}" if words else ""


def _nothing_found(analysis: Analysis) -> Verdict:
    messages = analysis.messages()
    about = [f for f in analysis.findings if f.code.startswith(ABOUT_THE_CAPTURE)]
    if not messages["nlm"]:
        if about:
            return Verdict(Word.CANNOT_TELL, shorten(about[0].title, 300))
        seen = [f"{messages[name]} {word}" for name, word in (("nsm", "NSM"), ("portmap", "portmap")) if messages[name]]
        rest = f"only {' and '.join(seen)} messages" if seen else "and nothing else that speaks of locks"
        return Verdict(Word.CANNOT_TELL, f"no NLM message is in this recording, {rest}")
    if any(result.error for result in analysis.results):
        return Verdict(Word.CANNOT_TELL, "nothing wrong is seen, but a rule failed")
    open_rules = [
        r for r in analysis.results if r.outcome is Outcome.NOT_ASSESSED and analysis.asked.wants(r.rule.code)
    ]
    if open_rules:
        first = open_rules[0]
        more = f" (and {len(open_rules) - 1} more)" if len(open_rules) > 1 else ""
        why = shorten(reason(first) or "", 300)
        return Verdict(
            Word.CANNOT_TELL, f"nothing wrong is seen, but {first.rule.code} could not be judged: {why}{more}"
        )
    if about:
        return Verdict(Word.CANNOT_TELL, f"nothing wrong is seen, but {shorten(about[0].title, 300)}")
    loose = _loose_ends(analysis)
    if loose:
        return Verdict(Word.CANNOT_TELL, f"nothing wrong is found, but {loose}")
    if left_out := _left_out(analysis):
        return Verdict(Word.CANNOT_TELL, f"nothing wrong is found by the rules that were asked for, but {left_out}")
    return Verdict(Word.HEALTHY, _well(analysis))


def _left_out(analysis: Analysis) -> str:
    """What rules found that the user did not want to see; empty if nothing that hurts."""
    codes = [
        result.rule.code
        for result in analysis.results
        if not analysis.asked.wants(result.rule.code)
        and any((f.severity or 0) >= Severity.WARNING for f in result.findings)
    ]
    return f"{', '.join(codes)} left out found something" if codes else ""


def _loose_ends(analysis: Analysis) -> str:
    """What no rule complains about and a reader should know before he hears "healthy"; empty if there is nothing."""
    history = analysis.history
    silent = [
        r
        for r in history.requests.where(~history.requests.heard)
        if r.sends[-1].at.time < history.extent.last - IN_FLIGHT
    ]
    waiting = [wait for wait in history.walked.waits if wait.ended is None]
    parts = []
    if silent:
        parts.append(f"{count(len(silent), 'NLM request')} never answered (first: frame {silent[0].at.frame})")
    if waiting:
        parts.append(
            f"{count(len(waiting), 'lock request')} still waiting at the end (since frame {waiting[0].since.frame})"
        )
    return " and ".join(parts)


def _well(analysis: Analysis) -> str:
    history = analysis.history
    parts = [count(analysis.messages()["nlm"], "NLM message"), count(history.walked.hold_count, "lock")]
    if history.boots:
        counts = [row.counts() for row in history.recoveries if row.role == "client"]
        back, held = sum(c["reclaimed"] for c in counts), sum(sum(c.values()) for c in counts)
        parts.append(count(len(history.boots), "restart"))
        if held:
            parts.append(f"{back} of {count(held, 'lock')} reclaimed")
    else:
        parts.append("no restart")
    return ", ".join(parts) + ": nothing wrong"
