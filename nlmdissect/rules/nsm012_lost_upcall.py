"""NSM012 lost-upcall."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Confidence, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import Outcome
from nlmdissect.history.history import History
from nlmdissect.history.recovery import Notify, Recovery
from nlmdissect.hosts.implementations import UPCALL
from nlmdissect.hosts.loopback import Upcall
from nlmdissect.hosts.signs import SECOND
from nlmdissect.rules import words
from nlmdissect.rules.doubts import stuck

WITHIN = (UPCALL + 35) * SECOND  # of the notice


@rule("NSM012", "lost-upcall", Severity.ERROR, source="statd to lockd")
def lost_upcall(history: History) -> Iterator[Verdict]:
    """statd took the NOTIFY but lockd was never told (loopback captures).

    Why it matters: statd answers the notice before it tells lockd, so the sender is content. If the private call on
    127.0.0.1 is lost, the client never reclaims, or the server never frees.

    How it is seen: a loopback capture of the receiver, an answered SM_NOTIFY on the network, and on the loopback
    calls of lockd's private procedure with that state that are never answered (Linux: four of them, 5 to 6 s apart)
    or answered with an RPC error; or none at all, although the notice came from the address that the locks were taken
    from and brought a new state: suspected, for statd may not have known the host.

    What it cannot see: the host without its loopback capture: then it looks like NLM002.

    What to do: let UDP pass on the loopback (`iptables -L -v`, look for DROP without `-i lo -j ACCEPT`); is lockd
    registered for version 3 over UDP (`rpcinfo -p | grep nlockmgr`), does 127.0.0.1 answer? Restart the applications
    that held locks. On FreeBSD and macOS the call is NLM version 0 over UDP; illumos does not use IP for it.
    """
    for row in history.recoveries:
        if not row.answered or row.peer not in history.loopback.covers:
            continue
        yield Judged()
        lost = row.having(Outcome.MISSING, Outcome.STOLEN) if row.role == "client" else ()
        if not (lost or stuck(history, row)) or any(call.taken for call in upcalls(history, row)):
            continue  # lockd did hear, or there is nothing that its not hearing could explain
        if not history.loopback.covered(row.peer, row.answered[0].at.time, row.answered[0].at.time + WITHIN // 2):
            yield NotAssessed(f"the loopback capture of {words.host(history, row.peer)} does not cover the notice")
        elif is_lost(history, row):
            yield _finding(history, row)


def upcalls(history: History, row: Recovery) -> list[Upcall]:
    """The private calls that the answered notices of a row led to."""
    first = row.answered[0]
    states = {t.state for t in row.answered}
    return [
        call
        for call in history.loopback.upcalls
        if call.host == row.peer
        and call.state in states
        and abs(call.at.time - first.at.time) < WITHIN
        and (call.peer is None or history.names.notifies_for(first.sender, call.peer))
    ]


def is_lost(history: History, row: Recovery) -> bool:
    """Whether a host took a notice, its loopback was captured then, and its lockd did not hear of it."""
    if not row.answered or row.peer not in history.loopback.covers:
        return False
    start = row.answered[0].at.time
    if not history.loopback.covered(row.peer, start, start + WITHIN // 2):
        return False
    calls = upcalls(history, row)
    if not calls:  # statd tells nobody of a host that it does not know, or of a state that it had heard before
        return row.notify is Notify.UNDERSTOOD and not _heard_before(history, row)
    return not any(call.taken for call in calls)


def _heard_before(history: History, row: Recovery) -> bool:
    first = row.answered[0]
    return any(
        t.at < row.boot.not_after and t.state == first.state
        for t in history.notices.tries[first.sender, first.receiver]
    )


def _finding(history: History, row: Recovery) -> Finding:
    boot, peer = row.boot, row.peer
    calls = upcalls(history, row)
    lost = row.having(Outcome.MISSING, Outcome.STOLEN)
    held = words.grants(history, lost) + [words.granted(history, *item) for item in stuck(history, row)]
    told = [Evidence(t.answered, f"SM_NOTIFY mon_name={t.name} answered") for t in row.answered if t.answered]
    tries = [Evidence(c.at, f"statd tells lockd: {c.name} state={c.state}, {c.error or 'no answer'}") for c in calls]
    what = f", which held {words.locks_text(history, lost)}" if lost else ""
    unheard = f"lockd did not hear statd's {words.count(len(calls), 'call')}"
    how = unheard if calls else "statd did not call lockd at all"
    return Finding(
        f"{words.host(history, peer)}{what} took SM_NOTIFY from {words.host(history, boot.host)}, and {how}",
        words.evidence(tries[:1], told[:1], tries[1:], told[1:], held, words.restart(history, boot)),
        consequence="Its lockd does not know of the restart"
        + (": nothing was reclaimed." if lost else ": nothing was freed."),
        remedy="Let UDP pass on the loopback, and see lockd in rpcinfo -p for version 3 over UDP.",
        confidence=Confidence.CONFIRMED if calls else Confidence.SUSPECTED,
        server=boot.host if row.role == "client" else peer,
        client=peer if row.role == "client" else boot.host,
        boot=boot.number,
        locks=words.refs(history, lost),
    )
