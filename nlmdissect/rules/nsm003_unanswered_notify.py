"""NSM003 unanswered-notify."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from nlmdissect.findings import Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import ENDED, Outcome
from nlmdissect.history.history import History
from nlmdissect.history.recovery import Notify, Recovery
from nlmdissect.hosts.visibility import V
from nlmdissect.rules import words
from nlmdissect.rules.doubts import stuck
from nlmdissect.rules.nsm004_misdirected_notify import misdirected


@rule("NSM003", "unanswered-notify", Severity.ERROR, source="C-03")
def unanswered_notify(history: History) -> Iterator[Verdict]:
    """SM_NOTIFY was sent, and no try was ever answered.

    Why it matters: the receiver does not know of the restart. If it held locks they are lost without a word; if it
    is a server, it keeps the locks of the restarted client.

    How it is seen: at least two tries to one host (a sender that was answered does not try again) and no answer to
    any of them, until after the last one. Info if a later try was answered, a warning if the grace period was over
    by then, or if the receiver had no lock to lose: it held none that this capture shows, gave it back, or restarted
    itself.

    What it cannot see: whether the notice or its answer was lost, and on which side of the capture point. A host
    that sends nothing at all after the restart may simply be down, and then it has lost nothing.

    What to do: on the receiver, is rpc.statd running (`rpcinfo -p | grep status`), and does its firewall let UDP from
    the sender in, to port 111 and to statd's port (fix it with `port=` in the [statd] section of /etc/nfs.conf)? Then
    restart the applications that held locks there. On other receivers: `rpc.statd -p` on FreeBSD, `nfs.statd.port` in
    /etc/nfs.conf on macOS, `svcs nfs/status` on illumos.
    """
    newest = _newest(history.recoveries)
    told = _newest(row for row in history.recoveries if row.notify in (Notify.ANSWERED, Notify.UNDERSTOOD))
    # over TCP the other direction may be here, and over UDP not
    udp = {(s.src, s.dst) for s in history.traffic.streams if not s.tcp}
    for row in history.recoveries:
        if not row.tries:
            continue
        yield Judged()
        if row.notify is Notify.SENT:
            yield NotAssessed(f"SM_NOTIFY to {words.host(history, row.peer)}: {row.why}")
        elif row.notify is Notify.UNANSWERED and not _superseded(row, newest, told) and not misdirected(history, row):
            yield _finding(history, row, any((row.peer, t.sender) in udp for t in row.tries))
        elif row.answered and row.answered[0].at != row.tries[0].at:
            yield from _late(history, row)


def _finding(history: History, row: Recovery, udp: bool) -> Finding:
    boot, peer, sender = row.boot, row.peer, row.boot.host
    last = row.tries[-1].at.time
    conditions = (V.NO_LOSS, V.BOTH_WAYS, V.DECODED)
    doubts = history.visibility.all((peer, sender), conditions, row.tries[0].at.time, last)
    alive = words.alive(history, peer, boot)
    orphans = tuple(fate for fate in row.known if fate.outcome not in ENDED)
    held = words.grants(history, orphans)
    left = stuck(history, row)
    held += [words.granted(history, *item) for item in left]
    harmless = not held
    tries = [Evidence(t.at, f"SM_NOTIFY mon_name={t.name} state={t.state}, no answer") for t in row.tries]
    what = f", which held {words.locks_text(history, orphans)}" if orphans else ""
    return Finding(
        f"{words.host(history, sender)} sent SM_NOTIFY {words.count(len(row.tries), 'time')} to "
        f"{words.host(history, peer)}{what}, and was never answered",
        words.evidence(tries[:1], tries[1:], held, words.restart(history, boot)),
        consequence=(
            f"{words.host(history, peer)} was not told of the restart"
            + (" and has not reclaimed its locks" if orphans else "")
            + (" and holds on to the locks of the old life." if left else ".")
            + words.silence(history, peer, boot)
            + words.because(doubts)
        ),
        remedy="Let UDP from the sender reach port 111 and rpc.statd of the receiver, and see that statd runs there.",
        severity=Severity.WARNING if harmless else None,
        confidence=words.confidence(doubts, also=alive and udp and len(row.tries) > 1 and boot.proven),
        server=sender if row.role == "client" else peer,
        client=peer if row.role == "client" else sender,
        boot=boot.number,
        locks=words.refs(history, orphans),
    )


def _late(history: History, row: Recovery) -> Iterator[Finding]:
    """A later try was answered."""
    answer = row.answered[0]
    assert answer.answered is not None
    over = row.boot.grace_over
    late = over is not None and answer.answered >= over and bool(row.known)
    tries = [Evidence(t.at, f"SM_NOTIFY mon_name={t.name}, no answer") for t in row.tries if t.answered is None]
    yield Finding(
        f"SM_NOTIFY from {words.host(history, row.boot.host)} to {words.host(history, row.peer)} was answered only "
        f"at try {row.tries.index(answer) + 1}" + (", after the grace period" if late else ""),
        words.evidence(tries, Evidence(answer.answered, "the answer")),
        consequence="Reclaims came too late." if late else "None: it was answered in time.",
        remedy="Look for packet loss between the two, and at the start-up order of rpc.statd on the receiver.",
        severity=Severity.WARNING if late else Severity.INFO,
        server=row.boot.host if row.role == "client" else row.peer,
        client=row.peer if row.role == "client" else row.boot.host,
        boot=row.boot.number,
    )


def _newest(rows: Iterable[Recovery]) -> dict[tuple[int, int], int]:
    """The number of the last restart of each host that each peer should have heard of."""
    found: dict[tuple[int, int], int] = {}
    for row in rows:
        pair = row.boot.host, row.peer
        found[pair] = max(row.boot.number, found.get(pair, 0))
    return found


def _superseded(row: Recovery, newest: Mapping[tuple[int, int], int], told: Mapping[tuple[int, int], int]) -> bool:
    """The host restarted again: nothing was lost by the first silence if it reached this peer then, or if all that the
    peer held was still to be reclaimed; what became of that is told of the next restart.
    """
    waiting = row.having(Outcome.SUPERSEDED) and all(fate.outcome in ENDED for fate in row.fates)
    return (newest if waiting else told).get((row.boot.host, row.peer), 0) > row.boot.number
