"""CAP001 filtered-capture."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Evidence, Finding, Judged, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.protocols import MOUNT, NFS, NLM, NSM, PORTMAP
from nlmdissect.rules.traffic import calls_of, first_frame_of

NFS_PORT = 2049


@rule("CAP001", "filtered-capture", Severity.INFO, source="PEERS trap iii")
def filtered_capture(history: History) -> Iterator[Verdict]:
    """NFSv3 is there but NLM/NSM/portmap ports are not: a capture filter hides them.

    Why it matters: lockd and statd use ports of their own, found through port 111. A capture filtered to port 2049
    shows no lock at all, and its silence proves nothing.

    How it is seen: NFSv2 or NFSv3 calls, and not one packet of any other port, of ARP or of ICMP in the whole capture.

    What it cannot see: whether there was lock traffic. A quiet capture of a few seconds can look the same.

    What to do: capture whole packets of both hosts without a port filter, UDP and TCP: `tcpdump -i IFACE -s 0 -w
    FILE host SERVER`.
    """
    if not is_filtered(history):
        yield Judged(1 if calls_of(history, NFS) else 0)
        return
    yield Finding(
        "The capture shows NFSv3 on port 2049 and nothing else: a capture filter hides NLM, NSM and portmap",
        (Evidence(first_frame_of(history), "NFS"),),
        consequence="Nothing can be said about locks.",
        remedy="Capture all ports of both hosts, UDP and TCP, whole packets.",
    )


def is_filtered(history: History) -> bool:
    """NFSv2 or v3 is there, and not a packet of anything else."""
    versions = history.traffic.calls(NFS)
    if not (versions.get(2) or versions.get(3)) or any(history.traffic.calls(p) for p in (NLM, NSM, PORTMAP, MOUNT)):
        return False
    other_ports = any(NFS_PORT not in (s.sport, s.dport) for s in history.traffic.streams)
    return not other_ports and not any(s.kind in ("arp", "icmp") for s in history.signals)
