"""What names were told in one part of a recording, to be told again where the parts are joined.

Of what is told again and again, as most answers of a busy server are, only what was not known is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nlmdissect.findings import At
from nlmdissect.rpc.paths import MOST, Paths

Fact = tuple[Any, ...]


@dataclass(slots=True)
class Told:
    """Takes what ``Paths`` takes. ``facts`` are the name of a method, the server, and what else it was told."""

    facts: list[Fact] = field(default_factory=list)
    full: int = 0
    _paths: Paths = field(default_factory=Paths)
    _numbers: dict[tuple[int, bytes], int] = field(default_factory=dict)
    _gone: set[tuple[int, bytes, bytes]] = field(default_factory=set)

    def knows(self, server: int, directory: bytes, name: bytes, fh: bytes) -> bool:
        return self._paths.knows(server, directory, name, fh)

    def named(
        self, server: int, directory: bytes, name: bytes, fh: bytes, asked: At, at: At, fileid: int | None
    ) -> None:
        self._gone.discard((server, directory, name))
        self._paths.named(server, directory, name, fh, asked, at, fileid)
        self._keep("named", server, directory, name, fh, asked, at, fileid)

    def gone(self, server: int, directory: bytes, name: bytes, asked: At, at: At) -> None:
        self._paths.gone(server, directory, name, asked, at)
        if (server, directory, name) not in self._gone:
            self._gone.add((server, directory, name))
            self._keep("gone", server, directory, name, asked, at)

    def moved(self, server: int, directory: bytes, name: bytes, to: bytes, new: bytes, at: At) -> None:
        self._gone -= {(server, directory, name), (server, to, new)}
        self._paths.moved(server, directory, name, to, new, at)
        self._keep("moved", server, directory, name, to, new, at)

    def exported(self, server: int, fh: bytes, path: bytes, at: At) -> None:
        self._keep("exported", server, fh, path, at)

    def numbered(self, server: int, fh: bytes, fileid: int) -> None:
        if self._numbers.get((server, fh)) != fileid:
            self._numbers[server, fh] = fileid
            self._keep("numbered", server, fh, fileid)

    def _keep(self, *fact: Any) -> None:
        if len(self.facts) < 2 * MOST:
            self.facts.append(fact)
        else:
            self.full += 1

    def done(self) -> Told:
        """Only the facts, to be sent."""
        return Told(self.facts, self.full)


def tell_again(paths: Paths, facts: Sequence[Fact], endpoints: Sequence[int]) -> None:
    """Tell facts of a part, whose endpoint n is ``endpoints[n]``."""
    for method, server, *rest in facts:
        getattr(paths, method)(endpoints[server], *rest)
