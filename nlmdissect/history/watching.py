"""Who watches whom, while the events are walked: the edges of the monitor machine.

Edges are implied by what the network shows, and proven by SM_MON in a capture of the watcher's loopback. That one has
its own clock: a monitoring that seems to be a little older than the restart it followed is taken for younger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from nlmdissect.findings import At
from nlmdissect.hosts.loopback import TOLERANCE, Loopback
from nlmdissect.machines.machine import Step
from nlmdissect.machines.monitor import MONITOR, E, M


@dataclass(slots=True)
class Edge:
    """``watcher`` monitors ``watched``. ``number`` is the thing of its steps, ``since`` when its state began."""

    number: int
    watcher: int
    watched: int
    state: M = M.UNSEEN
    since: At | None = None


@dataclass(slots=True)
class Watching:
    """``edges`` by (watcher, watched). A lock more on an edge that is there already is no step: there are too many."""

    edges: dict[tuple[int, int], Edge] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    _by_watcher: dict[int, list[Edge]] = field(default_factory=dict)

    def event(self, watcher: int, watched: int, event: E, at: At) -> None:
        """Something happened between two hosts."""
        edge = self.edges.get((watcher, watched))
        if edge is None:
            edge = self.edges[watcher, watched] = Edge(len(self.edges), watcher, watched)
            self._by_watcher.setdefault(watcher, []).append(edge)
        before = edge.state
        edge.state, step = MONITOR.step(at, edge.number, before, event)
        if edge.state is not before or event is not E.LOCKED:
            self.steps.append(step)
        if edge.state is not before:
            edge.since = at

    def locked(self, server: int, client: int, at: At) -> None:
        """A monitored lock was granted: each of the two has an interest in the other's restarts."""
        for watcher, watched in ((server, client), (client, server)):
            edge = self.edges.get((watcher, watched))
            if edge is None or MONITOR.to.get((edge.state, E.LOCKED), edge.state) is not edge.state:
                self.event(watcher, watched, E.LOCKED, at)

    def restarted(self, host: int, at: At) -> None:
        """A host restarted: it reads its list of names again, and its lockd starts with an empty one."""
        for edge in self._by_watcher.get(host, ()):
            early = edge.state is M.MONITORED and edge.since is not None and edge.since.time > at.time - TOLERANCE
            if not early:
                self.event(edge.watcher, edge.watched, E.RESTARTED, at)

    def of(self, heard: Loopback) -> Iterator[tuple[At, Callable[[], None]]]:
        """What loopback captures show of SM_MON and SM_UNMON: when, and what to do then."""
        for mon in heard.mons:
            peer, at = mon.peer, mon.answered
            if peer is not None and at is not None and not mon.refused:
                event = E.MON if mon.watch else E.UNMON
                yield at, partial(self.event, mon.host, peer, event, at)
        for host, moments in heard.emptied.items():
            for at in moments:
                yield at, partial(self._emptied, host, at)

    def _emptied(self, host: int, at: At) -> None:
        for edge in self._by_watcher.get(host, ()):
            self.event(edge.watcher, edge.watched, E.UNMON, at)
