"""NLM013: identical requests faster than any implementation's own pace."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM013 = BY_CODE["NLM013"]


def again(count: int, every: float, status: str, verb: str = "POLL 1", first: str = "NLM_LOCK fh=A oh=1 block") -> str:
    """A request, and ``count - 1`` repetitions, each answered."""
    lines = [f"1 client1 > server {first}", f"2 server > client1 {status}"]
    for n in range(1, count):
        lines.append(f"{2 * n + 1} +{every}s client1 > server {verb}")
        lines.append(f"{2 * n + 2} +0.01s server > client1 {status}")
    return "\n".join(lines)


def test_polls_twice_a_second():
    story = told(NLM013, again(30, 0.5, "NLM4_BLOCKED"))
    assert story.says == ["warning confirmed server=server client=client1: 1 3 5 55 57 59"]


def test_polls_at_the_pace_of_illumos():
    story = told(NLM013, again(30, 5, "NLM4_BLOCKED"))
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 30


def test_held_off_ten_times_a_second():
    story = told(NLM013, again(60, 0.1, "NLM4_DENIED_GRACE_PERIOD"))
    assert len(story.says) == 1


def test_an_application_that_asks_in_a_loop():
    """fcntl(F_SETLK) that is refused, over and over: each is a new request."""
    story = told(NLM013, again(60, 0.1, "NLM4_DENIED", "NLM_LOCK fh=A oh=1", "NLM_LOCK fh=A oh=1"))
    assert story.outcome is Outcome.CLEAN


def test_lock_and_unlock_in_a_loop():
    lines = []
    for n in range(40):
        lines += [
            f"{4 * n + 1} +0.1s client1 > server NLM_LOCK fh=A oh=1",
            f"{4 * n + 2} +0.01s server > client1 NLM4_GRANTED",
        ]
        lines += [
            f"{4 * n + 3} +0.1s client1 > server NLM_UNLOCK fh=A oh=1",
            f"{4 * n + 4} +0.01s server > client1 NLM4_GRANTED",
        ]
    story = told(NLM013, "\n".join(lines))
    assert story.outcome is Outcome.CLEAN


def test_unlocks_that_fail_in_a_loop():
    story = told(NLM013, again(40, 0.2, "SYSTEM_ERR", "NLM_UNLOCK fh=A oh=1", "NLM_UNLOCK fh=A oh=1"))
    assert len(story.says) == 1
    assert "SYSTEM_ERR" in story.findings[0].consequence


def test_retransmissions_in_a_loop():
    lines = ["1 client1 > server NLM_LOCK fh=A oh=1", *(f"{n} +0.5s client1 > server AGAIN 1" for n in range(2, 30))]
    story = told(NLM013, "\n".join(lines))
    assert len(story.says) == 1


def test_many_owners_at_once():
    lines = []
    for n in range(60):
        lines += [f"{2 * n + 1} +0.1s client1 > server NLM_LOCK fh=A oh={n} range={n}-{n} block"]
        lines += [f"{2 * n + 2} +0.01s server > client1 NLM4_BLOCKED"]
    story = told(NLM013, "\n".join(lines))
    assert story.outcome is Outcome.CLEAN


def test_second_copies_of_frames():
    lines = ["1 client1 > server NLM_LOCK fh=A oh=1"]
    lines += [f"{n} +0.001s client1 > server COPY 1" for n in range(2, 40)]
    story = told(NLM013, "\n".join(lines))
    assert story.says == []


def contended(callback: bool, unlock: bool) -> str:
    """One range that others want as well: every LOCK is BLOCKED, and soon granted."""
    lines = []
    for _ in range(30):
        lines += ["+0.2s client1 > server NLM_LOCK fh=A oh=1 block", "+0.01s server > client1 NLM4_BLOCKED"]
        if callback:
            lines += ["+0.2s server > client1 NLM_GRANTED fh=A oh=1", "+0.01s client1 > server NLM4_GRANTED"]
        if unlock:
            lines += ["+0.2s client1 > server NLM_UNLOCK fh=A oh=1", "+0.01s server > client1 NLM4_GRANTED"]
    return "\n".join(f"{n} {line}" for n, line in enumerate(lines, 1))


def test_a_lock_that_many_want():
    """It is granted by callback, used and given back, and wanted again: work, not a storm."""
    assert told(NLM013, contended(callback=True, unlock=True)).outcome is Outcome.CLEAN
    assert told(NLM013, contended(callback=True, unlock=False)).outcome is Outcome.CLEAN
    assert told(NLM013, contended(callback=False, unlock=True)).outcome is Outcome.CLEAN
    assert len(told(NLM013, contended(callback=False, unlock=False)).says) == 1


def test_the_unlock_of_another_range_settles_nothing():
    other = contended(callback=False, unlock=True).replace("NLM_UNLOCK fh=A oh=1", "NLM_UNLOCK fh=A oh=1 range=200-299")
    assert len(told(NLM013, other).says) == 1
