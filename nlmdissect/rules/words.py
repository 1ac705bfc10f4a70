"""How findings speak: hosts, locks, moments and frames in one voice. No judgement here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address

from nlmdissect.capture.messages import Kind
from nlmdissect.findings import At, Confidence, Evidence, LockRef
from nlmdissect.history.fates import Fate, File, Grant, Owner
from nlmdissect.history.history import History
from nlmdissect.history.notices import Try
from nlmdissect.hosts.boot import Boot
from nlmdissect.hosts.called import same_host
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import Sight
from nlmdissect.machines.ranges import Piece
from nlmdissect.protocols.nlm import END

ROOM = 5 * SECOND
MANY = 40  # more evidence than this helps nobody; the tables have the rest


def host(history: History, endpoint: int | None) -> str:
    return history.names.label(endpoint)


def port_text(port: int | None) -> str:
    """How a look-up was answered, behind a colon."""
    return ": never answered" if port is None else f": port {port}"


def kind_of(exclusive: bool) -> str:
    return "write" if exclusive else "read"


def taken(history: History, grant: Grant) -> Evidence:
    """The frame that gave a range to another owner."""
    what = f"{kind_of(grant.exclusive)} {span_text(grant.start, grant.end)}"
    return Evidence(grant.at, f"{what} granted to {host(history, grant.by.client)}")


def count(number: int, what: str, then: str = "") -> str:
    """``1 lock``, ``2 locks``; with ``then``, ``was``: ``1 lock was``, ``2 locks were``."""
    verb = {"was": "were", "is": "are"}.get(then, then) if number != 1 else then
    return f"{number} {what}{'' if number == 1 else 's'}" + (f" {verb}" if verb else "")


def span_text(start: int, end: int | None) -> str:
    return f"{start}-{'EOF' if end is None or end == END else end}"


def lock(history: History, file: File, owner: Owner, piece: Piece) -> LockRef:
    """A piece as a finding names it."""
    texts = history.texts
    name = history.names.caller(*owner)
    return LockRef(
        file.server, texts[file.fh], name, owner.svid, texts[owner.oh], piece.start,
        None if piece.end == END else piece.end, piece.exclusive, piece.granted,
    )  # fmt: skip


def lock_text(history: History, file: File, owner: Owner, piece: Piece) -> str:
    """``write lock 0-99 of svid 0 on /export:/dir/file``; whose it is, if its host goes by several names."""
    where, name = history.called(*file, piece.granted), history.names.caller(*owner)
    first = (history.names.claimed.get(owner.client) or [name])[0]
    whose = "" if same_host(name, first) else f" at {name}"
    return f"{kind_of(piece.exclusive)} lock {span_text(piece.start, piece.end)} of svid {owner.svid}{whose} on {where}"


def whole(fates: Iterable[Fate]) -> list[tuple[File, Owner, Piece]]:
    """The locks that fates are about, each once; parts of one lock that lie side by side are one."""
    found: list[tuple[File, Owner, Piece]] = []
    for fate in sorted(fates, key=lambda f: (f.piece.granted, f.piece.orphan, f.piece.start)):
        if found and found[-1][2].orphan == fate.piece.orphan and found[-1][2].end + 1 == fate.piece.start:
            file, owner, piece = found[-1]
            found[-1] = (file, owner, replace(piece, end=fate.piece.end))
        else:
            found.append((fate.file, fate.owner, fate.piece))
    return found


def locks_text(history: History, fates: Iterable[Fate]) -> str:
    """One lock in full, or how many there are."""
    of = whole(fates)
    first = lock_text(history, *of[0])
    return first if len(of) == 1 else f"{first} and {len(of) - 1} more"


def refs(history: History, fates: Iterable[Fate]) -> tuple[LockRef, ...]:
    return tuple(lock(history, *item) for item in whole(fates))


def grants(history: History, fates: Iterable[Fate]) -> list[Evidence]:
    """The frames that prove that locks were held."""
    return [granted(history, *item) for item in whole(fates)]


def held_since(fates: Iterable[Fate]) -> int:
    """When the first of the locks was granted (ns): what the capture lost since then may have been its release."""
    return min(fate.piece.granted.time for fate in fates)


def granted(history: History, file: File, owner: Owner, piece: Piece) -> Evidence:
    """The frame that proves that a lock was held, or the reclaim that says so where its grant was not seen."""
    what, whose = f"{kind_of(piece.exclusive)} {span_text(piece.start, piece.end)}", host(history, owner.client)
    if not piece.known:
        return Evidence(piece.granted, f"{whose} svid {owner.svid} reclaims {what}: it says that it held it")
    return Evidence(piece.granted, f"{whose} svid {owner.svid} holds {what} from here on")


def restart(history: History, boot: Boot) -> tuple[Evidence, ...]:
    """The first signs of a restart."""
    return tuple(Evidence(e.at, f"restart of {host(history, boot.host)}: {e.what}") for e in boot.evidence[:4])


def evidence(*parts: Evidence | Iterable[Evidence] | None) -> tuple[Evidence, ...]:
    """Join evidence, each frame once, in the order given."""
    found: dict[At, Evidence] = {}
    for part in parts:
        for item in [part] if isinstance(part, Evidence) else part or ():
            if item.at.frame:
                found.setdefault(item.at, item)
    return tuple(found.values())[:MANY]


def confidence(doubts: Iterable[Sight], also: bool = True) -> Confidence:
    """Confirmed if no visibility condition fails, and whatever else must be true is."""
    return Confidence.CONFIRMED if also and not list(doubts) else Confidence.SUSPECTED


def resolver(history: History, notice: Try, host: int) -> list[Evidence]:
    """What the receiver's own resolver told it of the name in a notice about ``host``."""
    names = history.names
    said = names.resolved.leads_to(notice.name, names.endpoints.addresses[host], notice.receiver, notice.at)
    if said is None:
        return []
    where = ", ".join(str(ip_address(address)) for address in sorted(said.addresses))
    what = f"{said.names[0]} is {where}" if where else f"there is no {said.names[0]}"
    return [Evidence(said.at, f"DNS tells {history.names.label(notice.receiver)}: {what}")]


def because(doubts: Iterable[Sight]) -> str:
    """What a finding that is only suspected could not be sure of, as a sentence; empty if nothing."""
    reasons = dict.fromkeys(f"{sight.condition} {sight.why}" for sight in doubts)
    return f" Not certain: {'; '.join(reasons)}." if reasons else ""


def heard_after(history: History, host: int, time: int) -> bool:
    """Whether a host was heard in the same life after a moment (ns), if there was time: it may have said more, out of
    sight.
    """
    if history.extent.last - time < ROOM:
        return True
    end = _end_of_life(history, host, time)
    return _heard(history, host, time, end) or bool(history.signals.of(Kind.ARP, (host,), time, end))


def alive(history: History, peer: int, boot: Boot) -> bool:
    """Whether a host was heard in the same life after another one's restart: one that is down has lost nothing."""
    time = boot.not_after.time
    return _heard(history, peer, time, _end_of_life(history, peer, time))


def silence(history: History, peer: int, boot: Boot) -> str:
    """What a host's silence since another one's restart may mean, as a sentence; empty if it was heard."""
    if alive(history, peer, boot):
        return ""
    name = host(history, peer)
    if peer in history.deaths:
        return f" {name} sent nothing since the restart, and answers nothing: it is down or cut off."
    return f" {name} sent nothing since the restart: it may be down."


def _heard(history: History, host: int, after: int, before: int) -> bool:
    return history.traffic.heard(host, after, before)


def _end_of_life(history: History, host: int, time: int) -> int:
    """When the next life of a host began after a moment (ns): what it says from then on it knows nothing of."""
    begun = (boot.not_after.time for boot in history.boots.of(host) if not boot.lived_on)
    return min((at for at in begun if at > time), default=history.extent.last + 1)


def who_restarted(history: History, boot: Boot) -> str:
    """The host, or only its lockd: not every capture can tell."""
    name = host(history, boot.host)
    if boot.lived_on:
        return f"lockd on {name} restarted"
    return f"{name} restarted" if boot.told else f"{name}, or its lockd, restarted"
