"""NSM005 unrecognised-mon-name."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Confidence, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import Outcome
from nlmdissect.history.history import History
from nlmdissect.history.recovery import Notify
from nlmdissect.hosts.visibility import V
from nlmdissect.rules import assumptions, words


@rule("NSM005", "unrecognised-mon-name", Severity.ERROR, source="C-05")
def unrecognised_mon_name(history: History) -> Iterator[Verdict]:
    """SM_NOTIFY was answered, but named a host that the receiver does not know, and nothing followed.

    Why it matters: statd answers every notice, also those that it ignores. The sender is content and stops trying;
    the receiver's locks are lost without a word.

    How it is seen: an answered SM_NOTIFY whose mon_name is not one by which the host went before, a receiver that goes
    by names, and no reclaim although locks were held. Linux receivers also take the source address for a name, so
    with the right address a strange name does no harm there; nor does it where the receiver's own resolver gave the
    announced name the right address.

    What it cannot see: the receiver's own list of names, and its /etc/hosts. So it is never more than suspected.

    What to do: make the announced name the one that clients mount by: the server's host name, or `sm-notify -v NAME`;
    keep short and full names consistent in DNS and /etc/hosts on both sides. `getent hosts NAME` on the receiver
    shows what it makes of the announced name; illumos goes by that and by the name alone.
    """
    for row in history.recoveries:
        if row.role != "client" or not row.answered:
            continue
        yield Judged()
        lost = row.having(Outcome.MISSING, Outcome.STOLEN)
        right = [t for t in row.answered if t.sender == row.boot.host]
        if row.notify is not Notify.ANSWERED or not right or not lost:
            continue
        if row.decided is None:
            yield NotAssessed(assumptions.undecided(history, row))
            continue
        notice = right[0]
        assert notice.answered is not None
        doubts = history.visibility.all(
            (row.peer, row.boot.host), (V.NO_LOSS, V.BOTH_WAYS), notice.at.time, history.extent.last
        )
        yield Finding(
            f"SM_NOTIFY to {words.host(history, row.peer)} names {notice.name}, which it does not seem to know: "
            f"it answered, and did not reclaim {words.locks_text(history, lost)}",
            words.evidence(
                Evidence(notice.at, f"SM_NOTIFY mon_name={notice.name} state={notice.state}"),
                Evidence(notice.answered, "answered: this says nothing"),
                words.resolver(history, notice, row.boot.host),
                words.grants(history, lost),
            ),
            consequence="The client goes on as if it held its locks"
            + assumptions.assumed(history, row.peer, "which goes by names")
            + "."
            + words.because(doubts),
            remedy="Announce the name that clients know (sm-notify -v), and keep names consistent in DNS.",
            confidence=Confidence.SUSPECTED,
            server=row.boot.host,
            client=row.peer,
            boot=row.boot.number,
            locks=words.refs(history, lost),
        )
