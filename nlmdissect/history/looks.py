"""How much one rule may look at. Where thousands of requests lie over each other, a rule that looks at all that is over
each of them never ends; it is stopped, and says so.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LOOKS = 10_000_000
"""Requests, holds, waits and notices, for one rule: seconds."""


class TooMuchError(Exception):
    """A rule has looked at all that it may."""


@dataclass(slots=True)
class Looks:
    """How many are ``left``; without a number any. ``over``: they were not enough, and what was found is told."""

    left: int = sys.maxsize
    over: bool = False

    def spend(self, count: int) -> None:
        """Raises TooMuchError."""
        self.left -= count
        if self.left < 0:
            raise TooMuchError

    @contextmanager
    def until_enough(self) -> Iterator[None]:
        """For what is collected first and told afterwards: it ends where a rule has looked at all that it may."""
        try:
            yield
        except TooMuchError:
            self.over, self.left = True, LOOKS
