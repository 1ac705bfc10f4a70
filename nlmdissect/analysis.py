"""What the rules said of one recording, and what of it was asked for. Reports and tables read this and nothing below
it but history.

Theory of operation. Every rule runs over the whole recording, and findings are linked to their causes, before
anything is left out: what a finding follows from does not depend on what a user wants to see. Then findings whose
first evidence lies outside of the asked time go, then those of codes that were not selected. A finding whose cause
went follows from that one's cause.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from nlmdissect.errors import UsageError
from nlmdissect.findings import Confidence, Finding, RuleResult, Severity
from nlmdissect.history.history import History, uncollected
from nlmdissect.protocols import NLM, NSM, PORTMAP
from nlmdissect.rules import RULES, run

CLEAN, FOUND, FAILED = 0, 1, 3  # exit status; 2 is for what the caller did wrong


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user wants judged and shown. ``select`` and ``ignore`` hold codes, or the letters of a family: NSM.

    Units: ``since`` and ``until`` are ns since 1970, both inclusive; None for no bound.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None

    def wants(self, code: str) -> bool:
        return (not self.select or _named(code, self.select)) and not _named(code, self.ignore)

    def within(self, finding: Finding) -> bool:
        """Whether what a finding is about, its first evidence, lies in the asked time."""
        time = finding.evidence[0].at.time
        return (self.since is None or time >= self.since) and (self.until is None or time <= self.until)


@dataclass(frozen=True, slots=True)
class Analysis:
    """``findings`` are worst first, ``caused_by`` is an index into them; ``results`` has one entry a rule, in
    catalogue order.
    """

    history: History
    findings: list[Finding]
    results: list[RuleResult]
    asked: Asked = Asked()

    @property
    def roots(self) -> list[int]:
        """Findings that follow from no other one."""
        return [number for number, finding in enumerate(self.findings) if finding.caused_by is None]

    def consequences(self, number: int) -> list[int]:
        """Findings that follow from this one directly."""
        return [other for other, finding in enumerate(self.findings) if finding.caused_by == number]

    def follow(self, number: int) -> list[int]:
        """Findings that follow from this one, directly or not; each behind the one that it follows from."""
        return [n for other in self.consequences(number) for n in (other, *self.follow(other))]

    def stories(self) -> list[list[int]]:
        """The roots, those that tell one thing of several hosts together: one rule, one restart. Worst first."""
        return self.together(self.roots)

    def together(self, numbers: Iterable[int]) -> list[list[int]]:
        """Findings of one rule that are about one restart, or about one server where no restart is named."""
        found: dict[tuple[object, ...], list[int]] = {}
        for number in numbers:
            f = self.findings[number]
            about = (f.server, None) if f.boot is None else (None, f.boot)
            found.setdefault((number,) if about == (None, None) else (f.code, f.severity, *about), []).append(number)
        return list(found.values())

    def messages(self) -> dict[str, int]:
        """Calls and answers of the three programs, each frame's messages once."""
        calls = self.history.calls
        counts = {}
        for name, program in (("portmap", PORTMAP), ("nlm", NLM), ("nsm", NSM)):
            of = calls.program == program
            counts[name] = int((of & (calls.frame != 0)).sum()) + int(calls.replies[of].sum())
        return counts

    def hosts(self) -> list[int]:
        """Endpoints that take part in NLM, NSM or portmap, or that a finding, a restart or a recovery is about."""
        calls = self.history.calls
        ours = (calls.program == PORTMAP) | (calls.program == NLM) | (calls.program == NSM)
        found = {*calls.src[ours].tolist(), *calls.dst[ours].tolist(), *self.history.names.roles}
        found |= {boot.host for boot in self.history.boots} | {row.peer for row in self.history.recoveries}
        found |= {h for f in self.findings for h in (f.server, f.client, f.other) if h is not None}
        return sorted(found, key=lambda host: (self.history.names.endpoints.addresses[host], host))

    def status(self, fail_on: Severity | None, strict: bool = False) -> int:
        """The exit status: CLEAN, FOUND or FAILED. ``fail_on`` None: findings never fail."""
        if any(result.error for result in self.results):
            return FAILED
        sure = Confidence.SUSPECTED if strict else Confidence.CONFIRMED
        bad = fail_on is not None and any((f.severity or 0) >= fail_on and f.confidence >= sure for f in self.findings)
        return FOUND if bad else CLEAN


def analyse(history: History, asked: Asked | None = None) -> Analysis:
    """Run all rules, then leave out what was not asked for. Raises UsageError for a code that no rule has."""
    asked = check(asked or Asked())
    with uncollected():
        findings, results = run(history)
    if asked.since is not None or asked.until is not None:
        results = [replace(result, findings=[f for f in result.findings if asked.within(f)]) for result in results]
    keep = [asked.wants(finding.code) and asked.within(finding) for finding in findings]
    return Analysis(history, left(findings, keep), results, asked)


def check(asked: Asked) -> Asked:
    """The same, in capitals. Raises UsageError for a code that no rule has, and for a span of time that ends before
    it begins.
    """
    select, ignore = (
        tuple(code.strip().upper() for code in codes if code.strip()) for codes in (asked.select, asked.ignore)
    )
    for code in (*select, *ignore):
        if not any(_named(rule.code, (code,)) for rule in RULES):
            raise UsageError(
                f"there is no rule {code}", "Codes look like NLM001, or NLM for all of them; see 'nlmdissect rules'."
            )
    if asked.since is not None and asked.until is not None and asked.since > asked.until:
        raise UsageError("--since is later than --until", "Exchange the two.")
    return replace(asked, select=select, ignore=ignore)


def left(findings: Sequence[Finding], keep: Sequence[bool]) -> list[Finding]:
    """The findings to keep, their causes renumbered: a cause that went is replaced by its own cause."""
    number: dict[int, int] = {}
    for old, kept in enumerate(keep):
        if kept:
            number[old] = len(number)
    return [replace(findings[old], caused_by=_cause(findings, number, old)) for old in number]


def _cause(findings: Sequence[Finding], number: dict[int, int], old: int) -> int | None:
    seen = {old}
    cause = findings[old].caused_by
    while cause is not None and cause not in seen:
        if cause in number:
            return number[cause]
        seen.add(cause)
        cause = findings[cause].caused_by
    return None


def fingerprint(history: History, finding: Finding) -> str:
    """16 hex digits that are the same for another recording of the same event: of what is wrong between which hosts,
    never of when or where it was seen. Nor of the locks: a recording that began later knows fewer of them.
    """
    about: list[object] = [finding.code, finding.status]
    about += [
        None if host is None else history.names.address(host)
        for host in (finding.server, finding.client, finding.other)
    ]
    return hashlib.sha256(repr(about).encode()).hexdigest()[:16]


def display_filters(finding: Finding) -> list[tuple[int, str]]:
    """(capture, Wireshark display filter) that shows a finding's evidence, for each file that has some."""
    frames: dict[int, set[int]] = {}
    for evidence in finding.evidence:
        if evidence.at.frame:
            frames.setdefault(evidence.at.capture, set()).add(evidence.at.frame)
    return [
        (capture, f"frame.number in {{{', '.join(map(str, sorted(of)))}}}") for capture, of in sorted(frames.items())
    ]


def reason(result: RuleResult) -> str | None:
    """Why a rule could not judge, each reason once; None if it could."""
    reasons = list(dict.fromkeys(result.reasons))
    if result.error:
        reasons.insert(0, "the rule failed: " + (result.error.strip().splitlines() or ["no message"])[-1])
    return "; ".join(reasons) or None


def _named(code: str, codes: Iterable[str]) -> bool:
    return any(code == wanted or code.rstrip("0123456789") == wanted for wanted in codes)
