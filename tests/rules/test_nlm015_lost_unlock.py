"""NLM015: an UNLOCK never got through."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM015 = BY_CODE["NLM015"]

UNLOCKS = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3        client1 > server   NLM_UNLOCK fh=A oh=1
     4  +10s  client1 > server   AGAIN 3
     5  +20s  client1 > server   AGAIN 3
"""


def test_never_answered():
    story = told(
        NLM015,
        UNLOCKS,
        """
         6  +30s  client1 > server   AGAIN 3
         7  +10s  client1 > server   NFS
    """,
    )
    assert story.says == ["error suspected server=server client=client1: 3 4 5 6 2"]
    assert [story.everything[f.caused_by].code for f in story.findings if f.caused_by is not None] == ["NLM012"]


def test_never_answered_and_others_are_refused():
    story = told(
        NLM015,
        UNLOCKS,
        """
         6        client2 > server   NLM_LOCK fh=A oh=2
         7        server  > client2  NLM4_DENIED
         8  +40s  client1 > server   NFS
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 3 4 5 2 7"]


def test_one_of_them_is_answered():
    story = told(
        NLM015,
        UNLOCKS,
        """
         6        server  > client1  NLM4_GRANTED to=5
         7  +70s  client1 > server   NFS
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_the_owner_locks_the_range_again():
    story = told(
        NLM015,
        UNLOCKS,
        """
         6        client1 > server   NLM_LOCK fh=A oh=1
         7        server  > client1  NLM4_GRANTED
         8  +70s  client1 > server   NFS
    """,
    )
    assert story.says == []


def test_somebody_else_is_granted_it():
    story = told(
        NLM015,
        UNLOCKS,
        """
         6        client2 > server   NLM_LOCK fh=A oh=2
         7        server  > client2  NLM4_GRANTED
         8  +70s  client1 > server   NFS
    """,
    )
    assert story.says == []


def test_the_server_restarts():
    story = told(
        NLM015,
        UNLOCKS,
        """
         6  +70s  server  > client1  SM_NOTIFY mon_name=server state=5
         7        client1 > server   OK
         8        client1 > server   NFS
    """,
    )
    assert story.says == []


def test_put_off_by_the_grace_period_and_not_repeated():
    story = told(
        NLM015,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3  +60s  server  > client1  SM_NOTIFY mon_name=server state=5
         4        client1 > server   OK
         5        client1 > server   NLM_LOCK fh=A oh=1 reclaim
         6        server  > client1  NLM4_GRANTED
         7        client1 > server   NLM_UNLOCK fh=A oh=1
         8        server  > client1  NLM4_DENIED_GRACE_PERIOD
         9  +40s  client1 > server   NFS
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 7 8 6"]


def test_put_off_and_repeated():
    story = told(
        NLM015,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3  +60s  server  > client1  SM_NOTIFY mon_name=server state=5
         4        client1 > server   OK
         5        client1 > server   NLM_LOCK fh=A oh=1 reclaim
         6        server  > client1  NLM4_GRANTED
         7        client1 > server   NLM_UNLOCK fh=A oh=1
         8        server  > client1  NLM4_DENIED_GRACE_PERIOD
         9   +5s  client1 > server   POLL 7
        10        server  > client1  NLM4_GRANTED
        11  +40s  client1 > server   NFS
    """,
    )
    assert story.says == []


def test_the_file_is_gone():
    story = told(
        NLM015,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3        client1 > server   NLM_UNLOCK fh=A oh=1
         4        server  > client1  NLM4_STALE_FH
         5  +70s  client1 > server   NFS
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_nothing_was_held():
    story = told(
        NLM015,
        """
         1        client1 > server   NLM_UNLOCK fh=A oh=1
         2        client1 > server   NLM_LOCK fh=B oh=1
         3        server  > client1  NLM4_GRANTED
         4  +70s  client1 > server   NFS
    """,
    )
    assert story.says == []


def test_a_udp_client_that_does_not_repeat_it_was_answered():
    story = told(
        NLM015,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3        client1 > server   NLM_UNLOCK fh=A oh=1
      lost        server  > client1  NLM4_GRANTED
         4  +70s  client1 > server   NFS
    """,
    )
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_the_capture_ends_too_soon():
    story = told(NLM015, UNLOCKS)
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_others_are_refused_because_of_somebody_else():
    story = told(
        NLM015,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3        client1 > server   NLM_UNLOCK fh=A oh=1
      lost        server  > client1  NLM4_GRANTED
         4  +20s  client2 > server   NLM_LOCK fh=A oh=2
         5        server  > client2  NLM4_DENIED
         6  +70s  client1 > server   NFS
    """,
    )
    assert [said for said in story.says if "confirmed" in said] == []
