"""What a caller can do wrong. Malformed traffic is never an exception: it is a row in ``defects``."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class NlmdissectError(Exception):
    """The base of all errors that this package raises on purpose. ``hint`` says what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class CaptureError(NlmdissectError):
    """A path that cannot be read as a capture, or files that are not one recording."""


class UsageError(NlmdissectError):
    """An argument that means nothing: an unknown rule code, a time that cannot be read."""


def near(word: str, known: Iterable[str]) -> str:
    """``Did you mean LOCK?``, whatever the case; the empty string if nothing known is like the word."""
    folded = {name.casefold(): name for name in known}
    found = [folded[name] for name in get_close_matches(word.casefold(), folded, n=3)]
    return f"Did you mean {', '.join(found)}?" if found else ""
