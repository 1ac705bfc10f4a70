"""NLM002 missing-reclaim."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import Fate, Outcome
from nlmdissect.history.history import History
from nlmdissect.history.recovery import Notify, Recovery
from nlmdissect.hosts.visibility import V
from nlmdissect.rules import assumptions, words
from nlmdissect.rules.doubts import misread, nearly
from nlmdissect.rules.nsm012_lost_upcall import is_lost


@rule("NLM002", "missing-reclaim", Severity.ERROR, source="C-08")
def missing_reclaim(history: History) -> Iterator[Verdict]:
    """The client was notified, held the lock, and never reclaimed it.

    Why it matters: the server forgot the lock, the application did not. After the grace period anybody can take it.

    How it is seen: a lock granted before the restart and not unlocked; SM_NOTIFY answered and understood (it came
    from the address that the locks were taken from, or the client's resolver gave that address to the announced name,
    or others acted on it); and no reclaim that covers the lock
    until the grace period was over. Reclaims name the client's current ranges, so it is coverage that counts, not
    equality.

    What it cannot see: whether a client whose other reclaim was never answered would have asked for this lock next
    (suspected); the client's loopback. The usual cause is there: statd took the notice, and its private call
    to lockd was lost or refused. A process that ended sends UNLOCK, which ends the matter if it comes in time.

    What to do: on the client, look for "lockd: " and statd messages at that moment; is UDP on the loopback filtered?
    is lockd registered (`rpcinfo -p | grep nlockmgr`)? Capture on `lo` as well to prove it. Restart the application.
    On FreeBSD and macOS clients `rpc.lockd -d` shows what it was told, on illumos `svcs -l nlockmgr` whether it runs.
    """
    for row in history.recoveries:
        if row.role != "client" or not row.known:
            continue
        yield Judged(len(row.known))
        lost = (f for f in row.known if f.outcome in (Outcome.MISSING, Outcome.STOLEN))
        missing = tuple(f for f in lost if not _reclaimed(history, f))
        if row.notify is not Notify.UNDERSTOOD or not missing or is_lost(history, row):
            continue
        if row.decided is None:
            yield NotAssessed(assumptions.undecided(history, row))
            continue
        yield _finding(history, row, missing, row.decided)


def _reclaimed(history: History, fate: Fate) -> bool:
    """Whether the client did ask for it, if only when another owner had it: NLM001 and NLM003 tell of the answer."""
    piece = fate.piece
    return any(
        reclaim.boot == fate.boot and reclaim.request.start <= piece.start and piece.end <= reclaim.request.end
        for reclaim in history.walked.reclaims_over(fate.file, fate.owner, piece.start, piece.end)
    )


def _finding(history: History, row: Recovery, missing: tuple[Fate, ...], decided: int) -> Finding:
    boot, server, client = row.boot, row.boot.host, row.peer
    start = words.held_since(row.known)
    doubts = history.visibility.all((client, server), (V.SPAN, V.NO_LOSS, V.BOTH_WAYS, V.DECODED), start, decided)
    notices = [Evidence(t.answered, f"SM_NOTIFY mon_name={t.name} answered") for t in row.answered if t.answered]
    foreign = [t for t in row.answered if t.sender != server]
    named = [e for t in foreign[:1] for e in words.resolver(history, t, server)]
    held = words.grants(history, missing)
    over = Evidence(boot.grace_over, "the grace period is over") if boot.grace_over else None
    stuck = next((f.piece.reclaim for f in row.having(Outcome.UNANSWERED) if f.piece.reclaim), None)
    unanswered = Evidence(stuck, "its reclaim of another lock: no answer") if stuck else None
    like = misread(history, ((f.file, f.owner, f.piece.start, f.piece.end) for f in missing))
    done = len({f.piece.orphan for f in row.having(Outcome.RECLAIMED)})
    return Finding(
        f"{words.host(history, client)} was told that {words.host(history, server)} restarted, and never reclaimed its "
        f"{words.locks_text(history, missing)}" + (f" ({words.count(done, 'other', 'was')} reclaimed)" if done else ""),
        words.evidence(notices[:1], held, notices[1:], named, unanswered, words.restart(history, boot), over),
        consequence="The application still believes that it holds the lock; the server gives it to anybody who asks."
        + words.because(doubts)
        + (" Not certain: it may wait for the answer to another reclaim first." if stuck else "")
        + nearly(like),
        remedy="See why the server did not answer a reclaim; restart the application."
        if stuck
        else "Look on the client for why statd did not reach lockd (capture on lo); restart the application.",
        confidence=words.confidence(
            doubts, also=boot.proven and not stuck and not like and words.heard_after(history, client, decided)
        ),
        server=server,
        client=client,
        boot=boot.number,
        locks=words.refs(history, missing),
    )
