"""NSM013 unmonitored-lock."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import At, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import Row
from nlmdissect.history.history import History
from nlmdissect.hosts.loopback import TOLERANCE
from nlmdissect.hosts.signs import SECOND
from nlmdissect.rpc.requests import Op
from nlmdissect.rules import words

AFTER = 2 * SECOND  # FreeBSD and illumos monitor only when the lock was granted


@rule("NSM013", "unmonitored-lock", Severity.WARNING, source="monitor before lock")
def unmonitored_lock(history: History) -> Iterator[Verdict]:
    """A lock was taken with no SM_MON before it, where the loopback shows that it would have been seen.

    Why it matters: only monitored peers are notified. A client that is not in the server's list is not told of a
    restart, and its locks are lost without a word.

    How it is seen: a loopback capture of the server that shows its statd start, a lock granted to a client
    afterwards, and no SM_MON for that client until then. NM_LOCK asks for no monitoring, and does not count.

    What it cannot see: a server whose loopback was not captured from the start of its daemons; SM_MON over a local
    socket (illumos).

    What to do: look for errors of lockd and statd in the server's log at that moment; Ganesha and others have
    switches for it.
    """
    unmonitored: dict[tuple[int, int], list[Row]] = {}
    nm_locks = {r.client for r in history.requests if r.op is Op.NM_LOCK}
    for row in history.walked.table.rows:
        server, client = row.file.server, row.owner.client
        if server not in history.loopback.covers:
            continue
        start = _watched_since(history, server, row.granted)
        if start is None or not history.loopback.covered(server, start.time, row.granted.time + AFTER):
            yield NotAssessed(
                f"the loopback of {words.host(history, server)} was not captured from the start of its statd"
            )
            continue
        yield Judged()
        asked = any(
            mon.host == server and mon.peer == client and mon.watch
            and start.time <= mon.at.time <= row.granted.time + AFTER + TOLERANCE
            for mon in history.loopback.mons
        )  # fmt: skip
        if not asked and client not in nm_locks:
            unmonitored.setdefault((server, client), []).append(row)
    for (server, client), rows in unmonitored.items():
        yield Finding(
            f"{words.host(history, server)} granted {words.host(history, client)} a lock without monitoring it",
            words.evidence(Evidence(row.granted, "granted, with no SM_MON for this client before") for row in rows),
            consequence="After a restart of the server this client will not be told.",
            remedy="Look for errors of lockd and statd in the server's log.",
            server=server,
            client=client,
        )


def _watched_since(history: History, server: int, granted: At) -> At | None:
    """When the statd that was running at a grant registered itself, as the loopback shows."""
    before = [at for at in history.loopback.started.get(server, ()) if at.time <= granted.time]
    return before[-1] if before else None
