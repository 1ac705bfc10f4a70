"""NLM004 stolen-lock."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Confidence, Evidence, Finding, Judged, Severity, Verdict, rule
from nlmdissect.history.fates import Grant
from nlmdissect.history.history import History
from nlmdissect.hosts.visibility import V
from nlmdissect.rules import words
from nlmdissect.rules.doubts import gone_elsewhere, misread_grants, nearly, unsettled


@rule("NLM004", "stolen-lock", Severity.ERROR, source="C-10")
def stolen_lock(history: History) -> Iterator[Verdict]:
    """A conflicting lock was granted before or without the reclaim of a held one.

    Why it matters: two owners now believe that they hold the same range, one of them for writing. This is the
    moment from which on data is corrupted.

    How it is seen: a lock that its client held when the server restarted, was not released by it since, and is not
    held by the server any more; then a grant of an overlapping range to another owner, at least one of the two
    exclusive. ``client`` is who lost the lock, ``other`` who has it now.

    What it cannot see: an UNLOCK that the capture lost. It follows from whatever kept the lock from being
    reclaimed, which is another finding that this one points to.

    What to do: stop both applications, check the file, then start them again one after the other. Mend the root
    cause. `lslocks` on the clients shows which processes they are, /proc/locks on a Linux server who has the range;
    other servers have a list of their own (`vserver locks show` on ONTAP).
    """
    by: dict[tuple[int, int, int], list[Grant]] = {}
    for fate in history.walked.table.fates:
        yield Judged(1 if fate.piece.known else 0)
    with history.dealings.looks.until_enough():
        for theft in history.walked.table.thefts:
            if gone_elsewhere(history, theft):
                continue  # NLM006 says what is not known
            by.setdefault((theft.file.server, theft.owner.client, theft.by.client), []).append(theft)
    for thefts in by.values():
        yield _finding(history, thefts)


def _finding(history: History, thefts: list[Grant]) -> Finding:
    first = thefts[0]
    server, client, other = first.file.server, first.owner.client, first.by.client
    boot = history.boot(first.boot)
    start = first.piece.granted.time
    conditions = (V.SPAN, V.NO_LOSS, V.BOTH_WAYS, V.DECODED)
    doubts = history.visibility.all((client, server), conditions, start, max(t.at.time for t in thefts))
    doubts += history.visibility.all((server, other), (V.DECODED,), first.asked.time, first.at.time)
    sure = first.piece.known and boot is not None and boot.proven and client != other and not unsettled(history, thefts)
    death = history.deaths.get(client)
    gone = death is not None and death.at < first.at
    like = misread_grants(history, thefts)
    sure = sure and not gone and not like and words.heard_after(history, client, first.at.time)
    lost = words.lock_text(history, first.file, first.owner, first.piece)
    more = f" and {len(thefts) - 1} more" if len(thefts) > 1 else ""
    grants = [words.taken(history, theft) for theft in thefts]
    asked = [Evidence(t.asked, "NLM_LOCK, not a reclaim") for t in thefts]
    held = [words.granted(history, t.file, t.owner, t.piece) for t in thefts]
    return Finding(
        f"{words.host(history, other)} was granted {words.span_text(first.start, first.end)} while "
        f"{words.host(history, client)} believes that it holds its {lost}{more}",
        words.evidence(
            grants[:1], held[:1], asked, grants[1:], held[1:], words.restart(history, boot) if boot else None
        ),
        consequence="Two owners may write the same bytes."
        + words.because(doubts)
        + (f" Not certain: {words.host(history, client)} is down or cut off." if gone else "")
        + nearly(like),
        remedy="Stop both applications, check the file, and mend what kept the lock from being reclaimed.",
        confidence=words.confidence(doubts) if sure else Confidence.SUSPECTED,
        server=server,
        client=client,
        other=other,
        boot=first.boot,
        locks=tuple(words.lock(history, t.file, t.owner, t.piece) for t in thefts),
    )
