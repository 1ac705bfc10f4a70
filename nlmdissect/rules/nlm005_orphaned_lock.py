"""NLM005 orphaned-lock."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.capture.messages import Kind, Signal
from nlmdissect.findings import At, Confidence, Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import File, Owner
from nlmdissect.history.history import History
from nlmdissect.history.walk import Wait
from nlmdissect.hosts.signs import SECOND
from nlmdissect.machines.hold import H
from nlmdissect.machines.ranges import Piece
from nlmdissect.rules import words
from nlmdissect.rules.nsm002_missing_client_notify import blocked_by

SILENCE = 300 * SECOND
USUAL = 3  # times longer than any silence of this host before
UNANSWERED_PROBES = 3

Held = tuple[File, Owner, Piece]


@rule("NLM005", "orphaned-lock", Severity.ERROR, source="C-11")
def orphaned_lock(history: History) -> Iterator[Verdict]:
    """A dead client's lock stays and others are refused.

    Why it matters: NLM locks have no lease. A server keeps the lock of a client that never comes back until
    somebody tells it, and everybody else waits for ever.

    How it is seen: somebody waits for a range that another client holds, and that client shows a sign of death
    after which it was never heard again: ARP requests for it without a reply, or ICMP host unreachable about it.
    Without such a sign, five minutes of silence up to the end of the capture, of a client that used to be heard
    more often and did not close its connections in order, are a suspected warning.

    What it cannot see: a holder that is alive and idle says nothing either, over UDP for hours. An orderly close is
    not a death. A client that came back without a word is NSM002.

    What to do: if the client is really gone for good, bring it up once and run `sm-notify -f` there: that is what
    tells the server. Else a restart of the lock service frees the locks and costs every client a recovery; on a
    Linux server, writing the export's path to /proc/fs/nfsd/unlock_filesystem drops all NLM locks of that file
    system, the living clients' included.
    """
    pending = [wait for wait in history.walked.waits if wait.ended is None and wait.last is not None]
    yield Judged(len(pending))
    found: dict[tuple[int, int], list[tuple[Held, Wait]]] = {}
    for held in history.walked.table.of():
        file, owner, piece = held
        if piece.state in (H.HELD, H.EXPOSED, H.DOUBTED):
            for wait in blocked_by(history, file.server, file.fh, owner, piece):
                if wait in pending:
                    found.setdefault((file.server, owner.client), []).append((held, wait))
    for (server, client), cases in found.items():
        last = _last_heard(history, client)
        death = _sign_of_death(history, client, last)
        if death is not None:
            yield _finding(history, server, client, cases, death, True)
        elif _unusually_silent(history, client, last):
            silence = (history.extent.last - last) / SECOND
            text = f"the last that was heard of {words.host(history, client)}; then {silence:.0f} s of silence"
            yield _finding(history, server, client, cases, Evidence(_frame_at(history, client, last), text), False)
        else:
            waiter = words.host(history, cases[0][1].request.client)
            yield NotAssessed(f"{waiter} waits for a lock of {words.host(history, client)}, which may be idle or dead")


def _finding(
    history: History, server: int, client: int, cases: list[tuple[Held, Wait]], sign: Evidence, dead: bool
) -> Finding:
    held, wait = cases[0]
    holder, waiter = words.host(history, client), words.host(history, wait.request.client)
    waits = [
        Evidence(w.last, f"{words.host(history, w.request.client)} still waits, {w.polls} answers BLOCKED")
        for _, w in cases
        if w.last
    ]
    return Finding(
        f"{waiter} waits for the {words.lock_text(history, *held)} of {holder}, "
        + ("which is dead" if dead else "which has fallen silent"),
        words.evidence(waits[:1], words.granted(history, *held), sign, waits[1:]),
        consequence="The server never drops such a lock by itself."
        + ("" if dead else " The holder may also be alive and idle."),
        remedy="Find out whether the holder lives. If it does not, free its locks: sm-notify -f on it, once, or "
        "restart the lock service.",
        severity=None if dead else Severity.WARNING,
        confidence=Confidence.CONFIRMED if dead else Confidence.SUSPECTED,
        server=server,
        client=client,
        other=wait.request.client,
        locks=tuple(words.lock(history, *h) for h, _ in cases),
    )


def _last_heard(history: History, host: int) -> int:
    return max((span.last for span in history.traffic.activity if span.src == host), default=0)


def _sign_of_death(history: History, host: int, last: int) -> Evidence | None:
    """ARP requests for a host that nobody answers, or ICMP host unreachable about it, after it was last heard."""
    after = [s for s in history.signals if s.at.time > last]
    asked = [s for s in after if s.kind is Kind.ARP and s.a == 1 and s.dst == host and s.src != host]
    if len(asked) >= UNANSWERED_PROBES:
        return Evidence(asked[0].at, f"ARP request for it, the first of {len(asked)} without a reply")
    unreachable = [
        s for s in after if s.kind is Kind.ICMP and _host_unreachable(s) and s.quoted and s.quoted.dst == host
    ]
    return Evidence(unreachable[0].at, "ICMP host unreachable about it") if unreachable else None


def _host_unreachable(signal: Signal) -> bool:
    return (signal.a, signal.b) in ((3, 1), (1, 3))  # ICMP and ICMPv6


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
