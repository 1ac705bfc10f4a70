"""NSM006 stale-notify-state."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from nlmdissect.findings import Confidence, Evidence, Finding, Judged, Severity, Verdict, rule
from nlmdissect.history.fates import Outcome
from nlmdissect.history.history import History
from nlmdissect.history.notices import Try
from nlmdissect.hosts.boots import Boot, life_at
from nlmdissect.rules import words


@rule("NSM006", "stale-notify-state", Severity.ERROR, source="C-06a, C-06c")
def stale_notify_state(history: History) -> Iterator[Verdict]:
    """The NSM state did not change over a restart (a Linux receiver ignores it), or went backwards.

    Why it matters: a Linux statd acts on a notice only if its state differs from the last one of that host. The same
    number after a restart is answered, and ignored: nobody reclaims, nobody frees. A number that goes backwards is
    acted on, but says that the state directory was lost or shared.

    How it is seen: SM_NOTIFYs of one host from two of its lives, the later with the same state or a lower one. Never
    compared with the `state` of LOCKs, which may lag behind, and never with a notice that no restart explains. An
    error if the state is the same and the receiver had locks that it did not reclaim; else a warning.

    What it cannot see: a restart with nobody to notify, which rightly leaves the state as it is; and the first of two
    lives if it was before the capture.

    What to do: keep /var/lib/nfs (state, sm, sm.bak) on a disk that survives the reboot; do not run `sm-notify -n`;
    after a restore of the machine remove the state file once.
    """
    for sender in {sender for sender, _ in history.notices.tries}:
        seen: dict[int, tuple[Boot, Try]] = {}
        for notice in sorted((t for (s, _), of in history.notices.tries.items() if s == sender for t in of), key=_at):
            boot = life_at(history.boots, sender, notice.at.time)
            if boot is not None and notice.state > 0:
                seen.setdefault(boot.number, (boot, notice))
        yield Judged(max(len(seen) - 1, 0))
        lives = sorted(seen.values(), key=lambda life: life[1].at)
        for (_, before), (boot, after) in pairwise(lives):
            if after.state <= before.state:
                yield _finding(history, sender, boot, before, after)


def _at(notice: Try) -> tuple[int, int, int]:
    return notice.at


def _finding(history: History, sender: int, boot: Boot, before: Try, after: Try) -> Finding:
    same = before.state == after.state
    lost = [
        fate
        for row in history.recoveries
        if row.boot is boot and row.role == "client" and row.answered
        for fate in row.having(Outcome.MISSING, Outcome.STOLEN)
    ]
    stuck = [item for row in history.recoveries if row.boot is boot and row.role == "server" for item in row.left]
    how = f"is {after.state} again" if same else f"went back from {before.state} to {after.state}"
    return Finding(
        f"{words.host(history, sender)} restarted, and the NSM state that it announced {how}",
        words.evidence(
            Evidence(after.at, f"SM_NOTIFY mon_name={after.name} state={after.state}"),
            Evidence(before.at, f"SM_NOTIFY of its life before, state={before.state}"),
            words.grants(history, lost),
            [words.granted(history, *item) for item in stuck],
            words.restart(history, boot),
        ),
        consequence="Linux receivers ignore a state that they know."
        if same
        else "Receivers act on it; the numbers are not to be trusted.",
        remedy="Keep /var/lib/nfs over reboots, and let sm-notify count the state up.",
        severity=None if same and (lost or stuck) else Severity.WARNING,
        confidence=Confidence.CONFIRMED if boot.proven else Confidence.SUSPECTED,
        server=sender if "server" in history.names.roles.get(sender, ()) else None,
        client=None if "server" in history.names.roles.get(sender, ()) else sender,
        boot=boot.number,
        locks=words.refs(history, lost),
    )
