"""NLM017 long-grace."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Finding, Judged, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.hosts.implementations import LONGEST_GRACE
from nlmdissect.rules import grace_runs, requested, words


@rule("NLM017", "long-grace", Severity.WARNING, source="C-23")
def long_grace(history: History) -> Iterator[Verdict]:
    """New locks were refused for far longer than any default grace period.

    Why it matters: nobody gets a new lock meanwhile: applications hang, for minutes, after every restart.

    How it is seen: DENIED_GRACE_PERIOD to requests that are no reclaims, the first and the last more than 100 s apart
    (Linux lockd 50 s, with NFSv4 90 s; illumos and Ganesha 90 s; macOS 45 s; FreeBSD 30 s), with none decided between.
    That status to a reclaim says the opposite and does not count. Counted from the first refusal, not from the restart:
    a host takes its time to come up. Where other files are served meanwhile, only the files held off are named.

    What it cannot see: whether the service restarted again and again in between, where no packet tells; what NFSv4
    clients the server waits for.

    What to do: on Linux look at `sysctl fs.nfs.nlm_grace_period fs.nfs.nlm_timeout` and at `grace-time` and
    `lease-time` in /etc/nfs.conf; /var/lib/nfs/nfsdcltrack or nfsdcld may keep clients that never come back, for
    whom the server waits. `echo Y > /proc/fs/nfsd/v4_end_grace` and `/proc/fs/lockd/nlm_end_grace` end it by hand. On
    Ganesha see Grace_Period, on illumos `sharectl get nfs`, on FreeBSD the -g option of rpc.lockd. See that nothing
    restarts the service in a loop.
    """
    yield Judged(len(history.held_off))
    for run in grace_runs.long_runs(history):
        if grace_runs.is_endless(run):
            continue
        doubts = grace_runs.doubts(history, run, run.answers[-1][0].time)
        yield Finding(
            f"{words.host(history, run.server)} {grace_runs.what(history, run)}",
            words.evidence(grace_runs.evidence(run)),
            consequence=f"The longest default grace period of any known server is {LONGEST_GRACE} s."
            + words.because(doubts),
            remedy="Look at the configured grace period, at NFSv4 clients that do not come back, and for a loop.",
            confidence=words.confidence(doubts),
            server=run.server,
            client=run.clients[0] if len(run.clients) == 1 else None,
            locks=tuple(requested.ref(history, r) for r in {id(r): r for _, r in run.answers}.values()),
        )
