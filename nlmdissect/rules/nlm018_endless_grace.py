"""NLM018 endless-grace."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Finding, Judged, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.rules import grace_runs, requested, words


@rule("NLM018", "endless-grace", Severity.ERROR, source="C-24")
def endless_grace(history: History) -> Iterator[Verdict]:
    """Grace never ended.

    Why it matters: no application gets a lock any more, and it looks like a network fault to everybody.

    How it is seen: DENIED_GRACE_PERIOD to requests that are no reclaims over more than 5 minutes and until the capture
    ends, to at least three clients or at least ten times, and no LOCK or TEST decided in between or later. Other
    statuses (no locks, stale handle, ...) prove nothing: servers give them before they look at the grace period.

    What it cannot see: a service that restarts in a loop looks the same where its restarts leave no packet. In a
    cluster only the file systems of a takeover may be held off: then the file is named.

    What to do: on Linux `journalctl -u nfs-server -u nfsdcld`, `cat /proc/fs/nfsd/v4_end_grace`; `echo Y >` into it and
    into /proc/fs/lockd/nlm_end_grace ends the grace period by hand, once every client has reclaimed or is known to be
    gone. On Ganesha `ganesha_mgr` and the cluster's grace database (`ganesha-rados-grace`) show which node holds it up;
    on other clusters look for a takeover that never finished, and everywhere for a service that restarts in a loop.
    """
    yield Judged(len(history.held_off))
    for run in grace_runs.long_runs(history):
        if not grace_runs.is_endless(run):
            continue
        doubts = grace_runs.doubts(history, run, history.extent.last)
        yield Finding(
            f"{words.host(history, run.server)} {grace_runs.what(history, run)}, and its grace period did not end",
            words.evidence(grace_runs.evidence(run)),
            consequence=f"{len(run.answers)} requests were refused, and none was decided." + words.because(doubts),
            remedy="See what holds up the end of the grace period on the server, and whether it restarts in a loop.",
            confidence=words.confidence(doubts),
            server=run.server,
            client=run.clients[0] if len(run.clients) == 1 else None,
            locks=tuple(requested.ref(history, r) for r in {id(r): r for _, r in run.answers}.values()),
        )
