"""What overlaps what, held beside a look at everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nlmdissect.machines.spans import Spans
from nlmdissect.protocols.nlm import END

near = st.integers(0, 40)
places = st.one_of(near, st.integers(0, END), near.map(lambda n: END - n), st.integers(0, 63).map(lambda n: 1 << n))
ranges = st.tuples(places, places).map(lambda pair: (min(pair), max(pair)))


@given(st.lists(ranges, max_size=30), st.lists(ranges, min_size=1, max_size=8), st.data())
def test_what_overlaps_is_found(of: list[tuple[int, int]], queries: list[tuple[int, int]], data: st.DataObject) -> None:
    spans, kept = Spans(), dict(enumerate(of))
    for number, (start, end) in kept.items():
        spans.add(start, end, number)
    for number in data.draw(st.lists(st.sampled_from(sorted(kept)), unique=True)) if kept else ():
        spans.remove(*kept.pop(number), number)
    for start, end in queries:
        expected = [number for number, (first, last) in kept.items() if first <= end and start <= last]
        assert sorted(spans.over(start, end)) == expected


def test_one_that_is_far_from_the_others_looks_at_none_of_them() -> None:
    """Two ends each, with everything between them free: no bounds tell them apart."""
    spans = Spans()
    for n in range(1000):
        spans.add(20 * n, 20 * n + 9, n)
        spans.add(2**40 + 20 * n, 2**40 + 20 * n + 9, n)
    assert list(spans.over(2**39, 2**39 + 9)) == []
    assert sorted(spans.over(2**40 + 15, 2**40 + 45)) == [1, 2]
