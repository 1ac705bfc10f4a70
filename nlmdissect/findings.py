"""The vocabulary of answers: where something was seen, what a rule says about itself, and what it says about a
capture.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum, StrEnum, auto
from typing import TYPE_CHECKING, NamedTuple

from nlmdissect.escape import in_html

if TYPE_CHECKING:
    from nlmdissect.history.history import History


class At(NamedTuple):
    """A place in the recording. Compares in time order.

    Units: ``time`` is in nanoseconds since 1970 (UTC); ``capture`` counts the files from 0; ``frame`` is Wireshark's
    ``frame.number`` in that file, from 1 (0: no frame, only a time).
    """

    time: int
    capture: int
    frame: int


class Severity(IntEnum):
    """How bad it is."""

    INFO = 0  # worth knowing, nothing is broken
    WARNING = 1  # legal, but it will hurt
    ERROR = 2  # a lock was lost, or two owners may believe that they hold it


class Confidence(IntEnum):
    """How sure we are. Never a substitute for severity."""

    SUSPECTED = 0  # something that the capture did not show could explain it otherwise
    CONFIRMED = 1  # every frame the claim rests on is here, every visibility condition holds


class Outcome(StrEnum):
    """What became of a rule on one recording, worst first."""

    FOUND = auto()
    SUSPECTED = auto()
    NOT_ASSESSED = auto()
    CLEAN = auto()


@dataclass(frozen=True, slots=True)
class Evidence:
    """One frame and what it contributes, in a few words."""

    at: At
    what: str


@dataclass(frozen=True, slots=True)
class LockRef:
    """A lock as a finding names it. ``server`` is the endpoint that keeps it: handles are its own.

    Units: ``start`` and ``end`` are byte positions, both inclusive; ``end`` is ``None`` for "to the end of the file".
    ``at`` is the frame that proves the lock.
    """

    server: int
    fh: bytes
    caller_name: str
    svid: int
    oh: bytes
    start: int
    end: int | None
    exclusive: bool
    at: At


@dataclass(frozen=True, slots=True)
class Finding:
    """One claim of one rule. It cannot be made without a frame that proves it.

    ``server``, ``client`` and ``other`` are endpoint numbers (``hosts/endpoints.py``); ``evidence[0]`` is the frame
    to open. ``boot`` is the number of the restart that the claim is about. ``caused_by`` is filled by
    ``rules/causes.py``.
    """

    title: str
    evidence: tuple[Evidence, ...]
    consequence: str
    remedy: str
    severity: Severity | None = None  # None: the rule's own
    confidence: Confidence = Confidence.CONFIRMED
    server: int | None = None
    client: int | None = None
    other: int | None = None
    boot: int | None = None
    status: str = ""
    locks: tuple[LockRef, ...] = ()
    caused_by: int | None = None
    code: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if not self.evidence:
            raise ValueError(f"a finding names at least one frame: {self.title}")

    def _repr_html_(self) -> str:
        """For notebooks: all of it, the frame to open first."""
        severity, sure = (self.severity or Severity.INFO).name.lower(), self.confidence.name.lower()
        cell = 'style="text-align:left;padding:1px 12px 1px 0"'
        rows = [("file:frame", "UTC", "what it proves")]
        rows += [(f"{e.at.capture}:{e.at.frame}", _utc(e.at.time), e.what) for e in self.evidence]
        table = "".join(f"<tr>{''.join(f'<td {cell}>{in_html(text)}</td>' for text in row)}</tr>" for row in rows)
        return (
            f'<div style="max-width:1000px"><b><code>{in_html(self.code)}</code> {in_html(self.name)}</b> ({severity}, '
            f"{sure})<br><b>{in_html(self.title)}</b><br>means: {in_html(self.consequence)}<br>"
            f"do: {in_html(self.remedy)}<table>{table}</table></div>"
        )


def _utc(time: int) -> str:
    return f"{datetime.fromtimestamp(time // 10**9, UTC):%Y-%m-%d %H:%M:%S}.{time % 10**9 // 1000:06d}"


@dataclass(frozen=True, slots=True)
class NotAssessed:
    """A rule looked at something and cannot tell, because ``reason``. Not the same as clean."""

    reason: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A rule looked at ``count`` more things, whether it complained or not."""

    count: int = 1


Verdict = Finding | NotAssessed | Judged
Check = Callable[["History"], Iterator[Verdict]]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a rule says about itself. ``doc`` is its page, shown by ``nlmdissect explain CODE``."""

    code: str  # NLM001: stable for ever, never reused
    name: str  # refused-reclaim: the wrong thing, not the remedy
    severity: Severity  # the worst case
    source: str  # where the failure is described
    check: Check
    doc: str


@dataclass(slots=True)
class RuleResult:
    """What one rule said of one recording. ``judged`` counts the things it looked at."""

    rule: Rule
    findings: list[Finding] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    judged: int = 0
    error: str = ""

    @property
    def outcome(self) -> Outcome:
        if any(f.confidence is Confidence.CONFIRMED for f in self.findings):
            return Outcome.FOUND
        if self.findings:
            return Outcome.SUSPECTED
        return Outcome.NOT_ASSESSED if self.reasons or self.error else Outcome.CLEAN


def rule(code: str, name: str, severity: Severity, source: str) -> Callable[[Check], Rule]:
    """Make a rule of a generator function. Its docstring becomes the rule's page."""

    def wrap(check: Check) -> Rule:
        return Rule(code, name, severity, source, check, inspect.cleandoc(check.__doc__ or ""))

    return wrap
