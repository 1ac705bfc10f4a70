"""CAP004 one-sided-capture."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Evidence, Finding, Judged, Severity, Verdict, rule
from nlmdissect.groups import groups
from nlmdissect.history.history import History
from nlmdissect.protocols import NLM, NSM
from nlmdissect.rules import words


@rule("CAP004", "one-sided-capture", Severity.INFO, source="V3")
def one_sided_capture(history: History) -> Iterator[Verdict]:
    """Only one direction of a pair is here.

    Why it matters: a call without its answers, or answers without calls, cannot show what was granted; nothing may
    be called missing in the direction that was not captured.

    How it is seen: NLM or NSM messages between two hosts, and not one packet of the other direction in the whole
    capture.

    What it cannot see: whether the other direction took another path on the network, or only on the mirror port.

    What to do: capture on one of the two hosts, or mirror both directions of the port.
    """
    calls = history.calls
    ours = (calls.program == NLM) | (calls.program == NSM) | ((calls.program == -1) & (calls.frame == 0))
    lock = ours.nonzero()[0]
    rows = lock[groups(calls.src[lock], calls.dst[lock])[0]].tolist()
    first = {(int(calls.src[row]), int(calls.dst[row])): row for row in rows}
    yield Judged(len(first))
    seen = history.visibility.directions
    reported: set[frozenset[int]] = set()
    for (src, dst), row in first.items():
        missing = [(a, b) for a, b in ((src, dst), (dst, src)) if (a, b) not in seen]
        if not missing or frozenset((src, dst)) in reported:
            continue
        reported.add(frozenset((src, dst)))
        a, b = missing[0]
        yield Finding(
            f"Nothing that {words.host(history, a)} sent to {words.host(history, b)} is in this capture, "
            "only the other direction",
            (Evidence(calls.at(row), "one direction of this pair"),),
            consequence="What the missing direction said is unknown; nothing is called missing for this pair.",
            remedy="Capture on one of the two hosts, or mirror both directions.",
            client=src,
            server=dst,
        )
