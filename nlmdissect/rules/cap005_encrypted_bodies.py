"""CAP005 encrypted-bodies."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Evidence, Finding, Judged, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.protocols import NLM, NSM, PORTMAP
from nlmdissect.rules import words


@rule("CAP005", "encrypted-bodies", Severity.INFO, source="V6")
def encrypted_bodies(history: History) -> Iterator[Verdict]:
    """RPCSEC_GSS privacy or TLS hides bodies.

    Why it matters: only the procedure, its time and its size are visible. The lock itself is encrypted, which is
    not the same as missing.

    How it is seen: calls of NLM, NSM or portmap with RPCSEC_GSS service "privacy". Linux lockd never uses it, so
    the peer is another implementation.

    What it cannot see: RPC over TLS; it does not look like RPC at all.

    What to do: capture on the server before encryption is possible only in its own logs; compare with its lock list.
    """
    calls = history.calls
    ours = (calls.program == NLM) | (calls.program == NSM) | (calls.program == PORTMAP)
    yield Judged(int(ours.sum()))
    rows = (ours & (calls.encrypted != 0)).nonzero()[0].tolist()
    if rows:
        yield Finding(
            f"{words.count(len(rows), 'call', 'is')} encrypted (RPCSEC_GSS privacy)",
            words.evidence(Evidence(calls.at(row), "encrypted body") for row in rows[: words.MANY]),
            consequence="Which locks they are about is unknown.",
            remedy="Compare with the lock list of the server.",
        )
