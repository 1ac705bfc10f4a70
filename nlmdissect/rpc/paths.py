"""Which names file handles had, and when: what the calls of NFS and MOUNT said, each with the frame that proves it.

Theory of operation. A handle is opaque, and equal bytes at two servers are two files: a node is a server and a handle.
A name is an entry of a directory: from the answer that showed it until an answer that shows it gone, renamed, or given
to another file. So a path is a chain of entries, read at a moment: each directory is called what it was called then.
It ends at a handle that MNT answered (an export), or at a directory that nothing in the capture named. Nothing is
concluded from the bytes of handles, nor from fileids: two servers, exports and versions of NFS have their own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nlmdissect.findings import At

Ints = NDArray[np.int64]

MOST = 500_000
"""Handles and names that are remembered, in about 160 MB. When it is reached, that is a defect: nothing new is learnt,
but what is known still ends where the capture shows it."""

DEPTH = 128
"""Names in one path. Only forged answers make a directory its own parent."""

CHANGES = 1000
"""Times that a path may change, its directories' names included: of more, the last are known."""

LOOK_BACK = 16
"""Names of one file that are tried, the newest first: one that still holds is among the last."""

LONG = 160  # characters of a path that a sentence shows
SHOWN = 12  # bytes of a handle that a sentence shows; tables and JSON show all


@dataclass(slots=True)
class Node:
    """A file handle at a server: the names it had, its entries if it is a directory, the exports that it is the root
    of. ``fileid`` is None where no attributes were seen.
    """

    fileid: int | None = None
    links: list[Link] = field(default_factory=list)
    entries: dict[bytes, Link] | None = None
    exports: list[tuple[At, bytes]] | None = None


@dataclass(slots=True)
class Link:
    """A name in a directory. ``until`` is what showed that it had ended."""

    directory: Node
    name: bytes
    node: Node | None
    since: At
    until: At | None = None


@dataclass(frozen=True, slots=True)
class Path:
    """What a handle was called: ``export:/dir/file``, or ``.../dir/file`` where the upper directories have no name.

    ``at`` is the frame that gave the file its name. Names come from packets: escape them.
    """

    text: str
    at: At


class Paths:
    """All that is known of the names of a recording. First it is told everything, in the order of events; then asked.

    ``full`` counts what was not learnt for want of room.
    """

    def __init__(self) -> None:
        self.full = 0
        self._room = MOST
        self._nodes: dict[tuple[int, bytes], Node] = {}
        self._known: dict[tuple[int, bytes], list[tuple[At, Path | None]]] = {}

    # What answers say. ``asked`` is the call: what was seen since then may be newer than the answer.

    def named(
        self, server: int, directory: bytes, name: bytes, fh: bytes, asked: At, at: At, fileid: int | None
    ) -> None:
        """``name`` in ``directory`` is ``fh``."""
        if name in (b".", b"..", b""):
            return
        parent = self._node(server, directory)
        node = self._node(server, fh, fileid)
        if parent is not None:
            self._enter(parent, name, node, asked, at)

    def knows(self, server: int, directory: bytes, name: bytes, fh: bytes) -> bool:
        """Whether that is what is known already."""
        link = self._link(server, directory, name)
        return link is not None and link.until is None and link.node is self._nodes.get((server, fh))

    def gone(self, server: int, directory: bytes, name: bytes, asked: At, at: At) -> None:
        """There is no ``name`` in ``directory``."""
        link = self._link(server, directory, name)
        if link is not None and link.until is None and link.since <= asked:
            link.until = at

    def moved(self, server: int, directory: bytes, name: bytes, to: bytes, new: bytes, at: At) -> None:
        """``name`` in ``directory`` became ``new`` in the directory ``to``, and what was there is gone."""
        old, over = self._link(server, directory, name), self._link(server, to, new)
        node = old.node if old is not None and old.until is None else None
        if node is not None and over is not None and over.until is None and over.node is node:
            return  # two names of one file: RENAME does nothing (RFC 1813, 3.3.14)
        self.gone(server, directory, name, at, at)
        self.gone(server, to, new, at, at)
        parent = self._node(server, to) if node is not None else None
        if parent is not None:
            self._enter(parent, new, node, at, at)

    def exported(self, server: int, fh: bytes, path: bytes, at: At) -> None:
        """MNT answered ``fh`` for ``path``."""
        node = self._node(server, fh)
        if node is not None:
            node.exports = node.exports or []
            if not node.exports or node.exports[-1][1] != path:
                node.exports.append((at, path))

    def numbered(self, server: int, fh: bytes, fileid: int) -> None:
        """``fh`` is the file of this number."""
        self._node(server, fh, fileid)

    def _node(self, server: int, fh: bytes, fileid: int | None = None) -> Node | None:
        node = self._nodes.get((server, fh))
        if node is None and self._make_room():
            node = self._nodes[server, fh] = Node()
        if node is not None and fileid is not None:
            node.fileid = fileid
        return node

    def _enter(self, parent: Node, name: bytes, node: Node | None, asked: At, at: At) -> None:
        parent.entries = {} if parent.entries is None else parent.entries
        old = parent.entries.get(name)
        if old is not None:
            if old.until is None and old.node is node:
                return
            if (old.until or old.since) > asked:
                return  # the answer was under way when the name changed: it may tell of before
            old.until = old.until or at
        if node is not None and self._make_room():
            link = parent.entries[name] = Link(parent, name, node, at)
            node.links.append(link)

    def _link(self, server: int, directory: bytes, name: bytes) -> Link | None:
        node = self._nodes.get((server, directory))
        return node.entries.get(name) if node is not None and node.entries is not None else None

    def _make_room(self) -> bool:
        if self._room:
            self._room -= 1
            return True
        self.full += 1
        return False

    # What is asked. All of it may be asked for handles that nothing named.

    def path(self, server: int, fh: bytes, at: At) -> Path | None:
        """What ``fh`` was called at a moment; None if nothing had named it by then, or its name had ended."""
        known = self._history(server, fh)
        place = bisect_right(known, at, key=_since)
        return known[place - 1][1] if place else None

    def codes(self, server: int, fh: bytes, time: Ints, capture: Ints, frame: Ints) -> tuple[Ints, list[str | None]]:
        """The same for many moments, by column: for each a place in a list of texts."""
        known = self._history(server, fh)
        texts: list[str | None] = [None, *(path.text if path else None for _, path in known)]
        times = np.array([since.time for since, _ in known], np.int64)
        places = np.searchsorted(times, time, side="right")
        for row in np.flatnonzero(np.isin(time, times)).tolist():  # clocks are coarse: here the frames decide
            places[row] = bisect_right(known, At(int(time[row]), int(capture[row]), int(frame[row])), key=_since)
        return places, texts

    def fileid(self, server: int, fh: bytes) -> int | None:
        """The number of the file in its filesystem, if attributes told it."""
        node = self._nodes.get((server, fh))
        return None if node is None else node.fileid

    def text(self, server: int, fh: bytes, at: At) -> str:
        """A file for a sentence, as it was called at a moment. Names come from packets: escape it.

        A name that it had only before or after that moment is said to be so; without any, there are the fileid and the
        handle's last bytes: these tell the files of one export apart, the first ones are the export's.
        """
        if (path := self.path(server, fh, at)) is not None:
            return _short(path.text)
        fileid = self.fileid(server, fh)
        handle = _tail(fh) if fileid is None else f"fileid {fileid} ({_tail(fh)})"
        known = [change for change in self._history(server, fh) if change[1] is not None]
        place = bisect_right(known, at, key=_since)
        if not known:
            return handle
        _, path = known[place - 1] if place else known[0]
        return f"{handle}, {'formerly' if place else 'later'} {_short(path.text) if path else ''}"

    def _history(self, server: int, fh: bytes) -> list[tuple[At, Path | None]]:
        """(since when, what it is called), for each time that this changes."""
        found = self._known.get((server, fh))
        if found is None:
            node = self._nodes.get((server, fh))
            found = self._known[server, fh] = [] if node is None else list(_changes(node))
        return found


def _since(change: tuple[At, Path | None]) -> At:
    return change[0]


def _changes(node: Node) -> Iterator[tuple[At, Path | None]]:
    last = ""
    for at in _moments(node)[-CHANGES:]:
        path = _path(node, at)
        text = path.text if path is not None else ""
        if text != last:
            yield at, path
            last = text


def _moments(node: Node) -> list[At]:
    """When anything changes in the names of a node, and of the directories above it."""
    moments, todo, seen = set[At](), [node], {id(node)}
    while todo:
        one = todo.pop()
        one.links.sort(key=lambda link: link.since)
        moments |= {at for at, _ in one.exports or ()}
        for link in one.links:
            moments |= {at for at in (link.since, link.until) if at is not None}
            if id(link.directory) not in seen:
                seen.add(id(link.directory))
                todo.append(link.directory)
    return sorted(moments)


def _path(node: Node, at: At) -> Path | None:
    names: list[str] = []
    proof: At | None = None
    root = "..."
    while len(names) < DEPTH:
        export = max((export for export in node.exports or () if export[0] <= at), default=None)
        if export is not None:
            root, proof = f"{export[1].decode('utf-8', 'backslashreplace')}:", proof or export[0]
            names = names or [""]
            break
        link = _name(node, at)
        if link is None:
            break
        names.append(_shown(link.name))
        proof, node = proof or link.since, link.directory
    return Path("/".join([root, *reversed(names)]), proof) if proof is not None else None


def _name(node: Node, at: At) -> Link | None:
    """The newest of the names that a node has at a moment."""
    place = bisect_right(node.links, at, key=lambda link: link.since)
    for link in reversed(node.links[max(place - LOOK_BACK, 0) : place]):
        if link.until is None or link.until > at:
            return link
    return None


def _shown(name: bytes) -> str:
    """A name as text. A slash within a name would make it look like a directory."""
    return name.decode("utf-8", "backslashreplace").replace("/", "\\x2f")


def _short(text: str) -> str:
    """The last directories of a long path tell more than those in its middle."""
    head = LONG // 4
    return text if len(text) <= LONG else f"{text[:head]}..{text[head + 2 - LONG :]}"


def _tail(fh: bytes) -> str:
    if len(fh) <= SHOWN:
        return f"fh {fh.hex()}" if fh else "an unknown file"
    return f"fh ..{fh.rstrip(bytes(1))[-SHOWN:].hex()}"
