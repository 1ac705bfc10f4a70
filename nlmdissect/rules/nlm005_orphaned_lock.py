"""NLM005 orphaned-lock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import nlargest
from itertools import islice
from typing import NamedTuple

from nlmdissect.capture.messages import Kind
from nlmdissect.findings import At, Confidence, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import File, Owner
from nlmdissect.history.history import History
from nlmdissect.history.looks import Looks
from nlmdissect.history.notices import Try
from nlmdissect.hosts.signs import SECOND
from nlmdissect.machines.hold import H
from nlmdissect.machines.ranges import Piece
from nlmdissect.machines.spans import Ranged
from nlmdissect.rpc.requests import Op, Request
from nlmdissect.rules import words
from nlmdissect.rules.doubts import came_back_elsewhere
from nlmdissect.rules.nsm002_missing_client_notify import conflicting

SILENCE = 300 * SECOND
USUAL = 3  # times longer than any silence of this host before
FEW = 100  # refusals about one file that are looked through for those that overlap


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
    refusals = _refusals(history)
    with history.dealings.looks.until_enough():
        for file, owner, piece in history.walked.table.of():
            if piece.state in (H.HELD, H.EXPOSED, H.DOUBTED):
                cases = [_Case((file, owner, piece), refusal) for refusal in refusals.because_of(file, owner, piece)]
                if cases:
                    found.setdefault((file.server, owner.client), []).extend(cases)
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
            waiter = words.host(history, waiting[0].refusal.request.client)
            yield NotAssessed(f"{waiter} waits for a lock of {words.host(history, client)}, which may be idle or dead")


class _Refusal(NamedTuple):
    """Somebody was refused, or still waits: then ``polls`` were answered BLOCKED. ``at`` is the last time that it was
    told so.
    """

    request: Request
    at: At
    polls: int


@dataclass(slots=True)
class _Refusals:
    """Refusals by file and place."""

    looks: Looks
    _all: list[_Refusal] = field(default_factory=list)
    _files: Ranged[File] = field(default_factory=lambda: Ranged(FEW))

    def add(self, refusal: _Refusal) -> None:
        r = refusal.request
        if r.start <= r.end:
            self._files.add(File(r.server, r.fh), len(self._all), r.start, r.end)
            self._all.append(refusal)

    def because_of(self, file: File, owner: Owner, piece: Piece) -> list[_Refusal]:
        """The latest ones that a lock is in the way of, no more than can be shown: who waits, and who was refused.

        Raises TooMuchError.
        """
        near = self._files.near(file, piece.start, piece.end)
        self.looks.spend(len(near))
        found = [self._all[number] for number in near if conflicting(self._all[number].request, owner, piece)]
        waits = [refusal for refusal in found if refusal.polls]
        denied = [refusal for refusal in found if not refusal.polls and refusal.at > piece.granted]
        return [refusal for of in (waits, denied) for refusal in nlargest(words.MANY, of, key=lambda one: one.at)]


def _refusals(history: History) -> _Refusals:
    found = _Refusals(history.dealings.looks)
    for wait in history.walked.waits:
        if wait.ended is None and wait.last is not None:
            found.add(_Refusal(wait.request, wait.last, wait.polls))
    for r in history.requests.where(history.requests.is_a(Op.LOCK) & history.requests.may_be("DENIED")):
        if r.status == "DENIED":
            found.add(_Refusal(r, r.answers[-1].at, 0))
    return found


class _Case(NamedTuple):
    """A lock, and somebody who was refused because of it."""

    held: tuple[File, Owner, Piece]
    refusal: _Refusal

    @property
    def at(self) -> At:
        return self.refusal.at

    @property
    def waits(self) -> bool:
        return self.refusal.polls > 0

    def told(self, history: History) -> Evidence:
        who, polls = words.host(history, self.refusal.request.client), self.refusal.polls
        what = f"still waits, {polls} answers BLOCKED" if polls else "is refused: DENIED"
        return Evidence(self.at, f"{who} {what}")


def _finding(
    history: History, server: int, client: int, cases: list[_Case], sign: Evidence,
    how: str = "", dead: bool = False,
) -> Finding:  # fmt: skip
    first = cases[0]
    other = first.refusal.request.client
    holder, refused = words.host(history, client), words.host(history, other)
    verb = "waits for" if first.waits else "is refused because of"
    latest = {case.at: case for case in reversed(cases)}  # one refusal may be because of many locks
    told = [case.told(history) for case in islice(reversed(latest.values()), words.MANY)]
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
        other=other,
        locks=tuple(words.lock(history, *item) for item in held),
    )


def _back(history: History, server: int, client: int, cases: list[_Case]) -> Try | None:
    """The notice of the holder's new life from another address, if somebody was refused after it."""
    held = min(case.held[2].granted for case in cases)
    return came_back_elsewhere(history, server, client, held, max(case.at for case in cases))


def _last_heard(history: History, host: int) -> int:
    arp = [s.at.time for s in history.signals.of(Kind.ARP, (host,))[-1:]]
    return max([history.traffic.last_heard(host), *arp])


def _unusually_silent(history: History, host: int, last: int) -> bool:
    if history.extent.last - last < SILENCE or _closed_in_order(history, host):
        return False
    spans = sorted((s.first, s.last) for s in history.traffic.said(host))
    longest, heard = 0, spans[0][1] if spans else 0
    for first, end in spans:
        longest = max(longest, first - heard)
        heard = max(heard, end)
    return history.extent.last - last > USUAL * longest


def _closed_in_order(history: History, host: int) -> bool:
    """Whether the host's last TCP connection ended with a FIN of its own: idle, not dead."""
    tcp = [s for s in history.traffic.sent(host) if s.tcp]
    newest = max(tcp, key=lambda s: s.last_time, default=None)
    return newest is not None and newest.ended == "fin"


def _frame_at(history: History, host: int, time: int) -> At:
    """The last frame of a host that a stream or a call shows."""
    streams = [At(s.last_time, s.capture, s.last_frame) for s in history.traffic.sent(host)]
    calls = [history.calls.at(int(row)) for row in (history.calls.src == host).nonzero()[0]]
    return max((at for at in [*streams, *calls] if at.time <= time), default=At(time, 0, 0))
