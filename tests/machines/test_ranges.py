"""Byte ranges of one owner, against a model that knows every byte by itself."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlmdissect.findings import At
from nlmdissect.machines.hold import H
from nlmdissect.machines.ranges import Piece, conflicts, cut, holes, overlap, put
from nlmdissect.protocols.nlm import END, span

BYTES = 64
BASES = (0, END - BYTES + 1)  # the first bytes of a file, and its last


def piece(start, end, exclusive=True, frame=1, state=H.HELD, **more):
    return Piece(frame, start, end, exclusive, At(frame, 0, frame), state, **more)


def lock(pieces, start, end, exclusive, frame):
    """What LOCK does: it replaces what lies under it and joins its neighbours."""
    _, outside = cut(pieces, start, end)
    return put(outside, piece(start, end, exclusive, frame))


def unlock(pieces, start, end):
    return cut(pieces, start, end)[1]


ranges = st.tuples(st.integers(0, BYTES - 1), st.integers(0, BYTES - 1)).map(sorted)
steps = st.lists(st.tuples(st.sampled_from(["write", "read", "unlock"]), ranges), max_size=30)


@pytest.mark.parametrize("base", BASES)
@given(steps=steps)
def test_like_a_file_of_single_bytes(base, steps):
    pieces: list[Piece] = []
    model: dict[int, bool] = {}  # byte -> exclusive
    for frame, (what, (low, high)) in enumerate(steps, 1):
        start, end = base + low, base + high
        if what == "unlock":
            pieces = unlock(pieces, start, end)
        else:
            pieces = lock(pieces, start, end, what == "write", frame)
        for byte in range(start, end + 1):
            model.pop(byte, None)
            if what != "unlock":
                model[byte] = what == "write"
        assert {b: p.exclusive for p in pieces for b in range(p.start, p.end + 1)} == model
        assert_in_order(pieces)


def assert_in_order(pieces):
    """Sorted, disjoint, and joined wherever two of one kind touch."""
    for a, b in pairwise(pieces):
        assert a.start <= a.end < b.start <= b.end
        assert a.end + 1 < b.start or a.exclusive != b.exclusive


@given(steps=steps, bounds=ranges)
def test_a_cut_loses_and_adds_nothing(steps, bounds):
    pieces: list[Piece] = []
    for frame, (what, (low, high)) in enumerate(steps, 1):
        pieces = unlock(pieces, low, high) if what == "unlock" else lock(pieces, low, high, what == "write", frame)
    before = {b: (p.exclusive, p.granted) for p in pieces for b in range(p.start, p.end + 1)}
    start, end = bounds
    inside, outside = cut(pieces, start, end)
    assert {b: (p.exclusive, p.granted) for p in inside + outside for b in range(p.start, p.end + 1)} == before
    assert all(start <= p.start and p.end <= end for p in inside)
    assert not any(overlap(p, start, end) for p in outside)
    assert outside == sorted(outside, key=lambda p: p.start)
    gaps = {b for low, high in holes(inside, start, end) for b in range(low, high + 1)}
    assert gaps == set(range(start, end + 1)) - before.keys()


def test_both_parts_of_a_split_keep_all_but_their_bounds():
    whole = piece(0, 99, frame=5, state=H.ORPHANED, boot=2, orphan=3, monitored=False, known=False, reclaim=At(9, 0, 9))
    inside, outside = cut([whole], 40, 59)
    assert [(p.start, p.end) for p in inside + outside] == [(40, 59), (0, 39), (60, 99)]
    for part in inside + outside:
        part.start, part.end = 0, 99
        assert part == whole
        assert part is not whole


def test_pieces_in_different_states_are_not_joined():
    for other in (
        piece(100, 199, exclusive=False),
        piece(100, 199, state=H.ORPHANED),
        piece(100, 199, boot=1),
        piece(100, 199, monitored=False),
    ):
        assert len(put([other], piece(0, 99))) == 2
    assert len(put([piece(100, 199)], piece(0, 99))) == 1


def test_a_joined_piece_carries_the_newest_grant():
    (joined,) = put([piece(0, 99, frame=1), piece(200, 299, frame=2)], piece(100, 199, frame=3))
    assert (joined.start, joined.end, joined.granted.frame) == (0, 299, 3)


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [
        (0, 100, (0, 99)),
        (0, 0, (0, END)),  # to the end of the file
        (5, 0, (5, END)),
        (7, 1, (7, 7)),
        (END, 1, (END, END)),
        (END - 9, 10, (END - 9, END)),
        (END - 9, 11, (END - 9, END)),  # past the last byte
        (1, END, (1, END)),
        (END, END, (END, END)),
    ],
)
def test_spans(offset, length, expected):
    assert span(offset, length) == expected


@given(st.integers(0, END), st.integers(0, END))
def test_a_span_is_never_empty_and_never_beyond_the_end(offset, length):
    start, end = span(offset, length)
    assert start == offset <= end <= END


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [(True, True, True), (True, False, True), (False, True, True), (False, False, False)],
)
def test_only_readers_share(mine, theirs, expected):
    assert conflicts(piece(0, 99, mine), 99, 150, theirs) is expected
    assert conflicts(piece(0, 99, mine), 100, 150, theirs) is False
