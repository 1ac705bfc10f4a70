"""NSM009 spurious-notify."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator

from nlmdissect.findings import At, Confidence, Evidence, Finding, Judged, Severity, Verdict, rule
from nlmdissect.history.fates import Grant
from nlmdissect.history.history import History
from nlmdissect.history.spurious import Spurious
from nlmdissect.history.walk import Reclaim
from nlmdissect.hosts.signs import SECOND
from nlmdissect.machines.hold import H
from nlmdissect.rules import words
from nlmdissect.rules.doubts import many_behind
from nlmdissect.rules.nlm001_refused_reclaim import is_needless

SOON = 300 * SECOND  # a client reclaims within this of a notice


@rule("NSM009", "spurious-notify", Severity.ERROR, source="C-31")
def spurious_notify(history: History) -> Iterator[Verdict]:
    """SM_NOTIFY without a restart, or from an address that is not the named host.

    Why it matters: nobody authenticates SM_NOTIFY. A server that believes one drops the locks of a client that lives
    and goes on writing; a client that believes one reclaims what it never lost, and drops what is refused.

    How it is seen: SM_NOTIFY, and a positive sign that the named host did not restart: a TCP connection of it that
    goes on from before the notice to after it, or a reclaim refused as too late within seconds by a lockd at its old
    port. An error if locks were given away after it, a warning if reclaims were refused, else info.

    What it cannot see: a host without any connection in the capture, which cannot be told from a restarted one; and
    which of several hosts behind one address restarted: there it is only suspected.

    What to do: find what sent it: `sm-notify -f` by hand or by a package, a restart of statd in a container, an HA
    script, a second machine with the same name, or somebody who should not. Let UDP to statd's port in from known
    hosts only. On illumos each start of lockd notifies, on FreeBSD and macOS each start of rpc.statd.
    """
    yield Judged(sum(len(tries) for tries in history.notices.tries.values()))
    thefts: dict[int, list[Grant]] = defaultdict(list)  # by who lost it
    for grant in history.walked.table.thefts if history.spurious else ():
        if grant.before is H.EXPOSED:
            thefts[grant.owner.client].append(grant)
    refused: dict[int, list[Reclaim]] = defaultdict(list)  # by server
    for reclaim in history.walked.reclaims if history.spurious else ():
        if _refused(reclaim) and is_needless(reclaim):
            refused[reclaim.request.server].append(reclaim)
    for case in history.spurious:
        told: dict[int, list[At]] = defaultdict(list)
        for t in case.tries:
            told[t.receiver].append(t.at)
        lost = [g for g in thefts[case.host] if any(at < g.at for at in told[g.file.server][:1])]
        history.dealings.looks.spend(len(thefts[case.host]) + len(refused[case.host]))
        yield _finding(history, case, lost, [r for r in refused[case.host] if _follows(r, told[r.request.client])])


def _finding(history: History, case: Spurious, lost: list[Grant], refused: list[Reclaim]) -> Finding:
    host, sender, first = case.host, case.sender, case.tries[0]
    name = words.host(history, host)
    by = "" if sender == host else f" by {words.host(history, sender)}"
    receivers = {t.receiver for t in case.tries}
    severity = Severity.ERROR if lost else Severity.WARNING if refused else Severity.INFO
    is_server = "server" in history.names.roles.get(host, ())
    return Finding(
        f"SM_NOTIFY says{by} that {name} restarted, but it did not",
        words.evidence(
            Evidence(first.at, f"SM_NOTIFY mon_name={first.name} state={first.state}"),
            [Evidence(t.at, f"SM_NOTIFY mon_name={t.name} state={t.state}") for t in case.tries[1:]],
            [Evidence(r.answer.at, f"reclaim answered {r.answer.status}") for r in refused if r.answer],
            [words.taken(history, g) for g in lost],
        ),
        consequence="Its locks were dropped, and given to others."
        if lost
        else "Its clients reclaimed what they had not lost, and were refused; the server still holds the locks."
        if refused
        else "Nothing that this capture shows.",
        remedy="Find what sent it (sm-notify -f, a container, an HA script); let only known hosts reach statd.",
        severity=severity,
        confidence=Confidence.SUSPECTED if many_behind(history, host) else Confidence.CONFIRMED,
        server=host if is_server else receivers.pop() if len(receivers) == 1 else None,
        client=None if is_server else host,
        other=None if sender == host else sender,
    )


def _refused(reclaim: Reclaim) -> bool:
    return reclaim.answer is not None and reclaim.answer.status != "GRANTED"


def _follows(reclaim: Reclaim, told: list[At]) -> bool:
    """Whether the notice, or one of them, made the client reclaim."""
    at = reclaim.request.at
    return any(at.time - before.time < SOON for before in told[: bisect_left(told, at)][-1:])
