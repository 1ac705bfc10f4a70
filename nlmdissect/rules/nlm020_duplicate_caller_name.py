"""NLM020 duplicate-caller-name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from nlmdissect.findings import Confidence, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.hosts.voices import TURNS, Voice, busiest, one_kernel, turns, voices
from nlmdissect.rules import assumptions, words

SHOWN = 6


@rule("NLM020", "duplicate-caller-name", Severity.WARNING, source="C-33")
def duplicate_caller_name(history: History) -> Iterator[Verdict]:
    """One caller_name is used by several hosts at once.

    Why it matters: servers that know their clients by name (FreeBSD, macOS, Linux with nsm_use_hostnames=1, Ganesha
    with NSM_Use_Caller_Name) take them for one: when one restarts the locks of all are freed, and a FreeBSD server
    drops them whenever the NSM state in a LOCK differs. Clones of one virtual machine image are the usual reason.

    How it is seen: requests under one caller_name from several addresses that take turns, and that do not share a
    kernel: their cookies do not count on from one to the other, or their NSM states differ. Info where the server is
    known to go by addresses.

    What it cannot see: whether the server goes by names. Where neither cookies nor states tell, two network cards make
    it only suspected, for one host may have two; an address that replaces another once is a new lease.

    What to do: give every host its own name (`hostnamectl set-hostname`; in images empty /etc/hostname and
    /var/lib/nfs/state, and remove /var/lib/nfs/sm/*), then restart its statd. On a Linux server leave
    nsm_use_hostnames at 0 (/proc/sys/fs/nfs/nsm_use_hostnames).
    """
    for server, of in voices(history.requests, history.texts).items():
        named: dict[str, list[Voice]] = defaultdict(list)
        for voice in of:
            if voice.name:
                named[voice.name.casefold()].append(voice)
        for same in named.values():
            yield Judged()
            yield from _judge(history, server, busiest(same))


def _judge(history: History, server: int, same: list[Voice]) -> Iterator[Verdict]:
    sure: list[Voice] = []
    maybe: list[Voice] = []
    for number, voice in enumerate(same):
        for other in same[:number]:
            if turns(voice, other) < TURNS - 1:
                continue
            one = one_kernel(voice, other, history.texts)
            if one is False:
                sure += [v for v in (other, voice) if v not in sure]
            elif one is None:
                match _one_card(history, voice.host, other.host):
                    case False:
                        maybe += [v for v in (other, voice) if v not in maybe]
                    case None:
                        who = words.host(history, voice.host)
                        yield NotAssessed(f"whether {who} and {history.names.address(other.host)} are one host")
    if sure or maybe:
        yield _finding(history, server, sure or maybe, bool(sure))


def _one_card(history: History, a: int, b: int) -> bool | None:
    """Whether two addresses share a network card; None where a router hides it."""
    ends = history.traffic.endpoints
    macs = ends.macs
    if not macs[a] or not macs[b] or any(map(ends.is_router, macs[a] | macs[b])):
        return None
    return bool(macs[a].keys() & macs[b].keys())


def _finding(history: History, server: int, of: list[Voice], sure: bool) -> Finding:
    by_address = history.kind(server).clients_by_address
    goes_by = assumptions.assumed(history, server, f"which goes by {'addresses' if by_address else 'names'}")
    addresses = ", ".join(history.names.address(voice.host) for voice in of)
    return Finding(
        f"{len(of)} hosts call themselves {of[0].name}: {addresses}",
        words.evidence(
            [Evidence(v.requests[0].at, f"caller_name {v.name} from {history.names.address(v.host)}") for v in of],
            [Evidence(v.requests[-1].at, f"and still {v.name}") for v in of[:SHOWN]],
        ),
        consequence="A server that goes by names takes them for one host: the restart of one frees the locks of all"
        f"{goes_by}." + ("" if sure else " Not certain: one host with two network cards would look the same."),
        remedy="Give every host a name of its own, and restart its statd.",
        severity=Severity.INFO if by_address else None,
        confidence=Confidence.CONFIRMED if sure else Confidence.SUSPECTED,
        server=server,
        client=of[0].host,
        other=of[1].host,
    )
