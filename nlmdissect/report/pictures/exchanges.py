"""What was said in a recovery, as arrows: notices and reclaims by their answers, and the links that findings miss."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from nlmdissect.analysis import Analysis
from nlmdissect.escape import show
from nlmdissect.findings import Finding
from nlmdissect.history.notices import Try
from nlmdissect.history.recovery import Notify, Recovery
from nlmdissect.history.walked import Reclaim
from nlmdissect.hosts.boot import Boot
from nlmdissect.report.pictures import broken
from nlmdissect.report.pictures.chart import Arrow, Mark, Tone
from nlmdissect.report.pictures.lanes import Lanes, relevant
from nlmdissect.report.voice import Voice, span
from nlmdissect.rpc.requests import GRANTED, UNREADABLE

ALWAYS = 2**63  # later than anything in a recording
AT_ONCE = 10**9  # ns: the first reclaim often goes out on the dead connection, and at once again on a new one
UNHEARD = ("NSM003", "NSM004", "NSM005", "NSM010")  # findings of a notice that was sent and did not help
UNSENT = ("NSM001", "NSM002", "NSM003", "NSM008")  # of one that was prepared and never sent
REFUSED = ("NLM001", "NLM003")  # of reclaims


class Exchanges:
    """Arrows and marks between the lanes of one picture. ``boot``: of this restart alone; None: of all."""

    def __init__(self, analysis: Analysis, lanes: Lanes, boot: Boot | None) -> None:
        self.analysis, self.lanes, self.boot = analysis, lanes, boot
        self.voice = Voice(analysis.history)
        self.findings = relevant(analysis, boot)

    def arrows(self) -> Iterator[Arrow]:
        for row in self.analysis.history.recoveries:
            if self.boot is None or row.boot is self.boot:
                yield from self._notices(row)
        for reclaim in self.analysis.history.walked.reclaims:
            if self.boot is None or reclaim.boot == self.boot.number:
                yield from self._reclaim(reclaim)
        for finding in self.findings:
            yield from self._missing(finding)

    def marks(self) -> Iterator[Mark]:
        """Findings that are no arrow."""
        for finding in self.findings:
            if finding.code in broken.DRAWN or (finding.code in broken.LINKS and self._ends(finding)):
                continue
            lane = self.lanes.of(finding.client if finding.client is not None else finding.server)
            if lane is not None:
                first = finding.evidence[0].at
                label = f"{broken.mark(finding)} ({broken.code(finding)})"
                yield Mark(lane, first.time, broken.tone(finding), label, show(finding.title), (first,))

    def _ends(self, finding: Finding) -> tuple[int, int] | None:
        ends = broken.ends(self.analysis.history, finding)
        if ends is None:
            return None
        a, b = (self.lanes.of(host) for host in ends)
        return None if a is None or b is None or a == b else (a, b)

    def _blamed(self, row: Recovery, *codes: str) -> Finding | None:
        for finding in self.findings:
            if (
                finding.code in codes
                and finding.boot == row.boot.number
                and row.peer in (finding.client, finding.server)
            ):
                return finding
        return None

    def _notices(self, row: Recovery) -> Iterator[Arrow]:
        source, target = self.lanes.of(row.boot.host), self.lanes.of(row.peer)
        if source is None or target is None or source == target:
            return
        blamed = self._blamed(row, *(UNHEARD if row.tries else UNSENT))
        for t in row.tries:
            words = f"SM_NOTIFY mon_name={self.voice.text(t.name)} state={t.state} to {self.voice.host(row.peer)}"
            frames = (t.at, *([t.answered] if t.answered else []))
            tone, label, lost = self._notice(row, t, blamed)
            yield Arrow(source, target, t.at.time, tone, label, f"{words}: {self._answer(t)}", frames, lost)
        if not row.tries:
            for look in row.lookups:
                said = "never answered" if look.port is None else f"port {look.port}"
                words = f"asks {self.voice.host(row.peer)} for the port of statd: {said}"
                frames = (look.at, *([look.answered] if look.answered else []))
                tone = Tone.BAD if blamed and not look.port else Tone.UNSURE
                label = f"GETPORT statd: {said}"
                yield Arrow(source, target, look.at.time, tone, label, words, frames, look.port is None)

    def _notice(self, row: Recovery, t: Try, blamed: Finding | None) -> tuple[Tone, str, bool]:
        code = f" ({broken.code(blamed)})" if blamed else ""
        bad = broken.tone(blamed) if blamed else Tone.UNSURE
        if t.refused:
            return bad, f"SM_NOTIFY refused: {t.error}{code}", False
        if t.answered is None:
            return bad, f"SM_NOTIFY unanswered{code}", True
        if row.notify is Notify.ANSWERED:
            return bad, f"SM_NOTIFY not understood{code}", False
        return Tone.NOTICE, "SM_NOTIFY", False

    def _answer(self, t: Try) -> str:
        if t.refused:
            return f"answered {t.error}"
        return "no answer" if t.answered is None else "answered"

    def _reclaim(self, reclaim: Reclaim) -> Iterator[Arrow]:
        """Each transmission with the answer that came before the next one."""
        r = reclaim.request
        source, target = self.lanes.of(r.client), self.lanes.of(r.server)
        if source is None or target is None or source == target:
            return
        what = f"reclaim of {self.voice.file(r.server, r.fh, r.at)} {span(r.start, r.end)}, svid {r.svid}"
        blame = self._blame(reclaim)
        for sent, following in zip_longest(r.sends, r.sends[1:]):
            until = following.order if following else ALWAYS
            answers = [a for a in r.answers if sent.order < a.order < until]
            if answers:
                status, frames = answers[-1].status, (sent.at, answers[-1].at)
                tone, label = self._answered(status, blame)
                yield Arrow(source, target, sent.at.time, tone, label, f"{what}: {status}", frames)
            elif not following or following.at.time - sent.at.time > AT_ONCE:
                tone, again = Tone.BAD if blame else Tone.UNSURE, ", sent again" if following else ""
                words = f"{what}: no answer{again}"
                yield Arrow(source, target, sent.at.time, tone, "reclaim unanswered", words, (sent.at,), True)

    def _answered(self, status: str, blame: str) -> tuple[Tone, str]:
        if status == GRANTED:
            return Tone.GOOD, "reclaim granted"
        if status == UNREADABLE:
            return Tone.UNSURE, "reclaim answered, unreadable"
        return Tone.BAD if blame else Tone.UNSURE, f"reclaim refused: {status}{blame}"

    def _blame(self, reclaim: Reclaim) -> str:
        """`` (NLM001)``: the findings about a reclaim that was not granted in the end."""
        r = reclaim.request
        codes = {
            broken.code(f)
            for f in self.findings
            if f.code in REFUSED and (f.client, f.server) == (r.client, r.server)
            if f.boot in (None, reclaim.boot) and f.status in ("", r.status) and r.status != GRANTED
        }
        return f" ({', '.join(sorted(codes))})" if codes else ""

    def _missing(self, finding: Finding) -> Iterator[Arrow]:
        link = broken.link(finding)
        ends = self._ends(finding) if link else None
        if link is None or ends is None:
            return
        first = finding.evidence[0].at
        label, time = broken.words(self.voice, finding), broken.when(self.analysis.history, finding)
        yield Arrow(*ends, time, broken.tone(finding), label, show(finding.title), (first,), link.broken)
