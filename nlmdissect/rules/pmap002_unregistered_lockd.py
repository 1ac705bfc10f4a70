"""PMAP002 unregistered-lockd."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from nlmdissect.findings import At, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import Fate, Outcome
from nlmdissect.history.history import History
from nlmdissect.history.recovery import Notify, Recovery
from nlmdissect.hosts.boot import Boot, life_at
from nlmdissect.hosts.implementations import NO_LOCKD
from nlmdissect.hosts.lookups import Lookup
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import V
from nlmdissect.rpc.requests import GRACE
from nlmdissect.rules import assumptions, words

HEALS = (NO_LOCKD + 1) * SECOND
SHOWN = 6


@rule("PMAP002", "unregistered-lockd", Severity.ERROR, source="C-28")
def unregistered_lockd(history: History) -> Iterator[Verdict]:
    """A port look-up for lockd was answered "not registered" while recovery ran.

    Why it matters: the client was told of the restart and wanted to reclaim, but the server's lockd was not there
    yet. Some Linux kernels ask only three times, 3 s apart, and then drop the reclaim; others come too late.

    How it is seen: after SM_NOTIFY, GETPORT or GETADDR for 100021 answered 0 or "", and no port and no answer of
    lockd within 10 s, or never a reclaim after it. An error if a lock was not reclaimed or only after grace; a warning
    if all came back in the end.

    What it cannot see: why lockd was late. A lookup for one version while others are registered is NLM019.

    What to do: start nfsd and lockd before the notices go out: on Linux `systemctl list-dependencies --after
    rpc-statd-notify` should have nfs-server.service (it is ordered After= there); a long `exportfs` or a slow disk
    delays it. Update clients whose kernel has the limit of three look-ups (stable kernels of early 2023 have it
    mended). Elsewhere check the order in which lockd and the status monitor start. Then restart the applications that
    lost their locks.
    """
    heard = _Heard(history)
    reclaimed = {(reclaim.boot, reclaim.request.client) for reclaim in history.walked.reclaims}
    for row in history.recoveries:
        zeros = _zeros(history, row) if row.role == "client" and row.fates else []
        if not zeros:
            continue
        yield Judged()
        healed = heard.healed(row.boot.host, row.peer, zeros[0].at)
        lost = tuple(f for f in row.fates if f.outcome in (Outcome.MISSING, Outcome.STOLEN) or f.status == GRACE)
        went_on = not lost or (row.boot.number, row.peer) in reclaimed
        if healed is not None and healed.time - zeros[0].at.time <= HEALS and went_on:
            continue
        if row.notify in (Notify.MISSING, Notify.UNANSWERED) or heard.other_version(row.boot, zeros[0].version):
            continue
        if row.decided is None and not all(f.at is not None for f in row.fates):
            yield NotAssessed(assumptions.undecided(history, row))
            continue
        if lost or healed is not None:
            yield _finding(history, row, zeros, healed, lost)


def _zeros(history: History, row: Recovery) -> list[Lookup]:
    boot = row.boot
    return [
        look
        for look in history.lookups.between(row.peer, boot.host, boot.not_after.time, boot.until)
        if look.port == 0 and (boot.grace_over is None or look.at < boot.grace_over)
    ]


@dataclass(slots=True)
class _Heard:
    """What hosts learned of a lockd; collected when somebody asks."""

    history: History
    _good: dict[tuple[int, int], list[At]] = field(default_factory=dict)  # by server and client, in order
    _versions: dict[int, set[int]] = field(default_factory=dict)  # that were registered, by restart

    def healed(self, server: int, client: int, since: At) -> At | None:
        """The first port that the client was told, or answer of lockd that it got."""
        if (server, client) not in self._good:
            requests = self.history.requests
            told = [k.answered for k in self.history.lookups.of(client, server) if k.port and k.answered]
            got = [a.at for r in requests.where(requests.between(server, client)) for a in r.answers]
            self._good[server, client] = sorted([*told, *got])
        good = self._good[server, client]
        return next(iter(good[bisect_right(good, since) :]), None)

    def other_version(self, boot: Boot, version: int) -> bool:
        """Whether lockd is there in another version, after a restart."""
        if not self._versions:
            for look in self.history.lookups:
                life = life_at(self.history.boots, look.asked, look.at.time) if look.port else None
                self._versions.setdefault(-1 if life is None else life.number, set()).add(look.version)
        return bool(self._versions.get(boot.number, set()) - {version})


def _finding(
    history: History, row: Recovery, zeros: list[Lookup], healed: At | None, lost: tuple[Fate, ...]
) -> Finding:
    boot, server, client = row.boot, row.boot.host, row.peer
    end = row.decided if row.decided is not None else zeros[-1].at.time
    doubts = history.visibility.all(
        (client, server), (V.SPAN, V.NO_LOSS, V.BOTH_WAYS, V.DECODED), zeros[0].at.time, end
    )
    held = sum(not f.piece.known for f in lost) == 0
    who, what = words.host(history, client), f": {words.locks_text(history, lost)} was lost" if lost else ""
    notice = [Evidence(t.at, f"SM_NOTIFY state={t.state}") for t in row.tries[:1]]
    asked = [Evidence(look.answered or look.at, "look-up of lockd answered: not registered") for look in zeros]
    again = Evidence(healed, "lockd is there again") if healed else None
    return Finding(
        f"lockd of {words.host(history, server)} was not registered when {who} wanted to reclaim{what}",
        words.evidence(
            asked[:1], notice, asked[1:SHOWN], again, words.grants(history, lost), words.restart(history, boot)
        ),
        consequence=("The client gave up or came too late." if lost else "Recovery was delayed.")
        + words.because(doubts),
        remedy="Let lockd and nfsd be up before SM_NOTIFY is sent; restart the applications that lost their locks.",
        severity=None if lost else Severity.WARNING,
        confidence=words.confidence(doubts, also=boot.proven and held),
        server=server,
        client=client,
        boot=boot.number,
        locks=words.refs(history, lost),
    )
