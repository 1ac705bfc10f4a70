"""NLM015 lost-unlock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nlmdissect.findings import At, Confidence, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.dealings import RPC_ERRORS, Said
from nlmdissect.history.fates import File, Owner
from nlmdissect.history.history import History
from nlmdissect.hosts.implementations import LONGEST_AGAIN, PUT_OFF_UNLOCK
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import V
from nlmdissect.machines.hold import H
from nlmdissect.machines.ranges import Piece
from nlmdissect.rpc.requests import GRACE, GRANTED, UNREADABLE, Op
from nlmdissect.rules import requested, words
from nlmdissect.rules.doubts import unheard_of
from nlmdissect.rules.nsm002_missing_client_notify import conflicting

GIVEN_UP = 4 * PUT_OFF_UNLOCK * SECOND  # a client that is put off by the grace period has asked again by then
CROSSING = 5 * SECOND  # others may be refused while an UNLOCK is under way
HARMLESS = frozenset({GRANTED, UNREADABLE, "STALE_FH"})  # with STALE_FH the file is gone, and its locks with it


@dataclass(frozen=True, slots=True)
class _Case:
    """A lock that its owner has given up, and the server may still hold. ``tries`` are the UNLOCKs, ``status`` the
    answer to the last of them ("": none); ``harmed`` are others that were refused because of it.
    """

    file: File
    owner: Owner
    piece: Piece
    tries: list[Said]
    status: str
    harmed: list[Evidence]


@rule("NLM015", "lost-unlock", Severity.ERROR, source="C-21")
def lost_unlock(history: History) -> Iterator[Verdict]:
    """An UNLOCK never got through.

    Why it matters: the client has forgotten the lock and the server has not. Nobody gives it back any more: everybody
    else is refused until the owner locks and unlocks the range again, or one of the two restarts.

    How it is seen: a lock that was granted, an NLM_UNLOCK of it without an answer to any of its transmissions for 60
    s, or answered with an error or DENIED_GRACE_PERIOD and not repeated. It is over, and no finding, when a later
    UNLOCK is granted, the owner locks the range again, somebody else is granted it, or the server restarts.
    Confirmed where the server said no, or refused the range to others afterwards; an UNLOCK that is just not answered
    may have been carried out, and is only suspected.

    What it cannot see: a process that ended without an UNLOCK on the wire. STALE_FH is no complaint: the file is gone.

    What to do: Linux clients give up an UNLOCK when lockd's port cannot be found (GETPORT answers 0: is lockd up?) or
    on EACCES, and log "lockd: unexpected unlock status". To free the range, lock and unlock it on the same client, or
    restart the server's lock service, which costs every client a recovery. On other servers look in `/proc/locks` or
    its like for the owner that is named here.
    """
    yield Judged(int(history.requests.is_a(Op.UNLOCK).sum()))
    found: dict[tuple[int, int], list[_Case]] = {}
    with history.dealings.looks.until_enough():
        for file, owner, piece in history.walked.table.of():
            if piece.state is not H.RELEASING:
                continue
            case = _case(history, file, owner, piece)
            why = _too_soon(history, case) if case is not None else ""
            if why:
                yield NotAssessed(why)
            elif case is not None:
                found.setdefault((file.server, owner.client), []).append(case)
    for cases in found.values():
        yield _finding(history, cases)


def _case(history: History, file: File, owner: Owner, piece: Piece) -> _Case | None:
    tries = [
        Said(send.at, r)
        for r in history.dealings.over(*file, piece.start, piece.end)
        if r.op is Op.UNLOCK and (r.client, r.svid) == (owner.client, owner.svid) and r.readable
        and r.start <= piece.start and piece.end <= r.end
        for send in r.sends
        if send.at > piece.granted
    ]  # fmt: skip
    tries.sort(key=lambda said: said.at)
    if not tries:
        return None
    answers = [a for said in tries for a in said.request.answers if a.at > piece.granted]
    status = max(answers, key=lambda a: a.order).status if answers else ""
    if status in HARMLESS:
        return None
    return _Case(file, owner, piece, tries, status, _harmed(history, file, owner, piece, tries[0].at))


def _harmed(history: History, file: File, owner: Owner, piece: Piece, since: At) -> list[Evidence]:
    """Others who were refused the range while nobody else is known to have it."""
    others = [
        row
        for row in history.walked.holds_over(file, piece.start, piece.end)
        if (row.owner.client, row.owner.svid) != (owner.client, owner.svid)
    ]  # fmt: skip
    return [
        Evidence(a.at, f"{words.host(history, r.client)} is refused: {a.status}")
        for r in history.dealings.over(*file, piece.start, piece.end)
        if r.op is Op.LOCK and conflicting(r, owner, piece)
        for a in r.answers
        if a.status in ("DENIED", "BLOCKED") and a.at.time > since.time + CROSSING
        and not any(row.granted < a.at and (row.released is None or row.released > a.at) for row in others)
    ]  # fmt: skip


def _too_soon(history: History, case: _Case) -> str:
    """Why the capture does not show that an UNLOCK is lost; empty if it does."""
    server, client = case.file.server, case.owner.client
    first, last = case.tries[0].at.time, case.tries[-1].at.time
    blind = history.visibility.all((server, client), (V.BOTH_WAYS,), first, history.extent.last)
    if blind:
        return blind[0].why
    if case.harmed:
        return ""
    if case.status == GRACE:
        soon = history.extent.last - last <= GIVEN_UP
    elif case.status:
        soon = False
    else:
        soon = history.extent.last - first <= LONGEST_AGAIN * SECOND
    if soon:
        return "the capture ends while the client may still repeat an UNLOCK"
    if not _repeated(history, case):
        return "an UNLOCK without an answer was not repeated, as if the client had got one"
    return ""


def _repeated(history: History, case: _Case) -> bool:
    """Whether the client shows that it got no answer. Over TCP it does not send again while the connection lives."""
    if case.status or len(case.tries) > 1:
        return True
    pair, first = (case.file.server, case.owner.client), case.tries[0]
    whole = not history.visibility.all(pair, (V.NO_LOSS,), first.at.time, history.extent.last)
    return whole and bool(history.calls.tcp[first.request.sends[0].row])


def _finding(history: History, cases: list[_Case]) -> Finding:
    cases.sort(key=lambda case: not (case.harmed or case.status))
    case = cases[0]
    server, client = case.file.server, case.owner.client
    said = f"answered {case.status}" if case.status else "never answered"
    conditions = (V.SPAN, V.NO_LOSS, V.DECODED)
    doubts = history.visibility.all((server, client), conditions, case.piece.granted.time, history.extent.last)
    answers = {a.at: a.status for c in cases for said in c.tries for a in said.request.answers}
    strange = unheard_of([*answers.values()])
    refused = bool(case.status) and case.status not in RPC_ERRORS and not strange
    sure = refused or (bool(case.harmed) and _repeated(history, case))
    more = f", and {len(cases) - 1} more" if len(cases) > 1 else ""
    lock = words.lock_text(history, case.file, case.owner, case.piece)
    return Finding(
        f"The UNLOCK by {words.host(history, client)} of its {lock} at {words.host(history, server)} was {said} "
        f"({words.count(len(case.tries), 'transmission')}){more}",
        words.evidence(*(_evidence(history, case) for case in cases)),
        consequence=(
            f"{words.count(len(case.harmed), 'request', 'was')} refused since."
            if case.harmed
            else "Nobody was refused so far."
        )
        + " The server may hold the lock for an owner that has forgotten it."
        + words.because(doubts)
        + (strange or ("" if sure else " Not certain: the server may have carried it out.")),
        remedy="Lock and unlock the range again on the same client, or restart the server's lock service.",
        confidence=Confidence.CONFIRMED if sure and not doubts else Confidence.SUSPECTED,
        server=server,
        client=client,
        locks=tuple(words.lock(history, c.file, c.owner, c.piece) for c in cases),
    )


def _evidence(history: History, case: _Case) -> list[Evidence]:
    request = case.tries[-1].request
    proof = [Evidence(said.at, requested.procedure(said.request)) for said in case.tries]
    proof += [Evidence(a.at, f"answered {a.status}") for a in request.answers[-1:]]
    return [*proof, words.granted(history, case.file, case.owner, case.piece), *case.harmed]
