"""NSM006 stale-notify-state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from nlmdissect.findings import At, Confidence, Evidence, Finding, Judged, Severity, Verdict, rule
from nlmdissect.history.fates import Outcome
from nlmdissect.history.history import History
from nlmdissect.history.notices import Try
from nlmdissect.history.recovery import Recovery
from nlmdissect.hosts.boot import Boot, life_at
from nlmdissect.rules import words
from nlmdissect.rules.doubts import stuck

Key = tuple[int, int, int]  # sender, receiver, state


class Told(NamedTuple):
    """The first notice of a life."""

    boot: Boot
    notice: Try


@rule("NSM006", "stale-notify-state", Severity.ERROR, source="C-06a, C-06c")
def stale_notify_state(history: History) -> Iterator[Verdict]:
    """The NSM state did not change over a restart (a Linux receiver ignores it), or went backwards.

    Why it matters: a Linux statd acts on a notice only if its state differs from the last one of that host. The same
    number after a restart is answered, and ignored: nobody reclaims, nobody frees. A number that goes backwards is
    acted on, but says that the state directory was lost or shared.

    How it is seen: SM_NOTIFYs of one host under one name from two of its lives, the later with the same state or a
    lower one. Never compared with the `state` of LOCKs, which may lag behind, and never with a notice that no restart
    explains; a lower state from an address that moved to another node is that node's own count. An error for a
    receiver that had heard the same state before, answered it again, and did not reclaim or free what it had; else a
    warning.

    What it cannot see: a restart with nobody to notify, which rightly leaves the state as it is; and the first of two
    lives if it was before the capture.

    What to do: keep /var/lib/nfs (state, sm, sm.bak) on a disk that survives the reboot; do not run `sm-notify -n`;
    after a restore of the machine remove the state file once. FreeBSD keeps the number in /var/db/statd.status,
    illumos in /var/statmon/state.
    """
    refuted = {(sign.host, sign.at) for sign in history.stray}
    lives: dict[tuple[int, str], dict[int, Told]] = {}
    earliest: dict[Key, At] = {}
    rows: dict[int, list[Recovery]] = defaultdict(list)  # by restart
    for row in history.recoveries:
        rows[row.boot.number].append(row)
    for (sender, receiver), tries in history.notices.tries.items():
        for t in tries:
            earliest[sender, receiver, t.state] = min(t.at, earliest.get((sender, receiver, t.state), t.at))
            boot = life_at(history.boots, sender, t.at.time)
            if boot is not None and t.state > 0 and (sender, t.at) not in refuted:
                of = lives.setdefault((sender, t.name.casefold().partition(".")[0]), {})
                first = of.get(boot.number)
                of[boot.number] = first if first is not None and first.notice.at < t.at else Told(boot, t)
    for (sender, _), of in lives.items():
        yield Judged(len(of) - 1)
        for before, after in pairwise(sorted(of.values(), key=lambda told: told.notice.at)):
            same = after.notice.state == before.notice.state
            if same or (after.notice.state < before.notice.state and not _moved(history, before, after)):
                peers = rows[after.boot.number] if same else []
                yield from _findings(history, peers, earliest, sender, before, after)


def _moved(history: History, before: Told, after: Told) -> bool:
    """Whether the address went to another node between two notices."""
    between = range(before.boot.number + 1, after.boot.number + 1)
    return any(n in history.moves and history.boots[n].host == after.boot.host for n in between)


def _findings(
    history: History, rows: list[Recovery], earliest: Mapping[Key, At], sender: int, before: Told, after: Told
) -> Iterator[Finding]:
    """One for each receiver that was harmed by it, or one of level warning without a receiver."""
    harmed = [
        row
        for row in rows
        if row.answered
        and earliest.get((sender, row.peer, after.notice.state), after.notice.at) < after.boot.not_after
        and (row.having(Outcome.MISSING, Outcome.STOLEN) or stuck(history, row))
    ]
    for row in harmed:
        yield _finding(history, sender, before, after, row)
    if not harmed:
        yield _finding(history, sender, before, after, None)


def _finding(history: History, sender: int, before: Told, after: Told, row: Recovery | None) -> Finding:
    boot, notice = after.boot, after.notice
    same = before.notice.state == notice.state
    how = f"is {notice.state} again" if same else f"went back from {before.notice.state} to {notice.state}"
    is_server = row.role == "client" if row else "server" in history.names.roles.get(sender, ())
    peer = row.peer if row else None
    lost = row.having(Outcome.MISSING, Outcome.STOLEN) if row else ()
    left = stuck(history, row) if row else []
    what = "" if row is None else f", and {words.host(history, row.peer)} took no notice"
    return Finding(
        f"{words.host(history, sender)} restarted, and the NSM state that it announced {how}{what}",
        words.evidence(
            Evidence(notice.at, f"SM_NOTIFY mon_name={notice.name} state={notice.state}"),
            Evidence(before.notice.at, f"SM_NOTIFY of its life before, state={before.notice.state}"),
            words.grants(history, lost),
            [words.granted(history, *item) for item in left],
            words.restart(history, boot),
        ),
        consequence="Linux receivers ignore a state that they know."
        if same
        else "Receivers act on it; the numbers are not to be trusted.",
        remedy="Keep /var/lib/nfs over reboots, and let sm-notify count the state up.",
        severity=Severity.WARNING if row is None else None,
        confidence=Confidence.CONFIRMED if boot.proven else Confidence.SUSPECTED,
        server=sender if is_server else peer,
        client=peer if is_server else sender,
        boot=boot.number,
        locks=words.refs(history, lost),
    )
