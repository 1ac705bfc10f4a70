"""A ladder in plain characters: frames and times, a lane for each host, arrows, and what was said beside them.

    frame answer  time           client-a    nfs-server    client-b
      182    188  11:29:58.444      |------------>|             |    LOCK write 0-99 -> GRANTED
                  11:30:03.732      |             *             |    restarted
                                    |      x - - -|             |    no SM_NOTIFY

Everything is ASCII, so that it survives any terminal, any mail and any ticket.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nlmdissect.escape import show
from nlmdissect.findings import At
from nlmdissect.report.ladder import Kind, Ladder, Rung
from nlmdissect.report.times import clock
from nlmdissect.report.voice import Voice
from nlmdissect.rpc.calls import RPC_STATUS

NARROWEST, NEAREST, FARTHEST = 7, 11, 20  # columns from lane to lane; less than the first is no picture
LONGEST = 16  # of a name that makes the lanes stand wider
MARGIN = 5  # columns beside the outer lanes
REFUSED = ("DENIED", "STALE_FH", "port 0", *RPC_STATUS[1:])
TAILS = (4, 8, 24)  # digits
WORDS = 24  # columns for what was said, at least
TIME = 12  # 11:30:03.732


class Part(NamedTuple):
    """A piece of a line, and whether it stands out: ``""``, ``"proof"`` or ``"bad"``."""

    text: str
    tone: str = ""


def draw(ladder: Ladder, voice: Voice, width: int) -> Iterator[list[Part]]:
    """The lines of the picture, no longer than ``width``; none where that leaves no room for it."""
    if not ladder.rungs or not ladder.hosts:
        return iter(())
    drawing = _Drawing(ladder, voice, width)
    return drawing.lines() if drawing.gap >= NARROWEST else iter(())


class _Drawing:
    def __init__(self, ladder: Ladder, voice: Voice, width: int) -> None:
        self._ladder, self._voice, self._width = ladder, voice, width
        names = _names([voice.short(host) for host in ladder.hosts])
        self._frames = max(5, *(len(self._frame(rung.at)) for rung in ladder.rungs))
        self._answers = max(6, *(len(self._frame(rung.answered)) for rung in ladder.rungs))
        self._left = self._frames + 1 + self._answers + 2 + TIME
        self._files = _tails({rung.fh for rung in ladder.rungs if rung.fh})
        longest = max(len("".join(part.text for part in self._said(rung))) for rung in ladder.rungs)
        nearest = max(NEAREST, min(max(map(len, names)) + 1, LONGEST))
        room, least = ((width - self._left - MARGIN - said) // max(len(names) - 1, 1) for said in (longest, WORDS))
        self.gap = gap = min(max(room, nearest), FARTHEST, least)
        self._names = [name if len(name) < gap else f"{name[: max(gap - 3, 1)]}.." for name in names]
        self._lanes = {host: 2 + place * gap for place, host in enumerate(ladder.hosts)}
        self._span = max(self._lanes.values()) + MARGIN - 2
        self._words = width - self._left - self._span

    def lines(self) -> Iterator[list[Part]]:
        head = f"{'frame':>{self._frames}} {'answer':>{self._answers}}  time"
        for name, at in zip(self._names, self._lanes.values(), strict=True):
            head = f"{head:{self._left + at - len(name) // 2}}{name}"
        yield [Part(head[: self._width])]
        for rung in self._ladder.rungs:
            yield from self._rung(rung)
        if self._ladder.left_out:
            calls = "call" if self._ladder.left_out == 1 else "calls"
            yield [Part(f"{self._ladder.left_out} other {calls} between these hosts left out")]

    def _rung(self, rung: Rung) -> Iterator[list[Part]]:
        tone = "bad" if rung.kind is Kind.MISSING else "proof" if rung.proof else ""
        time = "" if rung.kind is Kind.MISSING else clock(rung.at.time)[:TIME]
        frames = f"{self._frame(rung.at):>{self._frames}} {self._frame(rung.answered):>{self._answers}}"
        head = f"{frames}  {time:{TIME}}"
        said = list(self._said(rung))
        if len("".join(part.text for part in said)) <= self._words:
            yield [Part(head, tone), Part(self._arrow(rung), tone), *said]
            return
        for place, part in enumerate(said):
            lanes = self._bars() if place else self._arrow(rung)
            text = part.text if len(part.text) <= self._words else part.text[: self._words - 2] + ".."
            yield [Part(" " * len(head) if place else head, tone), Part(lanes, tone), Part(text.lstrip(), part.tone)]

    def _bars(self) -> str:
        return "".join("|" if column in self._lanes.values() else " " for column in range(self._span))

    def _arrow(self, rung: Rung) -> str:
        line = list(self._bars())
        if rung.kind is Kind.EVENT and rung.source is not None:
            line[self._lanes[rung.source]] = "*"
        if rung.source is None or rung.target is None:
            return "".join(line)
        source, target = self._lanes[rung.source], self._lanes[rung.target]
        step = 1 if target > source else -1
        between = range(source + step, target, step)
        if rung.kind is Kind.MISSING:
            halfway = len(between) // 3 * 2  # an even number of columns: the last one before the x is blank
            for place, column in enumerate(between[:halfway]):
                line[column] = "- "[place % 2]
            line[between[halfway]] = "x"
            return "".join(line)
        for column in between:
            line[column] = "-"
        if len(between):
            line[between[-1]] = ">" if step > 0 else "<"
        return "".join(line)

    def _said(self, rung: Rung) -> Iterator[Part]:
        """What was said, and what was answered."""
        file = f" ..{self._files[rung.fh]}" if rung.fh in self._files else ""
        times = f" ({rung.times} times)" if rung.times > 1 else ""
        tone = "bad" if rung.kind is Kind.MISSING else "proof" if rung.proof else ""
        yield Part(f"{show(rung.what)}{file}{times}", tone)
        if rung.answer:
            bad = rung.proof and (rung.answered is None or rung.answer.startswith(REFUSED))
            yield Part(f" -> {show(rung.answer)}", "bad" if bad else tone)

    def _frame(self, at: At | None) -> str:
        return self._voice.frame(at) if at is not None and at.frame else ""


def _names(names: list[str]) -> list[str]:
    """Cut at the first dot, as hosts cut them, where they are names and stay apart."""
    short = [name if name.replace(".", "").isdecimal() else name.partition(".")[0] for name in names]
    return short if len(set(short)) == len(names) else names


def _tails(files: set[bytes]) -> dict[bytes, str]:
    """What tells several files apart: as few of the last digits of their handles as do it. Nothing for a single one."""
    for digits in TAILS if len(files) > 1 else ():
        tails = {fh: fh.rstrip(bytes(1)).hex()[-digits:] for fh in files}
        if len(set(tails.values())) == len(files):
            return tails
    return {}
