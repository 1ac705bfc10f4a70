"""Moments as reports write them: UTC, to the nanosecond where it counts."""

from __future__ import annotations

from datetime import UTC, datetime

from nlmdissect.errors import UsageError

SECOND = 10**9
DAY = 86400 * SECOND


def iso(time: int) -> str:
    """``2026-01-01T00:00:00.000000000Z`` of ns since 1970."""
    seconds, fraction = divmod(time, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def clock(time: int) -> str:
    """``00:00:00.000000``: the time of day, for lines that stand below a date."""
    return iso(time)[11:26]


def day(time: int) -> str:
    """``2026-01-01``."""
    return iso(time)[:10]


def duration(ns: int) -> str:
    """``0.4 s``, ``65 s``, ``12 min``, ``3.5 h``."""
    seconds = ns / SECOND
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def parse(text: str) -> int:
    """ns since 1970 of an ISO 8601 date or time (naive: UTC), or of seconds since 1970. Raises UsageError."""
    whole, _, fraction = text.strip().partition(".")
    digits = fraction[: len(fraction) - len(fraction.lstrip("0123456789"))]
    zone = fraction[len(digits) :]
    try:
        if whole.lstrip("-").isdecimal() and len(whole) > 8 and not zone:
            sign = -1 if whole.startswith("-") else 1
            return int(whole) * SECOND + sign * int(f"{digits:0<9}"[:9])
        moment = datetime.fromisoformat(whole + zone)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return round(moment.timestamp()) * SECOND + int(f"{digits:0<9}"[:9])
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{text!r} is not a time",
            "Write it as 2026-01-31T13:05:00 (UTC), with +02:00 for another zone, or as epoch seconds.",
        ) from error


def parse_at(text: str, first: int, last: int) -> int:
    """A moment of a recording, as ``parse_in`` reads it. Raises UsageError for one that is not in it."""
    time = parse_in(text, first, last)
    if not first <= time <= last:
        raise UsageError(f"{text.strip()} is not in the recording", f"It runs from {iso(first)} to {iso(last)}.")
    return time


def parse_in(text: str, first: int, last: int) -> int:
    """A moment for a recording that runs from ``first`` to ``last`` (ns): as ``parse`` reads it, or a time of day on
    the recording's day (the first one that lies in it), or ``+seconds`` from its beginning. Raises UsageError.
    """
    text = text.strip()
    if text.startswith("+"):
        return first + _seconds(text[1:])
    if text[2:3] != ":":
        return parse(text)
    time = parse(f"{day(first)}T{text}")
    while time < first and time + DAY <= last:
        time += DAY
    return time


def _seconds(text: str) -> int:
    whole, _, fraction = text.partition(".")
    if not (whole or "0").isdecimal() or not (fraction or "0").isdecimal() or not (whole or fraction):
        raise UsageError(f"'+{text}' is not a time", "Write +90 or +0.5: seconds from the first frame.")
    return int(whole or "0") * SECOND + int(f"{fraction:0<9}"[:9])
