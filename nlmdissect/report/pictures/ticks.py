"""Round times for an axis."""

from __future__ import annotations

from nlmdissect.report.times import SECOND, clock

STEPS = [
    *(n * SECOND // 10**power for power in (6, 5, 4, 3, 2, 1) for n in (1, 2, 5)),
    *(n * SECOND for n in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)),
]


def ticks(start: int, end: int, most: int) -> list[tuple[int, str]]:
    """At most ``most`` round moments (ns) from ``start`` to ``end``, with their names."""
    step = next((s for s in STEPS if (end - start) / s <= most), (end - start) // max(most, 1) + 1)
    digits = max((len(str(SECOND // step)) - 1 if step < SECOND else 0), 0)
    first = -(-start // step) * step
    return [(at, clock(at)[: 9 + digits if digits else 8]) for at in range(first, end + 1, step)]
