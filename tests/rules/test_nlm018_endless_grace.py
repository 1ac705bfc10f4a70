"""NLM018: grace never ended."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM018 = BY_CODE["NLM018"]


def polls(count: int, every: int) -> str:
    """A client that is held off again and again."""
    lines = ["1 client1 > server NLM_LOCK fh=A oh=1", "2 server > client1 NLM4_DENIED_GRACE_PERIOD"]
    for n in range(1, count):
        lines.append(f"{2 * n + 1} +{every - 1}s client1 > server POLL 1")
        lines.append(f"{2 * n + 2} server > client1 NLM4_DENIED_GRACE_PERIOD")
    return "\n".join(lines)


def test_six_minutes():
    story = told(NLM018, polls(13, 30))
    assert len(story.says) == 1
    assert story.says[0].startswith("error confirmed server=server client=client1: 26 2 ")


def test_three_clients():
    story = told(
        NLM018,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_DENIED_GRACE_PERIOD
         3 +160s  client2 > server   NLM_LOCK fh=B oh=2
         4        server  > client2  NLM4_DENIED_GRACE_PERIOD
         5 +160s  client3 > server   NLM_TEST fh=C oh=3
         6        server  > client3  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert story.says == ["error confirmed server=server: 6 2 4"]


def test_it_ended_at_last():
    story = told(NLM018, polls(13, 30), "27 +5s client1 > server POLL 1", "28 server > client1 NLM4_GRANTED")
    assert story.outcome is Outcome.CLEAN
    assert [f.code for f in story.everything if f.code == "NLM017"] == ["NLM017"]


def test_five_minutes_are_not_over():
    story = told(NLM018, polls(10, 30))
    assert story.says == []


def test_two_answers_are_too_few():
    story = told(
        NLM018,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_DENIED_GRACE_PERIOD
         3 +400s  client1 > server   NLM_LOCK fh=B oh=1
         4        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert story.says == []


def test_unlock_answered_proves_nothing_on_ganesha():
    story = told(NLM018, polls(13, 30), "27 client1 > server NLM_UNLOCK fh=B oh=1", "28 server > client1 NLM4_GRANTED")
    assert len(story.says) == 1
