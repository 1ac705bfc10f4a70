"""Restarts: what the signs of a host add up to.

Theory of operation. A host's signs are read in time order. Those that can tell of a restart are held until
different kinds of them together are strong enough (``ENOUGH``), or until an ordinary answer shows that nothing had
happened. A restart lies between the last thing that the old life did and the first sign of the new one. Later signs
are the same restart as long as they can be: another old connection reset, another retry of SM_NOTIFY with the same
state, more refusals in the same grace period. They are a new one when a grace period follows an ordinary answer,
when SM_NOTIFY brings another state, or when a connection that began after the restart is reset.

An SM_NOTIFY is refuted as a sign of a restart where a TCP connection of its sender goes on from before it to after
it: a host that lost its memory cannot do that. What such a notice means is a rule's business; it makes no boot.

Reads calls and signals, never machines.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import islice, takewhile

from nlmdissect.capture.endpoints import NETWORK, Endpoints
from nlmdissect.capture.messages import Stream
from nlmdissect.findings import At, Evidence
from nlmdissect.hosts.boot import HEARSAY, Boot, Boots
from nlmdissect.hosts.implementations import LONGEST_GRACE, START_UP, UNKNOWN
from nlmdissect.hosts.lives import Lives
from nlmdissect.hosts.signs import SECOND, STRENGTH, Sign, What

ENOUGH = 3
NOTIFY_WITHIN = (START_UP + UNKNOWN.tries) * SECOND
SIGNS_TOGETHER = 15 * 60 * SECOND  # older unconfirmed signs are forgotten
LOCKD_ONLY = 15 * SECOND
TELLS_FIRST = 60 * SECOND  # from the notice of a new life to the next sign of it
ONE_GRACE = (LONGEST_GRACE + 30) * SECOND  # with room
NO_GRACE = 10 * SECOND  # no implementation has a grace period as short as that
SURVIVE_AN_ANSWER = frozenset({What.RESET, What.PORT, What.CLOSED, What.COOKIE, What.STATE, What.VERIFIER})
VERIFIERS = frozenset({What.VERIFIER, What.UNSURE_VERIFIER})
EVIDENCE = 12
MANY = 100  # signs that wait for others; of more, the first ones and the last ones are kept


@dataclass(slots=True)
class _Life:
    """What is known about a host since its last restart, while the signs are read."""

    boot: Boot | None = None
    ordinary: At | None = None  # the last ordinary answer before the pending signs
    since: At | None = None  # the last ordinary answer after them
    state: int | None = None
    pending: list[Sign] = field(default_factory=list)
    announced: list[Sign] = field(default_factory=list)  # its SM_NOTIFYs
    same_port: bool = False  # lockd was found where it had been, after the restart
    before: _Life | None = None


def boots(signs: list[Sign], streams: list[Stream], lives: Lives, endpoints: Endpoints) -> tuple[Boots, list[Sign]]:
    """All restarts in time order, numbered; and the SM_NOTIFYs that cannot be signs of one.

    Loopback addresses do not restart: what happens there has its own clock and belongs to the host, not to 127.0.0.1.
    """
    by_host: dict[int, list[Sign]] = defaultdict(list)
    for sign in signs:
        if endpoints.scopes[sign.host] == NETWORK:
            by_host[sign.host].append(sign)
    own: dict[int, list[Stream]] = defaultdict(list)
    for stream in streams:
        if stream.tcp:
            own[stream.src].append(stream)
    found: list[Boot] = []
    stray: list[Sign] = []
    for host, of in by_host.items():
        reader = _Reader(host, own[host], lives)
        for sign in of:
            reader.read(sign)
        found += reader.found
        stray += reader.stray
    found.sort(key=lambda boot: boot.not_after)
    for number, boot in enumerate(found):
        boot.number = number
    return Boots(found), stray


class _Reader:
    def __init__(self, host: int, streams: list[Stream], lives: Lives) -> None:
        self.host, self.lives = host, lives
        self.streams = sorted(streams, key=_begin)
        self.begun = 0  # streams that had begun when the old life was last heard
        self.ends: list[At] = []  # theirs
        self.found: list[Boot] = []
        self.stray: list[Sign] = []  # in time order
        self.life = _Life()

    def read(self, sign: Sign) -> None:
        life = self.life
        if sign.what is What.SAME_PORT:
            life.same_port = life.boot is not None
        elif sign.what in (What.ORDINARY, What.TOO_LATE):
            if sign.what is What.TOO_LATE:
                self._refuted_by(sign)
                return  # others may still be held off: the grace period is not the same for all of a cluster's exports
            life.pending = [p for p in life.pending if p.what in SURVIVE_AN_ANSWER]
            if life.pending:
                life.since = sign.at
            else:
                life.ordinary = sign.at
        elif sign.what is What.NOTIFY:
            self._notify(sign)
        elif sign.what is What.MOVED and self.lives.lived_on(self.host, sign.at.time, sign.at.time):
            return  # the same host with another card: of two that are bonded the other one took over
        elif not self._same_life(sign):
            self._hold(sign)
        elif life.boot is not None:
            life.boot.kinds.add(sign.what)

    def _refuted_by(self, refusal: Sign) -> None:
        """A reclaim refused as too late, seconds after a notice that nothing else bears out: there was no restart.

        A server that restarted is in its grace period then, and its lockd is seldom at the old port.
        """
        life, boot = self.life, self.life.boot
        if boot is None or boot.told is None or not boot.kinds <= HEARSAY or not life.same_port:
            return
        if refusal.at.time - boot.told.time < NO_GRACE:
            self.found.pop()
            if self.found:
                self.found[-1].until = None
            self._strays(life.announced)
            self.life = life.before or _Life()
            self.life.pending, self.life.state = [], boot.state_after  # the same notice to another peer is no sign

    def _same_life(self, sign: Sign) -> bool:
        """Whether the last restart explains this sign already."""
        boot = self.life.boot
        match sign.what:
            case What.GRACE | What.RECLAIMED:
                if boot is None and self.life.ordinary is None and sign.what is What.RECLAIMED:
                    self._begin([sign])  # the capture began in the middle of a recovery
                    return True
                if boot is None:
                    return False
                decided = self.life.ordinary is not None or self.life.since is not None
                # frames may be a little out of order: so soon after a restart, one more refusal needs another sign
                soon = sign.at.time - boot.not_after.time < ONE_GRACE and not self.life.pending
                return not decided or soon
            case What.RESET | What.CLOSED | What.VERIFIER | What.UNSURE_VERIFIER:
                return boot is not None and sign.began <= boot.not_after.time
            case What.STATE:
                same = self.life.state == sign.value or (boot is not None and self.life.state is None)
                if same and boot is not None and boot.state_after is None:
                    boot.state_after = self.life.state = sign.value
                return same
            case What.PORT | What.COOKIE | What.MOUNTED | What.LOOKUP:
                return boot is not None and sign.at.time - boot.not_after.time < NOTIFY_WITHIN
            case What.MOVED:
                return boot is not None and sign.at.time - boot.not_after.time < START_UP * SECOND
            case _:
                return False

    def _notify(self, sign: Sign) -> None:
        life = self.life
        if sign.value == life.state:
            return
        if (
            life.boot is not None
            and life.boot.state_after is None
            and sign.at.time - life.boot.not_after.time < NOTIFY_WITHIN
        ):
            life.boot.state_after = life.state = sign.value
            life.boot.evidence.append(Evidence(sign.at, sign.text))
            life.boot.told = sign.at
            life.boot.kinds.add(sign.what)
            life.announced.append(sign)
            life.boot.strength += STRENGTH[What.NOTIFY]
            return
        # an ordinary answer was of the old life: a connection from before it cannot be of a new one
        before = life.ordinary.time + 1 if life.ordinary is not None else sign.at.time
        if self.lives.lived_on(self.host, before, sign.at.time):
            self._strays([sign])
            life.state = sign.value
            return
        self._hold(sign)

    def _hold(self, sign: Sign) -> None:
        pending = [p for p in self.life.pending if sign.at.time - p.at.time < SIGNS_TOGETHER]
        pending.append(sign)
        if len(pending) > MANY:
            del pending[MANY // 2]
        self.life.pending = pending
        pending = [p for p in pending if _of_one_restart(p, sign)]
        kinds = {(p.what, p.key): STRENGTH[p.what] for p in pending}
        if sum(kinds.values()) < ENOUGH:
            return
        only_resets = all(p.what is What.RESET for p in pending)
        if only_resets and self.lives.lived_on(self.host, pending[0].at.time, pending[0].at.time):
            self.life.pending = []  # a firewall or a load balancer resets connections too
        else:
            self._begin(pending)

    def _begin(self, signs: list[Sign]) -> None:
        """A new life begins, with the first of these signs."""
        if any(s.what is What.GRACE for s in signs):
            signs = self._told_already(signs[0].at) + signs
        # an orderly close is the last thing of the old life, not the first of the new one
        first, before = next((s.at for s in signs if s.what is not What.CLOSED), signs[-1].at), self.life
        states = [s.value for s in signs if s.what in (What.NOTIFY, What.STATE)]
        kinds = {(s.what, s.key): STRENGTH[s.what] for s in signs}
        boot = Boot(
            number=0,
            host=self.host,
            not_before=self._last_of_old_life(first, [s.at for s in signs if s.what is What.CLOSED]),
            not_after=first,
            evidence=[Evidence(s.at, s.text) for s in signs[:EVIDENCE]],
            strength=sum(kinds.values()),
            kinds={s.what for s in signs},
            told=next((s.at for s in signs if s.what is What.NOTIFY), None),
            state_before=before.state,
            state_after=states[-1] if states else None,
        )
        # without a sign of the old life the restart may have been before the capture, and all goes on since then
        alive = boot.not_before is not None and self.lives.lived_on(self.host, boot.not_before.time, first.time)
        if alive:
            boot.lived_on, boot.unbroken = f"{alive} from before the restart to after it", True
        elif any(s.what is What.CLOSED for s in signs) and self._back_soon(signs):
            boot.lived_on = "the connections were closed in order, and new ones were taken within seconds"
        if self.found:
            self.found[-1].until = first.time
        self.found.append(boot)
        told = [s for s in signs if s.what is What.NOTIFY]
        self.life = _Life(boot, ordinary=before.since, state=boot.state_after, announced=told, before=before)

    def _told_already(self, at: At) -> list[Sign]:
        """The notices just before a moment that seemed to be without a restart: lockd restarted alone, and said so."""
        ordinary = self.life.ordinary
        first = bisect_right(self.stray, at.time - TELLS_FIRST, key=lambda sign: sign.at.time)
        if ordinary is not None:
            first = max(first, bisect_right(self.stray, ordinary, key=lambda sign: sign.at))
        told = self.stray[first:]
        del self.stray[first:]
        return told

    def _strays(self, signs: list[Sign]) -> None:
        for sign in signs:
            insort(self.stray, sign, key=lambda sign: sign.at)

    def _back_soon(self, signs: list[Sign]) -> bool:
        """Whether the host took new connections within seconds of the orderly close: too soon for an operating
        system.
        """
        closed = next(s.at.time for s in signs if s.what is What.CLOSED)
        first = bisect_right(self.streams, closed, key=_begin)
        soon = takewhile(lambda s: s.first_time < closed + LOCKD_ONLY, islice(self.streams, first, None))
        return any(s.packets > 1 for s in soon)

    def _last_of_old_life(self, first: At, closed: list[At]) -> At | None:
        """The last thing that the host certainly did in its old life: an ordinary answer, or a packet on a connection
        that it had then. What a kernel says of a connection that its lockd has closed is no life of lockd.
        """
        ordinary = self.life.ordinary
        if ordinary is None:
            return max(closed, default=None)
        while self.begun < len(self.streams) and (s := self.streams[self.begun]).first_time < ordinary.time:
            insort(self.ends, At(s.last_time, s.capture, s.last_frame))
            self.begun += 1
        ended = bisect_left(self.ends, first.time, key=lambda at: at.time)
        return max([ordinary, *closed, *([] if closed else self.ends[max(ended - 1, 0) : ended])])


def _begin(stream: Stream) -> int:
    return stream.first_time


def _of_one_restart(earlier: Sign, later: Sign) -> bool:
    """Whether a change of the write verifier can be the restart that the other sign is of.

    While nfsd still answers with the old one it has not restarted, and what is closed or begins after the new one was
    seen is of the new life.
    """
    for change, other in ((earlier, later), (later, earlier)):
        if change.what in VERIFIERS:
            closed = other.what is What.CLOSED and other.at > change.at
            if other.at.time < change.began or other.began > change.at.time or closed:
                return False
    return True
