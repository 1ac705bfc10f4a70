"""Whose loopback a capture file is, as the user says it: ``HOST=FILE``, HOST an address or a name of the host."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from nlmdissect.capture.block import Source
from nlmdissect.capture.endpoints import NETWORK
from nlmdissect.errors import UsageError
from nlmdissect.hosts.names import Names

Whose = Mapping[str, Sequence[str | Path]]  # host -> files


def with_loopbacks(paths: Sequence[str | Path], whose: Whose) -> list[str | Path]:
    """All files to read: a loopback capture need not be named twice."""
    known = {_real(path) for path in paths}
    more = [file for files in whose.values() for file in files if _real(file) not in known]
    return [*paths, *more]


def owners(sources: Sequence[Source], whose: Whose, names: Names) -> dict[int, int]:
    """capture -> endpoint. Raises UsageError for a host that the recording does not show, or shows more than once."""
    host_of = {_real(file): _endpoint(names, host) for host, files in whose.items() for file in files}
    found = {}
    for number, source in enumerate(sources):
        for path in (source.path, *source.copies):
            if _real(path) in host_of:
                found[number] = host_of[_real(path)]
    return found


def _endpoint(names: Names, host: str) -> int:
    network = [e for e in range(len(names.endpoints)) if names.endpoints.scopes[e] == NETWORK]
    hosts = [e for e in network if names.address(e) == host] or [e for e in network if names.known_as(e, host)]
    if len(hosts) == 1:
        return hosts[0]
    if hosts:
        raise UsageError(f"{host} is the name of several hosts", f"Give its address: {_text(names, hosts)}.")
    shown = sorted(e for e in names.roles if e in network)
    raise UsageError(f"the recording shows no host {host}", f"It shows {_text(names, shown)}." if shown else "")


def _text(names: Names, hosts: list[int]) -> str:
    return ", ".join(names.label(host) for host in hosts)


def _real(path: str | Path) -> str:
    return os.path.realpath(path)
