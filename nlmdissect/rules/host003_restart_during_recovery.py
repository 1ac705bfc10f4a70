"""HOST003 restart-during-recovery."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from nlmdissect.findings import Confidence, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import Fate, Outcome
from nlmdissect.history.history import History
from nlmdissect.history.recovery import Recovery
from nlmdissect.hosts.boot import Boot
from nlmdissect.hosts.boots import NOTIFY_WITHIN
from nlmdissect.hosts.implementations import START_UP
from nlmdissect.hosts.signs import SECOND
from nlmdissect.rules import assumptions, words

LOST = (Outcome.MISSING, Outcome.REFUSED, Outcome.STOLEN, Outcome.UNANSWERED)


@rule("HOST003", "restart-during-recovery", Severity.WARNING, source="C-36")
def restart_during_recovery(history: History) -> Iterator[Verdict]:
    """The server restarted again before recovery had ended.

    Why it matters: a second restart forgets what was reclaimed after the first, and every client must be told and
    reclaim once more. Locks whose client was between the two may be left behind, and grace begins anew, so that
    everybody else waits longer.

    How it is seen: two restarts of one server, and between them nothing that shows the end of the first grace period,
    nor time enough for it; or locks that were not reclaimed yet when the second came, while notices of the first were
    still being sent. A warning if a lock was left unreclaimed after the last restart; info if all were reclaimed.

    What it cannot see: why it restarted. Clients that hold locks from before the capture.

    What to do: look for the reason in the server's log (`journalctl --list-boots`, `journalctl -b -1`, watchdogs,
    a cluster manager that moves the service to and fro, `systemctl status nfs-server` for a restart loop). Let
    recovery end before the next planned restart: 90 s on Linux unless nlm_grace_period says otherwise.
    """
    clients: dict[int, list[Recovery]] = defaultdict(list)  # that held locks, by restart
    for row in history.recoveries:
        if row.role == "client" and row.fates:
            clients[row.boot.number].append(row)
    for host in dict.fromkeys(boot.host for boot in history.boots):
        newest = max(boot.number for boot in history.boots.of(host))
        for first, second in pairwise(history.boots.of(host)):
            before, after = clients[first.number], clients[second.number]
            if not before:
                continue
            yield Judged()
            if not _unfinished(history, first, second, before):
                continue
            last = second.number == newest
            lost = [f for row in after for f in row.having(*LOST)] if last else []
            if last and any(row.decided is None for row in after) and not _settled(after):
                name = words.host(history, host)
                yield NotAssessed(f"the capture ends before the second recovery of {name} is seen to be over")
                continue
            yield _finding(history, first, second, before, lost)


def _unfinished(history: History, first: Boot, second: Boot, rows: list[Recovery]) -> bool:
    if first.grace_over is not None:
        return False
    between = second.not_after.time - first.not_after.time
    if between < (START_UP + history.kind(first.host).grace) * SECOND:
        return True
    return between < NOTIFY_WITHIN and any(row.having(Outcome.SUPERSEDED) for row in rows)


def _settled(rows: list[Recovery]) -> bool:
    return all(fate.outcome is Outcome.RECLAIMED for row in rows for fate in row.fates)


def _finding(history: History, first: Boot, second: Boot, before: list[Recovery], lost: list[Fate]) -> Finding:
    waiting = [f for row in before for f in row.having(Outcome.SUPERSEDED)]
    clients = {fate.owner.client for fate in lost}
    who, between = words.host(history, first.host), (second.not_after.time - first.not_after.time) / SECOND
    left = f"; {words.locks_text(history, lost)} was never reclaimed" if lost else ""
    assumed = assumptions.assumed(history, first.host, f"with a grace period of {history.kind(first.host).grace} s")
    again = [Evidence(e.at, f"second restart: {e.what}") for e in second.evidence[:3]]
    return Finding(
        f"{who} restarted again {between:.0f} s after a restart, before recovery had ended{left}",
        words.evidence(
            again[:1], words.restart(history, first)[:3], again[1:], words.grants(history, lost or waiting)[:8]
        ),
        consequence=f"{words.count(len(waiting), 'lock', 'was')} not reclaimed yet when it restarted again{assumed}. "
        + ("They, or others, stayed lost." if lost else "After the last restart nothing is seen to be lost by it."),
        remedy="Find out why it restarted; let the grace period end before the next planned restart.",
        severity=Severity.WARNING if lost else Severity.INFO,
        confidence=Confidence.CONFIRMED if first.proven and second.proven else Confidence.SUSPECTED,
        server=first.host,
        client=clients.pop() if len(clients) == 1 else None,
        boot=second.number,
        locks=words.refs(history, lost),
    )
