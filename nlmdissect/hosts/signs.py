"""Signs of restarts: every single thing in a capture that can tell that a host, or its lockd, began a new life.

No sign is proof alone. Each has a strength (3 nearly proof, 2 strong, 1 weak) and a kind; ``boots.py`` adds up
different kinds. They are read from calls and signals, never from lock state.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import StrEnum, auto
from typing import NamedTuple

import numpy as np

from nlmdissect.capture.messages import Kind, Signal, Stream
from nlmdissect.findings import At
from nlmdissect.hosts.names import Names
from nlmdissect.hosts.over_time import OverTime
from nlmdissect.hosts.verifiers import Verifiers
from nlmdissect.protocols import MOUNT, NFS, NLM, NSM, PORTMAP
from nlmdissect.rpc.calls import NONE, Calls, Texts
from nlmdissect.rpc.requests import BLOCKED, GRACE, GRANTED, Bools, Op, Request, Requests

SECOND = 10**9
SM_NOTIFY, MNT, GETPORT = 6, 1, 3
FIRST_COOKIE = 0x1235  # of a Linux kernel's life: the counter starts at 0x1234 and is in host byte order
EARLY_COOKIES = 64
DECIDED = (0, 1, 3)  # GRANTED, DENIED, BLOCKED


class What(StrEnum):
    """Kinds of signs. The first four do not tell of a restart: they tell what life is like between two."""

    ORDINARY = auto()  # a lock request was decided: the server is not in its grace period
    GRACE = auto()  # a request that is no reclaim was put off: the server is in its grace period
    TOO_LATE = auto()  # a reclaim was put off: Linux and Ganesha are past their grace period
    SAME_PORT = auto()  # lockd is still registered where it was
    NOTIFY = auto()  # SM_NOTIFY, with a state
    LOOKUP = auto()  # the host asked a peer where its statd is, as sm-notify does
    RECLAIMED = auto()  # a reclaim was granted
    PORT = auto()  # lockd or statd is registered at another port than before
    RESET = auto()  # an old connection was answered with RST: the host does not know it
    CLOSED = auto()  # lockd's side closed the connection in order
    STATE = auto()  # the NSM state in the host's LOCKs is another one
    COOKIE = auto()  # a Linux client's cookies start again
    MOUNTED = auto()  # the host mounted an export that it had mounted
    FREE_ALL = auto()  # an unmonitored client says that it restarted
    VERIFIER = auto()  # nfsd answers WRITE and COMMIT with another write verifier
    UNSURE_VERIFIER = auto()  # the same after a WRITE that failed: Linux then takes another one without a restart
    MOVED = auto()  # ARP says that a server's address is at another network card: a failover, perhaps


# fmt: off
STRENGTH = {
    What.GRACE: 3, What.NOTIFY: 3, What.RECLAIMED: 2, What.PORT: 2, What.RESET: 2, What.LOOKUP: 1, What.CLOSED: 1,
    What.STATE: 3, What.COOKIE: 2, What.MOUNTED: 1, What.FREE_ALL: 3, What.VERIFIER: 2, What.UNSURE_VERIFIER: 1,
    What.MOVED: 2,
}
# fmt: on


class Sign(NamedTuple):
    """``host`` is the endpoint that it is about; ``value`` an NSM state or a port; ``key`` tells signs of one kind
    apart.
    """

    at: At
    host: int
    what: What
    text: str
    value: int = NONE
    key: int = 0
    began: int = 0  # RESET, CLOSED: when the connection began (ns); verifiers: when the old one was last seen


class Signs(list[Sign]):
    """All of a recording, in time order. Not changed any more once somebody asks."""

    def __init__(self, found: Iterable[Sign]) -> None:
        super().__init__(found)
        self._telling: dict[int, list[At]] = {}  # those that tell of a restart, by host

    def tell(self, host: int, after: At, until: At) -> bool:
        """Whether anything says, if not enough, that a host restarted after one moment and not after another."""
        for sign in () if self._telling else self:
            if sign.what in STRENGTH and sign.what is not What.LOOKUP:
                self._telling.setdefault(sign.host, []).append(sign.at)
        of = self._telling.get(host, [])
        return bisect_right(of, after) < bisect_right(of, until)


def signs(
    calls: Calls,
    texts: Texts,
    requests: Requests,
    signals: list[Signal],
    streams: list[Stream],
    names: Names,
    verifiers: Verifiers,
) -> Signs:
    """All signs of all hosts, in time order. Of ordinary answers of one server that follow each other without another
    sign of it, the first and the last are enough.
    """
    ordinary, telling = _ordinary(requests), ~requests.alone | requests.said.reclaim | requests.may_be(GRACE)
    found = [*_answers(requests, telling | requests.is_a(Op.NM_LOCK))]
    found += _notifies(calls, texts, names)
    found += _ports(calls)
    found += _clients(calls, texts, requests)
    found += _connections(signals, streams)
    found += _verifiers(verifiers)
    found += _moves(signals, names)
    found = [*_answers(requests, _beside(requests, ordinary, found)), *found]
    return Signs(sorted(found, key=lambda sign: sign.at))


def _ordinary(requests: Requests) -> Bools:
    """Locks and tests that were decided, as nearly all are: sent once, and no reclaims."""
    decided = np.isin(requests.calls.status[requests.row], DECIDED) & (requests.calls.rpc_status[requests.row] <= 0)
    found: Bools = requests.alone & requests.heard & ~requests.said.reclaim & decided
    return found & requests.is_a(Op.LOCK, Op.TEST)


def _beside(requests: Requests, ordinary: Bools, others: list[Sign]) -> Bools:
    """The ordinary ones that are the first or the last before a sign of another kind of the same server."""
    rows = ordinary.nonzero()[0]
    c, row = requests.calls, requests.row[rows]
    signs = np.array([(s.host, *s.at) for s in others], np.int64).reshape(-1, 4)
    mine = np.stack([requests.said.server[rows], c.reply_time[row], c.reply_capture[row], c.reply_frame[row]], 1)
    both = np.concatenate([mine, signs])
    order = np.lexsort(both.T[::-1])
    host, is_mine = both[order, 0], order < len(rows)
    new = np.ones(len(order) + 1, np.bool_)  # begins a run
    new[1:-1] = (host[1:] != host[:-1]) | (is_mine[1:] != is_mine[:-1])
    keep = order[is_mine & (new[:-1] | new[1:])]
    found = np.zeros(len(requests), np.bool_)
    found[rows[keep]] = True
    return found


def _answers(requests: Requests, rows: Bools) -> Iterator[Sign]:
    for r in requests.where(rows):
        if r.op is Op.GRANTED:
            continue
        name = f"NLM_{r.op}"
        for a in r.answers:
            if r.reclaim:
                if a.status == GRANTED:
                    yield Sign(a.at, r.server, What.RECLAIMED, f"{name} reclaim answered GRANTED")
                elif a.status == GRACE:
                    yield Sign(
                        a.at, r.server, What.TOO_LATE, f"{name} reclaim answered {GRACE}: not in the grace period"
                    )
            elif a.status == GRACE:
                yield Sign(a.at, r.server, What.GRACE, f"{name} answered {GRACE}")
            elif (r.op in (Op.LOCK, Op.TEST) and a.status in (GRANTED, "DENIED", BLOCKED)) or (
                r.op is Op.NM_LOCK and a.status in (GRANTED, "DENIED")
            ):
                yield Sign(a.at, r.server, What.ORDINARY, f"{name} answered {a.status}")


def _notifies(calls: Calls, texts: Texts, names: Names) -> Iterator[Sign]:
    notify = (calls.program == NSM) & (calls.procedure == SM_NOTIFY) & (calls.state != NONE) & (calls.frame != 0)
    for row in notify.nonzero()[0].tolist():
        state, name = int(calls.state[row]), texts[int(calls.mon_name[row])].decode("utf-8", "backslashreplace")
        sender = int(calls.src[row])
        if names.called_otherwise(sender, name):
            continue  # in somebody else's name: it tells nothing of its sender
        yield Sign(calls.at(row), sender, What.NOTIFY, f"SM_NOTIFY mon_name={name} state={state}", state)
    lookup = (calls.program == PORTMAP) & (calls.asked_program == NSM) & (calls.frame != 0) & (calls.tcp == 0)
    for row in lookup.nonzero()[0].tolist():
        yield Sign(calls.at(row), int(calls.src[row]), What.LOOKUP, "asks a peer for the port of statd")


def _ports(calls: Calls) -> Iterator[Sign]:
    known: dict[tuple[int, int, int, int], int] = {}
    answered = (calls.program == PORTMAP) & (calls.procedure == GETPORT) & (calls.port > 0) & (calls.reply_frame != 0)
    wanted = answered & ((calls.asked_program == NLM) | (calls.asked_program == NSM))
    for row in wanted.nonzero()[0].tolist():
        program, port = int(calls.asked_program[row]), int(calls.port[row])
        protocol = int(calls.asked_protocol[row]) if calls.asked_protocol[row] != NONE else int(calls.netid[row]) << 8
        key = (int(calls.dst[row]), program, int(calls.asked_version[row]), protocol)
        before = known.get(key)
        known[key] = port
        if before == port and program == NLM:
            yield Sign(calls.reply_at(row), key[0], What.SAME_PORT, f"lockd is still at port {port}", port, program)
        if before not in (None, port):
            daemon = "lockd" if program == NLM else "statd"
            yield Sign(
                calls.reply_at(row), key[0], What.PORT, f"{daemon} is at port {port}, it was at {before}", port, program
            )


def _telling(requests: Requests, texts: Texts) -> Bools:
    """The requests that may be signs of their clients: early cookies, and each state when it comes."""
    said = requests.said
    word = texts.words()[said.cookie]
    telling = requests.is_a(Op.FREE_ALL) | ((word >= FIRST_COOKIE) & (word < FIRST_COOKIE + EARLY_COOKIES))
    with_state = (requests.is_a(Op.LOCK) & ~said.reclaim & (said.state > 0)).nonzero()[0]
    by_client = with_state[np.argsort(said.client[with_state], kind="stable")]
    client, state = said.client[by_client], said.state[by_client]
    telling[by_client[:1]] = True
    telling[by_client[1:][(client[1:] != client[:-1]) | (state[1:] != state[:-1])]] = True
    return telling


def _slips(telling: list[Request]) -> set[int]:
    """The rows of LOCKs with a state that the client's next one takes back: states only grow, so it is damaged."""
    spoke: dict[int, list[Request]] = defaultdict(list)
    for r in telling:
        if r.op is Op.LOCK and not r.reclaim and r.state > 0:
            spoke[r.client].append(r)
    return {
        r.sends[0].row
        for of in spoke.values()
        for before, r, after in zip(of, of[1:], of[2:], strict=False)
        if before.state == after.state != r.state
    }


def _clients(calls: Calls, texts: Texts, requests: Requests) -> Iterator[Sign]:
    states: dict[int, int] = {}
    cookies: dict[tuple[int, int], int] = {}
    telling = requests.where(_telling(requests, texts))
    slips = _slips(telling)
    for r in telling:
        if r.op is Op.FREE_ALL:
            yield Sign(r.at, r.client, What.FREE_ALL, "NLM_FREE_ALL")
            continue
        if r.op is Op.GRANTED:
            continue
        if r.op is Op.LOCK and not r.reclaim and r.state > 0 and r.sends[0].row not in slips:
            before = states.get(r.client)
            states[r.client] = r.state
            if before not in (None, r.state):
                yield Sign(r.at, r.client, What.STATE, f"NLM_LOCK state={r.state}, it was {before}", r.state)
        cookie = texts[r.cookie]
        number = int.from_bytes(cookie, "little") if len(cookie) == 4 else 0
        if FIRST_COOKIE <= number < FIRST_COOKIE + EARLY_COOKIES:
            used = cookies.get((r.client, r.cookie))
            cookies[r.client, r.cookie] = r.at.time
            if used is not None and r.at.time - used > 5 * SECOND:
                yield Sign(
                    r.at, r.client, What.COOKIE, f"cookie {cookie.hex()} again: the kernel counts from the beginning"
                )
    mounted: set[int] = set()
    for row in ((calls.program == MOUNT) & (calls.procedure == MNT) & (calls.frame != 0)).nonzero()[0].tolist():
        host = int(calls.src[row])
        if host in mounted:
            yield Sign(calls.at(row), host, What.MOUNTED, "mounts again")
        mounted.add(host)


def _connections(signals: list[Signal], streams: list[Stream]) -> Iterator[Sign]:
    """RST to data on a connection that carried NLM or NFS calls, and lockd's own orderly closes."""
    serving: dict[tuple[int, int, int, int], list[Stream]] = defaultdict(list)
    for stream in streams:
        if stream.tcp and any(program in (NLM, NFS) for program, _ in stream.programs):
            serving[stream.src, stream.sport, stream.dst, stream.dport].append(stream)
    served = {flow: OverTime(of, lambda s: s.first_time, lambda s: s.last_time) for flow, of in serving.items()}
    for signal in signals:
        if signal.kind not in (Kind.RST, Kind.FIN):
            continue
        flow = signal.dst, signal.dport, signal.src, signal.sport
        old = served[flow].last(signal.at.time) if flow in served else None
        if old is None:
            continue
        programs = {program for program, _ in old.programs}
        service = "lockd" if NLM in programs else "nfsd"
        where = f"port {signal.sport} ({service})"
        if signal.kind is Kind.RST:
            text = f"RST from {where} to data on an old connection"
            yield Sign(signal.at, signal.src, What.RESET, text, key=min(programs & {NLM, NFS}), began=old.first_time)
        elif NLM in programs and (old.ended_by, old.ended_time) == (signal.src, signal.at.time):
            yield Sign(signal.at, signal.src, What.CLOSED, f"FIN from {where}", began=old.first_time)


def _verifiers(verifiers: Verifiers) -> Iterator[Sign]:
    for before, after, failed in verifiers.changes():
        what = What.UNSURE_VERIFIER if failed else What.VERIFIER
        text = f"NFS write verifier {after.value.hex()}, it was {before.value.hex()}"
        text += ", and a WRITE failed in between" if failed else ""
        yield Sign(after.first, after.server, what, text, began=before.last.time)


def _moves(signals: list[Signal], names: Names) -> Iterator[Sign]:
    """A server's address that another card claims by ARP, each time that it changes."""
    cards: dict[int, int] = {}
    for signal in signals:
        if signal.kind is Kind.ARP and "server" in names.roles.get(signal.src, ()):
            before = cards.get(signal.src)
            cards[signal.src] = signal.b
            if before not in (None, signal.b):
                new = signal.b.to_bytes(6, "big").hex(":")
                yield Sign(signal.at, signal.src, What.MOVED, f"ARP: the address is at {new} now, another network card")
