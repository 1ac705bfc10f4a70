"""When requests were sent and nothing answered them: one silence for each time, with how it ended.

The time in which the server restarted does not count, and a client that gave its request back waits no more.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from nlmdissect.findings import At
from nlmdissect.history.dealings import Dealings
from nlmdissect.hosts.boot import Boot, Boots
from nlmdissect.hosts.signs import SECOND
from nlmdissect.rpc.requests import Answer, Op, Request, Send, final


@dataclass(frozen=True, slots=True)
class Silence:
    """The transmissions of a request that nothing answered until ``end`` (ns): an answer came then (``answer``), the
    client gave up, or the capture ended.
    """

    request: Request
    sends: tuple[Send, ...]
    end: int
    answer: At | None

    @property
    def lasted(self) -> int:
        return self.end - self.sends[0].at.time


def silences(r: Request, dealings: Dealings, boots: Boots, last: int) -> Iterator[Silence]:
    """Those of one request that lasted longer than a second; ``last`` is the end of the recording (ns)."""
    if _at_once(r):
        return
    pending: list[Send] = []
    both: list[Send | Answer] = [*r.sends, *r.answers]
    for item in sorted(both, key=lambda item: item.order):
        if isinstance(item, Send):
            pending.append(item)
        elif pending:
            yield from _silence(r, dealings, boots, last, pending, item.at)
            pending = []
    done = [a for a in r.answers if final(a.status)]
    if pending and not done:
        yield from _silence(r, dealings, boots, last, pending, None)


def _at_once(r: Request) -> bool:
    """Whether a request was sent once, and answered within a second, as nearly all are."""
    if len(r.sends) != 1 or len(r.answers) != 1:
        return False
    sent, answer = r.sends[0], r.answers[0]
    return sent.order < answer.order and answer.at.time - sent.at.time <= SECOND


def _silence(
    r: Request, dealings: Dealings, boots: Boots, last: int, sends: list[Send], answer: At | None
) -> Iterator[Silence]:
    first = sends[0].at.time
    end = answer.time if answer else last
    client, server = boots.of(r.client), boots.of(r.server)
    of = client[bisect_right(client, first, key=_time) :]
    of += server[bisect_right(server, first, key=_time) : bisect_right(server, end, key=_time)]
    dealings.looks.spend(len(of))
    for boot in sorted({boot.number: boot for boot in of}.values(), key=lambda boot: boot.number):
        if boot.host == r.client and first < boot.not_after.time:
            end = min(end, boot.not_before.time if boot.not_before else boot.not_after.time)
        if boot.host == r.server and first < boot.not_after.time <= end:
            sends = [send for send in sends if send.at.time >= boot.not_after.time]
            first = sends[0].at.time if sends else end
    if answer is None and sends:
        end = min(end, _gave_up(r, dealings, sends[0].at, end))
    if sends:
        yield Silence(r, tuple(sends), end, answer)


def _gave_up(r: Request, dealings: Dealings, after: At, end: int) -> int:
    """When the client took a request back: it sent an UNLOCK or a CANCEL of the range that was answered."""
    for said in dealings.about(r, after) if r.readable else ():
        if said.request is not r and said.request.op in (Op.CANCEL, Op.UNLOCK) and said.request.answers:
            return said.at.time
    return end


def _time(boot: Boot) -> int:
    return boot.not_after.time
