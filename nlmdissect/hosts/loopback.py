"""What statd and lockd of one host said to each other, from captures of its loopback.

A loopback capture has its own clock and its own addresses: 127.0.0.1 is on every host. It belongs to the host whose
own name its SM_MON calls give (``my_name``). Nothing of it is sorted into the network's packets; it is compared with
them with a tolerance, and by what it says: the state and the name of a notice.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from nlmdissect.capture.endpoints import NETWORK
from nlmdissect.findings import At
from nlmdissect.hosts.names import Names
from nlmdissect.hosts.signs import SECOND
from nlmdissect.protocols import NLM, NSM, PORTMAP
from nlmdissect.rpc.calls import NONE, Calls, Texts

TOLERANCE = SECOND // 2  # two clocks of one host, or of two that were set from one source
STAT, MON, UNMON, UNMON_ALL, SIMU_CRASH = 1, 2, 3, 4, 5
PORTMAP_SET = 1
UPCALLS = frozenset(
    {(3, 16), (4, 16), (1, 16), (0, 1), (2, 17), (2, 18)}
)  # (version, procedure) of the private callbacks


@dataclass(frozen=True, slots=True)
class Mon:
    """lockd asked its statd to watch ``peer`` (None: a name that no address is known for), or to stop (``watch``
    False).
    """

    at: At
    host: int
    peer: int | None
    name: str
    watch: bool
    answered: At | None
    refused: bool


@dataclass(frozen=True, slots=True)
class Upcall:
    """statd told its lockd that ``peer`` changed its state."""

    at: At
    host: int
    peer: int | None
    name: str
    state: int
    answered: At | None


@dataclass(slots=True)
class Loopback:
    """``covers[host]`` are the spans (ns) of a host's loopback captures; ``started`` when its daemons registered
    there.
    """

    mons: list[Mon] = field(default_factory=list)
    upcalls: list[Upcall] = field(default_factory=list)
    covers: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    started: dict[int, list[At]] = field(default_factory=lambda: defaultdict(list))

    def covered(self, host: int, start: int, end: int) -> bool:
        """Whether one loopback capture of a host runs from before ``start`` to after ``end`` (ns)."""
        return any(first <= start + TOLERANCE and end - TOLERANCE <= last for first, last in self.covers.get(host, ()))


def loopback(calls: Calls, texts: Texts, names: Names, spans: dict[int, tuple[int, int]]) -> Loopback:
    """Read it from the table of calls. ``spans`` are the first and last moment (ns) of each capture."""
    scopes = names.endpoints.scopes
    local = [row for row in (calls.frame > 0).nonzero()[0].tolist() if scopes[int(calls.src[row])] != NETWORK]
    owner = _owners(calls, texts, names, local)
    found = Loopback()
    for row in local:
        capture = int(calls.capture[row])
        host = owner.get(capture)
        if host is None:
            continue
        if capture in spans and spans[capture] not in found.covers[host]:
            found.covers[host].append(spans[capture])
        program, procedure = int(calls.program[row]), int(calls.procedure[row])
        if program == NSM and procedure in (MON, UNMON):
            found.mons.append(_mon(calls, texts, names, row, host))
        elif program == NLM and (int(calls.version[row]), procedure) in UPCALLS:
            name = _text(texts, int(calls.mon_name[row]))
            state = int(calls.state[row])
            found.upcalls.append(Upcall(calls.at(row), host, _peer(names, name), name, state, _answered(calls, row)))
        elif program == PORTMAP and procedure == PORTMAP_SET and calls.asked_program[row] == NSM:
            found.started[host].append(calls.at(row))
    return found


def _owners(calls: Calls, texts: Texts, names: Names, local: list[int]) -> dict[int, int]:
    """Which host of the network each loopback capture belongs to: capture -> endpoint."""
    owner: dict[int, int] = {}
    for row in local:
        if calls.program[row] == NSM and calls.my_name[row] != NONE:
            hosts = [
                h for h in names.called(_text(texts, int(calls.my_name[row]))) if names.endpoints.scopes[h] == NETWORK
            ]
            known = [h for h in names.claimed if names.endpoints.scopes[h] == NETWORK]
            hosts = hosts or [h for h in known if names.known_as(h, _text(texts, int(calls.my_name[row])))]
            if len(set(hosts)) == 1:
                owner.setdefault(int(calls.capture[row]), hosts[0])
    return owner


def _mon(calls: Calls, texts: Texts, names: Names, row: int, host: int) -> Mon:
    name = _text(texts, int(calls.mon_name[row]))
    watch = calls.procedure[row] == MON
    refused = bool(watch and calls.reply_frame[row] and (calls.status[row] == 1 or calls.rpc_status[row] > 0))
    return Mon(calls.at(row), host, _peer(names, name), name, bool(watch), _answered(calls, row), refused)


def _peer(names: Names, name: str) -> int | None:
    """The endpoint of the network that a name stands for: Linux lockd names its peers by address."""
    try:
        return names.endpoints.find(name)
    except ValueError:
        hosts = names.called(name)
        return hosts[0] if len(hosts) == 1 else None


def _answered(calls: Calls, row: int) -> At | None:
    return calls.reply_at(row) if calls.reply_frame[row] else None


def _text(texts: Texts, number: int) -> str:
    return texts[number].decode("utf-8", "backslashreplace")
