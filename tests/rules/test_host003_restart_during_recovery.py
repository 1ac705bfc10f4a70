"""HOST003: the server restarted again before recovery had ended."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

HOST003 = BY_CODE["HOST003"]

HELD = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3        client2 > server   NLM_LOCK fh=B oh=2
     4        server  > client2  NLM4_GRANTED
"""
FIRST = """
     5  +30s  server  > client1  SM_NOTIFY mon_name=server state=5
     6        client1 > server   OK
     7        client1 > server   NLM_LOCK fh=A oh=1 reclaim
     8        server  > client1  NLM4_GRANTED
     9        server  > client2  SM_NOTIFY mon_name=server state=5
"""
SECOND = """
    10   +8s  server  > client1  SM_NOTIFY mon_name=server state=7
    11        client1 > server   OK
    12        client1 > server   NLM_LOCK fh=A oh=1 reclaim
    13        server  > client1  NLM4_GRANTED
    14        server  > client2  SM_NOTIFY mon_name=server state=7
    15        client2 > server   OK
"""
ALL_BACK = """
    16        client2 > server   NLM_LOCK fh=B oh=2 reclaim
    17        server  > client2  NLM4_GRANTED
"""
OVER = """
    16  +90s  client1 > server   NLM_LOCK fh=C oh=1
    17        server  > client1  NLM4_GRANTED
"""


def test_all_was_reclaimed_in_the_end():
    story = told(HOST003, HELD, FIRST, SECOND, ALL_BACK)
    assert story.says == ["info confirmed server=server: 10 5 4"]


def test_a_lock_was_left_behind():
    story = told(HOST003, HELD, FIRST, SECOND, OVER)
    assert story.says == ["warning confirmed server=server client=client2: 10 5 4"]


def test_the_capture_ends_before_the_second_recovery_does():
    story = told(HOST003, HELD, FIRST, SECOND)
    assert story.outcome is Outcome.NOT_ASSESSED


def test_the_first_recovery_had_ended():
    story = told(
        HOST003,
        HELD,
        FIRST.replace("     9        server  > client2  SM_NOTIFY mon_name=server state=5\n", ""),
        """
     9  +60s  client1 > server   NLM_LOCK fh=C oh=1
    10        server  > client1  NLM4_GRANTED
    11  +30s  server  > client1  SM_NOTIFY mon_name=server state=7
    12        client1 > server   OK
    13        client1 > server   NLM_LOCK fh=A oh=1 reclaim
    14        server  > client1  NLM4_GRANTED
    """,
    )
    assert len(story.history.boots) == 2
    assert story.says == []
    assert story.result.judged == 1


def test_full_and_short_name_are_one_restart():
    """sm-notify on Linux sends both, with the same state."""
    story = told(
        HOST003,
        HELD,
        """
     5  +30s  server  > client1  SM_NOTIFY mon_name=server.example.com state=5
     6        client1 > server   OK
     7        server  > client1  SM_NOTIFY mon_name=server state=5
     8        client1 > server   OK
     9        client1 > server   NLM_LOCK fh=A oh=1 reclaim
    10        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 0


def test_retries_are_one_restart():
    story = told(HOST003, HELD, FIRST, "    10   +4s  server  > client2  SM_NOTIFY mon_name=server state=5")
    assert story.outcome is Outcome.CLEAN


def test_nobody_held_a_lock():
    story = told(
        HOST003,
        """
     1        client1 > server   NLM_TEST fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3  +30s  server  > client1  SM_NOTIFY mon_name=server state=5
     4        client1 > server   OK
     5   +8s  server  > client1  SM_NOTIFY mon_name=server state=7
     6        client1 > server   OK
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 0


def test_seen_from_one_side():
    """Only what the server sends is here."""
    story = told(
        HOST003,
        """
     lost     client1 > server   NLM_LOCK fh=A oh=1
     1        server  > client1  NLM4_GRANTED
     2  +30s  server  > client1  SM_NOTIFY mon_name=server state=5
     3   +8s  server  > client1  SM_NOTIFY mon_name=server state=7
    """,
    )
    assert story.says == []
