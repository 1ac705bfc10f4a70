"""Who watches whom, while the events are walked: the edges of the monitor machine.

Edges are implied by what the network shows, and proven by SM_MON in a capture of the watcher's loopback. That one has
its own clock: a monitoring that seems to be a little older than the restart it followed is taken for younger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from nlmdissect.findings import At
from nlmdissect.history.table import AGAIN
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
    """``edges`` by (watcher, watched). A lock more on an edge that is there already is no step: there are too many.

    ``left_out`` are the edges that stayed as they were over AGAIN restarts, of which later ones are no step either.
    """

    edges: dict[tuple[int, int], Edge] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    left_out: int = 0
    _again: int = 0  # steps of a restart, or of an emptied list, that changed nothing
    # the edges of a watcher that such a step may change, by what they watch
    _awake: dict[tuple[int, E], dict[int, Edge]] = field(default_factory=dict)

    def event(self, watcher: int, watched: int, event: E, at: At) -> None:
        """Something happened between two hosts."""
        edge = self.edges.get((watcher, watched))
        if edge is None:
            edge = self.edges[watcher, watched] = Edge(len(self.edges), watcher, watched)
            self._wake(edge)
        before = edge.state
        edge.state, step = MONITOR.step(at, edge.number, before, event)
        if edge.state is not before or event is not E.LOCKED:
            self.steps.append(step)
        if edge.state is not before:
            edge.since = at
            self._wake(edge)

    def locked(self, server: int, client: int, at: At) -> None:
        """A monitored lock was granted: each of the two has an interest in the other's restarts."""
        for watcher, watched in ((server, client), (client, server)):
            edge = self.edges.get((watcher, watched))
            if edge is None or MONITOR.to.get((edge.state, E.LOCKED), edge.state) is not edge.state:
                self.event(watcher, watched, E.LOCKED, at)

    def restarted(self, host: int, at: At) -> None:
        """A host restarted: it reads its list of names again, and its lockd starts with an empty one."""
        for edge in [*self._awake.get((host, E.RESTARTED), {}).values()]:
            early = edge.state is M.MONITORED and edge.since is not None and edge.since.time > at.time - TOLERANCE
            if not early:
                self._sweep(edge, E.RESTARTED, at)

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
        for edge in [*self._awake.get((host, E.UNMON), {}).values()]:
            self._sweep(edge, E.UNMON, at)

    def _sweep(self, edge: Edge, event: E, at: At) -> None:
        before = edge.state
        self.event(edge.watcher, edge.watched, event, at)
        if edge.state is before:
            self._again += 1
            if self._again > AGAIN:
                self.left_out += 1
                del self._awake[edge.watcher, event][edge.watched]

    def _wake(self, edge: Edge) -> None:
        for event in (E.RESTARTED, E.UNMON):
            self._awake.setdefault((edge.watcher, event), {})[edge.watched] = edge
