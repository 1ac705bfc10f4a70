"""How much one rule may look at. Where thousands of requests lie over each other, a rule that looks at all that is over
each of them never ends; it is stopped, and says so.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

LOOKS = 10_000_000
"""Requests and holds over a range, for one rule: seconds."""


class TooMuchError(Exception):
    """A rule has looked at all that it may."""


@dataclass(slots=True)
class Looks:
    """How many are left; without a number any."""

    left: int = sys.maxsize

    def spend(self, count: int) -> None:
        """Raises TooMuchError."""
        self.left -= count
        if self.left < 0:
            raise TooMuchError
