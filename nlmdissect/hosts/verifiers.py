"""What the NFSv3 write verifiers of a server tell of restarts.

A server that answered that data is not on stable storage yet must change its verifier when it restarts (RFC 1813
section 3.3.7), so one that stays the same shows that nfsd, and the host, lived on. One that always writes through may
keep it over a reboot: it shows nothing by that. A change is a restart of nfsd, a failover, or on Linux a WRITE that
failed. A server that goes back to a verifier has several at a time, one for each volume or node: it shows nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from nlmdissect.capture.messages import Verifier


class Change(NamedTuple):
    """A server answered with ``before``, and later, to anybody, only with ``after``.

    ``failed``: a WRITE or COMMIT failed in between.
    """

    before: Verifier
    after: Verifier
    failed: bool


@dataclass(frozen=True, slots=True)
class Verifiers:
    """``kept`` is one entry for each verifier of each server, over all its clients; ``failed`` as in ``Traffic``."""

    kept: dict[int, list[Verifier]]
    failed: list[tuple[int, int]]

    def changes(self) -> Iterator[Change]:
        times: dict[int, list[int]] = defaultdict(list)  # of WRITEs that failed, by server
        for server, time in sorted(self.failed):
            times[server].append(time)
        for server, of in self.kept.items():
            for before, after in pairwise(of):
                bad = times[server]
                yield Change(before, after, bisect_left(bad, before.last.time) < bisect_right(bad, after.first.time))


def verifiers(found: Iterable[Verifier], failed: list[tuple[int, int]]) -> Verifiers:
    """Those of the servers that have one verifier at a time, in time order."""
    by_server: dict[int, dict[bytes, Verifier]] = defaultdict(dict)
    for v in sorted(found, key=lambda v: v.first):
        known = by_server[v.server].setdefault(v.value, v)
        both = replace(known, last=max(known.last, v.last), loose=known.loose or v.loose)
        by_server[v.server][v.value] = both
    kept = {server: list(of.values()) for server, of in by_server.items()}
    one_at_a_time = {s: of for s, of in kept.items() if all(a.last < b.first for a, b in pairwise(of))}
    return Verifiers(one_at_a_time, failed)
