"""Where findings break the chain: for each code, between whom, and in the fewest words what is wrong there.

The codes in ``LINKS`` are arrows; one that is not is a mark on the lane of the host that suffers.
"""

from __future__ import annotations

from enum import StrEnum, auto
from typing import NamedTuple

from nlmdissect.findings import Confidence, Finding, Severity
from nlmdissect.history.history import History
from nlmdissect.report.pictures.chart import Tone
from nlmdissect.report.times import SECOND
from nlmdissect.report.voice import Voice


class Way(StrEnum):
    """From whom to whom."""

    NOTICE = auto()  # the host that restarted -> the other one
    ASK = auto()  # client -> server
    CALL = auto()  # server -> client
    TAKE = auto()  # server -> the other client


class Link(NamedTuple):
    """``broken``: the message never got there, or was never sent."""

    way: Way
    words: str
    broken: bool = True


# fmt: off
LINKS: dict[str, Link] = {
    "NSM001":  Link(Way.NOTICE, "no SM_NOTIFY"),
    "NSM002":  Link(Way.NOTICE, "no SM_NOTIFY"),
    "NSM008":  Link(Way.NOTICE, "no SM_NOTIFY: statd not registered"),
    "HOST001": Link(Way.NOTICE, "no SM_NOTIFY after the failover"),
    "HOST002": Link(Way.NOTICE, "no SM_NOTIFY: only lockd restarted"),
    "NLM002":  Link(Way.ASK, "never reclaimed"),
    "NLM004":  Link(Way.TAKE, "granted to {other}", broken=False),
    "NLM005":  Link(Way.TAKE, "refused: held for dead {client}"),
    "NLM007":  Link(Way.CALL, "GRANTED unanswered"),
    "NLM008":  Link(Way.CALL, "GRANTED refused", broken=False),
    "NLM009":  Link(Way.CALL, "no GRANTED"),
    "NLM011":  Link(Way.TAKE, "granted to {other} as well", broken=False),
    "NLM012":  Link(Way.ASK, "request unanswered"),
    "NLM014":  Link(Way.CALL, "GRANTED crossed CANCEL", broken=False),
    "NLM015":  Link(Way.ASK, "UNLOCK lost"),
    "NLM024":  Link(Way.ASK, "reclaim discarded"),
    "PMAP001": Link(Way.ASK, "lockd cannot be reached"),
    "PMAP002": Link(Way.ASK, "lockd not registered"),
}
MARKS: dict[str, str] = {
    "NSM012": "statd was told, lockd was not",
    "NSM006": "SM_NOTIFY with a stale state",
    "NSM009": "SM_NOTIFY, but it did not restart",
    "NSM010": "SM_NOTIFY from another address",
    "NSM011": "cannot be monitored",
    "NLM006": "released without a restart",
    "NLM010": "waits in vain",
    "NLM016": "grace period too short",
    "NLM017": "grace period too long",
    "NLM018": "grace period without end",
}
# fmt: on
AT_EVIDENCE = frozenset({"NLM012", "NLM015", "NLM007", "NLM009"})  # their first frame is where it went wrong
SOON = 20 * SECOND  # a host that boots announces it about then
DRAWN = frozenset({"NLM001", "NLM003", "NSM003", "NSM004", "NSM005"})  # as reclaims and notices with their answers


def link(finding: Finding) -> Link | None:
    """The arrow of a finding; None for one that is a mark."""
    return LINKS.get(finding.code)


def ends(history: History, finding: Finding) -> tuple[int, int] | None:
    """Between which endpoints the message of a finding went, or should have gone; None if it names only one."""
    of = LINKS[finding.code]
    a, b = finding.server, finding.client
    match of.way:
        case Way.NOTICE:
            boot = history.boot(finding.boot)
            if boot is not None and boot.host == finding.client:
                a, b = b, a
        case Way.ASK:
            a, b = b, a
        case Way.TAKE:
            b = finding.other
        case Way.CALL:
            pass
    return None if a is None or b is None or a == b else (a, b)


def words(voice: Voice, finding: Finding) -> str:
    """What the arrow of a finding says."""
    roles = {"client": finding.client, "other": finding.other}
    names = {role: "another host" if host is None else voice.short(host) for role, host in roles.items()}
    return f"{LINKS[finding.code].words.format(**names)} ({code(finding)})"


def code(finding: Finding) -> str:
    """``NSM001``; ``NSM001, suspected``."""
    return finding.code if finding.confidence is Confidence.CONFIRMED else f"{finding.code}, suspected"


def when(history: History, finding: Finding) -> int:
    """The moment (ns) of an arrow. A packet that is missing stands in the middle of the time that there was for it."""
    boot, first = history.boot(finding.boot), finding.evidence[0].at.time
    if boot is None or not LINKS[finding.code].broken or finding.code in AT_EVIDENCE:
        return first
    start, last = boot.not_after.time, history.extent.last
    over = boot.grace_over.time if boot.grace_over else min(last, boot.until or last, start + SOON)
    if finding.code == "NLM002" and boot.told:
        start = max(start, boot.told.time)
    return (start + max(over, start)) // 2


def tone(finding: Finding) -> Tone:
    """Red for what is wrong, grey for what hurts nobody, or is a suspicion of something mild."""
    severity = finding.severity or Severity.INFO
    sure = finding.confidence is Confidence.CONFIRMED
    return Tone.BAD if severity is Severity.ERROR or (severity is Severity.WARNING and sure) else Tone.UNSURE


def mark(finding: Finding) -> str:
    """The words of a finding that is no arrow."""
    return MARKS.get(finding.code, finding.name.replace("-", " "))
