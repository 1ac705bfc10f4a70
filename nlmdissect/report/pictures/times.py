"""How long answers took: per server and procedure, and how long lock requests waited."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlmdissect.analysis import Analysis
from nlmdissect.findings import At
from nlmdissect.history.history import History
from nlmdissect.protocols import NLM, NSM, PORTMAP
from nlmdissect.report.lines import procedure
from nlmdissect.report.times import SECOND
from nlmdissect.report.voice import Voice, count


class Took(NamedTuple):
    """One server and procedure. Units: seconds. ``slowest`` is the call, or the beginning of the wait."""

    server: str
    what: str
    answered: int
    unanswered: int
    minimum: float
    quarter: float
    median: float
    mean: float
    three_quarters: float
    p95: float
    maximum: float
    slowest: At


@dataclass(frozen=True, slots=True)
class Times:
    """``rows`` are slowest first (by the 95th percentile)."""

    rows: tuple[Took, ...]
    notes: tuple[str, ...] = ()


def times(analysis: Analysis, most: int = 40) -> Times:
    """Calls to answers as ``tshark -z rpc,srt`` counts them, _MSG to _RES, and BLOCKED to granted."""
    history = analysis.history
    voice = Voice(history)
    rows = sorted([*_calls(history, voice), *_requests(history, voice)], key=lambda row: -row.p95)
    notes = [f"{count(len(rows) - most, 'faster row')} not shown."] if len(rows) > most else []
    return Times(tuple(rows[:most]), tuple(notes))


def _calls(history: History, voice: Voice) -> Iterator[Took]:
    c = history.calls
    ours = ((c.program == NLM) | (c.program == NSM) | (c.program == PORTMAP)) & (c.frame != 0)
    keys = np.stack([c.dst, c.program, c.version, c.procedure], 1)
    took = (c.reply_time - c.time) / SECOND
    for key in np.unique(keys[ours], axis=0):
        of = ours & (keys == key).all(1)
        rows = np.flatnonzero(of & (c.reply_frame != 0))
        if len(rows):
            silent = int(of.sum()) - len(rows)
            slowest = c.at(int(rows[np.argmax(took[rows])]))
            yield _took(voice.short(int(key[0])), procedure(c, int(rows[0])), took[rows], silent, slowest)


def _requests(history: History, voice: Voice) -> Iterator[Took]:
    """What is answered by a call of its own, and waits."""
    found: dict[tuple[int, str], list[tuple[float, At]]] = defaultdict(list)
    silent: dict[tuple[int, str], int] = defaultdict(int)
    for r in history.requests.where(history.requests.said.asynchronous):
        asked = r.client if r.op == "GRANTED" else r.server
        key = asked, f"NLM{r.version} {r.op}_MSG to {r.op}_RES"
        if r.answers:
            found[key].append(((r.answers[0].at.time - r.at.time) / SECOND, r.at))
        else:
            silent[key] += 1
    for wait in history.walked.waits:
        key = wait.request.server, "LOCK: BLOCKED to granted"
        if wait.ended and wait.how in ("granted", "called back"):
            found[key].append(((wait.ended.time - wait.since.time) / SECOND, wait.since))
        else:
            silent[key] += 1
    for key, of in found.items():
        yield _took(voice.short(key[0]), key[1], np.array([t for t, _ in of]), silent[key], max(of)[1])


def _took(server: str, what: str, took: NDArray[np.float64], silent: int, slowest: At) -> Took:
    quarter, median, three, p95 = (float(x) for x in np.percentile(took, (25, 50, 75, 95)))
    low, mean, high = (float(x) for x in (took.min(), took.mean(), took.max()))
    return Took(server, what, len(took), silent, low, quarter, median, mean, three, p95, high, slowest)


def in_words(seconds: float) -> str:
    """``0.4 ms``, ``12 s``."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def hover(voice: Voice, row: Took) -> Iterable[str]:
    """Lines about one row."""
    yield f"{row.what} at {row.server}: {row.answered} answered, {row.unanswered} not"
    yield f"min {in_words(row.minimum)}, median {in_words(row.median)}, mean {in_words(row.mean)}"
    yield f"95 % within {in_words(row.p95)}, max {in_words(row.maximum)} ({voice.cite([row.slowest])})"
