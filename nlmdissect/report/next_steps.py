"""Where to look next: commands for a finding, exact enough to be copied."""

from __future__ import annotations

import os
import shlex
from typing import NamedTuple

from nlmdissect.analysis import Analysis
from nlmdissect.escape import show
from nlmdissect.report.times import clock, day, iso
from nlmdissect.rpc.paths import SHOWN


class Step(NamedTuple):
    """``about``: what it shows, in a word or two."""

    about: str
    command: str


def next_steps(analysis: Analysis, number: int) -> list[Step]:
    """What to run for a finding (its index in the analysis). What came from a pipe cannot be read again."""
    history, finding = analysis.history, analysis.findings[number]
    paths = [source.path for source in history.sources]
    steps = [Step("the rule", f"nlmdissect explain {finding.code}")]
    if not all(map(os.path.isfile, paths)):
        return steps
    captures = " ".join(shlex.quote(show(path)) for path in paths)
    address = history.names.address
    handles = list(dict.fromkeys(lock.fh.rstrip(bytes(1))[-SHOWN:].hex() for lock in finding.locks))
    host = finding.server if finding.client is None else finding.client
    asked = []
    if handles:
        where = shlex.quote(f'"{handles[0]}" in fh')
        asked.append(Step("the file", f"nlmdissect show {captures} --where {where}"))
    elif host is not None:
        asked.append(Step("the calls", f"nlmdissect show {captures} --program nlm,nsm --host {address(host)}"))
    if finding.boot is not None and finding.client is not None:
        notices = f"nlmdissect show {captures} --program nsm,portmap --host {address(finding.client)}"
        asked.append(Step("the notices", notices))
    return [*asked, Step("the moment", f"nlmdissect locks {captures} --at {moment_of(analysis, number)}"), *steps]


def moment_of(analysis: Analysis, number: int) -> str:
    """The time of the frame to open, as ``--at`` reads it: to the nanosecond, with the date if it is another day's."""
    extent, at = analysis.history.extent, analysis.findings[number].evidence[0].at
    time = min(max(at.time, extent.first), extent.last)  # a loopback capture may begin before the network's
    if day(time) != day(extent.first):
        return iso(time)
    return clock(time) if time % 1000 == 0 else iso(time)[11:29]
