"""NLM001 refused-reclaim."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Confidence, Evidence, Finding, Judged, LockRef, Severity, Verdict, rule
from nlmdissect.history.fates import File, Owner
from nlmdissect.history.history import History
from nlmdissect.history.walk import Reclaim
from nlmdissect.machines.hold import H
from nlmdissect.protocols.nlm import END
from nlmdissect.rpc.requests import GRACE, GRANTED
from nlmdissect.rules import words
from nlmdissect.rules.doubts import unheard_of

# fmt: off
WHY = {
    "DENIED": "somebody else holds a conflicting lock by now, over NLM, NFSv4 or on the server itself",
    "DENIED_NOLOCKS": "the server could not monitor the client (does statd run?), is out of memory, or has no nfsd yet",
    "BLOCKED": "a reclaim must not block: the server is broken, and Linux clients take it for a refusal",
    "DENIED_GRACE_PERIOD": "others were still held off: the grace period is not the same for all exports or nodes",
    "DEADLCK": "the server sees a deadlock, which a reclaim cannot make",
    "ROFS": "the export is read-only now",
    "STALE_FH": "the file or its export is gone, or got another file handle (fsid)",
    "FBIG": "the range is too large for the server",
    "FAILED": "the server failed",
}
# fmt: on
STILL_HELD = frozenset({H.HELD, H.EXPOSED, H.DOUBTED})


@rule("NLM001", "refused-reclaim", Severity.ERROR, source="C-07")
def refused_reclaim(history: History) -> Iterator[Verdict]:
    """A reclaim was answered with anything but GRANTED.

    Why it matters: the lock is lost, and nobody tells the application. Linux only logs "lockd: failed to reclaim lock"
    and drops it from its list; Solaris and illumos send SIGLOST.

    How it is seen: NLM_LOCK with reclaim = TRUE, a status that is not GRANTED, and no later reclaim of the same
    range that was granted. The status says why: STALE_FH (file or export gone), DENIED (somebody else was faster),
    DENIED_NOLOCKS (the server cannot monitor this client), ROFS, FBIG, FAILED. A refusal with DENIED_GRACE_PERIOD
    outside of the grace period is NLM003. Where no restart is seen since it was granted, the server still holds it,
    and the refusal is a warning.

    What it cannot see: a conflicting lock taken over NFSv4 or by a process on the server itself.

    What to do: restart the application that held this lock, for its data may be written by two. For STALE_FH check
    that all exports are there, with the same fsid, before lockd starts; for DENIED_NOLOCKS that rpc.statd runs before
    nfsd. On clusters and appliances see that the file system is there before its address comes up.
    """
    refused: dict[tuple[int, int, str, bool], list[Reclaim]] = {}
    for reclaim in history.walked.reclaims:
        yield Judged()
        if reclaim.answer is None or is_late(reclaim) or not is_lost(history, reclaim):
            continue
        r = reclaim.request
        refused.setdefault((r.server, r.client, reclaim.answer.status, is_needless(reclaim)), []).append(reclaim)
    for (_, _, status, _), reclaims in refused.items():
        yield finding(
            history, reclaims, f"refused with {status}", WHY.get(status, "the server answered with an RPC error")
        )


def is_late(reclaim: Reclaim) -> bool:
    """Refused because the grace period was over."""
    return reclaim.answer is not None and reclaim.answer.status == GRACE and reclaim.in_grace is not True


def is_lost(history: History, reclaim: Reclaim) -> bool:
    """Whether the last word on this reclaim, and on any later one of its range by its owner, is a refusal."""
    r, answer = reclaim.request, reclaim.answer
    if answer is None or answer.status == GRANTED or r.answers[-1] != answer:
        return False
    return not any(
        other.answer is not None
        and other.answer.status == GRANTED
        and other.answer.order > answer.order
        and other.boot == reclaim.boot
        and other.request.start <= r.start
        and r.end <= other.request.end
        for other in history.walked.reclaims_over(File(r.server, r.fh), Owner(r.client, r.oh, r.svid), r.start, r.end)
    )


def is_needless(reclaim: Reclaim) -> bool:
    """Whether the server holds all that the client reclaims, granted in this life: a notice without a restart."""
    return reclaim.boot is None or (bool(reclaim.pieces) and all(p.state in STILL_HELD for p in reclaim.pieces))


def finding(history: History, reclaims: list[Reclaim], what: str, why: str) -> Finding:
    """One finding for all reclaims of one client that were refused in one way."""
    first = reclaims[0]
    r, boot = first.request, None if is_needless(first) else history.boot(first.boot)
    client, server = words.host(history, r.client), words.host(history, r.server)
    more = f" and {len(reclaims) - 1} more" if len(reclaims) > 1 else ""
    proof: list[Evidence] = []
    for reclaim in reclaims:
        answer = reclaim.answer
        assert answer is not None
        call = max((s for s in reclaim.request.sends if s.order < answer.order), default=reclaim.request.sends[0])
        proof.append(Evidence(answer.at, f"reclaim answered {answer.status}"))
        proof.append(
            Evidence(call.at, f"NLM_LOCK reclaim {words.span_text(reclaim.request.start, reclaim.request.end)}")
        )
    held = [
        words.granted(
            history, File(c.request.server, c.request.fh), Owner(c.request.client, c.request.oh, c.request.svid), piece
        )
        for c in reclaims
        for piece in c.pieces
    ]
    lost = boot is not None
    strange = unheard_of([c.answer.status for c in reclaims if c.answer])
    return Finding(
        f"{client} lost its {words.kind_of(r.exclusive)} lock {words.span_text(r.start, r.end)} of svid {r.svid} on "
        f"{history.called(r.server, r.fh, r.at)}{more}: {server} {what} to its reclaim"
        if lost
        else f"{server} {what} to a reclaim of {client} that no restart explains",
        words.evidence(proof[:2], held, proof[2:], words.restart(history, boot) if boot else None),
        consequence=f"The application still believes that it holds the lock: {why}.{strange}"
        if lost
        else "The server still holds what it granted before; nothing is lost by this refusal alone.",
        remedy="Restart the application that held the lock; then mend the cause that the status names."
        if lost
        else "Find out why the client believed that the server had restarted.",
        severity=None if lost else Severity.WARNING,
        confidence=Confidence.CONFIRMED if boot is not None and boot.proven and not strange else Confidence.SUSPECTED,
        server=r.server,
        client=r.client,
        boot=boot.number if boot else None,
        status=first.answer.status if first.answer else "",
        locks=tuple(_ref(history, c) for c in reclaims),
    )


def _ref(history: History, reclaim: Reclaim) -> LockRef:
    """The lock that the reclaim names; proven by the grant, or by the reclaim itself."""
    r, texts = reclaim.request, history.texts
    at = reclaim.pieces[0].granted if reclaim.pieces else r.at
    name = texts[r.caller_name].decode("utf-8", "backslashreplace")
    end = None if r.end == END else r.end
    return LockRef(r.server, texts[r.fh], name, r.svid, texts[r.oh], r.start, end, r.exclusive, at)
