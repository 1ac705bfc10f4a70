"""NSM013 unmonitored-lock."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator

from nlmdissect.findings import Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import Row
from nlmdissect.history.history import History
from nlmdissect.hosts.boot import life_at
from nlmdissect.hosts.loopback import TOLERANCE, Mon
from nlmdissect.hosts.signs import SECOND
from nlmdissect.protocols import NLM, NSM
from nlmdissect.rpc.requests import Op
from nlmdissect.rules import words

AFTER = 2 * SECOND  # FreeBSD and illumos monitor only when the lock was granted
SOON = AFTER + TOLERANCE


@rule("NSM013", "unmonitored-lock", Severity.WARNING, source="monitor before lock")
def unmonitored_lock(history: History) -> Iterator[Verdict]:
    """A lock was taken with no SM_MON before it, where the loopback shows that it would have been seen.

    Why it matters: only monitored peers are notified. A client that is not in the server's list is not told of a
    restart, and its locks are lost without a word.

    How it is seen: a loopback capture of the server that shows its lockd and its statd start (they register with the
    portmapper), a lock granted to a client afterwards, and no SM_MON for that client until then, or an SM_UNMON after
    it. NM_LOCK asks for no monitoring, and does not count.

    What it cannot see: a server whose loopback was not captured from the start of its daemons; SM_MON over a local
    socket (illumos); for whom an SM_MON is that names a host that the network does not show.

    What to do: look for errors of lockd and statd in the server's log at that moment; Ganesha and others have
    switches for it. On Linux `rpcdebug -m nlm -s monitor` lets lockd tell whom it asks statd to monitor.
    """
    unmonitored: dict[tuple[int, int], list[Row]] = {}
    mons: dict[tuple[int, int | None], list[Mon]] = defaultdict(list)  # in time order
    for mon in history.loopback.mons:
        mons[mon.host, mon.peer].append(mon)
    nm_locks = {r.client for r in history.requests.where(history.requests.is_a(Op.NM_LOCK))}
    for row in history.walked.holds if history.loopback.covers else ():
        server, client, granted = row.file.server, row.owner.client, row.granted.time
        if server not in history.loopback.covers:
            continue
        if _watched(history, mons[server, client], granted):
            yield Judged()
            continue
        start = _watched_since(history, server, granted)
        if start is None or not history.loopback.covered(server, start, granted + AFTER):
            yield NotAssessed(
                f"the loopback of {words.host(history, server)} was not captured from the start of its daemons"
            )
            continue
        if any(m.watch for m in _between(mons[server, None], start, granted + SOON)):
            yield NotAssessed(f"{words.host(history, server)} monitors names that no address is known for")
            continue
        yield Judged()
        last = _between(mons[server, client], start, granted + SOON)[-1:]
        told = any(m.watch or m.at.time > granted - TOLERANCE for m in last)
        if not told and client not in nm_locks:
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


def _between(mons: list[Mon], start: int, end: int) -> list[Mon]:
    """Those of a span (ns)."""
    return mons[bisect_left(mons, start, key=_time) : bisect_right(mons, end, key=_time)]


def _time(mon: Mon) -> int:
    return mon.at.time


def _watched(history: History, mons: list[Mon], granted: int) -> bool:
    """Whether a server was seen to watch a client before a grant, in the same life, and not to stop."""
    last = bisect_right(mons, granted + SOON, key=_time) - 1
    if last < 0 or not mons[last].watch:
        return False
    since = mons[last].at.time + TOLERANCE
    boot = life_at(history.boots, mons[last].host, granted)
    return boot is None or boot.not_after.time <= since


def _watched_since(history: History, server: int, granted: int) -> int | None:
    """Since when (ns) the loopback of a server would have shown every SM_MON: from the first start of its lockd and
    its statd on. A lockd that registers again later may only have opened another transport.
    """
    starts = [history.loopback.registered.get((server, program)) for program in (NLM, NSM)]
    first = [of[0].time for of in starts if of]
    return min(first) if len(first) == len(starts) and max(first) <= granted else None
