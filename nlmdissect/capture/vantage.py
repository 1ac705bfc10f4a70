"""Do two captures hold the same packets at different times? Then they are two vantage points, not one recording.

Sorted into one another they would show every message twice, answers before questions, and retransmissions that never
were. The same packets at the *same* times are only copies (a file given twice, pieces that overlap, two interfaces
of one host), and are for the handling of duplicates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import CaptureError
from .sample import Ints, Sketch

SAME_TIME = 2_000  # ns; a file in us and one in ns tell the same time with up to 1 us between them
JITTER = 100_000_000  # ns; what the network adds on the way from one point to the other
MAX_DRIFT = 1e-3  # clocks that part faster are no clocks; crystals manage 1e-4
FEWEST = 3  # packets
SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Shift:
    """``packets`` of capture ``one`` are in ``other`` too, ``offset`` ns later by its clock; ``drift`` is s per s."""

    one: int
    other: int
    packets: int
    offset: int
    drift: float | None


def find_shift(sketches: Sequence[Sketch]) -> Shift | None:
    """The pair of captures that share most packets at different times; None when no pair does.

    Loopback captures are left out: their packets are nowhere else. A call that is sent again with the same bytes can be
    in one piece of a rotated capture and again in the next, and some of these look like a shift. So captures whose
    times do not overlap need more: SHARE of the smaller one must be in the other.
    """
    best: Shift | None = None
    for one, other, times, shifts in _shared(sketches):
        late = np.abs(shifts) > SAME_TIME
        if int(late.sum()) < FEWEST:
            continue
        offset = int(np.median(shifts[late]))
        width = JITTER + MAX_DRIFT * (int(times.max()) - int(times.min()))
        near = late & (np.abs(shifts - offset) <= width)
        packets = int(near.sum())
        if packets < FEWEST or 2 * packets < len(shifts):
            continue
        smaller = min(len(sketches[one].keys), len(sketches[other].keys))
        if not sketches[one].overlaps(sketches[other]) and packets < SHARE * smaller:
            continue
        if best is None or packets > best.packets:
            best = Shift(one, other, packets, offset, _drift(times[near], shifts[near]))
    return best


def refuse(shift: Shift, names: Sequence[str], sketches: Sequence[Sketch]) -> CaptureError:
    """The error that says which of the two to choose, and how the clocks differ."""
    one, other = names[shift.one], names[shift.other]
    seconds = abs(shift.offset) / 1e9
    if seconds >= 1:
        size = f"{seconds:.2f} s"
    else:
        size = f"{seconds * 1e3:.3f} ms"
    drift = f"; their clocks part by {abs(shift.drift) * 1e6:.0f} ppm" if shift.drift else ""
    later = "later" if shift.offset > 0 else "earlier"
    better, worse = shift.one, shift.other
    if sketches[worse].data > sketches[better].data:
        better, worse = worse, better
    return CaptureError(
        f"{one} and {other} hold the same packets at different times: two vantage points, not one recording."
        f" In {other} they are about {size} {later} ({shift.packets} packets compared{drift}).",
        f"Choose one. {names[better]} shows more ({sketches[better].data} packets with data, the other"
        f" {sketches[worse].data}). To find what was lost between the two points, analyse each by itself and compare.",
    )


def _shared(sketches: Sequence[Sketch]) -> list[tuple[int, int, Ints, Ints]]:
    """For each pair of captures with a packet in common: (one, other, times in one, differences), by one sort of all.

    A packet that is in more than two captures counts for neighbouring ones only, which is enough to find a pair.
    """
    keys, times, owners = [], [], []
    for number, sketch in enumerate(sketches):
        if not sketch.loopback:
            some_keys, some_times = sketch.once()
            keys.append(some_keys)
            times.append(some_times)
            owners.append(np.full(len(some_keys), number, dtype=np.int64))
    if len(keys) < 2:
        return []
    key, time, owner = np.concatenate(keys), np.concatenate(times), np.concatenate(owners)
    order = np.argsort(key, kind="stable")
    key, time, owner = key[order], time[order], owner[order]
    same = np.flatnonzero(key[1:] == key[:-1])
    pair = owner[same] * len(sketches) + owner[same + 1]
    found = []
    for number in np.unique(pair).tolist():
        mine = same[pair == number]
        found.append((number // len(sketches), number % len(sketches), time[mine], time[mine + 1] - time[mine]))
    return found


def _drift(times: Ints, shifts: Ints) -> float | None:
    """How fast the clocks part, in seconds per second; None when the packets are too few or too close together.

    The median of the slopes between some packets of the first half and some of the second: a packet that was held up on
    the way does not bend it, as it would a line of least squares.
    """
    order = np.argsort(times)[:: max(1, len(times) // 200)]
    half = len(order) // 2
    early, late = order[:half], order[half:]
    apart = times[late][:, None] - times[early][None, :]
    far = apart > 10_000_000_000
    if len(times) < 10 or not far.any():
        return None
    return float(np.median((shifts[late][:, None] - shifts[early][None, :])[far] / apart[far]))
