"""NLM021 merged-clients."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from nlmdissect.findings import Confidence, Evidence, Finding, Judged, LockRef, Severity, Verdict, rule
from nlmdissect.history.fates import Row
from nlmdissect.history.history import History
from nlmdissect.hosts.called import same_host
from nlmdissect.hosts.visibility import V
from nlmdissect.hosts.voices import TURNS, Voice, busiest, one_kernel, turns, voices
from nlmdissect.protocols.nlm import END
from nlmdissect.rpc.requests import Op
from nlmdissect.rules import assumptions, words

SHOWN = 6


class Shared(NamedTuple):
    """Two holds of one range that the server takes for one: the second took the first one over."""

    first: Row
    second: Row


@rule("NLM021", "merged-clients", Severity.ERROR, source="C-30")
def merged_clients(history: History) -> Iterator[Verdict]:
    """Several clients behind one address share one lock owner.

    Why it matters: Linux, FreeBSD and illumos servers know an owner by the client's address (or name) and svid. Two
    clients behind one address translator use the same small svids: the server gives both the same range, for it is
    "the same owner", and the UNLOCK of one takes the lock of the other. The restart of one frees the locks of all, and
    callbacks reach none of them.

    How it is seen: requests from one address under several caller_names that take turns, with cookies that do not
    count on from one to the other, and one svid that both use. An error where both hold overlapping ranges of one
    file, at least one exclusive; else a warning: it has not happened yet.

    What it cannot see: clients behind one address that all have one name. Containers that share a kernel but not a
    name count their cookies together; they are not merged.

    What to do: let clients reach the server without address translation (routed pods, host networking, a bridge
    instead of the default NAT of virtual machines), or use NFSv4 for those that cannot; `nolock` or
    `local_lock=all` where no file is shared. On other servers the same holds: their owners are by address too.
    """
    for server, of in voices(history.requests, history.texts).items():
        by_host: dict[int, list[Voice]] = defaultdict(list)
        for voice in of:
            if voice.name:
                by_host[voice.host].append(voice)
        for host, here in by_host.items():
            yield Judged()
            merged = _merged(history, busiest(here))
            if merged is not None:
                yield _finding(history, server, host, *merged)


def _merged(history: History, here: list[Voice]) -> tuple[Voice, Voice, bool] | None:
    """Two clients with an svid in common, and whether that they are two is proven."""
    found = None
    for number, a in enumerate(here):
        for b in here[:number]:
            if same_host(a.name, b.name) or turns(a, b) < TURNS or not _svids(a) & _svids(b):
                continue
            one = one_kernel(a, b, history.texts)
            if one is False:
                return b, a, True
            if one is None:
                found = b, a, False
    return found


def _svids(voice: Voice) -> set[int]:
    return {r.svid for r in voice.requests}


def _shared(history: History, server: int, a: Voice, b: Voice) -> list[Shared]:
    """Holds of the two that overlap in range and time, under one svid, one of them exclusive."""
    mine = {(r.fh, r.oh, r.svid) for r in a.requests}
    others = {(r.fh, r.oh, r.svid) for r in b.requests}
    files: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in history.walked.holds:
        if (row.file.server, row.owner.client) == (server, a.host):
            files[row.file.fh, row.owner.svid].append(row)
    found = []
    for of in files.values():
        for number, second in enumerate(of):
            for first in of[:number]:
                keys = [(row.file.fh, row.owner.oh, row.owner.svid) for row in (first, second)]
                crossed = any(x in mine - others and y in others - mine for x, y in (keys, keys[::-1]))
                over = first.released is not None and first.released <= second.granted
                overlap = first.start <= second.end and second.start <= first.end
                if (
                    crossed
                    and not over
                    and overlap
                    and (first.exclusive or second.exclusive)
                    and _kept(history, first, second)
                ):
                    found.append(Shared(first, second))
    return found


def _kept(history: History, first: Row, second: Row) -> bool:
    """Whether nothing between the two grants can have ended the first hold: no restart, no UNLOCK without an answer."""
    between = [b for b in history.boots if first.granted < b.not_after < second.granted]
    return not any(boot.host == first.file.server for boot in between) and not any(
        r.op is Op.UNLOCK
        and (r.client, r.oh, r.svid) == first.owner
        and first.granted < r.at < second.granted
        and r.start <= first.end
        and first.start <= r.end
        for r in history.requests.where(history.requests.about(*first.file))
    )


def _finding(history: History, server: int, host: int, a: Voice, b: Voice, sure: bool) -> Finding:
    by_oh = history.kind(server).owners_by_oh
    shared = [] if by_oh else _shared(history, server, a, b)
    address, names = history.names.address(host), f"{a.name} and {b.name}"
    svid = min(_svids(a) & _svids(b))
    start, end = a.requests[0].at.time, max(a.requests[-1].at.time, b.requests[-1].at.time)
    if shared:
        start, end = shared[0].first.granted.time, shared[-1].second.granted.time
    doubts = history.visibility.all((host, server), (V.NO_LOSS, V.BOTH_WAYS, V.DECODED), start, end)
    sure = sure and not any(b.host == host and start < b.not_after.time < end for b in history.boots)
    held = [
        Evidence(row.granted, f"{words.kind_of(row.exclusive)} {words.span_text(row.start, row.end)} granted to {name}")
        for pair in shared
        for row in pair
        for name in (_name_of(row, a, b),)
    ]
    said = [Evidence(v.requests[0].at, f"caller_name {v.name}, svid {v.requests[0].svid}") for v in (a, b)]
    said += [Evidence(r.at, f"caller_name {v.name} again") for v in (a, b) for r in v.requests[1:2]]
    return Finding(
        f"{names} are behind one address, {address}, and "
        + (
            f"hold one range as svid {svid}: {words.host(history, server)} takes them for one owner"
            if shared
            else f"both use svid {svid}: their locks do not keep each other out"
        ),
        words.evidence(held[:2], said, held[2:SHOWN]),
        consequence="Two applications may write the same bytes, and the UNLOCK of one takes the lock of both."
        + words.because(doubts)
        if shared
        else "Nothing was lost yet; the restart of one will free the locks of both"
        + assumptions.assumed(history, server, f"for which owners with another oh are {'two' if by_oh else 'one'}")
        + "."
        + words.because(doubts),
        remedy="Let these clients reach the server with addresses of their own.",
        severity=None if shared else Severity.WARNING,
        confidence=words.confidence(doubts) if sure else Confidence.SUSPECTED,
        server=server,
        client=host,
        locks=tuple(_ref(history, row, _name_of(row, a, b)) for pair in shared for row in pair),
    )


def _name_of(row: Row, a: Voice, b: Voice) -> str:
    keys = {(r.fh, r.oh, r.svid) for r in a.requests}
    return a.name if (row.file.fh, row.owner.oh, row.owner.svid) in keys else b.name


def _ref(history: History, row: Row, name: str) -> LockRef:
    texts, end = history.texts, None if row.end == END else row.end
    fh, oh = texts[row.file.fh], texts[row.owner.oh]
    return LockRef(row.file.server, fh, name, row.owner.svid, oh, row.start, end, row.exclusive, row.granted)
