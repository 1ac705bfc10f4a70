"""CAP003 lost-frames."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from nlmdissect.findings import At, Evidence, Finding, Judged, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.hosts.signs import SECOND
from nlmdissect.rules import words

AROUND = 120 * SECOND


@rule("CAP003", "lost-frames", Severity.INFO, source="V2")
def lost_frames(history: History) -> Iterator[Verdict]:
    """The capture dropped frames around an event that matters.

    Why it matters: what is missing from the capture is not missing from the network. A reclaim or an UNLOCK may be
    among it.

    How it is seen: drop counters in the file; bytes of a TCP connection that were acknowledged, or followed by
    later ones, and are not here; answers without their call; a wrong checksum from a host whose others are right,
    for such a frame is not taken for what it says. All that counts is what lies within two minutes of a restart, a
    theft or a conflict.

    What it cannot see: a lost UDP call whose answer was lost as well.

    What to do: capture with a larger buffer (`tcpdump -B 65536`), to a fast disk, with fewer bytes per packet or a
    filter on the two hosts.
    """
    moments = [boot.not_after.time for boot in history.boots]
    moments += [grant.at.time for grant in (*history.walked.table.thefts, *history.walked.table.collisions)]
    moments.sort()
    yield Judged(len(moments))
    lost: list[Evidence] = []
    for pair, losses in history.visibility.losses.items():
        names = " and ".join(sorted(words.host(history, host) for host in pair))
        lost += [Evidence(loss.at, f"{loss.what} (between {names})") for loss in losses if _near(moments, loss.at.time)]
    lost += [Evidence(loss.at, loss.what) for loss in history.visibility.damage if _near(moments, loss.at.time)]
    dropped = history.extent.dropped
    if dropped:
        lost.append(Evidence(At(history.extent.first, 0, 1), f"the capturing host counted {dropped} dropped packets"))
    if lost:
        yield Finding(
            f"The capture lost frames around what matters: {words.count(len(lost), 'sign')} of it",
            words.evidence(sorted(lost, key=lambda e: e.at)),
            consequence="Findings about the hosts concerned are suspected, not confirmed.",
            remedy="Capture with a larger buffer (tcpdump -B) and a filter on the two hosts.",
        )


def _near(moments: list[int], time: int) -> bool:
    first = bisect_left(moments, time - AROUND)
    return first < len(moments) and moments[first] <= time + AROUND
