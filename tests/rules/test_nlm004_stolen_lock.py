"""NLM004: a conflicting lock was granted before or without the reclaim of a held one."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM004 = BY_CODE["NLM004"]

HELD = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
"""
RESTART = """
     3  +60s  client2 > server   NLM_LOCK fh=B oh=2
     4        server  > client2  NLM4_DENIED_GRACE_PERIOD
"""
TAKEN = """
     5  +60s  client2 > server   NLM_LOCK fh=A oh=2
     6        server  > client2  NLM4_GRANTED
"""


def test_granted_to_another_client_without_a_reclaim():
    story = told(NLM004, HELD, RESTART, TAKEN)
    assert story.says == ["error confirmed server=server client=client1 other=client2: 6 2 5 4"]
    assert story.findings[0].locks[0].at.frame == 2


def test_its_cause_is_the_missing_notice():
    story = told(NLM004, HELD, RESTART, TAKEN)
    cause = story.findings[0].caused_by
    assert cause is not None
    assert story.everything[cause].code == "NSM001"


def test_its_cause_is_the_late_reclaim():
    story = told(
        NLM004,
        HELD,
        RESTART,
        TAKEN,
        """
         7        server  > client1  SM_NOTIFY mon_name=server state=5
         8        client1 > server   OK
         9        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        10        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert story.says == ["error confirmed server=server client=client1 other=client2: 6 2 5 4 7"]
    cause = story.findings[0].caused_by
    assert cause is not None
    assert story.everything[cause].code == "NLM003"


def test_reclaimed_before_others_ask():
    story = told(
        NLM004,
        HELD,
        RESTART,
        """
         5        client1 > server   NLM_LOCK fh=A oh=1 reclaim
         6        server  > client1  NLM4_GRANTED
         7  +60s  client2 > server   NLM_LOCK fh=A oh=2
         8        server  > client2  NLM4_DENIED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_unlocked_before_others_ask():
    story = told(
        NLM004,
        HELD,
        RESTART,
        """
         5  +60s  client1 > server   NLM_UNLOCK fh=A oh=1
         6        server  > client1  NLM4_GRANTED
         7        client2 > server   NLM_LOCK fh=A oh=2
         8        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


@pytest.mark.parametrize(
    ("call", "answer"),
    [("SM_NOTIFY mon_name=client1 state=7", "OK"), ("NLM_FREE_ALL name=client1", "OK")],
)
def test_the_client_restarted_before_others_ask(call, answer):
    story = told(
        NLM004,
        HELD,
        RESTART,
        f"""
         5  +10s  client1 > server   {call}
         6        server  > client1  {answer}
         7  +60s  client2 > server   NLM_LOCK fh=A oh=2
         8        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_the_client_restarted_and_its_locks_carry_another_state():
    story = told(
        NLM004,
        HELD,
        RESTART,
        """
         5  +60s  client1 > server   NLM_LOCK fh=C oh=1 state=5
         6        server  > client1  NLM4_GRANTED
         7        client2 > server   NLM_LOCK fh=A oh=2
         8        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_a_hole_that_was_unlocked_before():
    story = told(
        NLM004,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 range=0-99
         2        server  > client1  NLM4_GRANTED
         3        client1 > server   NLM_UNLOCK fh=A oh=1 range=20-39
         4        server  > client1  NLM4_GRANTED
         5  +60s  client2 > server   NLM_LOCK fh=B oh=2
         6        server  > client2  NLM4_DENIED_GRACE_PERIOD
         7  +60s  client2 > server   NLM_LOCK fh=A oh=2 range=20-39
         8        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_a_part_of_it_is_taken():
    story = told(
        NLM004,
        HELD,
        RESTART,
        """
         5  +60s  client2 > server   NLM_LOCK fh=A oh=2 range=50-149
         6        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == ["error confirmed server=server client=client1 other=client2: 6 2 5 4"]


def test_readers_share():
    story = told(
        NLM004,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 shared
         2        server  > client1  NLM4_GRANTED
    """,
        RESTART,
        """
         5  +60s  client2 > server   NLM_LOCK fh=A oh=2 shared
         6        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_the_same_owner_asked_as_for_a_new_lock():
    """Linux servers do not look at oh: same client and svid is the same owner."""
    story = told(
        NLM004,
        HELD,
        RESTART,
        """
         5  +60s  client1 > server   NLM_LOCK fh=A oh=zz svid=1
         6        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_another_owner_of_the_same_client():
    """One process under a changed identity looks the same: only suspected."""
    story = told(
        NLM004,
        HELD,
        RESTART,
        """
         5  +60s  client1 > server   NLM_LOCK fh=A oh=9
         6        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == ["error suspected server=server client=client1 other=client1: 6 2 5 4"]


def test_a_waiter_was_handed_it():
    story = told(
        NLM004,
        HELD,
        RESTART,
        """
         5  +60s  client2 > server   NLM_LOCK fh=A oh=2 block
         6        server  > client2  NLM4_BLOCKED
         7        server  > client2  NLM_GRANTED_MSG fh=A oh=2 svid=2
         8        client2 > server   NLM_GRANTED_RES NLM4_GRANTED
    """,
    )
    assert len(story.says) == 1
    assert story.says[0].startswith("error")
    assert "client=client1 other=client2: 7 2" in story.says[0]


def test_the_lock_is_known_only_from_its_refused_reclaim():
    """The capture began after it was granted."""
    story = told(
        NLM004,
        """
         1        client2 > server   NLM_LOCK fh=B oh=2
         2        server  > client2  NLM4_DENIED_GRACE_PERIOD
         3        client1 > server   NLM_LOCK fh=A oh=1 reclaim
         4        server  > client1  NLM4_STALE_FH
         5  +60s  client2 > server   NLM_LOCK fh=A oh=2
         6        server  > client2  NLM4_GRANTED
    """,
    )
    assert len(story.says) == 1
    assert story.says[0].startswith("error suspected server=server client=client1 other=client2: 6")


def test_the_capture_begins_after_both():
    story = told(
        NLM004,
        """
         1        client2 > server   NLM_LOCK fh=A oh=2
         2        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 0


def test_the_capture_lost_calls_of_the_old_owner():
    """The UNLOCK may be among them."""
    story = told(
        NLM004,
        HELD,
        RESTART,
        """
        lost      client1 > server   NLM_UNLOCK fh=A oh=1
        lost      server  > client1  NLM4_GRANTED
         5        client1 > server   NLM_LOCK fh=D oh=1
         6        server  > client1  NLM4_DENIED_GRACE_PERIOD
         7  +60s  client2 > server   NLM_LOCK fh=A oh=2
         8        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == ["error suspected server=server client=client1 other=client2: 8 2 7 4"]
    assert "V2" in story.findings[0].consequence


def test_only_a_notice_tells_of_the_restart():
    story = told(
        NLM004,
        HELD,
        """
         3  +60s  server  > client1  SM_NOTIFY mon_name=server state=5
         4        client1 > server   OK
    """,
        TAKEN,
    )
    assert len(story.says) == 1
    assert "suspected" in story.says[0]


def test_only_the_next_life_of_its_client_was_heard():
    """It may have been down when another client was granted the lock: nobody believed to hold it then."""
    back = """
         7  +20s  client1 > server   SM_NOTIFY mon_name=client1 state=5
         8        server  > client1  OK
    """
    story = told(NLM004, HELD, RESTART, TAKEN, back)
    assert story.says == ["error suspected server=server client=client1 other=client2: 6 2 5 4"]
    missing = story.everything[story.findings[0].caused_by or 0]
    assert missing.code == "NSM001"
    assert "it may be down" in missing.consequence
