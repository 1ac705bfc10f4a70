"""HOST001 failover-without-notify."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import ENDED, Fate
from nlmdissect.history.history import History
from nlmdissect.history.recovery import Notify, Recovery
from nlmdissect.hosts.moves import Move
from nlmdissect.hosts.visibility import V
from nlmdissect.rules import assumptions, words
from nlmdissect.rules.doubts import strangers


@rule("HOST001", "failover-without-notify", Severity.ERROR, source="C-29")
def failover_without_notify(history: History) -> Iterator[Verdict]:
    """The address moved to another node and its clients were not told.

    Why it matters: the new node has the files, not the locks. Clients only see a short pause, keep what they believe
    to hold, and after the grace period the new node gives the same locks to others.

    How it is seen: the server's address answers from another link-layer address (gratuitous ARP, or the source of its
    frames) just as signs of a restart appear: old connections reset, lockd at another port, a grace period. A client
    held locks there, and no SM_NOTIFY came to it, from the service address or from any other address of the new node,
    until the grace period was over. A notice from the node's own address that was ignored is NSM010.

    What it cannot see: whether it is another node or the same one with another network card. Behind a router
    link-layer addresses tell nothing; then it is NSM001.

    What to do: let the cluster's start script run `sm-notify -f -v SERVICE-ADDRESS` on the node that takes over, with
    /var/lib/nfs (at least sm/ and state) on the shared disk (`rpc.statd -P`, `sm-notify -P`); pacemaker: the nfsnotify
    agent with source_host; Ganesha: sm_notify.ganesha from the HA callout; ctdb: its statd-callout. Restart the
    applications that lost their locks. On appliances ask for the takeover's reclaim or grace settings.
    """
    for row in history.recoveries:
        move = history.moves.get(row.boot.number)
        if row.role != "client" or not row.known or move is None:
            continue
        yield Judged()
        orphans = tuple(f for f in row.known if f.outcome not in ENDED)
        if row.notify is not Notify.MISSING or not orphans or row.boot.unbroken:
            continue
        if any(look.port == 0 for look in row.lookups) and not any(look.port for look in row.lookups):
            continue  # it wanted to tell, but statd is not registered at the client
        if row.decided is None:
            yield NotAssessed(assumptions.undecided(history, row))
            continue
        yield _finding(history, row, move, orphans, row.decided)


def _finding(history: History, row: Recovery, move: Move, orphans: tuple[Fate, ...], decided: int) -> Finding:
    boot, server, client = row.boot, row.boot.host, row.peer
    conditions = (V.SPAN, V.NO_LOSS, V.BOTH_WAYS, V.NSM, V.ALL_PATHS, V.DECODED)
    doubts = history.visibility.all((server, client), conditions, words.held_since(orphans), decided)
    unseen = history.notices.unseen(server, boot.not_after.time, decided)
    who, here = words.host(history, client), words.host(history, server)
    arp = Evidence(move.announced, f"ARP: the address is at {move.new} now") if move.announced else None
    over = Evidence(boot.grace_over, "the grace period is over") if boot.grace_over else None
    tried = [Evidence(look.at, "asks for the client's statd") for look in row.lookups]
    alive = words.alive(history, client, boot)
    strange, whose = strangers(history, row, decided)
    return Finding(
        f"{here} moved from {move.old} to {move.new}, and {who}, which held {words.locks_text(history, orphans)}, "
        "was not told",
        words.evidence(arp, words.restart(history, boot), words.grants(history, orphans), tried, strange, over),
        consequence=f"The new node does not know these locks, and {who} does not know that they are gone."
        + words.because(doubts)
        + (f" Not certain: {unseen}." if unseen else "")
        + whose
        + ("" if move.announced else " No ARP for the address is here: a router on the way may have changed instead.")
        + words.silence(history, client, boot),
        remedy="Run sm-notify -f -v ADDRESS on the node that takes over, with statd's state on the shared disk.",
        confidence=words.confidence(
            doubts, also=arp is not None and not (row.lookups or unseen or strange) and boot.proven and alive
        ),
        server=server,
        client=client,
        boot=boot.number,
        locks=words.refs(history, orphans),
    )
