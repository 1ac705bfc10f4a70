"""NSM011 refused-monitor."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Confidence, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.hosts.loopback import TOLERANCE, Mon
from nlmdissect.hosts.signs import SECOND
from nlmdissect.rpc.requests import GRANTED, Answer, Op, Request
from nlmdissect.rules import words

NOLOCKS = "DENIED_NOLOCKS"
RUN = 2  # refusals that make a run
NEAR = 300 * SECOND  # others are served within this of it


@rule("NSM011", "refused-monitor", Severity.ERROR, source="C-37")
def refused_monitor(history: History) -> Iterator[Verdict]:
    """SM_MON failed or was never answered (loopback captures), or locks are refused because a peer cannot be monitored.

    Why it matters: a Linux server monitors a client before it grants it a lock, and a client the server before it
    asks. Without statd the application gets ENOLCK, at once or after a long wait, while clients that were monitored
    before go on.

    How it is seen: on a loopback, SM_MON answered STAT_FAIL or not at all. On the network, DENIED_NOLOCKS again and
    again for one client while others are served at the same time: suspected, for the status has other causes. A
    warning if the same client is granted a lock later.

    What it cannot see: a client whose own statd refuses: it sends no LOCK. DENIED_NOLOCKS also means out of memory,
    or that nfsd is not running; then nobody is served.

    What to do: on the server, `systemctl status rpc-statd` and `rpcinfo -p | grep status`; does it resolve the
    client's name or address without delay? Is /var/lib/nfs/sm writable? On other servers look at the status monitor's
    own log.
    """
    refused: dict[tuple[int, int], list[tuple[Request, Answer]]] = {}
    for r in history.requests:
        for answer in r.answers:
            if r.op is Op.LOCK and not r.reclaim and answer.status == NOLOCKS:
                refused.setdefault((r.server, r.client), []).append((r, answer))
    failed: dict[tuple[int, int | None], list[Mon]] = {}
    for mon in history.loopback.mons:
        if mon.watch and (mon.refused or mon.answered is None):
            failed.setdefault((mon.host, mon.peer), []).append(mon)
    yield Judged(len(history.loopback.mons) + len(refused))
    for (server, client), cases in refused.items():
        if len(cases) < RUN and (server, client) not in failed:
            yield NotAssessed(f"one DENIED_NOLOCKS to {words.host(history, client)} may have any cause")
        elif (server, client) in failed or _others_are_served(history, server, client, cases):
            yield _network(history, server, client, cases, failed.get((server, client), []))
    for (host, peer), mons in failed.items():
        if peer is None or (host, peer) not in refused:
            yield _local(history, host, peer, mons)


def _others_are_served(history: History, server: int, client: int, cases: list[tuple[Request, Answer]]) -> bool:
    first, last = cases[0][1].at.time - NEAR, cases[-1][1].at.time + NEAR
    return any(
        r.server == server
        and r.client != client
        and r.op is Op.LOCK
        and a.status == GRANTED
        and first < a.at.time < last
        for r in history.requests
        for a in r.answers
    )


def _network(
    history: History, server: int, client: int, cases: list[tuple[Request, Answer]], mons: list[Mon]
) -> Finding:
    last = cases[-1][1].at
    healed = [
        a for r in history.requests if (r.server, r.client) == (server, client) and r.op is Op.LOCK
        for a in r.answers if a.status == GRANTED and a.at > last
    ]  # fmt: skip
    return Finding(
        f"{words.host(history, server)} refuses {words.host(history, client)} every lock with DENIED_NOLOCKS: "
        "it cannot monitor it",
        words.evidence(
            [Evidence(a.at, "answered DENIED_NOLOCKS") for _, a in cases],
            [Evidence(mon.at, f"SM_MON {mon.name}: {_what(mon)}") for mon in mons],
            [Evidence(a.at, "served again") for a in healed[:1]],
        ),
        consequence="Its applications get ENOLCK." + (" It was served again later." if healed else ""),
        remedy="See that rpc.statd runs on the server, and that it resolves this client.",
        severity=Severity.WARNING if healed else None,
        confidence=Confidence.CONFIRMED if mons else Confidence.SUSPECTED,
        server=server,
        client=client,
    )


def _local(history: History, host: int, peer: int | None, mons: list[Mon]) -> Finding:
    healed = any(
        mon.watch
        and mon.peer == peer
        and mon.host == host
        and mon.answered
        and not mon.refused
        and mon.at > mons[-1].at
        for mon in history.loopback.mons
    )
    ends = history.loopback.covers[host]
    room = any(mons[-1].at.time + 10 * SECOND < end + TOLERANCE for _, end in ends)
    name = mons[0].name if peer is None else words.host(history, peer)
    server = "server" in history.names.roles.get(host, ())
    return Finding(
        f"statd on {words.host(history, host)} does not monitor {name}: SM_MON {_what(mons[-1])}",
        words.evidence(Evidence(mon.at, f"SM_MON {mon.name}: {_what(mon)}") for mon in mons),
        consequence="Locks between the two are refused, or not asked for."
        + (" It was monitored later." if healed else ""),
        remedy="See that rpc.statd runs there, that it resolves this peer, and that /var/lib/nfs/sm is writable.",
        severity=Severity.WARNING if healed else None,
        confidence=Confidence.CONFIRMED if room or mons[-1].refused else Confidence.SUSPECTED,
        server=host if server else peer,
        client=peer if server else host,
    )


def _what(mon: Mon) -> str:
    return "answered STAT_FAIL" if mon.refused else "never answered"
