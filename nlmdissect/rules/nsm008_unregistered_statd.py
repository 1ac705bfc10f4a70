"""NSM008 unregistered-statd."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import At, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import ENDED, Outcome
from nlmdissect.history.history import History
from nlmdissect.history.notices import Lookup
from nlmdissect.history.recovery import Notify, Recovery
from nlmdissect.hosts.implementations import NO_STATD
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import V
from nlmdissect.rules import words
from nlmdissect.rules.doubts import stuck

ROOM = 60 * SECOND  # for somebody who starts statd
NEXT = (NO_STATD + 30) * SECOND  # by then sm-notify has asked again


@rule("NSM008", "unregistered-statd", Severity.ERROR, source="C-26")
def unregistered_statd(history: History) -> Iterator[Verdict]:
    """A port lookup for 100024 answered 0 or "" and was not healed.

    Why it matters: the sender of SM_NOTIFY asks the receiver's portmapper for statd first. Without a port there is no
    notice: a client never reclaims, a server never frees. Linux sm-notify asks again only after two minutes, when the
    grace period is over.

    How it is seen: after a restart, GETPORT or GETADDR for program 100024 answered with port 0 or an empty address,
    and neither a later look-up that found a port nor an answered SM_NOTIFY to the same host before the grace period
    was over. An error if the host held locks, or locks of it are held; else a warning.

    What it cannot see: why statd is gone: stopped, never started, or registered for another transport only.

    What to do: on the host that was asked, `systemctl enable --now rpc-statd` (or let nfs-client.target pull it in)
    and check `rpcinfo -p | grep status`; elsewhere see that the status monitor is registered. Restart the
    applications that held locks.
    """
    for row in history.recoveries:
        if not row.lookups:
            continue
        yield Judged()
        refused = [look for look in row.lookups if look.port == 0]
        if not refused or _healed(row, refused) or _sent_in_vain(row, refused):
            continue
        end = row.decided if row.decided is not None else history.extent.last
        if row.decided is None and (row.role == "client" or end - refused[-1].at.time < ROOM):
            yield NotAssessed(
                f"statd of {words.host(history, row.peer)} is not registered, but it may be before it is too late"
            )
            continue
        yield _finding(history, row, refused, end)


def _healed(row: Recovery, refused: list[Lookup]) -> bool:
    """Whether a notice got through in time, or statd was found on a later question, or the host was told otherwise."""
    over: At | None = row.boot.grace_over if row.role == "client" else None
    in_time = [t for t in row.answered if over is None or t.at < over]
    found = [
        look for look in row.lookups if look.port and look.at > refused[-1].at and (over is None or look.at < over)
    ]
    return bool(in_time or found or row.having(Outcome.RECLAIMED))


def _sent_in_vain(row: Recovery, refused: list[Lookup]) -> bool:
    """Whether SM_NOTIFYs went out before, to a port that was known then: that they were not answered is NSM003."""
    return row.notify is Notify.UNANSWERED and row.tries[0].at < refused[0].at


def _finding(history: History, row: Recovery, refused: list[Lookup], end: int) -> Finding:
    boot, peer = row.boot, row.peer
    asker, asked = words.host(history, boot.host), words.host(history, peer)
    orphans = tuple(fate for fate in row.known if fate.outcome not in ENDED)
    left = stuck(history, row)
    held = words.grants(history, orphans) + [words.granted(history, *item) for item in left]
    unseen = history.notices.unseen(boot.host, boot.not_after.time, end)
    early = row.decided is None and end - refused[-1].at.time < NEXT
    doubts = history.visibility.all((boot.host, peer), (V.NO_LOSS, V.BOTH_WAYS, V.DECODED), boot.not_after.time, end)
    asks = [Evidence(look.answered, "statd (100024): port 0, not registered") for look in refused if look.answered]
    questions = [Evidence(look.at, "asks for the port of statd (100024)") for look in refused]
    what = f", which held {words.locks_text(history, orphans)}" if orphans else ""
    return Finding(
        f"statd is not registered at {asked}{what}: {asker} restarted, asked for its port, and sent no SM_NOTIFY",
        words.evidence(asks[:1], questions, asks[1:], held, words.restart(history, boot)),
        consequence=f"{asked} was not told of the restart{_harm(bool(left), bool(orphans))}."
        + words.because(doubts)
        + (f" Not certain: {unseen}." if unseen else "")
        + (" The capture ends before it would ask again." if early else ""),
        remedy="Start rpc.statd there, at every boot, and see it in rpcinfo -p; then "
        + ("run sm-notify -f on the client." if left else "restart what held locks."),
        severity=None if held else Severity.WARNING,
        confidence=words.confidence(doubts, also=(boot.proven or not orphans) and not unseen and not early),
        server=boot.host if row.role == "client" else peer,
        client=peer if row.role == "client" else boot.host,
        boot=boot.number,
        locks=words.refs(history, orphans),
    )


def _harm(left: bool, orphans: bool) -> str:
    if left:
        return " and holds on to the locks of the old life"
    return " and has not reclaimed its locks" if orphans else ""
