"""What a caller can do wrong. Malformed traffic is never an exception: it is a row in ``defects``."""

from __future__ import annotations


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
