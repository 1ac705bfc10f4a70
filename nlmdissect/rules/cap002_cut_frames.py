"""CAP002 cut-frames."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Evidence, Finding, Judged, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.protocols import NLM, NSM
from nlmdissect.rules import words

RPC_BEGINS = 96  # bytes of a frame within which its first RPC header ends, over UDP without options


@rule("CAP002", "cut-frames", Severity.INFO, source="V6")
def cut_frames(history: History) -> Iterator[Verdict]:
    """snaplen cut bodies that a verdict needs.

    Why it matters: the file handle, the range and the `reclaim` flag of a LOCK lie 150 to 300 bytes into the frame.
    Where they are cut off, a lock cannot be told from another.

    How it is seen: the record mark or the IP header says that a message was longer than what was captured, and an
    NLM or NSM body ends too early.

    What it cannot see: what was in the missing bytes.

    What to do: capture whole packets (`tcpdump -s 0`, or at least `-s 600`).
    """
    calls = history.calls
    lock = (calls.program == NLM) | (calls.program == NSM)
    yield Judged(int(lock.sum()))
    cut = (
        (lock & ((calls.cut != 0) | (calls.reply_cut != 0)) & ((calls.bad != 0) | (calls.reply_bad != 0)))
        .nonzero()[0]
        .tolist()
    )
    traffic = history.traffic
    if not traffic.programs and traffic.first_cut is not None and traffic.longest_cut < RPC_BEGINS:
        yield Finding(
            f"{traffic.cut} frames are cut to {traffic.longest_cut} bytes or less: no RPC header is left in them",
            (Evidence(traffic.first_cut, "the first cut frame"),),
            consequence="Nothing can be said about locks.",
            remedy="Capture whole packets: tcpdump -s 0.",
        )
    if not cut:
        return
    first = [calls.at(row) if calls.bad[row] else calls.reply_at(row) for row in cut[: words.MANY]]
    yield Finding(
        f"{len(cut)} NLM or NSM messages are cut short by the capture's snaplen",
        words.evidence(Evidence(at, "cut body") for at in first),
        consequence="Locks named in them are unknown, and verdicts that rest on them are not made.",
        remedy="Capture whole packets: tcpdump -s 0.",
    )
