"""Are these captures of the same hosts? Captures of different networks are not one recording."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from ..errors import CaptureError
from .sample import Sketch

# A capture inside a host may begin and end a little beside that of the network, and has the host's own clock.
BESIDE = 60_000_000_000  # ns
SHOWN = 4


def check_related(names: Sequence[str], sketches: Sequence[Sketch]) -> None:
    """Errors: CaptureError that says how the captures group, when they are not all connected by host addresses.

    A loopback capture has no address that another host could know. It belongs to whatever was captured at its time.
    A capture without any IP or ARP packet belongs everywhere.
    """
    groups = _groups(sketches)
    if len(groups) > 1:
        apart = [
            f"{', '.join(names[i] for i in group)} ({_hosts(set().union(*(sketches[i].hosts for i in group)))})"
            for group in groups
        ]
        raise CaptureError(
            f"these captures have no host address in common, so they are not one recording: {'; '.join(apart)}",
            "Analyse each group by itself.",
        )
    network = [sketches[i] for group in groups for i in group]
    for name, sketch in zip(names, sketches, strict=True):
        alone = sketch.loopback and not sketch.hosts
        if alone and network and not any(sketch.overlaps(other, BESIDE) for other in network):
            raise CaptureError(
                f"{name}: is a loopback capture of another time than the network captures", "Analyse it by itself."
            )


def _groups(sketches: Sequence[Sketch]) -> list[list[int]]:
    """The captures that share addresses, directly or over others; those without addresses are in no group."""
    groups: list[tuple[list[int], set[bytes]]] = []
    for number, sketch in enumerate(sketches):
        if not sketch.hosts:
            continue
        members, hosts = [number], set(sketch.hosts)
        apart = []
        for group in groups:
            if group[1] & sketch.hosts:
                members += group[0]
                hosts |= group[1]
            else:
                apart.append(group)
        groups = [*apart, (sorted(members), hosts)]
    return sorted(members for members, _ in groups)


def _hosts(hosts: set[bytes]) -> str:
    some = [str(ipaddress.ip_address(address)) for address in sorted(hosts, key=lambda a: (len(a), a))[:SHOWN]]
    return ", ".join(some) + (f" and {len(hosts) - SHOWN} more" if len(hosts) > SHOWN else "")
