"""NLM016 short-grace."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import At, Evidence, Finding, Judged, Severity, Verdict, rule
from nlmdissect.history.fates import ENDED, Fate, Outcome
from nlmdissect.history.history import History
from nlmdissect.history.recovery import Recovery
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import V
from nlmdissect.rules import assumptions, words

NOT_LOST = ENDED | {Outcome.RECLAIMED}


@rule("NLM016", "short-grace", Severity.ERROR, source="C-22")
def short_grace(history: History) -> Iterator[Verdict]:
    """Grace ended before a client that held locks could reclaim.

    Why it matters: the client was told, and did what it should; the server had already given its locks to anybody who
    asked. Every restart loses locks, however well everything else works.

    How it is seen: the server decided an ordinary LOCK or TEST, or refused a reclaim as too late, before it made its
    first attempt to reach the client: the look-up of its statd, or the SM_NOTIFY; and the client was reached later. A
    first attempt in time whose reclaim came too late is NLM003.

    What it cannot see: attempts that are not in the capture. That grace may end early in order, when the server knows
    of nobody to notify: then its record of this client was missing, which comes to the same.

    What to do: on Linux sm-notify must run before grace is over: is rpc-statd-notify.service ordered late, or waiting
    for the network? Raise `fs.nfs.nlm_grace_period` (and `grace-time` in the [nfsd] section of /etc/nfs.conf); see
    that nothing writes to /proc/fs/lockd/nlm_end_grace. FreeBSD: rpc.lockd -g (30 s by default); illumos:
    `sharectl set -p grace_period=... nfs`; Ganesha: Grace_Period.
    """
    for row in history.recoveries:
        over = row.boot.grace_over
        if row.role != "client" or not row.known or over is None or row.boot.lived_on:
            continue
        yield Judged()
        first = min([*(t.at for t in row.tries), *(look.at for look in row.lookups)], default=None)
        lost = tuple(fate for fate in row.known if fate.outcome not in NOT_LOST)
        if first is not None and over < first and row.answered and lost:
            yield _finding(history, row, lost, over, first)


def _finding(history: History, row: Recovery, lost: tuple[Fate, ...], over: At, first: At) -> Finding:
    boot, server, client = row.boot, row.boot.host, row.peer
    conditions = (V.SPAN, V.NO_LOSS, V.BOTH_WAYS, V.NSM, V.ALL_PATHS, V.DECODED)
    doubts = history.visibility.all((server, client), conditions, words.held_since(lost), first.time)
    unseen = history.notices.unseen(server, boot.not_after.time, first.time)
    answered = row.answered[0].answered
    lasted = (over.time - boot.not_after.time) / SECOND
    return Finding(
        f"The grace period of {words.host(history, server)} ended {(first.time - over.time) / SECOND:.0f} s before its "
        f"first attempt to reach {words.host(history, client)}, which held {words.locks_text(history, lost)}",
        words.evidence(
            Evidence(over, "the grace period is over"),
            Evidence(first, "the first attempt to reach the client"),
            Evidence(answered, "SM_NOTIFY answered") if answered else None,
            words.grants(history, lost),
            words.restart(history, boot),
        ),
        consequence=f"Grace lasted {lasted:.0f} s at most after the restart"
        + assumptions.assumed(history, server, f"with {history.kind(server).grace} s by default")
        + "; the client's locks were lost before it was told."
        + words.because(doubts)
        + (f" Not certain: {unseen}." if unseen else ""),
        remedy="Make sm-notify run as soon as the server is up, and the grace period longer than that takes.",
        confidence=words.confidence(doubts, also=not unseen and boot.proven),
        server=server,
        client=client,
        boot=boot.number,
        locks=words.refs(history, lost),
    )
