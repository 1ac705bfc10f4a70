"""NSM002 missing-client-notify."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import At, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import File, Owner
from nlmdissect.history.history import History
from nlmdissect.history.recovery import Notify, Recovery
from nlmdissect.history.waits import Wait
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import V
from nlmdissect.machines.ranges import Piece
from nlmdissect.rpc.requests import Op, Request
from nlmdissect.rules import words
from nlmdissect.rules.doubts import elsewhere, stuck, told_elsewhere

Left = tuple[File, Owner, Piece]
UNSENT = "Run sm-notify -f on the client, and make it run at every boot (rpc-statd-notify.service)."
UNHEARD = (
    "Let UDP from the client reach port 111 of the server and see that rpcbind runs there; then run sm-notify -f on "
    "the client."
)
PATIENCE = 30 * SECOND  # sm-notify of a host that is up runs within this


@rule("NSM002", "missing-client-notify", Severity.ERROR, source="C-02")
def missing_client_notify(history: History) -> Iterator[Verdict]:
    """A client restarted and never told the server that holds its locks.

    Why it matters: a server never drops a lock by itself. Until it is told, or restarts, everybody else is refused
    what the client's former life has locked, the client's own new processes included.

    How it is seen: signs that the client began a new life (its NSM state in LOCK changed, its cookies start again,
    it mounts again, old connections reset), locks that it held before, and neither SM_NOTIFY nor NLM_FREE_ALL to
    the server afterwards. An error if somebody was refused or waited because of it; a warning if no harm came of
    it.

    What it cannot see: a restart that left no packet; a notice that left over a path that was not captured. The
    client's kernel numbers its lock owners from 0 again, so the first process of the new life may be granted what
    the old life holds. A look-up of the server's statd that was answered "not registered" is NSM008.

    What to do: on the client, `systemctl enable --now rpc-statd-notify` (or start sm-notify at boot) and keep
    /var/lib/nfs/sm over reboots. To free the locks now, run `sm-notify -f` on the client, or restart the lock service
    of the server, which costs every client a recovery. On other clients see that the status monitor starts at boot
    (FreeBSD: `rpc_statd_enable` in /etc/rc.conf; illumos: `svcs nfs/status`). Other servers can free the locks of one
    client: `clear_locks CLIENT` on illumos and Solaris, `vserver locks break` on ONTAP.
    """
    for row in history.recoveries:
        if row.role != "server" or not row.left:
            continue
        yield Judged()
        if row.notify is not Notify.MISSING:
            continue
        if any(look.port == 0 for look in row.lookups) and not any(look.port for look in row.lookups):
            continue  # it wanted to tell, but statd is not registered at the server
        end = history.extent.last if row.boot.until is None else row.boot.until
        if end - row.boot.not_after.time < PATIENCE:
            yield NotAssessed(f"the capture ends too soon after the restart of {words.host(history, row.boot.host)}")
            continue
        kept = {id(piece) for _, _, piece in stuck(history, row)}
        left = [item for item in row.left if id(item[2]) in kept or _given_back(history, row, *item)]
        if left:
            yield _finding(history, row, left, id(left[0][2]) in kept, end)


def _finding(history: History, row: Recovery, left: list[Left], still: bool, end: int) -> Finding:
    boot, client, server = row.boot, row.boot.host, row.peer
    harmed = _harmed(history, row, left)
    start = boot.not_before.time if boot.not_before else boot.not_after.time
    doubts = history.visibility.all((client, server), (V.NO_LOSS, V.BOTH_WAYS, V.NSM, V.DECODED), start, end)
    others, doubt = elsewhere(history, told_elsewhere(history, row))
    unsent = any(look.port for look in row.lookups)
    unheard = bool(row.lookups) and not unsent
    tried = [Evidence(look.at, f"asks for the server's statd{words.port_text(look.port)}") for look in row.lookups]
    asked = f"; it asked for the server's statd and got {'a port' if unsent else 'no answer'}" if tried else ""
    first = left[0]
    holds = "still holds" if still else "held on to"
    more = f" and {len(left) - 1} more" if len(left) > 1 else ""
    proof = [words.granted(history, *item) for item in left]
    return Finding(
        f"{words.host(history, client)} restarted and never told {words.host(history, server)}, "
        f"which {holds} its {words.lock_text(history, *first)}{more}{asked}",
        words.evidence(words.restart(history, boot), proof, tried, others, harmed),
        consequence=(
            f"{words.count(len(harmed), 'request', 'was')} refused, or had to wait, because of it."
            if harmed
            else "Nobody was refused because of it so far."
        )
        + words.because(doubts)
        + doubt,
        remedy=UNHEARD if unheard else UNSENT,
        severity=Severity.ERROR if harmed else Severity.WARNING,
        confidence=words.confidence(doubts, also=boot.strength >= 3 and not (others or unsent)),
        server=server,
        client=client,
        boot=boot.number,
        locks=tuple(words.lock(history, *item) for item in left),
    )


def _harmed(history: History, row: Recovery, left: list[Left]) -> list[Evidence]:
    """Requests that were refused, or wait, over what the former life holds: each once."""
    waits: dict[int, Wait] = {}
    refused: dict[int, tuple[Request, At | None]] = {}  # a record is made once
    for file, owner, piece in left:
        for w in history.walked.waits_over(file, piece.start, piece.end):
            if conflicting(w.request, owner, piece):
                waits[w.number] = w
        for r in history.dealings.over(*file, piece.start, piece.end):
            if r.op is Op.LOCK and id(r) not in refused and conflicting(r, owner, piece):
                refused[id(r)] = r, _refused(history, row, r)
    who = words.host
    return [
        *(
            Evidence(w.last, f"{who(history, w.request.client)} still waits")
            for w in waits.values()
            if w.last is not None and w.last >= row.boot.not_after
        ),
        *(
            Evidence(at, f"{who(history, r.client)} svid {r.svid} is refused")
            for r, at in refused.values()
            if at is not None
        ),
    ]


def _refused(history: History, row: Recovery, r: Request) -> At | None:
    """When a request was last refused after the restart, but for what the new life holds."""
    for a in reversed(r.answers):
        if a.status == "DENIED" and a.at >= row.boot.not_after and not _new_life(history, row, r, a.at):
            return a.at
    return None


def _given_back(history: History, row: Recovery, file: File, owner: Owner, piece: Piece) -> bool:
    """Whether the new life took it for its own and unlocked it. What others have without that, the server had freed: it
    was told, unseen.
    """
    return any(
        r.op is Op.UNLOCK
        and (r.server, r.fh, r.client, r.svid) == (*file, owner.client, owner.svid)
        and r.at >= row.boot.not_after
        for r in history.dealings.over(*file, piece.start, piece.end)
    )


def _new_life(history: History, row: Recovery, r: Request, at: At) -> bool:
    """Whether the client's new life held what was in the way by then: then the refusal is in order."""
    return any(
        hold.owner.client == row.boot.host
        and row.boot.not_after < hold.granted < at
        and (hold.released is None or hold.released > at)
        for hold in history.walked.holds_over(File(r.server, r.fh), r.start, r.end)
    )


def conflicting(r: Request, owner: Owner, piece: Piece) -> bool:
    """Whether a request cannot be granted while another owner has ``piece``."""
    same_owner = (r.client, r.svid) == (owner.client, owner.svid)
    return (
        not same_owner
        and not r.reclaim
        and r.start <= piece.end
        and piece.start <= r.end
        and (r.exclusive or piece.exclusive)
    )
