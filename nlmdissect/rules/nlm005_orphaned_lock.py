"""NLM005 orphaned-lock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from nlmdissect.capture.messages import Kind
from nlmdissect.findings import At, Confidence, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import File, Owner
from nlmdissect.history.history import History
from nlmdissect.history.notices import Try
from nlmdissect.hosts.signs import SECOND
from nlmdissect.machines.hold import H
from nlmdissect.machines.ranges import Piece
from nlmdissect.rpc.requests import Op, Request
from nlmdissect.rules import words
from nlmdissect.rules.doubts import came_back_elsewhere
from nlmdissect.rules.nsm002_missing_client_notify import blocked_by, conflicting

SILENCE = 300 * SECOND
USUAL = 3  # times longer than any silence of this host before


@rule("NLM005", "orphaned-lock", Severity.ERROR, source="C-11")
def orphaned_lock(history: History) -> Iterator[Verdict]:
    """A dead client's lock stays and others are refused.

    Why it matters: NLM locks have no lease. A server keeps the lock of a client that never comes back until
    somebody tells it, and everybody else waits for ever.

    How it is seen: somebody waits for a range that another client holds, and that client shows a sign of death
    after which it was never heard again: ARP requests for it without a reply, or ICMP host unreachable about it.
    Or a restart was announced in its name from an address that was first heard when this one had fallen silent, and
    the server went on refusing, as one does that knows its clients by address (an error, suspected). Without such a
    sign, five minutes of silence up to the end of the capture, of a client that used to be heard more often and did
    not close its connections in order, are a suspected warning.

    What it cannot see: a holder that is alive and idle says nothing either, over UDP for hours. An orderly close is
    not a death. A client that came back without a word is NSM002.

    What to do: if the client is really gone for good, bring it up once and run `sm-notify -f` there: that is what
    tells the server. Else a restart of the lock service frees the locks and costs every client a recovery; on a Linux
    server, writing the export's path to /proc/fs/nfsd/unlock_filesystem drops all NLM locks of that file system, the
    living clients' included. Others can free the locks of one client: `clear_locks CLIENT` on illumos and Solaris,
    `vserver locks break` on ONTAP.
    """
    yield Judged(sum(1 for wait in history.walked.waits if wait.ended is None))
    found: dict[tuple[int, int], list[_Case]] = {}
    denied: dict[tuple[int, int], list[Request]] = defaultdict(list)  # by file: there may be a million requests
    for r in history.requests.where(history.requests.is_a(Op.LOCK) & history.requests.may_be("DENIED")):
        if r.status == "DENIED":
            denied[r.server, r.fh].append(r)
    for file, owner, piece in history.walked.table.of():
        if piece.state in (H.HELD, H.EXPOSED, H.DOUBTED):
            for case in _refused(history, denied[file], file, owner, piece):
                found.setdefault((file.server, owner.client), []).append(case)
    for (server, client), cases in found.items():
        cases.sort(key=lambda case: case.at, reverse=True)
        last = _last_heard(history, client)
        waiting = [case for case in cases if case.waits]
        after = [case for case in cases if case.at.time > last]
        death = history.deaths.get(client)
        if death is not None and after:
            sign = Evidence(death.at, death.text)
            yield _finding(history, server, client, after, sign, "is dead", True)
        elif back := _back(history, server, client, cases):
            there, what = history.names.address(back.sender), f"SM_NOTIFY mon_name={back.name}"
            sign = Evidence(back.at, f"{what} from {there}; {words.host(history, client)} is silent since")
            after = [case for case in cases if case.at > back.at]
            yield _finding(history, server, client, after, sign, f"seems to have come back as {there}")
        elif waiting and _unusually_silent(history, client, last):
            silence = (history.extent.last - last) / SECOND
            text = f"the last that was heard of {words.host(history, client)}; then {silence:.0f} s of silence"
            yield _finding(history, server, client, waiting, Evidence(_frame_at(history, client, last), text))
        elif waiting:
            waiter = words.host(history, waiting[0].client)
            yield NotAssessed(f"{waiter} waits for a lock of {words.host(history, client)}, which may be idle or dead")


@dataclass(frozen=True, slots=True)
class _Case:
    """Somebody was refused, or waits, because of a hold. ``at`` is the last time that it was told so."""

    held: tuple[File, Owner, Piece]
    client: int
    at: At
    what: str
    waits: bool


def _refused(history: History, denied: list[Request], file: File, owner: Owner, piece: Piece) -> Iterator[_Case]:
    held = (file, owner, piece)
    for wait in blocked_by(history, file.server, file.fh, owner, piece):
        if wait.ended is None and wait.last is not None:
            client = wait.request.client
            what = f"{words.host(history, client)} still waits, {wait.polls} answers BLOCKED"
            yield _Case(held, client, wait.last, what, True)
    for r in denied:
        if conflicting(r, owner, piece):
            at = r.answers[-1].at
            if at > piece.granted:
                yield _Case(held, r.client, at, f"{words.host(history, r.client)} is refused: DENIED", False)


def _finding(
    history: History, server: int, client: int, cases: list[_Case], sign: Evidence,
    how: str = "", dead: bool = False,
) -> Finding:  # fmt: skip
    first = cases[0]
    holder, refused = words.host(history, client), words.host(history, first.client)
    verb = "waits for" if first.waits else "is refused because of"
    told = [Evidence(case.at, case.what) for case in cases]
    held = list({id(case.held[2]): case.held for case in cases}.values())
    return Finding(
        f"{refused} {verb} the {words.lock_text(history, *first.held)} of {holder}, which {how or 'has fallen silent'}",
        words.evidence(told[:1], words.granted(history, *first.held), sign, told[1:]),
        consequence="The server never drops such a lock by itself."
        + ("" if dead else " The holder may also be alive and idle."),
        remedy="Find out whether the holder lives. If it does not, free its locks: sm-notify -f on it, once, "
        + ("with the address that it had (-v), " if how and not dead else "")
        + "or restart the lock service.",
        severity=None if how else Severity.WARNING,
        confidence=Confidence.CONFIRMED if dead else Confidence.SUSPECTED,
        server=server,
        client=client,
        other=first.client,
        locks=tuple(words.lock(history, *item) for item in held),
    )


def _back(history: History, server: int, client: int, cases: list[_Case]) -> Try | None:
    """The notice of the holder's new life from another address, if somebody was refused after it."""
    held = min(case.held[2].granted for case in cases)
    return came_back_elsewhere(history, server, client, held, max(case.at for case in cases))


def _last_heard(history: History, host: int) -> int:
    packets = [span.last for span in history.traffic.activity if span.src == host]
    arp = [s.at.time for s in history.signals if s.kind is Kind.ARP and s.src == host]
    return max([*packets, *arp], default=0)


def _unusually_silent(history: History, host: int, last: int) -> bool:
    if history.extent.last - last < SILENCE or _closed_in_order(history, host):
        return False
    spans = sorted((s.first, s.last) for s in history.traffic.activity if s.src == host)
    longest, heard = 0, spans[0][1] if spans else 0
    for first, end in spans:
        longest = max(longest, first - heard)
        heard = max(heard, end)
    return history.extent.last - last > USUAL * longest


def _closed_in_order(history: History, host: int) -> bool:
    """Whether the host's last TCP connection ended with a FIN of its own: idle, not dead."""
    tcp = [s for s in history.traffic.streams if s.tcp and s.src == host]
    newest = max(tcp, key=lambda s: s.last_time, default=None)
    return newest is not None and newest.ended == "fin"


def _frame_at(history: History, host: int, time: int) -> At:
    """The last frame of a host that a stream or a call shows."""
    streams = [At(s.last_time, s.capture, s.last_frame) for s in history.traffic.streams if s.src == host]
    calls = [history.calls.at(int(row)) for row in (history.calls.src == host).nonzero()[0]]
    return max((at for at in [*streams, *calls] if at.time <= time), default=At(time, 0, 0))
