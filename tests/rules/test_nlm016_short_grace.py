"""NLM016: grace ended before a client that held locks could reclaim."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM016 = BY_CODE["NLM016"]

HELD = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3  +60s  client2 > server   NLM_LOCK fh=B oh=2
     4        server  > client2  NLM4_DENIED_GRACE_PERIOD
"""
ENDS = """
     5  +10s  client2 > server   POLL 3
     6        server  > client2  NLM4_GRANTED
"""
LATE = """
     7        server  > client1  GETPORT statd
     8        client1 > server   port 662
     9        server  > client1  SM_NOTIFY mon_name=server state=5
    10        client1 > server   OK
    11        client1 > server   NLM_LOCK fh=A oh=1 reclaim
    12        server  > client1  NLM4_DENIED_GRACE_PERIOD
"""


def test_the_first_attempt_comes_after_grace():
    story = told(NLM016, HELD, ENDS, LATE)
    assert story.says == ["error confirmed server=server client=client1: 6 7 10 2 4 9"]
    late = [f for f in story.everything if f.code == "NLM003"]
    assert [story.everything[f.caused_by].code for f in late if f.caused_by is not None] == ["NLM016"]


def test_the_first_attempt_is_in_time_and_unanswered():
    """Then the late reclaim is NLM003."""
    story = told(
        NLM016,
        HELD,
        """
         5        server  > client1  GETPORT statd
         6  +10s  client2 > server   POLL 3
         7        server  > client2  NLM4_GRANTED
         8        server  > client1  GETPORT statd
         9        client1 > server   port 662
        10        server  > client1  SM_NOTIFY mon_name=server state=5
        11        client1 > server   OK
        12        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        13        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert story.says == []
    assert [f.code for f in story.everything if f.code == "NLM003"] == ["NLM003"]


def test_told_in_time():
    story = told(
        NLM016,
        HELD,
        """
         5        server  > client1  SM_NOTIFY mon_name=server state=5
         6        client1 > server   OK
         7        client1 > server   NLM_LOCK fh=A oh=1 reclaim
         8        server  > client1  NLM4_GRANTED
         9  +60s  client2 > server   POLL 3
        10        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_the_client_is_never_reached():
    """NSM003, not this."""
    story = told(NLM016, HELD, ENDS, "     7        server  > client1  SM_NOTIFY mon_name=server state=5")
    assert story.says == []


def test_the_lock_was_given_up_before():
    story = told(
        NLM016,
        HELD,
        """
         5        client1 > server   NLM_UNLOCK fh=A oh=1
         6        server  > client1  NLM4_DENIED_GRACE_PERIOD
         7  +10s  client2 > server   POLL 3
         8        server  > client2  NLM4_GRANTED
         9        server  > client1  SM_NOTIFY mon_name=server state=5
        10        client1 > server   OK
    """,
    )
    assert story.says == []


def test_an_attempt_is_lost_to_the_capture():
    story = told(
        NLM016,
        HELD,
        """
      lost        server  > client1  SM_NOTIFY mon_name=server state=5
         5  +10s  client2 > server   POLL 3
         6        server  > client2  NLM4_GRANTED
         7        server  > client1  SM_NOTIFY mon_name=server state=5
         8        client1 > server   OK
         9        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        10        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert [said for said in story.says if "confirmed" in said] == []
