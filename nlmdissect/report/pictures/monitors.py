"""Who watches whom, and which of these edges carried a notice, or should have."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

from nlmdissect.analysis import Analysis
from nlmdissect.findings import At, Severity
from nlmdissect.history.recovery import Notify
from nlmdissect.machines.monitor import M
from nlmdissect.report.pictures.chart import Tone
from nlmdissect.report.voice import Voice, count

TONES = {M.MONITORED: Tone.HELD, M.UNMONITORED: Tone.UNSURE}
FAILED = (Notify.MISSING, Notify.UNANSWERED, Notify.ANSWERED)
SAYS = {
    Tone.PLAIN: "implied by a lock",
    Tone.UNSURE: "SM_UNMON seen",
    Tone.HELD: "SM_MON seen",
    Tone.NOTICE: "a notice came over it",
    Tone.BAD: "a notice should have come over it",
}
RANK = {tone: rank for rank, tone in enumerate(SAYS)}  # the later says more


class Node(NamedTuple):
    """A host: ``side`` 0 for servers, 1 for clients; ``place`` counts down its side."""

    name: str
    side: int
    place: int
    bad: bool


class Edge(NamedTuple):
    """``watcher`` and ``watched`` are numbers of nodes."""

    watcher: int
    watched: int
    tone: Tone
    words: str
    frames: tuple[At, ...]


@dataclass(frozen=True, slots=True)
class Monitors:
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    notes: tuple[str, ...] = ()


def monitors(analysis: Analysis, most: int = 40) -> Monitors:
    """See ``Capture.plot_monitors``. The worst edges first; at most ``most`` hosts a side, the rest is one node."""
    found = _edges(analysis)
    names, voice = analysis.history.names, Voice(analysis.history)
    worst: dict[int, int] = defaultdict(int)
    for pair, (tone, _, _) in found.items():
        for host in pair:
            worst[host] = max(worst[host], RANK[tone])
    nodes: list[Node] = []
    numbers: dict[int, int] = {}
    notes = []
    for side, word in enumerate(("server", "client")):
        of = [h for h in worst if ("server" in names.roles.get(h, ())) == (side == 0)]
        of.sort(key=lambda h: (-worst[h], names.address(h)))
        room = most if len(of) <= most else most - 1
        for place, host in enumerate(of[:room]):
            numbers[host] = len(nodes)
            nodes.append(Node(voice.short(host), side, place, worst[host] == RANK[Tone.BAD]))
        if of[room:]:
            numbers |= dict.fromkeys(of[room:], len(nodes))
            nodes.append(Node(f"{len(of) - room} more {word}s", side, room, False))
            notes.append(f"{count(len(of) - room, word)} with less trouble share the last place.")
    edges: dict[tuple[int, int], Edge] = {}
    for (watcher, watched), (tone, words, frames) in found.items():
        edge = Edge(numbers[watcher], numbers[watched], tone, words, frames)
        old = edges.get(edge[:2])
        if old is None or RANK[tone] > RANK[old.tone]:
            edges[edge[:2]] = edge
    return Monitors(tuple(nodes), tuple(sorted(edges.values(), key=lambda e: RANK[e.tone])), tuple(notes))


def _edges(analysis: Analysis) -> dict[tuple[int, int], tuple[Tone, str, tuple[At, ...]]]:
    """(watcher, watched) -> what is known of it."""
    history, voice = analysis.history, Voice(analysis.history)
    found: dict[tuple[int, int], tuple[Tone, str, tuple[At, ...]]] = {}

    def add(watcher: int, watched: int, tone: Tone, why: str, frames: tuple[At, ...]) -> None:
        old = found.get((watcher, watched))
        if watcher != watched and (old is None or RANK[tone] > RANK[old[0]]):
            words = f"{voice.host(watcher)} watches {voice.host(watched)}: {why}"
            cited = voice.cite(frames[:4])
            found[watcher, watched] = tone, f"{words} ({cited})" if cited else words, frames

    for edge in history.walked.edges.values():
        if edge.state is not M.UNSEEN:
            tone = TONES.get(edge.state, Tone.PLAIN)
            add(edge.watcher, edge.watched, tone, SAYS[tone], (edge.since,) if edge.since else ())
    for (sender, receiver), tries in history.notices.tries.items():
        heard = tuple(t.at for t in tries if t.answered is not None and not t.refused)
        if heard:
            add(receiver, sender, Tone.NOTICE, f"{count(len(heard), 'SM_NOTIFY')} answered", heard)
    blamed = {(f.boot, h) for f in analysis.findings if f.severity is Severity.ERROR for h in (f.client, f.server)}
    for row in history.recoveries:
        if row.notify in FAILED and (row.boot.number, row.peer) in blamed:
            why = f"{voice.restart(row.boot)}, notice {row.notify.value}: {row.why}"
            add(row.peer, row.boot.host, Tone.BAD, why, (row.boot.evidence[0].at, *(t.at for t in row.tries)))
    return found
