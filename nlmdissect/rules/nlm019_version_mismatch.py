"""NLM019 version-mismatch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from nlmdissect.findings import At, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import V
from nlmdissect.protocols import NLM
from nlmdissect.rpc.calls import RPC_STATUS
from nlmdissect.rules import words

FALLS_BACK = 10 * SECOND
MISMATCH = RPC_STATUS.index("PROG_MISMATCH")
PRIVATE = (0, 2)  # between statd and lockd of one host; rpcinfo also asks version 0 for the range
TO_THE_CLIENT = frozenset({5, 10, 11, 12, 13, 14})  # procedures that servers call at clients
SHOWN = 6


@dataclass(slots=True)
class Refusals:
    """What one host was told about NLM versions by another: (where, which, what)."""

    asked: list[tuple[At, int, str]] = field(default_factory=list)
    callback: bool = False


@rule("NLM019", "version-mismatch", Severity.ERROR, source="C-25")
def version_mismatch(history: History) -> Iterator[Verdict]:
    """The two sides have no NLM version in common.

    Why it matters: NFSv3 needs NLM 4, NFSv2 needs NLM 1 or 3. Linux clients try no other version: no lock can be taken,
    or, where it is a callback, no waiter is told.

    How it is seen: NLM calls answered PROG_MISMATCH with the versions that are there; or a port look-up for one version
    answered 0 or "", while the same host gives a port for another version. And no call in another version that was
    answered within 10 s, nor that version registered later.

    What it cannot see: a version that is there, and broken. Probing downwards (4, then 3, then 1) until one works is
    normal.

    What to do: `rpcinfo -p SERVER | grep nlockmgr` shows the versions. Mount with the NFS version that fits (vers=3 for
    NLM 4); on Linux servers do not switch NFSv3 off (`vers3=y` in [nfsd] of /etc/nfs.conf) while NFSv3 clients are
    there; Ganesha and many appliances have NLM 4 only: NFSv2 clients cannot lock there.
    """
    found: dict[tuple[int, int], Refusals] = defaultdict(Refusals)
    _mismatches(history, found)
    _unregistered(history, found)
    for (caller, callee), refusals in found.items():
        yield Judged()
        first = min(refusals.asked)[0]
        if _answered(history, caller, callee, first):
            continue
        if history.extent.last - first.time < FALLS_BACK:
            yield NotAssessed(f"the capture ends before {words.host(history, caller)} could try another NLM version")
            continue
        yield _finding(history, caller, callee, refusals)


def _mismatches(history: History, found: dict[tuple[int, int], Refusals]) -> None:
    calls = history.calls
    of = (calls.program == NLM) & (calls.rpc_status == MISMATCH) & (calls.reply_frame != 0) & (calls.procedure > 0)
    for row in of.nonzero()[0].tolist():
        version, low, high = int(calls.version[row]), int(calls.low[row]), int(calls.high[row])
        if version not in PRIVATE:
            refusals = found[int(calls.src[row]), int(calls.dst[row])]
            refusals.asked.append(
                (calls.reply_at(row), version, f"NLM version {version} answered PROG_MISMATCH: {low} to {high}")
            )
            refusals.callback = int(calls.procedure[row]) in TO_THE_CLIENT


def _unregistered(history: History, found: dict[tuple[int, int], Refusals]) -> None:
    there: dict[int, dict[int, At]] = defaultdict(dict)  # host -> version -> where its port was told
    for look in history.lookups:
        if look.port and look.answered and look.version not in PRIVATE:
            there[look.asked].setdefault(look.version, look.answered)
    pairs = {(client, server) for server, client in history.requests.pairs}
    for look in history.lookups:
        versions = there[look.asked]
        if look.port != 0 or look.answered is None or look.version in versions or look.version in PRIVATE:
            continue
        if versions:
            refusals = found[look.asker, look.asked]
            others = " and ".join(str(version) for version in sorted(versions))
            refusals.asked.append(
                (look.answered, look.version, f"NLM version {look.version} is not registered; version {others} is")
            )
            there_and_back = (look.asker, look.asked), (look.asked, look.asker)
            refusals.callback = there_and_back[1] in pairs and there_and_back[0] not in pairs


def _answered(history: History, caller: int, callee: int, since: At) -> bool:
    """Whether the caller got an answer from lockd there in another version, or in this one later, soon enough."""
    calls = history.calls
    of = (calls.program == NLM) & (calls.src == caller) & (calls.dst == callee) & (calls.reply_frame != 0)
    good = of & (calls.rpc_status == 0) & (calls.procedure > 0) & (calls.reply_time > since.time)
    return bool((good & (calls.reply_time <= since.time + FALLS_BACK)).any())


def _finding(history: History, caller: int, callee: int, refusals: Refusals) -> Finding:
    asked = sorted(refusals.asked)
    versions = " and ".join(str(version) for version in sorted({version for _, version, _ in asked}))
    doubts = history.visibility.all(
        (caller, callee), (V.NO_LOSS, V.BOTH_WAYS), asked[0][0].time, asked[0][0].time + FALLS_BACK
    )
    client, server = (callee, caller) if refusals.callback else (caller, callee)
    return Finding(
        f"{words.host(history, caller)} wants NLM version {versions}; {words.host(history, callee)} does not have it",
        words.evidence([Evidence(at, what) for at, _, what in asked[:SHOWN]]),
        consequence=(
            "Waiters of this client are never told that they got their lock."
            if refusals.callback
            else "This client cannot take, release or reclaim any lock there."
        )
        + words.because(doubts),
        remedy="Compare rpcinfo -p of both sides, and mount with the NFS version whose NLM version is there.",
        severity=Severity.WARNING if refusals.callback else None,
        confidence=words.confidence(doubts),
        server=server,
        client=client,
    )
