"""What else than a visibility condition can make a rule unsure. Shared by the rules about two owners of one range."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nlmdissect.findings import At, Evidence
from nlmdissect.history.fates import File, Grant, Owner
from nlmdissect.history.history import History
from nlmdissect.history.notices import Try, between, within
from nlmdissect.history.recovery import Recovery
from nlmdissect.machines.hold import H
from nlmdissect.machines.ranges import Piece
from nlmdissect.protocols.nlm import UNKNOWN
from nlmdissect.rpc.requests import GRANTED, Op, Request

FEW = 4  # bytes that damage changes, and locks that one message is about
CROWD = 256  # where so many requests are nearly the same, none of them stands out
CHANGES = frozenset({Op.LOCK, Op.NM_LOCK, Op.UNLOCK})


def restarting(history: History, grants: list[Grant]) -> bool:
    """Whether anything says, if not enough, that one side restarted between the two grants."""
    return any(
        history.signs.tell(host, g.piece.granted, g.at) for g in grants for host in (g.file.server, g.owner.client)
    )


def unsettled(history: History, grants: list[Grant]) -> bool:
    """Whether an owner asked to change, before it lost a range, what it held there, and no answer is in the capture.

    It may have been a downgrade or an UNLOCK that the server did carry out.
    """
    said = history.dealings.between
    return any(
        r.op in CHANGES
        and r.start <= g.end
        and g.start <= r.end
        and g.piece.granted < r.at
        and not any(answer.at < g.at for answer in r.answers)
        for g in grants
        for r in said((g.file.server, g.owner.client, g.file.fh, g.owner.svid), g.piece.granted, g.at)
    )


def stuck(history: History, row: Recovery) -> list[tuple[File, Owner, Piece]]:
    """What a restarted client had left at a server, without what the server gave to others since: that it had freed."""
    return [
        (file, owner, piece)
        for file, owner, piece in row.left
        if not any(
            r.op in (Op.LOCK, Op.NM_LOCK)
            and (r.client, r.svid) != (owner.client, owner.svid)
            and (r.exclusive or piece.exclusive)
            and any(a.status == GRANTED and a.at > row.boot.not_after for a in r.answers)
            for r in history.dealings.over(*file, piece.start, piece.end)
        )
    ]


def told_elsewhere(history: History, row: Recovery) -> list[Try]:
    """The notices of a restart to another address that seems to be the same host as the peer."""
    names = history.names
    receivers = {*names.notifiers(row.peer)} - {row.peer, row.boot.host}
    pairs = ((sender, receiver) for sender in names.notifiers(row.boot.host) for receiver in receivers)
    told = (t for pair in pairs for t in within(history.notices.tries.get(pair, []), row.boot))
    return sorted(told, key=lambda t: t.at)


def elsewhere(history: History, tries: list[Try]) -> tuple[list[Evidence], str]:
    """The same as evidence, and as a sentence; nothing if there are none."""
    if not tries:
        return [], ""
    address = history.names.address(tries[0].receiver)
    text = f" Not certain: SM_NOTIFY went to {address}, which seems to be the same host."
    return [Evidence(tries[0].at, f"SM_NOTIFY mon_name={tries[0].name} to {address}")], text


def strangers(history: History, row: Recovery, until: int) -> tuple[list[Evidence], str]:
    """Notices to the peer about the time of the restart that may be of the restarted host, as evidence and as a
    sentence: from addresses that have to do with no lock, or that seem to be at the same card. The peer may have been
    told at another address of its card as well.
    """
    names, boot = history.names, row.boot
    since = boot.not_before or boot.not_after
    own = {*names.notifiers(boot.host)}

    def strange(t: Try) -> bool:
        return t.sender not in own and (not names.roles.get(t.sender) or names.at_one_card(t.sender, boot.host))

    to = (between(history.notices.to(receiver), since, At(until, 0, 0)) for receiver in names.at_its_card(row.peer))
    found = (next(filter(strange, _counted(history, tries)), None) for tries in to)
    first = min((t for t in found if t is not None), key=lambda t: t.at, default=None)
    if first is None:
        return [], ""
    address = names.address(first.sender)
    text = f" Not certain: SM_NOTIFY for {first.name} came from {address}, which may be another address of this host."
    return [Evidence(first.at, f"SM_NOTIFY mon_name={first.name} from {address}")], text


def came_back_elsewhere(history: History, server: int, client: int, since: At, until: At) -> Try | None:
    """The first notice to a server, in a span of time, in the name of a client from an address that was first heard
    when the client's had fallen silent for good: it may be the same machine, which restarted and has another address.
    """
    said, senders = history.traffic.said, {*history.names.notifiers(client)} - {client}
    last = history.traffic.last_heard(client)
    later = {sender for sender in senders if last < next((s.first for s in said(sender)), 0)}
    told = between(history.notices.to(server), since, until) if later else ()
    return next((t for t in _counted(history, told) if t.sender in later), None)


def _counted(history: History, tries: Iterable[Try]) -> Iterator[Try]:
    """Raises TooMuchError."""
    for t in tries:
        history.dealings.looks.spend(1)
        yield t


def gone_elsewhere(history: History, grant: Grant) -> Try | None:
    """The same of the client from which a range was taken: it lost nothing if it restarted."""
    if grant.before is not H.EXPOSED:
        return None
    return came_back_elsewhere(history, grant.file.server, grant.owner.client, grant.piece.granted, grant.at)


def many_behind(history: History, endpoint: int) -> bool:
    """Whether an address calls itself by several names, as a router does that translates the addresses of others: one
    of them may have restarted while the connections of another go on.
    """
    return len({name.casefold().partition(".")[0] for name in history.names.unannounced.get(endpoint, ())}) > 1


def misread(history: History, locks: Iterable[tuple[File, Owner, int, int]]) -> At | None:
    """Where a client gives up or reclaims what it was never granted, and what only in one thing, by a few bytes, is not
    one of these locks: one of two messages may be damaged, and both speak of one lock. None where checksums vouch for
    what the client said, and for more locks than one message is about.
    """
    of = list(locks)
    return next((at for lock in of if (at := _misread(history, *lock))), None) if len(of) <= FEW else None


def misread_grants(history: History, grants: list[Grant]) -> At | None:
    """The same of what was taken, and of what took it."""
    taken = misread(history, ((g.file, g.owner, g.piece.start, g.piece.end) for g in grants))
    return taken or misread(history, ((g.file, g.by, g.start, g.end) for g in grants))


def _misread(history: History, file: File, owner: Owner, start: int, end: int) -> At | None:
    if owner.client in history.traffic.vouched:
        return None
    requests, said, texts = history.requests, history.requests.said, history.texts
    mine = requests.between(file.server, owner.client)
    granted = mine & requests.is_a(Op.LOCK, Op.NM_LOCK) & ~said.reclaim & requests.may_be(GRANTED)
    there, whose = said.fh == file.fh, (said.oh == owner.oh) & (said.svid == owner.svid)
    where = (said.start <= end) & (said.end >= start)
    one_off = mine & (requests.is_a(Op.UNLOCK) | said.reclaim) & (there.astype(int) + whose + where == 2)
    for number in one_off.nonzero()[0][:CROWD].tolist():
        r: Request = requests[number]
        ours, theirs = ((), ()) if where[number] else ((start, end - start), (r.start, r.end - r.start))
        ours, theirs = (texts[file.fh], texts[owner.oh], owner.svid, *ours), (texts[r.fh], texts[r.oh], r.svid, *theirs)
        known = (said.fh == r.fh) & (said.oh == r.oh) & (said.svid == r.svid)
        known &= granted & (said.start <= r.end) & (said.end >= r.start)
        if _alike(ours, theirs) and not known[:number].any():
            return r.at
    return None


def _alike(one: tuple[bytes | int, ...], other: tuple[bytes | int, ...]) -> bool:
    """Whether only a few bytes differ."""
    a, b = ([w if isinstance(w, bytes) else w.to_bytes(9, "big", signed=True) for w in words] for words in (one, other))
    if any(len(x) != len(y) for x, y in zip(a, b, strict=True)):
        return False
    return sum(x != y for x, y in zip(b"".join(a), b"".join(b), strict=True)) <= FEW


def unheard_of(statuses: list[str]) -> str:
    """What an answer means, as a sentence, that no specification knows; empty where it is known, or was given twice."""
    strange = len(statuses) == 1 and statuses[0].startswith(UNKNOWN)
    return " Not certain: there is no such status; said once, it may be a damaged answer." if strange else ""


def nearly(at: At | None) -> str:
    """The same as a sentence."""
    return f" Not certain: frame {at.frame} speaks of nearly this lock; one of them may be damaged." if at else ""
