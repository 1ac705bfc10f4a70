"""NSM004 misdirected-notify."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.capture.messages import Kind
from nlmdissect.findings import Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import Outcome
from nlmdissect.history.history import History
from nlmdissect.history.recovery import Recovery
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import V
from nlmdissect.rules import words
from nlmdissect.rules.doubts import stuck

HEALED = 60 * SECOND
PORT_UNREACHABLE = ((3, 3), (1, 4))  # (type, code) of ICMP and of ICMPv6


@rule("NSM004", "misdirected-notify", Severity.ERROR, source="C-04")
def misdirected_notify(history: History) -> Iterator[Verdict]:
    """SM_NOTIFY went to a wrong or dead port and was not healed.

    Why it matters: a notice to a port where no statd listens tells nobody anything, and the sender may keep to that
    port.

    How it is seen: SM_NOTIFY answered by ICMP port unreachable or by an RPC error (PROG_UNAVAIL, PROG_MISMATCH), or
    sent to another port than the last look-up gave; and no answered notice to the same host within 60 s, or before
    the grace period was over. Linux looks the port up again after four tries, so a statd that restarted in between is
    found again.

    What it cannot see: an ICMP message that a firewall drops; then it is NSM003.

    What to do: on the receiver, is rpc.statd running, and at the port that `rpcinfo -p` says? Give it a fixed one
    (`port=` in the [statd] section of /etc/nfs.conf) and open it. For a cluster's own tool, do not configure statd's
    port by hand. On FreeBSD `rpc.statd -p` fixes it, on macOS `nfs.statd.port` in /etc/nfs.conf.
    """
    for row in history.recoveries:
        if not row.tries:
            continue
        yield Judged()
        dead = misdirected(history, row)
        if not dead or _healed(row):
            continue
        if history.extent.last - row.tries[-1].at.time < HEALED and row.decided is None:
            yield NotAssessed(
                f"the capture ends before SM_NOTIFY to {words.host(history, row.peer)} could be tried again"
            )
            continue
        yield _finding(history, row, dead)


def misdirected(history: History, row: Recovery) -> list[Evidence]:
    """What says that tries of a row went to a wrong or dead port."""
    found: list[Evidence] = []
    looks = [(look.answered, look.port) for look in reversed(row.lookups) if look.port and look.answered]
    for t in row.tries:
        known = next((port for answered, port in looks if answered < t.at), None)
        if t.error in ("PROG_UNAVAIL", "PROG_MISMATCH") and t.answered:
            found.append(Evidence(t.answered, f"answered {t.error}: no statd at this port"))
        elif known and t.port != known and t.answered is None:
            found.append(Evidence(t.at, f"SM_NOTIFY to port {t.port}, statd is at {known}"))
    ports = {(t.sender, t.receiver, t.port) for t in row.tries}
    for sent in ports:
        found += [
            Evidence(s.at, f"ICMP port unreachable: nobody listens at port {sent[2]}")
            for s in history.signals.of(Kind.ICMP, sent, row.tries[0].at.time - 1, row.boot.until)
            if (s.a, s.b) in PORT_UNREACHABLE and row.tries[0].at <= s.at
        ]
    return sorted(found, key=lambda e: e.at)


def _healed(row: Recovery) -> bool:
    """Whether a later try was answered, in time to reclaim."""
    over = row.boot.grace_over if row.role == "client" else None
    return any(over is None or t.at < over or t.at.time - row.tries[0].at.time < HEALED for t in row.answered)


def _finding(history: History, row: Recovery, dead: list[Evidence]) -> Finding:
    boot, peer = row.boot, row.peer
    lost = row.having(Outcome.MISSING, Outcome.STOLEN, Outcome.REFUSED)
    held = words.grants(history, lost) + [words.granted(history, *item) for item in stuck(history, row)]
    until = min(row.tries[-1].at.time + HEALED, history.extent.last)
    doubts = history.visibility.all((peer, boot.host), (V.NO_LOSS, V.BOTH_WAYS), row.tries[0].at.time, until)
    tries = [Evidence(t.at, f"SM_NOTIFY to port {t.port}") for t in row.tries]
    what = f", which held {words.locks_text(history, lost)}" if lost else ""
    return Finding(
        f"SM_NOTIFY from {words.host(history, boot.host)} to {words.host(history, peer)}{what} went to a port "
        "where no statd listens",
        words.evidence(dead[:1], tries, dead[1:], held, words.restart(history, boot)),
        consequence=f"{words.host(history, peer)} was not told of the restart." + words.because(doubts),
        remedy="See that rpc.statd runs there, at the port that rpcinfo -p shows; give it a fixed port.",
        severity=None if held else Severity.WARNING,
        confidence=words.confidence(doubts, also=boot.proven and _is_sure(dead)),
        server=boot.host if row.role == "client" else peer,
        client=peer if row.role == "client" else boot.host,
        boot=boot.number,
        locks=words.refs(history, lost),
    )


def _is_sure(dead: list[Evidence]) -> bool:
    return any("ICMP" in e.what or "PROG" in e.what for e in dead)
