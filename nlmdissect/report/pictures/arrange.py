"""A place for everything on a chart, so that nothing lies on anything else.

Theory of operation. A lane is as high as its bars and the rows of labels above them. Labels stand beside their mark or
arrow, in the first row that has room, the worst first. What happens again within a few pixels is one mark with a
count. Arrows of different kinds that would lie on each other move apart; those of one kind lie on one line.

Units: pixels, ``y`` downwards.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from nlmdissect.escape import shorten
from nlmdissect.report.pictures.chart import SEVERITY, Arrow, Band, Chart, Mark, Span, Tone

NEAR = 14  # what is nearer to its like is merged with it
GAP = 9  # between arrows of different kinds
DRIFT = 60  # the most that an arrow moves for it
LETTER, BOLD = 6.8, 7.8  # px, the width of a letter of a label, rather too much than too little
LINE = 15  # px, a row of labels
BAR, PAD, NAME = 11, 7, 17
ROWS = 4  # of labels on a lane, unless they tell what is wrong
URGENT = frozenset({Tone.BAD, Tone.LOST, Tone.BOOT, Tone.STALE})  # has a label whatever it takes, in bold
SAID = 5  # of what was merged


class Size(NamedTuple):
    """``left``: px for the names of the lanes; 0: they stand above them."""

    width: int
    left: int


class Box(NamedTuple):
    """Where a lane is; its bars begin at ``bars``."""

    top: int
    bars: int
    bottom: int


class Bar(NamedTuple):
    x: float
    y: int
    width: float
    span: Span


class Point(NamedTuple):
    """A mark, or several that were merged."""

    x: float
    y: int
    tone: Tone
    words: str


class Line(NamedTuple):
    """An arrow, or several that were merged, from ``y`` to ``to``."""

    x: float
    y: int
    to: int
    tone: Tone
    words: str
    broken: bool


class Label(NamedTuple):
    """``end``: the text ends at ``x``, else it begins there. ``y`` is its middle. ``about``: what it stands beside."""

    x: float
    y: int
    text: str
    tone: Tone
    end: bool
    about: Mark | Arrow | None = None


class Ground(NamedTuple):
    x: float
    width: float
    band: Band


@dataclass(slots=True)
class Arranged:
    chart: Chart
    size: Size
    height: int = 0
    boxes: list[Box] = field(default_factory=list)
    grounds: list[Ground] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    @property
    def _room(self) -> int:
        """px for the whole time; an arrow that is moved at its end is seen whole."""
        return self.size.width - self.size.left - (4 * PAD if self.size.left else PAD)

    def x(self, time: int) -> float:
        """Where a moment (ns) is."""
        return self.size.left + self._room * (time - self.chart.start) / max(self.chart.end - self.chart.start, 1)

    def time(self, x: float) -> int:
        """The moment (ns) at a place."""
        return round(self.chart.start + (x - self.size.left) / self._room * (self.chart.end - self.chart.start))


class _Group(NamedTuple):
    """Marks or arrows of one kind that lie together."""

    x: float
    label: str
    first: Mark | Arrow
    words: str

    @property
    def lane(self) -> int:
        """The lane that it is written on."""
        return self.first.lane if isinstance(self.first, Mark) else max(self.first.source, self.first.target)


def arrange(chart: Chart, size: Size) -> Arranged:
    """Find the places for a picture of this width."""
    plan = Arranged(chart, size)
    groups = _apart(_merged(plan))
    head = _bands(plan)
    rows: dict[int, list[tuple[float, Label, int]]] = defaultdict(list)
    used: dict[int, list[list[tuple[float, float]]]] = defaultdict(list)
    for group in sorted(groups, key=lambda g: (-SEVERITY[g.first.tone], g.first.time)):
        if group.label and (found := _room(plan, used[group.lane], group)):
            rows[group.lane].append(found)
    y = head
    for number, lane in enumerate(chart.lanes):
        top = y
        y += (NAME if not size.left else 0) + PAD
        first = y
        y += LINE * max((row + 1 for _, _, row in rows[number]), default=0)
        plan.labels += [label._replace(y=first + row * LINE + LINE // 2) for _, label, row in rows[number]]
        bars = y
        y = max(y + lane.rows * (BAR + 2), top + (0 if not size.left else 2 * NAME)) + PAD
        plan.boxes.append(Box(top, bars, y))
    plan.height = y
    for span in chart.spans:
        x, end = plan.x(span.start), plan.x(span.end)
        plan.bars.append(Bar(x, plan.boxes[span.lane].bars + span.row * (BAR + 2), max(end - x, 2), span))
    beside = {label.about: label.y for label in plan.labels}
    for group in groups:
        _draw(plan, group, beside.get(group.first))
    return plan


def _draw(plan: Arranged, group: _Group, beside: int | None) -> None:
    """``beside``: where its label is, if it has one."""
    item, boxes = group.first, plan.boxes
    if isinstance(item, Mark):
        plan.points.append(Point(group.x, boxes[item.lane].bars + BAR // 2, item.tone, group.words))
        return
    down = item.target > item.source
    source, target = boxes[item.source], boxes[item.target]
    y = source.bars + BAR // 2
    if item.broken:
        to = (beside or target.top + 2) if down else target.bottom - 4
    else:
        to = target.bars if down else target.bars + plan.chart.lanes[item.target].rows * (BAR + 2)
    plan.lines.append(Line(group.x, y, to, item.tone, group.words, item.broken))


def _merged(plan: Arranged) -> list[_Group]:
    alike: dict[tuple[object, ...], list[Mark | Arrow]] = defaultdict(list)
    every: list[Mark | Arrow] = [*plan.chart.marks, *plan.chart.arrows]
    for item in every:
        ends = (item.lane,) if isinstance(item, Mark) else (item.source, item.target, item.broken)
        alike[(*ends, item.tone, item.label)].append(item)
    groups = []
    for items in alike.values():
        items.sort(key=lambda item: item.time)
        start = 0
        for place, item in enumerate(items):
            last = place + 1 == len(items)
            if last or plan.x(items[place + 1].time) - plan.x(item.time) > NEAR:
                groups.append(_group(plan, items[start : place + 1], len(items) if not start else 0))
                start = place + 1
    return sorted(groups, key=lambda g: g.first.time)


def _group(plan: Arranged, items: list[Mark | Arrow], times: int) -> _Group:
    """``times``: how often it happens in all, which the first group says; 0 for later ones, which say nothing."""
    first = items[0]
    label = f"{first.label} \N{MULTIPLICATION SIGN}{times}" if first.label and times > 1 else first.label
    said = [item.words for item in items[:SAID]]
    if len(items) > SAID:
        said.append(f"and {len(items) - SAID} more until {items[-1].words}")
    return _Group(plan.x(first.time), label if times else "", first, "\n".join(said))


def _apart(groups: list[_Group]) -> list[_Group]:
    """Move arrows of different kinds apart, and those of one kind together."""
    placed: list[_Group] = []
    done: list[_Group] = []
    for group in groups:
        if not isinstance(group.first, Arrow):
            done.append(group)
            continue
        x = group.x
        while x - group.x < DRIFT and (other := _on(placed, group, x)):
            if _kind(other) == _kind(group):
                x = other.x
                break
            x = max(x, other.x) + GAP
        placed.append(group._replace(x=x))
    return [*done, *placed]


def _on(placed: list[_Group], group: _Group, x: float) -> _Group | None:
    """An arrow that one at ``x`` would lie on; one of the same kind rather than another."""
    near = [other for other in placed if abs(other.x - x) < GAP and _cross(other, group)]
    return next((other for other in near if _kind(other) == _kind(group)), near[-1] if near else None)


def _kind(group: _Group) -> tuple[Tone, bool, bool]:
    arrow = group.first
    assert isinstance(arrow, Arrow)
    return arrow.tone, arrow.broken, arrow.target > arrow.source


def _cross(a: _Group, b: _Group) -> bool:
    assert isinstance(a.first, Arrow)
    assert isinstance(b.first, Arrow)
    (top, bottom), (other, end) = (sorted((g.first.source, g.first.target)) for g in (a, b))  # type: ignore[union-attr]
    return top < end and other < bottom


def _room(plan: Arranged, used: list[list[tuple[float, float]]], group: _Group) -> tuple[float, Label, int] | None:
    """The first row with room for a label; None where there is none and nothing is wrong."""
    tone, left = group.first.tone, plan.size.left
    urgent = tone in URGENT
    letter = BOLD if urgent else LETTER
    text = shorten(group.label, max(int((plan.size.width - left) / letter) - 2, 8))
    wide = len(text) * letter
    starts = [group.x + 6, group.x - 6 - wide]
    beside = [x for x in starts if x >= left and x + wide <= plan.size.width]
    fits = beside or [max(left, plan.size.width - wide - 2)]
    for row in range(len(used) + 1 if urgent else ROWS):
        if row == len(used):
            used.append([])
        for x in fits:
            if all(x + wide + 4 < begin or end + 4 < x for begin, end in used[row]):
                used[row].append((x, x + wide))
                end = x < group.x and x == starts[1]
                return x, Label(group.x - 6 if end else x, 0, text, tone, end, group.first if beside else None), row
    return None


def _bands(plan: Arranged) -> int:
    """Grounds and their labels. Returns where the lanes begin."""
    used: list[list[tuple[float, float]]] = []
    for band in plan.chart.bands:
        x, end = plan.x(band.start), plan.x(band.end)
        plan.grounds.append(Ground(x, max(end - x, 2), band))
        group = _Group(x - 4, band.label, Mark(0, band.start, Tone.BOOT, band.label, ""), "")
        if band.label and (found := _room(plan, used, group)):
            _, label, row = found
            plan.labels.append(label._replace(y=row * LINE + LINE // 2 + 2, tone=band.tone))
    return len(used) * LINE + (4 if used else 0)
