"""PMAP001 unreachable-lockd."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from nlmdissect.findings import At, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.hosts.boot import life_at
from nlmdissect.hosts.reach import PROHIBITED, RPCBIND, Path, Unreached
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import V
from nlmdissect.protocols import MOUNT, NFS, NLM
from nlmdissect.rules import words

LASTED = 60 * SECOND  # a request that hangs for longer is an error, as in NLM012
SHOWN = 12  # attempts


@rule("PMAP001", "unreachable-lockd", Severity.ERROR, source="C-27")
def unreachable_lockd(history: History) -> Iterator[Verdict]:
    """The port of lockd is known, but packets to it die on the way.

    Why it matters: lockd's ports change at every start, so firewalls that let NFS through often stop it. From client
    to server no lock can be taken, given back or reclaimed, and applications hang; from server to client
    (NLM_GRANTED) a waiter learns only at its next poll, if ever, that it holds the lock.

    How it is seen: three SYNs in five seconds or more to a port that portmap named, or that lockd was heard at,
    without SYN/ACK or RST; the same SYN again after its SYN/ACK (then it is the way back that is dead); lock requests
    over UDP that are not answered while lockd serves others; or ICMP unreachable about them, "administratively
    prohibited" above all. The asked host was alive and did not restart meanwhile. A warning if packets to the same
    port got through later, or while it lasts less than a minute, or if only callbacks are stopped and no waiter is
    left waiting.

    What it cannot see: on which side of the capture point packets die, unless ICMP says so. A port 111 of the server
    that is itself blocked: then no port is ever known (one of a client is told of, for a server asks there for lockd
    alone). A lockd that hangs over UDP looks the same to each client: that is NLM012.

    What to do: pin the ports and open them in both directions, TCP and UDP: `nlm_tcpport` and `nlm_udpport` of the
    lockd module (options lockd ... in /etc/modprobe.d, or `port=` and `udp-port=` in [lockd] of /etc/nfs.conf),
    port 111, and statd's `port=`. Test with `rpcinfo -T tcp HOST 100021 4` from each side, and look at
    `nft list ruleset` for rejects. On other servers open 4045 (illumos, ONTAP) or the port set in their options.
    """
    cases: dict[tuple[int, int], list[Unreached]] = {}
    pairs = {(client, server) for server, client in history.requests.pairs}
    calls = {(src, dst) for program, _, src, dst in history.traffic.programs if program in (NLM, MOUNT, NFS)}
    for run in history.unreached:
        yield Judged()
        caller, callee = words.host(history, run.path.caller), words.host(history, run.path.callee)
        pair = (run.path.callee, run.path.caller)
        blind = history.visibility.visible(pair, V.BOTH_WAYS, run.tries[0].time, run.tries[-1].time)
        if not run.prohibited and not blind.holds:
            yield NotAssessed(f"{caller} tries to reach lockd of {callee}; {blind.why}")
            continue
        client, server = _roles(run.path, pairs, calls)
        cases.setdefault((client, server), []).append(run)
    waits: dict[tuple[int, int], list[At]] = defaultdict(list)  # since when somebody waits
    for wait in history.walked.waits if cases else ():
        if wait.ended is None:
            waits[wait.request.client, wait.request.server].append(wait.since)
    for (client, server), runs in cases.items():
        yield _finding(history, sorted(waits[client, server])[:1], client, server, runs)


def _finding(history: History, waiting: list[At], client: int, server: int, runs: list[Unreached]) -> Finding:
    worst = max(runs, key=lambda run: (_severity(waiting, client, run), len(run.tries)))
    path, boot = worst.path, life_at(history.boots, server, worst.tries[0].time)
    doubts = history.visibility.all(
        (path.callee, path.caller), (V.NO_LOSS, V.BOTH_WAYS), worst.tries[0].time, worst.tries[-1].time
    )
    caller, callee = words.host(history, path.caller), words.host(history, path.callee)
    what = ("SYN" if path.tcp else "lock request") + f" to {'TCP' if path.tcp else 'UDP'} port {path.port}"
    lasted = ((worst.again.time if worst.again else worst.tries[-1].time) - worst.tries[0].time) / SECOND
    way = "answers from there to it die" if worst.back else "packets from it to there die"
    said = f": {_icmp(history, worst)}" if worst.errors else ""
    healed = f"{lasted:.0f} s later it worked" if worst.again else f"it never worked in {lasted:.0f} s"
    proof = [
        Evidence(worst.lookup, f"lockd of {callee} is at port {path.port}") if worst.lookup else None,
        *(Evidence(at, f"{what}, {'its answer did not arrive' if worst.back else 'no answer'}") for at in worst.tries),
    ]
    tries = [e for e in proof[1:] if e is not None]
    served = Evidence(worst.served, "lockd answers another client meanwhile") if worst.served else None
    again = Evidence(worst.again, "packets get through") if worst.again else None
    others = [run for run in runs if run is not worst]
    more = [Evidence(at, f"no answer from port {run.path.port}") for run in others for at in run.tries]
    blocked = f"ask {callee} at port 111 for its lockd" if path.port == RPCBIND else f"reach lockd of {callee}"
    return Finding(
        f"{caller} cannot {blocked}: {way}{said}; {healed}",
        words.evidence(
            tries[:1],
            [Evidence(e.at, "ICMP unreachable about it") for e in worst.errors[:2]],
            proof[0],
            tries[1:SHOWN],
            tries[-1:],
            again,
            served,
            more[:SHOWN],
        ),
        consequence=(
            "Waiters are not told when they get their locks; they learn it when they ask again."
            if path.caller == server
            else "No lock of this client was taken, reclaimed or given back meanwhile; its applications hung."
        )
        + words.because(doubts),
        remedy="Open port 111 and lockd's ports in both directions, and pin these (nlm_tcpport, nlm_udpport).",
        severity=_severity(waiting, client, worst),
        confidence=words.confidence(() if worst.prohibited else doubts),
        server=server,
        client=client,
        boot=boot.number if boot else None,
    )


def _severity(waiting: list[At], client: int, run: Unreached) -> Severity:
    if run.again is not None:
        return Severity.WARNING
    if run.path.callee == client:
        return Severity.ERROR if any(since < run.tries[-1] for since in waiting) else Severity.WARNING
    return Severity.ERROR if run.tries[-1].time - run.tries[0].time >= LASTED else Severity.WARNING


def _roles(path: Path, pairs: set[tuple[int, int]], calls: set[tuple[int, int]]) -> tuple[int, int]:
    """(client, server). Who asked whom for locks tells it, else who mounts from whom; else the caller is a client."""
    there = (path.caller, path.callee)
    if there in pairs or (there[::-1] not in pairs and (there in calls or there[::-1] not in calls)):
        return there
    return there[::-1]


def _icmp(history: History, run: Unreached) -> str:
    error = next((e for e in run.errors if (e.a, e.b) in PROHIBITED), run.errors[0])
    why = "administratively prohibited" if (error.a, error.b) in PROHIBITED else "unreachable"
    return f"{history.names.address(error.src)} says {why} (ICMP {error.a}/{error.b})"
