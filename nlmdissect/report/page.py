"""What the HTML report shows, as plain data: which findings, which evidence decoded, which rows, and what is left out.

A page for a person is not the whole analysis: each section has a limit, shows the worst first, and says with the
exact command how to see the rest.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from nlmdissect.analysis import Analysis, display_filters, reason
from nlmdissect.escape import shorten, show, show_bytes
from nlmdissect.findings import Confidence, Finding, Outcome, Severity
from nlmdissect.history.recovery import RANKING, Recovery
from nlmdissect.protocols.nlm import END
from nlmdissect.report.decoded import Decoded, decoded
from nlmdissect.report.facts import facts
from nlmdissect.report.pages import summary
from nlmdissect.report.times import clock
from nlmdissect.report.unjudged import unjudged
from nlmdissect.report.verdict import ABOUT_THE_CAPTURE, Verdict, told_of, verdict
from nlmdissect.report.voice import Voice, count, kind, span
from nlmdissect.rules import BY_CODE

FINDINGS = 60
OPEN = 3  # findings that are unfolded at first
EVIDENCE = 16  # frames of one finding
LOCKS = 8  # of one finding
RESTARTS, PEERS = 20, 60
HELD = 100
DEFECTS = 100

WORST = list(Outcome)

Rows = Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Frame:
    """One thing that the evidence says, the frames that say it, and the messages in the first of them."""

    frame: str
    time: str
    what: str
    again: str
    messages: tuple[Decoded, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """A finding, and under it those that follow from it."""

    number: str
    finding: Finding
    severity: str
    sure: bool
    title: str
    hosts: str
    locks: tuple[str, ...]
    frames: tuple[Frame, ...]
    filters: tuple[str, ...]
    more: str
    follow: tuple[Card, ...]
    unfolded: bool


@dataclass(frozen=True, slots=True)
class Story:
    """What happened to several hosts, told once; a card for each. With one card it is that card."""

    number: str
    title: str
    told_of: str
    cards: tuple[Card, ...]
    unfolded: bool


@dataclass(frozen=True, slots=True)
class Restart:
    """``peers`` are (name, role, notice, held, one cell for each of ``words``), the worst first."""

    text: str
    words: tuple[str, ...]
    peers: Rows
    more: str


@dataclass(slots=True)
class Page:
    """Everything that the template needs; all of it printable text, none of it safe in HTML."""

    verdict: Verdict
    facts: list[str]
    counts: list[tuple[str, str]]  # (how many of what, its tone)
    stories: list[Story] = field(default_factory=list)
    more_findings: str = ""
    restarts: list[Restart] = field(default_factory=list)
    more_restarts: str = ""
    held: Rows = ()
    more_held: str = ""
    unjudged: list[tuple[str, str]] = field(default_factory=list)
    rules: Rows = ()
    coverage: Rows = ()
    defects: Rows = ()
    more_defects: str = ""
    commands: list[tuple[str, str]] = field(default_factory=list)


def page(analysis: Analysis) -> Page:
    """The data of the report."""
    return _Page(analysis).page()


class _Page:
    def __init__(self, analysis: Analysis) -> None:
        self.analysis, self.history = analysis, analysis.history
        self.voice = Voice(self.history)
        self.paths = " ".join(show(shlex.quote(source.path)) for source in self.history.sources)
        self.budget = FINDINGS

    def page(self) -> Page:
        voice = self.voice
        page = Page(verdict(self.analysis), facts(self.analysis), self._counts())
        page.stories, page.more_findings = self._stories()
        page.restarts, page.more_restarts = self._restarts()
        page.held, page.more_held = self._held()
        page.unjudged = unjudged(self.analysis, voice.frame)
        page.rules = self._rules()
        page.coverage = self._coverage()
        page.defects, page.more_defects = self._defects()
        page.commands = [
            ("everything, for scripts", f"nlmdissect analyze --format json {self.paths}"),
            ("every call with its answer", f"nlmdissect show {self.paths}"),
            ("the lock table at any moment", f"nlmdissect locks --at {self._moment()} {self.paths}"),
            ("what a finding means", "nlmdissect explain CODE"),
        ]
        return page

    def _moment(self) -> str:
        """A time that is worth looking at."""
        worst = self.analysis.findings[0].evidence[0].at.time if self.analysis.findings else self.history.extent.last
        return clock(worst)[:8]

    def _counts(self) -> list[tuple[str, str]]:
        findings = [f for f in self.analysis.findings if not f.code.startswith(ABOUT_THE_CAPTURE)]
        lost = {lock for f in findings if f.severity is Severity.ERROR and f.client is not None for lock in f.locks}
        of = [
            (sum(f.severity is Severity.ERROR for f in findings), "error", "bad"),
            (sum(f.severity is Severity.WARNING for f in findings), "warning", "warn"),
            (len(lost), "lock concerned", "bad"),
            (len(self.history.boots), "restart", ""),
            (len(self.history.names.roles), "host", ""),
            (self.history.walked.hold_count, "lock", ""),
        ]
        return [(count(n, what) if what != "lock concerned" else f"{count(n, 'lock')} concerned", tone)
                for n, what, tone in of if n]  # fmt: skip

    def _stories(self) -> tuple[list[Story], str]:
        findings = self.analysis.findings
        of = [s for s in self.analysis.stories() if not findings[s[0]].code.startswith(ABOUT_THE_CAPTURE)]
        stories: list[Story] = []
        left = sum(map(len, of))
        for place, numbers in enumerate(of, 1):
            alone = len(numbers) == 1
            cards = []
            for row, number in enumerate(numbers, 1):
                if self.budget > 0:
                    label = f"{place}" if alone else f"{place}.{row}"
                    cards.append(self._card(number, label, alone and place <= OPEN))
            left -= len(cards)
            if cards:
                lead = [findings[number] for number in numbers]
                title, who = summary(BY_CODE[lead[0].code].doc), told_of(self.analysis, lead)
                stories.append(Story(f"{place}", title, who, tuple(cards), place <= OPEN))
        rest = f"{count(left, 'more finding')}, less severe or alike: nlmdissect analyze --format json {self.paths}"
        return stories, rest if left else ""

    def _card(self, number: int, label: str, unfolded: bool) -> Card:
        self.budget -= 1
        f, voice = self.analysis.findings[number], self.voice
        roles = (("client", f.client), ("server", f.server), ("other", f.other))
        runs = [list(run) for _, run in groupby(f.evidence, key=lambda evidence: evidence.what)]
        found = decoded(self.history, (run[0].at for run in runs[:EVIDENCE]))
        frames = tuple(
            Frame(
                voice.frame(run[0].at),
                voice.time(run[0].at.time),
                show(run[0].what),
                ", ".join(voice.frame(e.at) for e in run[1 : 1 + LOCKS]) + (".." if len(run) > 1 + LOCKS else ""),
                tuple(found.get((run[0].at.capture, run[0].at.frame), ())),
            )
            for run in runs[:EVIDENCE]
        )
        filters = tuple(
            text if len(self.history.sources) == 1 else f"{capture}: {text}" for capture, text in display_filters(f)
        )
        more = sum(map(len, runs[EVIDENCE:]))
        follow = []
        for place, other in enumerate(self.analysis.consequences(number), 1):
            if self.budget > 0:
                follow.append(self._card(other, f"{label}.{place}", unfolded and place == 1))
        return Card(
            label,
            f,
            (f.severity or Severity.INFO).name.lower(),
            f.confidence is Confidence.CONFIRMED,
            shorten(f.title, 600),
            ", ".join(f"{role} {voice.host(host)}" for role, host in roles if host is not None),
            _some([voice.lock(lock) for lock in f.locks]),
            frames,
            filters,
            f"and {count(more, 'more frame')}, see the filter" if more else "",
            tuple(follow),
            unfolded,
        )

    def _restarts(self) -> tuple[list[Restart], str]:
        boots = self.history.boots
        found = []
        for boot in boots[:RESTARTS]:
            rows = [row for row in self.history.recoveries if row.boot.number == boot.number]
            counts = {row.peer: row.counts() for row in rows}
            words = ("reclaimed", *(w for w in reversed(RANKING[:-1]) if any(c[w] for c in counts.values())))
            rows.sort(key=lambda row: [-counts[row.peer][word] for word in RANKING])
            more = f"and {len(rows) - PEERS} more, which lost nothing more than these" if len(rows) > PEERS else ""
            found.append(Restart(self.voice.restart(boot), words, [self._peer(r, words) for r in rows[:PEERS]], more))
        rest = f"and {count(len(boots) - RESTARTS, 'more restart')}: nlmdissect analyze --format json {self.paths}"
        return found, rest if len(boots) > RESTARTS else ""

    def _peer(self, row: Recovery, words: Sequence[str]) -> tuple[str, ...]:
        counts = row.counts()
        notice = row.notify.value.replace("_", " ")
        return (
            self.voice.host(row.peer),
            row.role,
            notice,
            str(sum(counts.values())),
            *(str(counts[word] or "-") for word in words),
        )

    def _held(self) -> tuple[Rows, str]:
        """What is held, or believed to be, when the recording ends; where the two part first."""
        texts, names, voice = self.history.texts, self.history.names, self.voice
        pieces = [item for item in self.history.walked.table.of() if item[2].truth != ("no", "no")]
        pieces.sort(key=lambda item: (item[2].truth == ("yes", "yes"), item[0], item[2].start, item[2].end))
        rows = [
            (
                voice.host(file.server),
                voice.file(*file, piece.granted),
                f"{kind(piece.exclusive)} {span(piece.start, None if piece.end == END else piece.end)}",
                f"{shorten(names.label(owner.client))} svid {owner.svid} oh {shorten(show_bytes(texts[owner.oh]))}",
                f"{voice.time(piece.granted.time)} (frame {voice.frame(piece.granted)})",
                piece.truth.server_holds,
                piece.truth.client_believes,
            )
            for file, owner, piece in pieces[:HELD]
        ]
        more = f"and {count(len(pieces) - HELD, 'more lock')}: nlmdissect locks {self.paths}"
        return rows, more if len(pieces) > HELD else ""

    def _rules(self) -> Rows:
        return [
            (r.rule.code, r.rule.name, r.outcome.value.replace("_", " "), str(r.judged), shorten(reason(r) or "", 300))
            for r in sorted(self.analysis.results, key=lambda r: (WORST.index(r.outcome), r.rule.code))
        ]

    def _coverage(self) -> Rows:
        """Each pair of hosts and condition that does not hold, once."""
        names = self.history.names
        failed = {
            (sight.condition.value, " and ".join(names.address(host) for host in sight.hosts), show(sight.why)): None
            for sight in self.history.visibility.asked.values()
            if not sight.holds
        }
        return list(failed)[:DEFECTS]

    def _defects(self) -> tuple[Rows, str]:
        all_of = self.history.defects
        rows = [
            (d.layer, d.reason.replace("_", " "), show(d.detail), str(d.frame or "-"), str(d.count))
            for d in all_of[:DEFECTS]
        ]
        rest = f"and {count(len(all_of) - DEFECTS, 'more defect')}: nlmdissect analyze --format json {self.paths}"
        return rows, rest if len(all_of) > DEFECTS else ""


def _some(locks: list[str]) -> tuple[str, ...]:
    return (*locks[:LOCKS], *([f"and {len(locks) - LOCKS} more"] if len(locks) > LOCKS else []))
