"""Times are UTC with nanoseconds, whatever a user writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlmdissect.errors import UsageError
from nlmdissect.report.times import clock, day, duration, iso, parse

NEW_YEAR = 1767225600 * 10**9  # 2026-01-01T00:00:00Z by date -u -d @1767225600


def test_nanoseconds_are_kept() -> None:
    assert iso(NEW_YEAR) == "2026-01-01T00:00:00.000000000Z"
    assert iso(NEW_YEAR + 1) == "2026-01-01T00:00:00.000000001Z"
    assert iso(-1) == "1969-12-31T23:59:59.999999999Z"
    assert (day(NEW_YEAR + 1500), clock(NEW_YEAR + 1500)) == ("2026-01-01", "00:00:00.000001")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-01", NEW_YEAR),
        ("2026-01-01T00:00:00", NEW_YEAR),
        ("2026-01-01 00:00:00.000000001", NEW_YEAR + 1),
        ("2026-01-01T02:00:00+02:00", NEW_YEAR),
        ("2026-01-01T00:00:00.5Z", NEW_YEAR + 5 * 10**8),
        ("2026-01-01T01:00:00.25+01:00", NEW_YEAR + 25 * 10**7),
        ("1767225600", NEW_YEAR),
        ("1767225600.000000002", NEW_YEAR + 2),
    ],
)
def test_what_a_user_may_write(text: str, time: int) -> None:
    assert parse(text) == time


@pytest.mark.parametrize("text", ["", "noon", "2026-13-01", "25:00", "1.2.3", "2026-01-01T00:00:00.5junk"])
def test_what_means_nothing(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        parse(text)


@given(st.integers(-(2**62), 2**62))
def test_what_is_written_is_read_again(time: int) -> None:
    assert parse(iso(time)) == time


@pytest.mark.parametrize(
    ("ns", "text"),
    [(4 * 10**8, "0.4 s"), (65 * 10**9, "65 s"), (720 * 10**9, "12 min"), (12600 * 10**9, "3.5 h")],
)
def test_durations(ns: int, text: str) -> None:
    assert duration(ns) == text
