"""Ask tshark for its opinion of a capture, and sort what differs into what is known and what surprises."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nlmdissect.capture.unpack import EXPANSION
from nlmdissect.errors import CaptureError, UsageError
from nlmdissect.oracle import ours, run, theirs
from nlmdissect.oracle.agreed import Agreed, explain
from nlmdissect.oracle.compare import Difference, Result, compare
from nlmdissect.oracle.record import Message
from nlmdissect.oracle.told import text

if TYPE_CHECKING:
    from pyshark.packet.packet import Packet


@dataclass(frozen=True, slots=True, repr=False)
class Crosscheck:
    """Both readings of a capture side by side.

    ``tshark`` is its version, ``complaint`` what it says of a file that it could not read to its end; ``agreed`` counts
    the known differences, by the row that explains them.
    """

    path: str
    tshark: str
    result: Result
    agreed: Counter[Agreed]
    surprises: list[Difference]
    complaint: str = ""

    def __repr__(self) -> str:
        return text(self).rstrip()

    @property
    def clean(self) -> bool:
        """Is every difference known?"""
        return not self.surprises and not self.result.torn


def crosscheck(
    path: str | Path, progress: ours.Progress | None = None, *, max_expansion: int | None = None
) -> Crosscheck:
    """Compare every field of portmap, NLM and NSM (of MOUNT those of the RPC header) with what tshark reads.

    ``progress(done, total)`` is called with bytes, of our own reading first and of tshark's then. ``max_expansion`` is
    as in ``read``, of our own reading: tshark has no such limit. Raises CaptureError as ``read`` does, and for a file
    that tshark does not read at all; UsageError without tshark or pyshark.
    """
    if str(path) == "-" or Path(path).is_fifo():
        raise UsageError("the capture is read twice, and a pipe cannot be", "Give a file.")
    version = run.version()
    own = ours.read(Path(path), progress, EXPANSION if max_expansion is None else max_expansion)
    found: list[Message] = []
    size = Path(path).stat().st_size

    def take(packet: Packet) -> None:
        found.extend(theirs.messages(packet))
        if progress is not None and own.frames:
            progress(size * int(packet.number) // own.frames, size)

    complaint = run.packets(Path(path), take)
    if complaint and own.messages and not found:
        raise CaptureError(f"tshark {version} does not read {path}: {complaint}", "Convert it, or use another tshark.")
    return judged(str(path), version, compare(own, found), complaint)


def judged(path: str, version: str, result: Result, complaint: str = "") -> Crosscheck:
    """The same of a comparison that was made elsewhere."""
    rows = [(difference, explain(difference, version)) for difference in result.differences]
    known = Counter(row for _, row in rows if row is not None)
    surprises = [difference for difference, row in rows if row is None]
    return Crosscheck(path, version, result, known, surprises, complaint)
