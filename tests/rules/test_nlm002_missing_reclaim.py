"""NLM002: the client was notified, held the lock, and never reclaimed it."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM002 = BY_CODE["NLM002"]

TWO_LOCKS = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3        client1 > server   NLM_LOCK fh=B oh=1
     4        server  > client1  NLM4_GRANTED
"""
RESTART = """
     5  +60s  client2 > server   NLM_LOCK fh=Z oh=2
     6        server  > client2  NLM4_DENIED_GRACE_PERIOD
     7        server  > client1  SM_NOTIFY mon_name=server state=5
     8        client1 > server   OK
"""
ONE_RECLAIM = """
     9        client1 > server   NLM_LOCK fh=A oh=1 reclaim
    10        server  > client1  NLM4_GRANTED
"""
GRACE_ENDS = """
    11  +60s  client2 > server   POLL 5
    12        server  > client2  NLM4_GRANTED
"""


def test_one_of_two_locks_is_never_reclaimed():
    story = told(NLM002, TWO_LOCKS, RESTART, ONE_RECLAIM, GRACE_ENDS)
    assert story.says == ["error confirmed server=server client=client1: 8 4 6 7 12"]
    assert [lock.fh[-1:] for lock in story.findings[0].locks] == [b"B"]


def test_both_are_reclaimed():
    story = told(
        NLM002,
        TWO_LOCKS,
        RESTART,
        ONE_RECLAIM,
        """
        11        client1 > server   NLM_LOCK fh=B oh=1 reclaim
        12        server  > client1  NLM4_GRANTED
        13  +60s  client2 > server   POLL 5
        14        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 2


def test_the_capture_ends_in_the_grace_period():
    story = told(NLM002, TWO_LOCKS, RESTART, ONE_RECLAIM)
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_no_reclaim_at_all_after_an_answered_notice():
    """It came from the address that the locks were taken from, and Linux goes by that: statd did not reach lockd."""
    story = told(
        NLM002,
        TWO_LOCKS,
        RESTART,
        """
         9  +60s  client2 > server   POLL 5
        10        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 8 2 4 6 7 10"]


def test_a_reclaim_of_the_joined_ranges_covers_both():
    story = told(
        NLM002,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 range=0-99
         2        server  > client1  NLM4_GRANTED
         3        client1 > server   NLM_LOCK fh=A oh=1 range=100-199
         4        server  > client1  NLM4_GRANTED
    """,
        RESTART,
        """
         9        client1 > server   NLM_LOCK fh=A oh=1 range=0-199 reclaim
        10        server  > client1  NLM4_GRANTED
    """,
        GRACE_ENDS,
    )
    assert story.outcome is Outcome.CLEAN


def test_the_parts_around_a_hole_are_reclaimed():
    story = told(
        NLM002,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 range=0-99
         2        server  > client1  NLM4_GRANTED
         3        client1 > server   NLM_UNLOCK fh=A oh=1 range=20-39
         4        server  > client1  NLM4_GRANTED
    """,
        RESTART,
        """
         9        client1 > server   NLM_LOCK fh=A oh=1 range=0-19 reclaim
        10        server  > client1  NLM4_GRANTED
        11        client1 > server   NLM_LOCK fh=A oh=1 range=40-99 reclaim
        12        server  > client1  NLM4_GRANTED
        13  +60s  client2 > server   POLL 5
        14        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_a_part_of_a_lock_is_not_reclaimed():
    story = told(
        NLM002,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 range=0-199
         2        server  > client1  NLM4_GRANTED
         3        client1 > server   NLM_LOCK fh=C oh=1 shared
         4        server  > client1  NLM4_DENIED
    """,
        RESTART,
        ONE_RECLAIM,
        GRACE_ENDS,
    )
    assert story.says == ["error confirmed server=server client=client1: 8 2 6 7 12"]
    assert [(lock.start, lock.end) for lock in story.findings[0].locks] == [(100, 199)]


def test_the_process_ended_in_the_grace_period():
    """UNLOCK is refused in grace, but it says that the application has let go."""
    story = told(
        NLM002,
        TWO_LOCKS,
        RESTART,
        ONE_RECLAIM,
        """
        11        client1 > server   NLM_UNLOCK fh=B oh=1 range=0-EOF
        12        server  > client1  NLM4_DENIED_GRACE_PERIOD
        13  +60s  client2 > server   POLL 5
        14        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


@pytest.mark.parametrize("wait", [3, 9])
def test_the_process_ended_and_its_unlock_was_held_back_until_grace_was_over(wait):
    """Linux lets ordinary calls wait while it recovers: up to ten seconds are in order."""
    story = told(
        NLM002,
        TWO_LOCKS,
        RESTART,
        ONE_RECLAIM,
        GRACE_ENDS,
        f"""
        13  +{wait}s client1 > server   NLM_UNLOCK fh=B oh=1 range=0-EOF
        14        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_unlocked_long_after_the_grace_period():
    """Until then the application believed that it held the lock."""
    story = told(
        NLM002,
        TWO_LOCKS,
        RESTART,
        ONE_RECLAIM,
        GRACE_ENDS,
        """
        13  +300s client1 > server   NLM_UNLOCK fh=B oh=1 range=0-EOF
        14        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 8 4 6 7 12"]


def test_a_lock_that_needs_no_reclaim():
    """NM_LOCK: whoever takes one reclaims nothing."""
    story = told(
        NLM002,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3        client1 > server   NM_LOCK fh=B oh=1
         4        server  > client1  NLM4_GRANTED
    """,
        RESTART,
        ONE_RECLAIM,
        GRACE_ENDS,
    )
    assert story.says == []


def test_nobody_told_the_client():
    """NSM001: one root cause, one finding."""
    story = told(
        NLM002,
        TWO_LOCKS,
        """
         5  +60s  client2 > server   NLM_LOCK fh=Z oh=2
         6        server  > client2  NLM4_DENIED_GRACE_PERIOD
         7  +60s  client2 > server   POLL 5
         8        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_an_unanswered_notice_is_the_root():
    story = told(
        NLM002,
        TWO_LOCKS,
        """
         5  +60s  client2 > server   NLM_LOCK fh=Z oh=2
         6        server  > client2  NLM4_DENIED_GRACE_PERIOD
         7        server  > client1  SM_NOTIFY mon_name=server state=5
         8   +2s  server  > client1  SM_NOTIFY mon_name=server state=5
         9   +4s  server  > client1  SM_NOTIFY mon_name=server state=5
        10  +60s  client2 > server   POLL 5
        11        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_the_server_restarted_again_before_the_end():
    """Only what is missing after the last restart counts."""
    story = told(
        NLM002,
        TWO_LOCKS,
        RESTART,
        """
         9  +10s  server  > client1  SM_NOTIFY mon_name=server state=7
        10        client1 > server   OK
        11        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        12        server  > client1  NLM4_GRANTED
        13        client1 > server   NLM_LOCK fh=B oh=1 reclaim
        14        server  > client1  NLM4_GRANTED
        15  +60s  client2 > server   POLL 5
        16        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_the_reclaim_was_sent_and_not_answered():
    """It was not missing."""
    story = told(
        NLM002,
        TWO_LOCKS,
        RESTART,
        ONE_RECLAIM,
        """
        11        client1 > server   NLM_LOCK fh=B oh=1 reclaim
        12  +60s  client2 > server   POLL 5
        13        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_the_capture_lost_calls_of_the_client():
    """Its xids have a hole where the reclaim may have been."""
    story = told(
        NLM002,
        TWO_LOCKS,
        RESTART,
        ONE_RECLAIM,
        """
        lost      client1 > server   NLM_LOCK fh=B oh=1 reclaim
        lost      server  > client1  NLM4_GRANTED
        11        client1 > server   NLM_LOCK fh=D oh=1
        12        server  > client1  NLM4_DENIED_GRACE_PERIOD
        13  +60s  client2 > server   POLL 5
        14        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == ["error suspected server=server client=client1: 8 4 6 7 14"]
    assert "V2" in story.findings[0].consequence


def test_the_client_restarted_in_the_meantime():
    story = told(
        NLM002,
        TWO_LOCKS,
        RESTART,
        ONE_RECLAIM,
        """
        11        client1 > server   SM_NOTIFY mon_name=client1 state=7
        12        server  > client1  OK
        13  +60s  client2 > server   POLL 5
        14        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


STOLEN_THEN_RECLAIMED = """
     1        client1 > server   NLM_LOCK fh=A oh=1 state=3
     2        server  > client1  NLM4_GRANTED
     3        client2 > server   NLM_LOCK fh=B oh=2 state=3
     4        server  > client2  NLM4_GRANTED
     5  +20s  server  > client2  GETPORT statd
     6        client2 > server   port 662
     7        server  > client2  SM_NOTIFY mon_name=server state=5
     8        client2 > server   OK
     9        client2 > server   NLM_LOCK fh=B oh=2 reclaim
    10        server  > client2  NLM4_GRANTED
    11  +10s  client3 > server   NLM_LOCK fh=A oh=3 state=3
    12        server  > client3  NLM4_GRANTED
    13  +20s  server  > client1  GETPORT statd
    14        client1 > server   port 662
    15        server  > client1  SM_NOTIFY mon_name=server state=5
    16        client1 > server   OK
"""
RECLAIMED = """
    17        client1 > server   NLM_LOCK fh=A oh=1 reclaim
    18        server  > client1  NLM4_DENIED_GRACE_PERIOD
"""


def test_a_lock_that_was_reclaimed_after_it_was_stolen_was_reclaimed():
    assert told(NLM002, STOLEN_THEN_RECLAIMED, RECLAIMED, "19 +60s client3 > server NFS").says == []


def test_a_lock_that_was_stolen_and_not_reclaimed():
    story = told(NLM002, STOLEN_THEN_RECLAIMED, "17 +60s client1 > server NFS", "18 +60s client3 > server NFS")
    assert [line.partition(":")[0] for line in story.says] == ["error confirmed server=server client=client1"]


def test_a_reclaim_of_a_part_leaves_the_rest_missing():
    half = RECLAIMED.replace("reclaim", "range=0-9 reclaim")
    story = told(NLM002, STOLEN_THEN_RECLAIMED, half, "19 +60s client3 > server NFS")
    assert len(story.says) == 1


@pytest.mark.parametrize(("reclaims", "found"), [("shared", False), ("range=0-49 shared", True)])
def test_a_lock_that_was_downgraded(reclaims, found):
    """It is reclaimed as what it is now: a read lock."""
    text = f"""
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3        client1 > server   NLM_LOCK fh=A oh=1 shared
     4        server  > client1  NLM4_GRANTED
     5  +60s  client2 > server   NLM_LOCK fh=B oh=2
     6        server  > client2  NLM4_DENIED_GRACE_PERIOD
     7        server  > client1  SM_NOTIFY mon_name=server state=5
     8        client1 > server   OK
     9        client1 > server   NLM_LOCK fh=A oh=1 reclaim {reclaims}
    10        server  > client1  NLM4_GRANTED
    11  +60s  client2 > server   POLL 5
    12        server  > client2  NLM4_GRANTED
    """
    assert bool(told(NLM002, text).says) is found


@pytest.mark.parametrize("reclaim", [True, False])
def test_a_reclaim_whose_answer_is_lost_and_an_unlock_long_after(reclaim):
    """Without a reclaim the lock was gone by then, whatever the client gave back; with one it may have been there."""
    asks = "lost" if not reclaim else "9   "
    n = 9 + reclaim
    text = f"""
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3  +60s  client2 > server   NLM_LOCK fh=Z oh=1
     4        server  > client2  NLM4_DENIED_GRACE_PERIOD
     5        server  > client1  GETPORT statd
     6        client1 > server   port 662
     7        server  > client1  SM_NOTIFY mon_name=server state=5
     8        client1 > server   OK
  {asks}      client1 > server   {"NLM_LOCK fh=A oh=1 reclaim" if reclaim else "NFS"}
    {n} +60s  client2 > server   POLL 3
  {n + 1}     server  > client2  NLM4_GRANTED
  {n + 2} +5s client1 > server   NLM_UNLOCK fh=A oh=1
  {n + 3}     server  > client1  NLM4_GRANTED
    """
    assert bool(told(NLM002, text).says) is not reclaim


def test_one_of_two_clients_behind_one_address_does_not_reclaim():
    """The notice went to the address; the lock is the other one's."""
    text = """
         1        client1 > server   NLM_LOCK fh=A oh=1@vm1 svid=1 caller=vm1
         2        server  > client1  NLM4_GRANTED
         3        client1 > server   NLM_LOCK fh=B oh=2@vm2 svid=2 caller=vm2 xid=77 sport=1800
         4        server  > client1  NLM4_GRANTED
         5  +60s  client2 > server   NLM_LOCK fh=C oh=3
         6        server  > client2  NLM4_DENIED_GRACE_PERIOD
         7        server  > client1  SM_NOTIFY mon_name=server state=5
         8        client1 > server   OK
         9        client1 > server   NLM_LOCK fh=A oh=1@vm1 svid=1 caller=vm1 reclaim
        10        server  > client1  NLM4_GRANTED
        11  +90s  client2 > server   POLL 5
        12        server  > client2  NLM4_GRANTED
    """
    (found,) = told(NLM002, text).findings
    assert [lock.caller_name for lock in found.locks] == ["vm2"]
    assert "of svid 2 at vm2 on" in found.title
    assert found.title.endswith("(1 other was reclaimed)")


def test_the_reclaim_before_it_was_never_answered():
    """Clients reclaim one lock after another."""
    text = """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3        client1 > server   NLM_LOCK fh=B oh=1
         4        server  > client1  NLM4_GRANTED
         5  +60s  client2 > server   NLM_LOCK fh=C oh=3
         6        server  > client2  NLM4_DENIED_GRACE_PERIOD
         7        server  > client1  SM_NOTIFY mon_name=server state=5
         8        client1 > server   OK
         9        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        10  +90s  client2 > server   POLL 5
        11        server  > client2  NLM4_GRANTED
        12        client1 > server   NLM_TEST fh=D oh=2
    """
    story = told(NLM002, text)
    assert story.says == ["error suspected server=server client=client1: 8 4 9 6 7 11"]
    assert "wait for the answer" in story.findings[0].consequence
