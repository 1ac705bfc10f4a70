"""HOST002 lockd-restart-without-notify."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import ENDED, Fate
from nlmdissect.history.history import History
from nlmdissect.history.recovery import Notify, Recovery
from nlmdissect.hosts.visibility import V
from nlmdissect.rules import assumptions, words


@rule("HOST002", "lockd-restart-without-notify", Severity.ERROR, source="C-35")
def lockd_restart_without_notify(history: History) -> Iterator[Verdict]:
    """lockd lost its locks without a reboot, and nobody was told.

    Why it matters: stopping and starting nfsd or lockd (a package upgrade, `systemctl restart nfs-server`) empties
    the lock table just as a reboot does, but sm-notify runs once per boot: no client is told, and none reclaims.

    How it is seen: signs that lockd began a new life (a new port, a grace period, old connections gone), together
    with signs that the host did not: another TCP connection of it goes on across the restart, its NFS write verifier
    is the same before and after, or its connections were closed in order and it was back within seconds. And no
    SM_NOTIFY to a client with locks before the grace period was over.

    What it cannot see: whether the whole host restarted, where no other traffic of it is in the capture; then this
    is NSM001.

    What to do: after a restart of nfsd or lockd on Linux run `sm-notify -f` at once, inside the grace period; better,
    put it into a drop-in of nfs-server.service. Restart the applications that lost their locks. illumos notifies at
    each start of lockd, FreeBSD at each start of rpc.statd: restart that as well; for Ganesha run sm_notify.ganesha.
    """
    for row in history.recoveries:
        if row.role != "client" or not row.known or not row.boot.lived_on:
            continue
        yield Judged()
        over = row.boot.grace_over
        told_in_time = any(over is None or t.at < over for t in row.tries)
        orphans = tuple(f for f in row.known if f.outcome not in ENDED)
        if told_in_time or row.notify is Notify.UNKNOWN or not orphans:
            continue
        if row.decided is None:
            yield NotAssessed(assumptions.undecided(history, row))
            continue
        yield _finding(history, row, orphans, row.decided)


def _finding(history: History, row: Recovery, orphans: tuple[Fate, ...], decided: int) -> Finding:
    boot = row.boot
    start = words.held_since(orphans)
    conditions = (V.SPAN, V.NO_LOSS, V.BOTH_WAYS, V.NSM, V.ALL_PATHS, V.DECODED)
    doubts = history.visibility.all((boot.host, row.peer), conditions, start, decided)
    over = Evidence(boot.grace_over, "the grace period is over") if boot.grace_over else None
    return Finding(
        f"lockd on {words.host(history, boot.host)} restarted without a reboot and did not tell "
        f"{words.host(history, row.peer)}, which held {words.locks_text(history, orphans)}",
        words.evidence(words.restart(history, boot), words.grants(history, orphans), over),
        consequence=f"The host stayed up ({boot.lived_on}), so its sm-notify did not run; the client does not know "
        "that its locks are gone." + words.because(doubts),
        remedy="Run sm-notify -f after every restart of nfsd or lockd; restart the applications that lost their locks.",
        confidence=words.confidence(doubts, also=boot.unbroken),
        server=boot.host,
        client=row.peer,
        boot=boot.number,
        locks=words.refs(history, orphans),
    )
