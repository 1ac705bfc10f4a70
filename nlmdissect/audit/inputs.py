"""Which files an audit is about: files, folders, patterns, URLs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from nlmdissect.capture import remote
from nlmdissect.errors import UsageError

SUFFIXES = (".pcap", ".pcapng", ".cap", ".dmp", ".ntar")
PACKED = (".gz", ".zst", ".xz")


def files(paths: Sequence[str | Path]) -> list[str]:
    """All files, as absolute paths or URLs, each once, in order. Of a folder those that are called like a capture,
    at any depth. Raises UsageError for a path that names nothing, and for "-".
    """
    found: dict[str, None] = {}
    for path in map(str, paths):
        several = sorted(_files(path))
        if not several:
            raise UsageError(
                f"{path}: there is no capture", "Captures in folders are called *.pcap, *.pcapng or *.cap."
            )
        found |= dict.fromkeys(several)
    return list(found)


def _files(path: str) -> Iterable[str]:
    if path == "-":
        raise UsageError("an audit reads files, not standard input", "Use 'nlmdissect analyze -' for a pipe.")
    if path.startswith(("file://", "local://")):
        path = path.partition("://")[2]
    if remote.is_url(path):
        found, alone = remote.expand(path)
        return [file for file in found if alone or is_capture(file)]
    if os.path.isdir(path):
        return [os.path.abspath(file) for file in _below(path)]
    if os.path.lexists(path):
        return [os.path.abspath(path)]
    return [os.path.abspath(file) for file in glob.glob(path, recursive=True) if not os.path.isdir(file)]


def _below(folder: str) -> Iterator[str]:
    for base, folders, names in os.walk(folder):
        folders.sort()
        yield from (os.path.join(base, name) for name in names if is_capture(name))


def is_capture(name: str) -> bool:
    """Is a file called like a capture? ``nfs.pcap``, ``nfs.pcap17``, ``nfs.pcapng.gz``; not what begins with a dot."""
    name = name.rpartition("/")[2]
    if name.startswith("."):
        return False
    return unpacked(name).rstrip("0123456789").lower().endswith(SUFFIXES)


def unpacked(name: str) -> str:
    """The name without what a packer added to it."""
    return next((name.removesuffix(end) for end in PACKED if name.endswith(end)), name)
