"""NSM010 foreign-notify-address."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import Outcome
from nlmdissect.history.history import History
from nlmdissect.history.notices import Try
from nlmdissect.history.recovery import Notify, Recovery
from nlmdissect.hosts.visibility import V
from nlmdissect.rules import assumptions, words

NOT_LOST = "No lock is known to be lost by it."


@rule("NSM010", "foreign-notify-address", Severity.ERROR, source="C-32")
def foreign_notify_address(history: History) -> Iterator[Verdict]:
    """SM_NOTIFY came from another address than the locks were taken from, and was not understood.

    Why it matters: Linux keeps its monitored peers by address. A notice from another interface of the server, or from
    the node behind a service address, is answered and ignored: nobody reclaims.

    How it is seen: a restart of the address that the locks were taken from, answered SM_NOTIFYs from another address
    of the same host (by its names, or by its network card), none from the right one, and no reclaim. An error if a
    lock was lost, else a warning.

    What it cannot see: /etc/hosts of the receiver, which may connect the two addresses after all. DNS answers in the
    capture count: if the receiver's own resolver gave it the right address for the announced name, it understood; if
    one gave it to others alone, this is only suspected. So it is for receivers other than Linux, which may go by the
    name alone.

    What to do: send it from the service address and under its name, `sm-notify -f -v ADDRESS`, and share
    /var/lib/nfs/sm between the nodes of a cluster; on multi-homed servers see that the name resolves to all
    addresses. Ganesha and ctdb have tools of their own that are given the address: check their configuration.
    """
    for row in history.recoveries:
        foreign = [t for t in row.answered if t.sender != row.boot.host]
        if not foreign:
            continue
        yield Judged()
        right = any(t.sender == row.boot.host for t in row.tries)
        if row.notify is not Notify.ANSWERED or right:
            continue
        if row.role == "client" and row.decided is None:
            yield NotAssessed(assumptions.undecided(history, row))
            continue
        yield _finding(history, row, foreign)


def _finding(history: History, row: Recovery, foreign: list[Try]) -> Finding:
    boot, peer = row.boot, row.peer
    lost = row.having(Outcome.MISSING, Outcome.STOLEN)
    held = words.grants(history, lost) + [words.granted(history, *item) for item in row.left]
    end = row.decided if row.decided is not None else history.extent.last
    doubts = history.visibility.all((boot.host, peer), (V.NO_LOSS, V.BOTH_WAYS, V.DECODED), foreign[0].at.time, end)
    known = history.kind(peer).knows_addresses
    goes_by = assumptions.assumed(history, peer, "which goes by addresses" if known else "which may go by names")
    doubted = any(history.names.leads_to(t.name, boot.host) for t in foreign)
    what = f", which held {words.locks_text(history, lost)}" if lost else ""
    return Finding(
        f"SM_NOTIFY for {words.host(history, boot.host)} came to {words.host(history, peer)}{what} from "
        f"{words.host(history, foreign[0].sender)}, another address than its locks are on",
        words.evidence(
            [Evidence(t.at, f"SM_NOTIFY mon_name={t.name} state={t.state}") for t in foreign],
            [Evidence(t.answered, "answered: this says nothing") for t in foreign if t.answered],
            [e for t in foreign for e in words.resolver(history, t, boot.host)],
            held,
            words.restart(history, boot),
        ),
        consequence=(f"It was answered and ignored{goes_by}; no lock was reclaimed." if lost else NOT_LOST)
        + (" DNS told others that the announced name has the right address." if doubted else "")
        + words.because(doubts),
        remedy="Send it from the service address and under its name: sm-notify -f -v ADDRESS.",
        severity=None if lost else Severity.WARNING,
        confidence=words.confidence(doubts, also=boot.proven and known and not doubted),
        server=boot.host if row.role == "client" else peer,
        client=peer if row.role == "client" else boot.host,
        other=foreign[0].sender,
        boot=boot.number,
        locks=words.refs(history, lost),
    )
