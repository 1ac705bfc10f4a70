"""The heart: for every restart and every peer, what should have happened and what did.

A row is one restart and one peer. Role ``client``: the peer is a client of the restarted server; it should be
notified, and reclaim every piece that it held. Role ``server``: the restarted host was a client of the peer; it
should notify the peer, which then frees what the old life held. Rules read these rows; they re-derive nothing.

*Understood* means: answered, and the notice came from the address that the locks were taken from (a receiver that
goes by names must know the name as well), or the receiver's resolver told it that the announced name has that
address, or another client of the same restart acted on the same name and sender, or this one did. An answer alone
proves nothing: statd answers what it ignores.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto

from nlmdissect.findings import At
from nlmdissect.history.fates import Fate, File, Outcome, Owner
from nlmdissect.history.notices import Lookup, Notices, Sent, Try, within
from nlmdissect.history.walk import Walked
from nlmdissect.hosts.boot import Boot, Boots
from nlmdissect.hosts.called import OneHost
from nlmdissect.hosts.implementations import START_UP, UNKNOWN, Implementation
from nlmdissect.hosts.names import Names
from nlmdissect.hosts.signs import SECOND
from nlmdissect.machines.ranges import Piece

LATE = 3 * SECOND  # a retry may be, and a clock


class Notify(StrEnum):
    """What became of the notice."""

    NOT_EXPECTED = auto()
    MISSING = auto()
    SENT = auto()  # no answer could be seen
    UNANSWERED = auto()
    ANSWERED = auto()
    UNDERSTOOD = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Recovery:
    """One restart and one peer.

    ``fates`` are the peer's orphans (role client), ``left`` what the restarted client had left at the peer (role
    server). ``decided`` is the moment (ns) after which a notice can no longer be called missing too early: the end
    of the grace period as seen, or of the whole time for which the host tries; None where the capture ends before
    it.
    """

    boot: Boot
    peer: int
    role: str
    notify: Notify
    tries: tuple[Try, ...]
    lookups: tuple[Lookup, ...]
    fates: tuple[Fate, ...]
    left: tuple[tuple[File, Owner, Piece], ...]
    decided: int | None
    why: str

    def having(self, *outcomes: Outcome) -> tuple[Fate, ...]:
        return tuple(fate for fate in self.fates if fate.outcome in outcomes)

    @property
    def known(self) -> tuple[Fate, ...]:
        """Orphans whose grant is in this capture and that the server had to monitor for."""
        return tuple(fate for fate in self.fates if fate.piece.known and fate.piece.monitored)

    @property
    def answered(self) -> tuple[Try, ...]:
        return tuple(t for t in self.tries if t.answered is not None and not t.refused)

    def counts(self) -> dict[str, int]:
        """Orphans by outcome, in the words of the report; an orphan in parts counts once, by its worst part."""
        if self.role == "server":
            word = LEFT.get(self.notify, "unknown")
            return {known: len(self.left) if known == word else 0 for known in RANKING}
        worst: dict[int, str] = {}
        for fate in self.fates:
            word = WORDS[fate.outcome]
            known = worst.get(fate.piece.orphan)
            if known is None or RANKING.index(word) < RANKING.index(known):
                worst[fate.piece.orphan] = word
        return {word: sum(1 for w in worst.values() if w == word) for word in RANKING}


# what the notice did to the locks that a restarted client had left behind
LEFT = {Notify.UNDERSTOOD: "released", Notify.MISSING: "missing", Notify.UNANSWERED: "missing"}
RANKING = ("stolen", "refused", "missing", "unknown", "released", "reclaimed")
# fmt: off
WORDS = {
    Outcome.RECLAIMED: "reclaimed", Outcome.REFUSED: "refused", Outcome.STOLEN: "stolen", Outcome.MISSING: "missing",
    Outcome.UNANSWERED: "unknown", Outcome.RELEASED: "released", Outcome.REGAINED: "unknown", Outcome.GONE: "released",
    Outcome.SUPERSEDED: "unknown",
}
# fmt: on


@dataclass(slots=True)
class Recoveries:
    """Makes the rows. ``end`` is the last moment of the recording (ns)."""

    names: Names
    notices: Notices
    kinds: dict[int, Implementation]
    freed: dict[tuple[int, int], list[At]]  # (client, server) -> its NLM_FREE_ALLs, in order
    end: int
    rows: list[Recovery] = field(default_factory=list)
    _whose: dict[int, list[int]] = field(default_factory=dict)  # senders of notices, by whom they notify for
    _senders_all: dict[int, int] = field(default_factory=dict)  # senders, and their places
    _known: dict[int, OneHost] = field(default_factory=dict)  # names that hosts went by, up to the restart at hand
    _acted: dict[tuple[int, int], dict[str, set[int]]] = field(default_factory=dict)  # by restart, sender and name

    def __post_init__(self) -> None:
        self._senders_all = {sender: place for place, sender in enumerate(self.notices.receivers())}

    def read(self, boots: Boots, walked: Walked) -> list[Recovery]:
        """One row for each restart and peer, in time order."""
        fates_of, reclaims_of = defaultdict(list), defaultdict(list)
        for fate in walked.table.fates:
            fates_of[fate.boot].append(fate)
        for reclaim in walked.reclaims:
            reclaims_of[reclaim.boot].append(reclaim)
        for boot in boots:
            fates, reclaims = fates_of[boot.number], reclaims_of[boot.number]
            # not all that was reclaimed has that fate: it may have been stolen before
            reclaimers = {r.request.client for r in reclaims}
            fates = _given_up_too_late(boot, fates, {r.request.client for r in reclaims if r.answer is None})
            left = walked.left_behind.get(boot.number, [])
            clients = {fate.owner.client for fate in fates}
            servers = {file.server for file, _, _ in left}
            told = {t.receiver for s in self._senders(boot.host) for t in within(self.notices.by(s), boot)}
            fates_with, left_at = defaultdict(list), defaultdict(list)
            for fate in fates:
                fates_with[fate.owner.client].append(fate)
            for item in left:
                left_at[item[0].server].append(item)
            for peer in sorted(clients | self._those(told - servers, "client", boot.host, "server")):
                self.rows.append(self._row(boot, peer, "client", fates_with[peer], [], reclaimers))
            for peer in sorted(servers | self._those(told - clients, "server", boot.host, "client")):
                self.rows.append(self._row(boot, peer, "server", [], left_at[peer], reclaimers))
        return self.rows

    def _senders(self, host: int) -> list[int]:
        """Who notifies for a host."""
        if host not in self._whose:
            near = (sender for sender in self.names.notifiers(host) if sender in self._senders_all)
            self._whose[host] = sorted(near, key=self._senders_all.__getitem__)
        return self._whose[host]

    def _those(self, peers: set[int], role: str, host: int, other: str) -> set[int]:
        """Which of the peers have a role, if the host has the other one."""
        roles = self.names.roles
        return {peer for peer in peers if role in roles.get(peer, ())} if other in roles.get(host, ()) else set()

    def _row(
        self,
        boot: Boot,
        peer: int,
        role: str,
        fates: list[Fate],
        left: list[tuple[File, Owner, Piece]],
        reclaimers: set[int],
    ) -> Recovery:
        tries = self._between(self.notices.tries, boot, peer)
        lookups = self._between(self.notices.lookups, boot, peer)
        acted = role == "client" and peer in reclaimers
        notify, why = self._notify(boot, peer, bool(fates or left), tries, acted, reclaimers)
        freed = self.freed.get((boot.host, peer), [])
        first = bisect_left(freed, boot.not_after.time, key=lambda at: at.time)
        if role == "server" and any(boot.during(at) for at in freed[first : first + 1]):
            notify, why = Notify.UNDERSTOOD, "NLM_FREE_ALL, which needs no monitor"
        return Recovery(
            boot,
            peer,
            role,
            notify,
            tuple(tries),
            tuple(lookups),
            tuple(fates),
            tuple(left),
            self._decided(boot, role),
            why,
        )

    def _between(self, of: dict[tuple[int, int], list[Sent]], boot: Boot, peer: int) -> list[Sent]:
        found = [item for sender in self._senders(boot.host) for item in within(of.get((sender, peer), []), boot)]
        return sorted(found, key=lambda item: item.at)

    def _notify(
        self, boot: Boot, peer: int, held: bool, tries: list[Try], acted: bool, reclaimers: set[int]
    ) -> tuple[Notify, str]:
        if not tries:
            if acted:
                return Notify.UNKNOWN, "the client acted as if it was told, but no SM_NOTIFY to it is in the capture"
            return (
                (Notify.MISSING, "no SM_NOTIFY to it is in the capture")
                if held
                else (Notify.NOT_EXPECTED, "it held nothing")
            )
        answered = [t for t in tries if t.answered is not None and not t.refused]
        if acted:
            return Notify.UNDERSTOOD, "it reclaimed"
        if not answered:
            last, kind = tries[-1], self.kinds.get(tries[-1].sender, UNKNOWN)
            retry = kind.pause * SECOND + LATE  # a sender that was not answered tries again within this
            if any(t.refused for t in tries):
                return Notify.UNANSWERED, f"{len(tries)} tries, answered with an RPC error or not at all"
            if kind.tries and len(tries) == 1 and self.end - last.at.time > retry:
                return Notify.SENT, "the sender did not try again, as if it was answered"
            if self.end - last.at.time < 2 * retry and len(tries) < 3:
                return Notify.SENT, "the capture ends before an answer can be called missing"
            return Notify.UNANSWERED, f"{len(tries)} tries, no answer"
        if any(client != peer for t in answered for client in self._understood(t, boot, reclaimers)):
            return Notify.UNDERSTOOD, "another client of the same restart acted on the same name and address"
        right = [t for t in answered if t.sender == boot.host]
        if not right and (by := self._by_dns(answered, boot.host)):
            return Notify.UNDERSTOOD, f"answered, and its resolver told it that {by} is the address of the locks"
        if not right:
            return Notify.ANSWERED, "answered, but it came from another address than the locks were taken from"
        known = self.kinds.get(peer, UNKNOWN).by_address or self._by_dns(right, boot.host)
        if known or any(self._name_known(t, boot) for t in right):
            return Notify.UNDERSTOOD, "answered, and it came from the address that the locks were taken from"
        return Notify.ANSWERED, "answered, but the receiver goes by names and the name is another one"

    def _understood(self, t: Try, boot: Boot, reclaimers: set[int]) -> set[int]:
        """The clients that answered the same notice, and reclaimed."""
        if (boot.number, t.sender) not in self._acted:
            acted = self._acted[boot.number, t.sender] = defaultdict(set)
            for other in within(self.notices.by(t.sender), boot):
                if other.answered is not None and other.receiver in reclaimers:
                    acted[other.name].add(other.receiver)
        return self._acted[boot.number, t.sender][t.name]

    def _by_dns(self, tries: list[Try], host: int) -> str:
        """The announced name of which the receiver's own resolver told it, in time, that it has the host's address."""
        address = self.names.endpoints.addresses[host]
        for t in tries:
            said = self.names.resolved.leads_to(t.name, address, t.receiver, t.at)
            if said is not None and address in said.addresses:
                return t.name
        return ""

    def _name_known(self, t: Try, boot: Boot) -> bool:
        """Whether the host went by this name before the restart, or nothing is known of its names then."""
        own, tries = self.names.unannounced.get(boot.host, ()), self.notices.by(boot.host)
        if boot.host not in self._known:
            self._known[boot.host] = OneHost(own)
        known = self._known[boot.host]
        while (place := known.count - len(own)) < len(tries) and tries[place].at < boot.not_after:
            known.add(tries[place].name)
        return not known.count or t.name in known

    def _decided(self, boot: Boot, role: str) -> int | None:
        kind = self.kinds.get(boot.host, UNKNOWN)
        window = boot.not_after.time + (START_UP + kind.tries) * SECOND
        end = self.end if boot.until is None else min(self.end, boot.until)
        if role == "client" and boot.grace_over is not None and boot.grace_over.time <= end:
            return boot.grace_over.time
        return window if window <= end else None


def _given_up_too_late(boot: Boot, fates: list[Fate], asking: set[int]) -> list[Fate]:
    """A client that reclaimed nothing had lost what it gave up after the grace period, however soon after it.

    One of ``asking`` sent a reclaim whose answer is not here: it may have its locks back.
    """
    over = boot.grace_over
    back = asking | {f.owner.client for f in fates if f.outcome is Outcome.RECLAIMED}
    return [
        replace(f, outcome=Outcome.MISSING)
        if f.outcome is Outcome.RELEASED
        and f.owner.client not in back
        and over is not None
        and f.at is not None
        and f.at >= over
        else f
        for f in fates
    ]
