"""History: everything that one recording tells, built in order. What rules read."""

from __future__ import annotations

import gc
from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nlmdissect.capture.ahead import Behind
from nlmdissect.capture.block import Defect, Source
from nlmdissect.capture.endpoints import NETWORK
from nlmdissect.capture.files import open_recording
from nlmdissect.capture.messages import Messages, Signal, Traffic, join
from nlmdissect.capture.reader import MessageReader
from nlmdissect.capture.signals import Signals
from nlmdissect.capture.unpack import EXPANSION
from nlmdissect.findings import At
from nlmdissect.history.dealings import Dealings, dealings
from nlmdissect.history.held_off import HeldOff, held_off
from nlmdissect.history.notices import Notices, notices
from nlmdissect.history.recovery import Recoveries, Recovery
from nlmdissect.history.spurious import Spurious, spurious
from nlmdissect.history.table import AGAIN
from nlmdissect.history.walk import Walked, walk
from nlmdissect.hosts.boot import Boot, Boots, look_back
from nlmdissect.hosts.boots import boots
from nlmdissect.hosts.deaths import Death, deaths
from nlmdissect.hosts.given import Whose, owners, with_loopbacks
from nlmdissect.hosts.grace import bound_grace
from nlmdissect.hosts.guesses import NO_GUESS, Guess, guesses
from nlmdissect.hosts.implementations import Implementation
from nlmdissect.hosts.lives import Lives, lives
from nlmdissect.hosts.lookups import Lookups, lookups
from nlmdissect.hosts.loopback import Loopback, loopback
from nlmdissect.hosts.moves import Move, moves
from nlmdissect.hosts.names import Names, names
from nlmdissect.hosts.reach import Unreached, unreached
from nlmdissect.hosts.signs import Sign, Signs, signs
from nlmdissect.hosts.verifiers import verifiers
from nlmdissect.hosts.visibility import Extent, Visibility, visibility
from nlmdissect.rpc.calls import Calls, Texts
from nlmdissect.rpc.names import KEEP, NameReader
from nlmdissect.rpc.pairing import Pairing
from nlmdissect.rpc.paths import Paths
from nlmdissect.rpc.requests import Op, Requests
from nlmdissect.rpc.transmissions import requests

ARENA = 8 << 20  # bytes of messages that are paired at a time, while others are read

Progress = Callable[[int, int | None], None]


@dataclass(slots=True)
class History:
    """Built once by ``read_history``. What it is made of remembers what it was asked, and only ``visibility`` tells of
    that; ``dealings`` and ``walked`` count how much a rule looks at (``looks``).
    """

    sources: tuple[Source, ...]
    traffic: Traffic
    signals: Signals
    defects: list[Defect]
    texts: Texts
    calls: Calls
    paths: Paths
    requests: Requests
    names: Names
    guesses: dict[int, Guess]
    signs: Signs
    boots: Boots
    stray: list[Sign]
    unreached: list[Unreached]
    lives: Lives
    deaths: dict[int, Death]
    moves: dict[int, Move]
    lookups: Lookups
    extent: Extent
    visibility: Visibility
    notices: Notices
    dealings: Dealings
    held_off: list[HeldOff]
    walked: Walked
    recoveries: list[Recovery]
    spurious: list[Spurious]
    loopback: Loopback

    def kind(self, host: int) -> Implementation:
        return self.guess(host).kind

    def guess(self, host: int) -> Guess:
        return self.guesses.get(host, NO_GUESS)

    def called(self, server: int, fh: int, at: At) -> str:
        """A file (its handle's place in ``texts``) for a sentence, as it was called at a moment."""
        return self.paths.text(server, self.texts[fh], at)

    def path(self, server: int, fh: int, at: At) -> str | None:
        """Its path, where calls of the capture had named it by that moment."""
        found = self.paths.path(server, self.texts[fh], at)
        return None if found is None else found.text

    def boot(self, number: int | None) -> Boot | None:
        return None if number is None else self.boots[number]


def read_history(
    paths: Sequence[str | Path],
    progress: Progress | None = None,
    whose: Whose | None = None,
    expansion: int = EXPANSION,
    checksums: bool = True,
) -> History:
    """Read a recording and rebuild what happened. ``whose`` names loopback captures by their host; they are read too.
    ``expansion`` is how many bytes a packed byte may become; ``checksums`` are as in ``MessageReader``.

    Raises CaptureError for a path that is no capture, or for files that are not one recording, and UsageError for a
    host that the recording does not show.
    """
    with uncollected():
        return _read(paths, progress, whose or {}, expansion, checksums)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without looking for garbage in cycles: millions of records are made and none, and each look passes over all."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _read(
    paths: Sequence[str | Path], progress: Progress | None, whose: Whose, expansion: int, checksums: bool
) -> History:
    recording = open_recording(with_loopbacks(paths, whose), expansion=expansion)
    reader = MessageReader(recording, KEEP, progress, checksums)
    files = Paths()
    named = NameReader(files)
    texts = Texts()
    pairing = Pairing(texts)
    signals: list[Signal] = []
    waiting: list[Messages] = []

    def pair(several: list[Messages]) -> None:
        pairing.add(named.take(join(several)))

    behind = Behind(pair)
    for batch in reader:
        waiting.append(batch.messages)
        signals += batch.signals
        if sum(len(m.arena) for m in waiting) > ARENA:
            behind(waiting)
            waiting = []
    behind.wait()
    pair(waiting)
    lost = {
        "open_calls_closed": pairing.dropped,
        "naming_calls_forgotten": named.forgotten,
        "names_full": files.full,
    }
    return build(recording.sources, reader.traffic, signals, pairing.finish(), texts, files, lost, whose)


def build(
    sources: tuple[Source, ...],
    traffic: Traffic,
    signals: list[Signal],
    calls: Calls,
    texts: Texts,
    paths: Paths,
    lost: Mapping[str, int],
    whose: Whose | None = None,
) -> History:
    """Everything after the capture: calls, then requests, hosts, boots, the walk, and the recoveries. ``lost`` counts
    what there was no room for.
    """
    defects = [*(d for source in sources for d in source.defects), *traffic.defects]
    defects += [Defect(0, 0, "rpc", reason, count) for reason, count in lost.items() if count]
    asked = requests(calls)
    who = names(traffic.endpoints, calls, texts, asked, signals, traffic.answers)
    defects += who.resolved.defects
    guessed = guesses(asked, calls, texts, traffic.endpoints)
    written = verifiers(traffic.verifiers, traffic.failed_writes)
    seen = signs(calls, texts, asked, signals, traffic.streams, who, written)
    life = lives(traffic.streams, calls, written)
    restarts, stray = boots(seen, traffic.streams, life, traffic.endpoints)
    look_back(restarts, asked)
    bound_grace(restarts, seen)
    extent = _extent(sources, traffic)
    sight = visibility(extent, signals, traffic, calls, who)
    sight.survey(dict.fromkeys(asked.pairs))
    told = notices(calls, texts)
    spans = {n: (s.first, s.last) for n, s in enumerate(sources) if s.first is not None and s.last is not None}
    heard = loopback(calls, texts, who, spans, owners(sources, whose or {}, who))
    walked = walk(calls, asked, restarts, who, heard)
    if (often := walked.table.again - AGAIN) > 0:
        defects.append(Defect(0, 0, "locks", "restarted_too_often", often))
    if crowded := who.crowded():
        defects.append(Defect(0, 0, "names", "too_many_of_one_name", crowded))
    if walked.left_out:
        defects.append(Defect(0, 0, "locks", "steps_left_out", walked.left_out))
    freed: dict[tuple[int, int], list[At]] = defaultdict(list)
    for r in asked.where(asked.is_a(Op.FREE_ALL)):
        insort(freed[r.client, r.server], r.at)
    kinds = {host: guess.kind for host, guess in guessed.items()}
    rows = Recoveries(who, told, kinds, freed, extent.last).read(restarts, walked)
    wrong = spurious(told, stray, restarts, who, life)
    return History(
        sources=sources,
        traffic=traffic,
        signals=Signals(signals),
        defects=defects,
        texts=texts,
        calls=calls,
        paths=paths,
        requests=asked,
        names=who,
        guesses=guessed,
        signs=seen,
        boots=restarts,
        stray=stray,
        lives=life,
        deaths=deaths(signals, traffic),
        unreached=unreached(calls, texts, asked, signals, traffic, restarts),
        moves=moves(restarts, signals, traffic.endpoints),
        lookups=lookups(calls, texts),
        extent=extent,
        visibility=sight,
        notices=told,
        dealings=dealings(asked),
        held_off=held_off(asked, restarts),
        walked=walked,
        recoveries=rows,
        spurious=wrong,
        loopback=heard,
    )


def _extent(sources: tuple[Source, ...], traffic: Traffic) -> Extent:
    """The span of the network's captures: a loopback capture has a clock of its own, unless there is nothing else."""
    scopes = traffic.endpoints.scopes
    network = {stream.capture for stream in traffic.streams if scopes[stream.src] == NETWORK}
    loopback = {stream.capture for stream in traffic.streams} - network
    # a file of a rotated set in which no conversation begins is of the network all the same
    sources = tuple(s for number, s in enumerate(sources) if number not in loopback) or sources
    first = [s.first for s in sources if s.first is not None]
    last = [s.last for s in sources if s.last is not None]
    return Extent(min(first, default=0), max(last, default=0), sum(s.dropped or 0 for s in sources))
