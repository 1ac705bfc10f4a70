"""NSM001 missing-server-notify."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.capture.messages import Kind
from nlmdissect.findings import Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import ENDED, Fate
from nlmdissect.history.history import History
from nlmdissect.history.recovery import Notify, Recovery
from nlmdissect.hosts.visibility import V
from nlmdissect.rules import assumptions, words
from nlmdissect.rules.doubts import elsewhere, strangers, told_elsewhere

RPCBIND = 111
UNSENT = "Find out why sm-notify did not run or did not know this client (rpc-statd-notify.service, /var/lib/nfs/sm)."
UNHEARD = (
    "See that rpcbind runs on the client and that UDP from the server reaches its port 111, then run sm-notify -f "
    "on the server."
)


@rule("NSM001", "missing-server-notify", Severity.ERROR, source="C-01")
def missing_server_notify(history: History) -> Iterator[Verdict]:
    """The server restarted and never sent SM_NOTIFY to a client that held locks.

    Why it matters: the server has forgotten every lock. A client that is not told does not reclaim, its
    applications go on as if they held their locks, and after the grace period the server gives the same locks to
    others.

    How it is seen: signs of a restart (old connections reset, lockd at a new port, a grace period, ...), a lock
    that was granted before it and not released, and no SM_NOTIFY from any address of the server to that client
    until the grace period was over or until the time was up in which the server tries (Linux: 15 minutes). Look-ups
    of statd's port that were answered with a port, with no SM_NOTIFY behind them, are still this: sm-notify counts
    its xids up over all datagrams, so a hole after such a look-up means that one was sent and lost before the
    capture point.

    What it cannot see: whether only lockd restarted (then Linux notifies nobody, see HOST002) where nothing shows
    it; notices that left over a path that was not captured, or from an address that nothing connects with the server;
    a server that had stopped monitoring the client.

    What to do: on Linux, `systemctl status rpc-statd-notify` and `journalctl -u rpc-statd-notify`; is
    /var/lib/nfs/sm kept over reboots (containers, diskless hosts, failover without shared statd state)? does the
    client's name there resolve? does UDP from the server reach port 111 and statd of the client? Run `sm-notify -f`
    once the cause is mended, and restart the applications that lost their locks. On other servers check that their
    status monitor runs at boot.
    """
    for row in history.recoveries:
        if row.role != "client" or not row.known:
            continue
        yield Judged()
        if row.notify is not Notify.MISSING or row.boot.lived_on or row.boot.number in history.moves:
            continue
        if any(look.port == 0 for look in row.lookups) and not any(look.port for look in row.lookups):
            continue  # statd is not registered at the client
        orphans = tuple(f for f in row.known if f.outcome not in ENDED)
        if not orphans:
            continue
        if row.decided is None:
            yield NotAssessed(assumptions.undecided(history, row))
            continue
        yield _finding(history, row, orphans, row.decided)


def _finding(history: History, row: Recovery, orphans: tuple[Fate, ...], decided: int) -> Finding:
    boot, server, client = row.boot, row.boot.host, row.peer
    conditions = (V.SPAN, V.NO_LOSS, V.BOTH_WAYS, V.NSM, V.ALL_PATHS, V.DECODED)
    doubts = history.visibility.all((server, client), conditions, words.held_since(orphans), decided)
    unseen = history.notices.unseen(server, boot.not_after.time, decided)
    unsent = any(look.port for look in row.lookups)
    if len(row.lookups) == 1 and not unsent:
        unseen = unseen or "it asked only once for statd's port, as if it was answered"
    tried = [Evidence(look.at, f"asks for the client's statd{words.port_text(look.port)}") for look in row.lookups]
    others, doubt = elsewhere(history, told_elsewhere(history, row))
    strange, whose = strangers(history, row, decided)
    others += strange
    over = Evidence(boot.grace_over, "the grace period is over") if boot.grace_over else None
    asked = f"; it asked for the client's statd and got {'a port' if unsent else 'no answer'}" if tried else ""
    refused = _refused(history, row) if tried and not unsent else []
    who = words.host(history, client)
    return Finding(
        f"{words.who_restarted(history, boot)} and never sent SM_NOTIFY to {who}, "
        f"which held {words.locks_text(history, orphans)}{asked}",
        words.evidence(words.restart(history, boot), words.grants(history, orphans), tried, refused, others, over),
        consequence=f"{who} does not know that its locks are gone."
        + words.because(doubts)
        + (f" Not certain: {unseen}." if unseen else "")
        + doubt
        + whose
        + words.silence(history, client, boot),
        remedy=(UNHEARD if tried and not unsent else UNSENT) + " Restart the applications that held these locks.",
        confidence=words.confidence(
            doubts, also=not (unsent or unseen or others) and boot.proven and words.alive(history, client, boot)
        ),
        server=server,
        client=client,
        boot=boot.number,
        locks=words.refs(history, orphans),
    )


def _refused(history: History, row: Recovery) -> list[Evidence]:
    """What ICMP says of the look-ups of the client's statd."""
    return [
        Evidence(s.at, f"ICMP unreachable (type {s.a}, code {s.b}) about it")
        for s in history.signals.of(
            Kind.ICMP, (row.boot.host, row.peer, RPCBIND), row.boot.not_after.time - 1, row.boot.until
        )
    ]
