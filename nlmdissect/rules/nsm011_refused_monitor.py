"""NSM011 refused-monitor."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator

from nlmdissect.findings import At, Confidence, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.history.refusals import Others, Refusal, another_error, refusals
from nlmdissect.hosts.loopback import Mon
from nlmdissect.hosts.signs import SECOND
from nlmdissect.rules import words

RUN = 2  # refusals that are no accident
ROOM = 10 * SECOND  # for an answer


@rule("NSM011", "refused-monitor", Severity.ERROR, source="C-37")
def refused_monitor(history: History) -> Iterator[Verdict]:
    """SM_MON failed or was never answered (loopback captures), or locks are refused because a peer cannot be monitored.

    Why it matters: a Linux server monitors a client before it grants it a lock, and a client the server before it
    asks. Without statd the application gets ENOLCK, at once or after a long wait, while clients that were monitored
    before go on.

    How it is seen: on a loopback, SM_MON answered STAT_FAIL or not at all. On the network, DENIED_NOLOCKS again and
    again, for one client or several, while others are served at the same time, or to a client whose TEST is decided:
    suspected, for the status has other causes. A warning if the same client is granted a lock, or is monitored, later.

    What it cannot see: a client whose own statd refuses: it sends no LOCK. DENIED_NOLOCKS also means out of memory,
    or that nfsd is not running; then nobody is served. In NLM 1 and 3 it stands for most errors: refusals about a
    single file are not judged there.

    What to do: on the server, `systemctl status rpc-statd` and `rpcinfo -p | grep status`; does it resolve the
    client's name or address without delay? Is /var/lib/nfs/sm writable? On other servers look at the status monitor's
    own log.
    """
    refused = refusals(history.requests)
    failed: dict[tuple[int, int | None, str], list[Mon]] = {}
    good: dict[tuple[int, int | None, str], list[Mon]] = defaultdict(list)  # in order
    for mon in history.loopback.mons:
        if mon.watch and mon.answered and not mon.refused:
            good[mon.host, mon.peer, mon.name].append(mon)
        if mon.watch and (mon.refused or mon.answered is None):
            key = (mon.host, mon.peer, mon.name if mon.peer is None else "")
            failed.setdefault(key, []).append(mon)
    yield Judged(len(history.loopback.mons) + len(refused))
    servers = {server for server, _ in refused} | {end for key in failed for end in key[:2] if end is not None}
    others = Others(history.requests, servers, refused, history.dealings.looks)
    alike = {pair: [run for run in of if not another_error(run)] for pair, of in refused.items()}
    longest: dict[int, int] = defaultdict(int)  # by server, over all clients
    for (server, _), of in alike.items():
        longest[server] += max(map(len, of), default=0)
    for (server, client), runs in refused.items():
        mons = failed.get((server, client, ""), [])
        long = [
            case
            for run in alike[server, client]
            if (longest[server] >= RUN and others.are_served(server, client, run)) or others.tested(server, client, run)
            for case in run
        ]
        if mons:
            yield _network(history, others, server, client, [case for run in runs for case in run], mons)
        elif long:
            yield _network(history, others, server, client, long, [])
        else:
            name = words.host(history, client)
            if all(map(another_error, runs)):
                why = "for one file, in a version of NLM that has no other status for most errors"
            else:
                why = "nothing shows that others were served meanwhile, or that it lasted"
            yield NotAssessed(f"DENIED_NOLOCKS to {name}: {why}")
    for (host, peer, _), mons in failed.items():
        if peer is None or (host, peer) not in refused:
            known = good[host, peer, mons[-1].name]
            later = known[bisect_right(known, mons[-1].at, key=lambda mon: mon.at) :]
            yield _local(history, others, host, peer, mons, later[0].answered if later else None)


def _network(
    history: History, others: Others, server: int, client: int, cases: list[Refusal], mons: list[Mon]
) -> Finding:
    healed = others.served(server, client, cases[-1].answer.at)
    test = others.tested(server, client, cases)
    return Finding(
        f"{words.host(history, server)} refuses {words.host(history, client)} locks with DENIED_NOLOCKS: "
        "it cannot monitor it",
        words.evidence(
            [Evidence(case.answer.at, "answered DENIED_NOLOCKS") for case in cases],
            [Evidence(mon.at, f"SM_MON {mon.name}: {_what(mon)}") for mon in mons],
            Evidence(test, "its TEST, for which nobody is monitored, is decided") if test else None,
            Evidence(healed, "served again") if healed else None,
        ),
        consequence="Its applications get ENOLCK." + (" It was served again later." if healed else ""),
        remedy="See that rpc.statd runs on the server, and that it resolves this client.",
        severity=Severity.WARNING if healed else None,
        confidence=Confidence.CONFIRMED if mons else Confidence.SUSPECTED,
        server=server,
        client=client,
    )


def _local(
    history: History, others: Others, host: int, peer: int | None, mons: list[Mon], monitored: At | None
) -> Finding:
    last = mons[-1]
    is_server = "server" in history.names.roles.get(host, ())
    server, client = (host, peer) if is_server else (peer, host)
    # a lock soon after it says that the answer is only missing from the capture, or does not matter to this server
    locked = others.served(server, client, last.at) if server is not None and client is not None else None
    healed = monitored or locked
    room = history.loopback.covered(host, last.at.time, last.at.time + ROOM)
    name = last.name if peer is None else words.host(history, peer)
    where = words.host(history, host) if host in history.loopback.covers else last.my_name or words.host(history, host)
    sure = last.refused or (room and locked is None)
    return Finding(
        f"statd on {where} does not monitor {name}: SM_MON {_what(last)}",
        words.evidence(
            [Evidence(mon.at, f"SM_MON {mon.name}: {_what(mon)}") for mon in mons],
            Evidence(monitored, "monitored") if monitored else None,
            Evidence(locked, "granted a lock all the same") if locked else None,
        ),
        consequence="Locks between the two are refused, or not asked for."
        + (" It was monitored later." if monitored else ""),
        remedy="See that rpc.statd runs there, that it resolves this peer, and that /var/lib/nfs/sm is writable.",
        severity=Severity.WARNING if healed else None,
        confidence=Confidence.CONFIRMED if sure else Confidence.SUSPECTED,
        server=server,
        client=client,
    )


def _what(mon: Mon) -> str:
    return "answered STAT_FAIL" if mon.refused else "never answered"
