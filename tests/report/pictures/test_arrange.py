"""Nothing lies on anything else, whatever is on the chart and however small it is drawn."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import pytest
from support.drawn import read
from support.incidents import UNTOLD, crowd

import nlmdissect
from nlmdissect.findings import At
from nlmdissect.report.html import SIZES
from nlmdissect.report.pictures.arrange import BOLD, LETTER, LINE, URGENT, Arranged, Size, arrange
from nlmdissect.report.pictures.chart import Arrow, Chart, Lane, Mark, Tone
from nlmdissect.report.pictures.timeline import timeline

CAPTURES = sorted((Path(__file__).parents[3] / "captures").glob("*.pcap"))
SECOND = 10**9
WIDE = Size(1100, 150)


def boxes(plan: Arranged) -> list[tuple[float, float, int, str]]:
    """Labels as (left, right, middle, text)."""
    found = []
    for label in plan.labels:
        wide = len(label.text) * (BOLD if label.tone in URGENT else LETTER)
        found.append((label.x - wide, label.x, label.y, label.text) if label.end
                     else (label.x, label.x + wide, label.y, label.text))  # fmt: skip
    return found


def check(plan: Arranged) -> None:
    for a, b in combinations(boxes(plan), 2):
        assert abs(a[2] - b[2]) >= LINE or a[1] <= b[0] or b[1] <= a[0], (a, b)
    for left, right, y, text in boxes(plan):
        assert left >= 0, text
        assert right <= plan.size.width + 1, text
        assert 0 <= y <= plan.height
    for one, other in pairwise(plan.boxes):
        assert one.bottom == other.top
    for bar in plan.bars:
        box = plan.boxes[bar.span.lane]
        assert box.top <= bar.y < box.bottom
        assert bar.x + bar.width <= plan.size.width


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_nothing_overlaps_in_real_recordings(path: Path, size: Size) -> None:
    check(arrange(timeline(nlmdissect.read(path).analysis), size))


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_nothing_overlaps_in_a_crowd(tmp_path: Path, size: Size) -> None:
    check(arrange(timeline(read(tmp_path, crowd(60, 9)).analysis), size))


def chart(*items: Mark | Arrow) -> Chart:
    marks = tuple(item for item in items if isinstance(item, Mark))
    arrows = tuple(item for item in items if isinstance(item, Arrow))
    return Chart("", 0, 100 * SECOND, (Lane("a"), Lane("b"), Lane("c")), marks=marks, arrows=arrows)


def arrow(
    seconds: float, tone: Tone = Tone.NOTICE, label: str = "SM_NOTIFY", to: int = 1, broken: bool = False
) -> Arrow:
    return Arrow(0, to, round(seconds * SECOND), tone, label, f"at {seconds}", (At(0, 0, 1),), broken)


def test_what_happens_again_at_once_is_one_with_a_count() -> None:
    plan = arrange(chart(arrow(10), arrow(10.1), arrow(10.2)), WIDE)
    assert [line.words for line in plan.lines] == ["at 10\nat 10.1\nat 10.2"]
    assert [label.text for label in plan.labels] == ["SM_NOTIFY \N{MULTIPLICATION SIGN}3"]


def test_what_happens_again_later_is_drawn_again_and_named_once() -> None:
    plan = arrange(chart(arrow(10), arrow(50), arrow(90)), WIDE)
    assert len(plan.lines) == 3
    assert [label.text for label in plan.labels] == ["SM_NOTIFY \N{MULTIPLICATION SIGN}3"]


def test_arrows_of_two_kinds_at_one_moment_stand_beside_each_other() -> None:
    plan = arrange(chart(arrow(10), arrow(10, Tone.BAD, "refused"), arrow(10, Tone.GOOD, "granted")), WIDE)
    xs = sorted(line.x for line in plan.lines)
    assert min(b - a for a, b in pairwise(xs)) >= 9


def test_many_kinds_in_one_place_come_to_an_end() -> None:
    tones = (Tone.NOTICE, Tone.BAD, Tone.GOOD, Tone.UNSURE, Tone.PLAIN)
    every = [arrow(10 + n / 50, tones[n % 5], f"{n}", 1 + n % 2, n % 3 == 0) for n in range(100)]
    assert arrange(chart(*every), WIDE).lines


def test_what_is_wrong_is_always_named_and_what_is_right_only_where_there_is_room() -> None:
    many = [arrow(50, Tone.GOOD, f"reclaim number {n} was granted") for n in range(30)]
    wrong = [arrow(50, Tone.BAD, f"reclaim number {n} was refused") for n in range(12)]
    texts = [label.text for label in arrange(chart(*many, *wrong), Size(340, 0)).labels]
    assert sum("refused" in text for text in texts) == 12
    assert sum("granted" in text for text in texts) < 30


def test_a_broken_arrow_does_not_arrive(tmp_path: Path) -> None:
    plan = arrange(timeline(read(tmp_path, UNTOLD).analysis), WIDE)
    (line,) = (line for line in plan.lines if line.broken)
    target = plan.boxes[1]
    assert target.top < line.to < target.bars
