"""What statd and lockd of one host said to each other, from captures of its loopback.

A loopback capture has its own clock and its own addresses: 127.0.0.1 is on every host. It belongs to the host whose
own name its SM_MON calls give (``my_name``), also where it is rotated into several files. One whose owner cannot be
told stays with 127.0.0.1 itself. Nothing of it is sorted into the network's packets; it is
compared with them with a tolerance, and by what it says: the state and the name of a notice.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from nlmdissect.capture.endpoints import NETWORK
from nlmdissect.findings import At
from nlmdissect.groups import groups
from nlmdissect.hosts.names import Names
from nlmdissect.hosts.signs import SECOND
from nlmdissect.protocols import NLM, NSM, PORTMAP
from nlmdissect.rpc.calls import NONE, RPC_STATUS, Calls, Texts

TOLERANCE = SECOND // 2  # two clocks of one host, or of two that were set from one source
ROTATION = 2 * SECOND
MON, UNMON, UNMON_ALL = 2, 3, 4
PORTMAP_SET = 1
UPCALLS = frozenset(
    {(3, 16), (4, 16), (1, 16), (0, 1), (2, 17), (2, 18)}
)  # (version, procedure) of the private callbacks


@dataclass(frozen=True, slots=True)
class Mon:
    """lockd asked its statd to watch ``peer`` (None: a name that no address is known for), or to stop (``watch``
    False). ``host`` is 127.0.0.1 where it is not known whose loopback it is; ``my_name`` is what it calls itself.
    """

    at: At
    host: int
    peer: int | None
    name: str
    my_name: str
    watch: bool
    answered: At | None
    refused: bool


@dataclass(frozen=True, slots=True)
class Upcall:
    """statd told its lockd that ``peer`` changed its state. ``error`` is the RPC error that this was answered with."""

    at: At
    host: int
    peer: int | None
    name: str
    state: int
    answered: At | None
    error: str

    @property
    def taken(self) -> bool:
        return self.answered is not None and not self.error


@dataclass(slots=True)
class Loopback:
    """``covers[host]`` are the spans (ns) of a host's loopback captures, files of one rotated set joined;
    ``registered[host, program]`` when its lockd and statd told the portmapper of themselves there, ``emptied`` when
    SM_UNMON_ALL emptied its list.
    """

    mons: list[Mon] = field(default_factory=list)
    upcalls: list[Upcall] = field(default_factory=list)
    covers: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    registered: dict[tuple[int, int], list[At]] = field(default_factory=lambda: defaultdict(list))
    emptied: dict[int, list[At]] = field(default_factory=lambda: defaultdict(list))

    def covered(self, host: int, start: int, end: int) -> bool:
        """Whether one loopback capture of a host runs from before ``start`` to after ``end`` (ns)."""
        return any(first <= start + TOLERANCE and end - TOLERANCE <= last for first, last in self.covers.get(host, ()))


def loopback(
    calls: Calls, texts: Texts, names: Names, spans: dict[int, tuple[int, int]], given: dict[int, int] | None = None
) -> Loopback:
    """Read it from the table of calls. ``spans`` are the first and last moment (ns) of each capture, ``given`` the
    host of some captures, as far as the user says it.
    """
    scopes = names.endpoints.scopes
    here = np.array([number for number, scope in enumerate(scopes) if scope != NETWORK], np.int64)
    local = ((calls.frame > 0) & np.isin(calls.src, here)).nonzero()[0].tolist()
    owner = _owners(calls, texts, names, local)
    owner |= {
        scopes[int(calls.src[row])]: h for row in local if (h := (given or {}).get(int(calls.capture[row]))) is not None
    }
    found = Loopback()
    files: dict[int, set[int]] = defaultdict(set)
    for row in local:
        scope = scopes[int(calls.src[row])]
        files[scope].add(int(calls.capture[row]))
        host = owner.get(scope, int(calls.src[row]))
        program, procedure = int(calls.program[row]), int(calls.procedure[row])
        if program == NSM and procedure in (MON, UNMON):
            found.mons.append(_mon(calls, texts, names, row, host))
        elif program == NSM and procedure == UNMON_ALL:
            found.emptied[host].append(calls.at(row))
        elif program == NLM and (int(calls.version[row]), procedure) in UPCALLS:
            found.upcalls.append(_upcall(calls, texts, names, row, host))
        elif program == PORTMAP and procedure == PORTMAP_SET and calls.asked_program[row] in (NLM, NSM):
            found.registered[host, int(calls.asked_program[row])].append(calls.at(row))
    found.mons.sort(key=lambda mon: mon.at)
    found.upcalls.sort(key=lambda call: call.at)
    for scope, captures in files.items():
        if scope in owner:
            found.covers[owner[scope]] += _joined(sorted(spans[capture] for capture in captures if capture in spans))
    return found


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same spans, those of a rotated set as one. A longer silence between two files may be a restart."""
    found: list[tuple[int, int]] = []
    for first, last in spans:
        if found and first - found[-1][1] < ROTATION:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def _owners(calls: Calls, texts: Texts, names: Names, local: list[int]) -> dict[int, int]:
    """Which host of the network each loopback belongs to: scope -> endpoint.

    Clients say their names with every lock; a server may never say its own. So a name that nobody has belongs to the
    one nameless host that had dealings with everybody whom it monitors.
    """
    scopes = names.endpoints.scopes
    owner: dict[int, int] = {}
    watched: dict[int, set[int]] = defaultdict(set)
    for row in local:
        if calls.program[row] != NSM or calls.my_name[row] == NONE:
            continue
        scope, me = scopes[int(calls.src[row])], _text(texts, int(calls.my_name[row]))
        hosts = {h for h in names.called(me) if scopes[h] == NETWORK}
        hosts = hosts or {h for h in names.known(me) if scopes[h] == NETWORK}
        peer = _peer(names, _text(texts, int(calls.mon_name[row])))
        if len(hosts) == 1:
            owner.setdefault(scope, hosts.pop())
        elif not hosts and peer is not None:
            watched[scope].add(peer)
    partners = _partners(calls, scopes)
    for scope, peers in watched.items():
        nameless = {h for h in set.intersection(*(partners[peer] for peer in peers)) if not names.claimed.get(h)}
        if scope not in owner and len(nameless) == 1:
            owner[scope] = nameless.pop()
    return owner


def _partners(calls: Calls, scopes: list[int]) -> dict[int, set[int]]:
    """With whom each host of the network had dealings over locks."""
    found: dict[int, set[int]] = defaultdict(set)
    nlm = calls.program == NLM
    src, dst = calls.src[nlm], calls.dst[nlm]
    first, _ = groups(src, dst)
    for a, b in zip(src[first].tolist(), dst[first].tolist(), strict=True):
        if scopes[a] == NETWORK:
            found[a].add(b)
            found[b].add(a)
    return found


def _mon(calls: Calls, texts: Texts, names: Names, row: int, host: int) -> Mon:
    name = _text(texts, int(calls.mon_name[row]))
    watch = calls.procedure[row] == MON
    refused = bool(watch and calls.reply_frame[row] and (calls.status[row] == 1 or calls.rpc_status[row] > 0))
    me = _text(texts, int(calls.my_name[row]))
    return Mon(calls.at(row), host, _peer(names, name), name, me, bool(watch), _answered(calls, row), refused)


def _upcall(calls: Calls, texts: Texts, names: Names, row: int, host: int) -> Upcall:
    name = _text(texts, int(calls.mon_name[row]))
    error = RPC_STATUS[calls.rpc_status[row]] if calls.rpc_status[row] > 0 else ""
    state = int(calls.state[row])
    return Upcall(calls.at(row), host, _peer(names, name), name, state, _answered(calls, row), error)


def _peer(names: Names, name: str) -> int | None:
    """The endpoint of the network that a name stands for: Linux lockd names its peers by address."""
    try:
        return names.endpoints.find(name)
    except ValueError:
        hosts = names.called(name)
        return next(iter(hosts)) if len(hosts) == 1 else None


def _answered(calls: Calls, row: int) -> At | None:
    return calls.reply_at(row) if calls.reply_frame[row] else None


def _text(texts: Texts, number: int) -> str:
    return texts[number].decode("utf-8", "backslashreplace") if number != NONE else ""
