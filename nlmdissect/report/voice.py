"""How reports name things: frames, moments, hosts, files, locks and restarts, in one voice for all of them.

Everything here is printable text on one line (``escape.py``); none of it is safe in HTML yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from nlmdissect.escape import shorten, show, show_bytes
from nlmdissect.findings import At, LockRef
from nlmdissect.history.history import History
from nlmdissect.hosts.boot import Boot
from nlmdissect.report.times import clock, day
from nlmdissect.rules.words import count
from nlmdissect.rules.words import kind_of as kind
from nlmdissect.rules.words import span_text as span

__all__ = ["Voice", "count", "kind", "nsm_states", "span"]


class Voice:
    """Names for people. Times of day stand alone on the day that the recording began, or on ``date``."""

    def __init__(self, history: History, date: str | None = None) -> None:
        self.history = history
        self.date = date or day(history.extent.first)

    def frame(self, at: At) -> str:
        """``188``; ``1:188`` where there are several files."""
        return str(at.frame) if len(self.history.sources) == 1 else f"{at.capture}:{at.frame}"

    def cite(self, frames: Sequence[At]) -> str:
        """``frame 188 at 11:30:32.028003, frame 190 at ...``."""
        return ", ".join(f"frame {self.frame(at)} at {self.time(at.time)}" for at in frames if at.frame)

    def time(self, time: int) -> str:
        """``11:30:32.028003`` of ns since 1970, with the date on another day."""
        return clock(time) if day(time) == self.date else f"{day(time)} {clock(time)}"

    def host(self, host: int | None) -> str:
        """``client-a (10.77.0.21)``."""
        return shorten(self.history.names.label(host))

    def short(self, host: int) -> str:
        """``client-a``; the address where there is no name, or where others have the same one."""
        mine = self.history.names.claimed.get(host)
        if not mine:
            return self.history.names.address(host)
        return shorten(mine[0], 40) if self._claims[mine[0]] == 1 else self.host(host)

    @cached_property
    def _claims(self) -> Counter[str]:
        """How many hosts call themselves so."""
        return Counter(name for names in self.history.names.claimed.values() for name in set(names))

    def text(self, text: str) -> str:
        """Any text from a packet."""
        return shorten(text)

    def file(self, server: int, fh: int, at: At) -> str:
        """``/export:/dir/file`` as it was called at a moment, or ``fh ..e7ed7420``; ``fh``: its place in the texts."""
        return show(self.history.called(server, fh, at))

    def lock(self, lock: LockRef) -> str:
        """A lock of a finding, with its owner and the frame that proves it."""
        owner = f"{shorten(lock.caller_name)} svid {lock.svid} oh {shorten(show_bytes(lock.oh))}"
        return f"{self.piece(lock)}, owner {owner} (frame {self.frame(lock.at)})"

    def piece(self, lock: LockRef) -> str:
        """``write 0-99 on fh ..e7ed7420``."""
        file = show(self.history.paths.text(lock.server, lock.fh, lock.at))
        return f"{kind(lock.exclusive)} {span(lock.start, lock.end)} on {file}"

    def owner(self, client: int, svid: int, oh: bytes) -> str:
        """Whose lock it is."""
        return f"{self.host(client)} svid {svid} oh {shorten(show_bytes(oh))}"

    def restart(self, boot: Boot) -> str:
        """Who restarted, between which moments, and what is known of its state and its grace period."""
        only = "only lockd of " if boot.lived_on else ""
        since = f"between {self.time(boot.not_before.time)} and" if boot.not_before else "before"
        details = []
        if boot.state_after is not None:
            details.append(f"NSM state {nsm_states(boot)}")
        if boot.grace_over is not None:
            details.append(f"grace over by {self.time(boot.grace_over.time)}")
        elif boot.in_grace is not None:
            details.append(f"still in grace at {self.time(boot.in_grace.time)}")
        return f"{only}{self.host(boot.host)} restarted {since} {self.time(boot.not_after.time)}" + (
            f" ({', '.join(details)})" if details else ""
        )


def nsm_states(boot: Boot) -> str:
    """``3 to 5``, the NSM states before and after; ``5`` where only that is known; empty where nothing is."""
    if boot.state_after is None:
        return ""
    return f"{boot.state_before} to {boot.state_after}" if boot.state_before is not None else f"{boot.state_after}"
