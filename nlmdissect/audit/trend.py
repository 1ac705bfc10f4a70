"""Two runs beside each other: what is new, what is gone, what persists, for each server and client.

A finding is the same in both if its fingerprint is; files, frames and names of recordings do not matter. One that is
not there any more is only *gone* if its server still is: else nobody looked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from nlmdissect.audit.summary import Summary

Row = dict[str, Any]


@dataclass(slots=True)
class Change:
    """Of one server and client (None where a finding names none). ``unseen``: it was found before, and its server is in
    no recording of this run.
    """

    server: str | None
    client: str | None
    new: list[Row] = field(default_factory=list)
    persisting: list[Row] = field(default_factory=list)
    gone: list[Row] = field(default_factory=list)
    unseen: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trend:
    """``before`` is the name of the earlier run. Changes are in the order of what is new."""

    before: str
    changes: list[Change]

    def count(self, word: str) -> int:
        return sum(len(getattr(change, word)) for change in self.changes)


def trend(now: Summary, before: Summary) -> Trend:
    """What changed since an earlier run. Of findings with one fingerprint, one is shown."""
    here, there = _distinct(now.findings), _distinct(before.findings)
    hosts = {host["host"] for one in now.recordings for host in one.hosts}
    changes: dict[tuple[str, str], Change] = {}

    def of(row: Row) -> Change:
        key = row["server"] or "", row["client"] or ""
        return changes.setdefault(key, Change(row["server"], row["client"]))

    for fingerprint, row in here.items():
        (of(row).persisting if fingerprint in there else of(row).new).append(row)
    for fingerprint, row in there.items():
        if fingerprint not in here:
            seen = (row["server"] or row["client"]) in hosts
            (of(row).gone if seen else of(row).unseen).append(row)
    ordered = sorted(
        changes.items(), key=lambda pair: (-len(pair[1].new), -len(pair[1].persisting), -len(pair[1].gone), pair[0])
    )
    return Trend(before.run.name, [change for _, change in ordered])


def _distinct(rows: Iterable[Row]) -> dict[str, Row]:
    """The worst of each fingerprint; the rows are worst first."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["fingerprint"]].append(row)
    return {fingerprint: of[0] for fingerprint, of in found.items()}
