"""NLM003 late-reclaim."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Finding, Judged, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.history.walk import Reclaim
from nlmdissect.rules.nlm001_refused_reclaim import finding, is_late, is_lost, is_needless


@rule("NLM003", "late-reclaim", Severity.ERROR, source="C-09")
def late_reclaim(history: History) -> Iterator[Verdict]:
    """The reclaim came after the grace period.

    Why it matters: Linux and Ganesha refuse it, the lock is lost, and the client tries no second time. Others have
    been able to take the lock since the grace period ended.

    How it is seen: NLM_LOCK with reclaim = TRUE answered DENIED_GRACE_PERIOD. To a reclaim this status means the
    opposite of what it means to any other request: the server is *not* in its grace period. It is told apart by
    what other requests were answered at that time. Where no restart is seen, the reclaim itself is out of place and
    the refusal a warning.

    What it cannot see: whether FreeBSD, illumos or macOS servers treated a late reclaim as an ordinary lock and
    granted it.

    What to do: find what made it late: SM_NOTIFY unanswered at first, the client's port look-up or its old connection
    timing out, lockd registering late. Lengthen the grace period (`nlm_grace_period` of lockd, `grace-time` of nfsd
    in /etc/nfs.conf) until slow clients fit in it. Restart the application that lost the lock. On FreeBSD `rpc.lockd
    -g`, on illumos `sharectl set -p grace_period=... nfs`, on Ganesha Grace_Period.
    """
    late: dict[tuple[int, int, int | None, bool], list[Reclaim]] = {}
    for reclaim in history.walked.reclaims:
        yield Judged()
        if is_late(reclaim) and is_lost(history, reclaim):
            r = reclaim.request
            late.setdefault((r.server, r.client, reclaim.boot, is_needless(reclaim)), []).append(reclaim)
    for reclaims in late.values():
        yield _finding(history, reclaims)


def _finding(history: History, reclaims: list[Reclaim]) -> Finding:
    return finding(history, reclaims, "answered DENIED_GRACE_PERIOD (too late)", "the grace period was over")
