"""NLM021 merged-clients."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from nlmdissect.findings import At, Confidence, Evidence, Finding, Judged, LockRef, Severity, Verdict, rule
from nlmdissect.history.fates import Row
from nlmdissect.history.history import History
from nlmdissect.hosts.called import same_host
from nlmdissect.hosts.visibility import V
from nlmdissect.hosts.voices import TURNS, Voice, busiest, one_kernel, turns, voices
from nlmdissect.machines.spans import Ranged
from nlmdissect.protocols.nlm import END
from nlmdissect.rpc.requests import Op
from nlmdissect.rules import assumptions, words

SHOWN = 6
FEW = 100  # holds at once that are looked through for those that overlap


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
    mine, others = _keys(a) - _keys(b), _keys(b) - _keys(a)
    files: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in history.walked.holds:
        if (row.file.server, row.owner.client) == (server, a.host):
            files[row.file.fh, row.owner.svid].append(row)
    return [
        Shared(first, second)
        for of in files.values()
        for first, second in _at_once(history, of)
        if any(_key(x) in mine and _key(y) in others for x, y in ((first, second), (second, first)))
        if (first.exclusive or second.exclusive) and _kept(history, first, second)
    ]


def _keys(voice: Voice) -> set[tuple[int, int, int]]:
    return {(r.fh, r.oh, r.svid) for r in voice.requests}


def _key(row: Row) -> tuple[int, int, int]:
    return row.file.fh, row.owner.oh, row.owner.svid


def _at_once(history: History, rows: list[Row]) -> Iterator[tuple[Row, Row]]:
    """The holds of a file that overlap and were there when another one was granted. ``rows`` in the order of grants."""
    held: Ranged[None] = Ranged(FEW)
    ends: list[tuple[At, int]] = []
    for number, second in enumerate(rows):
        while ends and ends[0][0] <= second.granted:
            held.discard(None, heappop(ends)[1])
        near = held.near(None, second.start, second.end)
        history.dealings.looks.spend(len(near))
        yield from ((rows[first], second) for first in near)
        held.add(None, number, second.start, second.end)
        if second.released is not None:
            heappush(ends, (second.released, number))


def _kept(history: History, first: Row, second: Row) -> bool:
    """Whether nothing between the two grants can have ended the first hold: no restart, no UNLOCK without an answer."""
    return not history.boots.between(first.file.server, first.granted, second.granted) and not any(
        r.op is Op.UNLOCK and (r.client, r.oh, r.svid) == first.owner and first.granted < r.at < second.granted
        for r in history.dealings.over(*first.file, first.start, first.end)
    )


def _finding(history: History, server: int, host: int, a: Voice, b: Voice, sure: bool) -> Finding:
    by_oh = history.kind(server).owners_by_oh
    shared, of_a = [] if by_oh else _shared(history, server, a, b), _keys(a)
    address, names = history.names.address(host), f"{a.name} and {b.name}"
    svid = min(_svids(a) & _svids(b))
    start, end = a.requests[0].at.time, max(a.requests[-1].at.time, b.requests[-1].at.time)
    if shared:
        start, end = shared[0].first.granted.time, shared[-1].second.granted.time
    doubts = history.visibility.all((host, server), (V.NO_LOSS, V.BOTH_WAYS, V.DECODED), start, end)
    sure = sure and not any(start < b.not_after.time < end for b in history.boots.of(host))
    held = [
        Evidence(row.granted, f"{words.kind_of(row.exclusive)} {words.span_text(row.start, row.end)} granted to {name}")
        for pair in shared
        for row in pair
        for name in (a.name if _key(row) in of_a else b.name,)
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
        locks=tuple(_ref(history, row, a.name if _key(row) in of_a else b.name) for pair in shared for row in pair),
    )


def _ref(history: History, row: Row, name: str) -> LockRef:
    texts, end = history.texts, None if row.end == END else row.end
    fh, oh = texts[row.file.fh], texts[row.owner.oh]
    return LockRef(row.file.server, fh, name, row.owner.svid, oh, row.start, end, row.exclusive, row.granted)
