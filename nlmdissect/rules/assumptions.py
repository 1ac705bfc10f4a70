"""How findings say which implementation a host was taken for, where a window or a severity depends on it, and why."""

from __future__ import annotations

from nlmdissect.history.history import History
from nlmdissect.history.recovery import Recovery
from nlmdissect.hosts.implementations import EVER
from nlmdissect.rules import words


def assumed(history: History, host: int, window: str) -> str:
    """`` (10.0.0.7 is taken for linux, polling every 30 s: its oh is ...)``."""
    kind = history.kind(host).name
    name = "an unknown implementation" if kind == "unknown" else kind
    return f" ({history.names.address(host)} is taken for {name}, {window}: {history.guess(host).why[0]})"


def undecided(history: History, row: Recovery) -> str:
    """Why a missing notice cannot be told yet."""
    host, tries = row.boot.host, history.kind(row.boot.host).tries
    repeats = "repeating SM_NOTIFY for ever" if tries >= EVER else f"repeating SM_NOTIFY for {tries} s"
    return (
        f"the capture ends before the grace period of {words.host(history, host)} is seen to be over, and before it "
        f"would have stopped trying{assumed(history, host, repeats)}"
    )
