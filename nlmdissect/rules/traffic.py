"""What rules about the capture itself ask of its traffic."""

from __future__ import annotations

from nlmdissect.findings import At
from nlmdissect.history.history import History
from nlmdissect.protocols import NFS


def calls_of(history: History, *programs: int) -> int:
    """How many calls of these programs the recording shows."""
    return sum(sum(history.traffic.calls(program).values()) for program in programs)


def first_frame_of(history: History, program: int = NFS) -> At:
    """The first frame of the first stream that carries calls of a program."""
    streams = [s for s in history.traffic.streams if any(p == program for p, _ in s.programs)]
    return min((At(s.first_time, s.capture, s.first_frame) for s in streams), default=At(history.extent.first, 0, 1))
