"""NLM003: the reclaim came after the grace period."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM003 = BY_CODE["NLM003"]

HELD = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3  +60s  client2 > server   NLM_LOCK fh=B oh=2
     4        server  > client2  NLM4_DENIED_GRACE_PERIOD
"""
GRACE_ENDS = """
     5  +60s  client2 > server   POLL 3
     6        server  > client2  NLM4_GRANTED
"""
LATE_NOTICE = """
     7        server  > client1  SM_NOTIFY mon_name=server state=5
     8        client1 > server   OK
     9        client1 > server   NLM_LOCK fh=A oh=1 reclaim
"""


def test_status_4_to_a_reclaim_while_others_are_served():
    story = told(NLM003, HELD, GRACE_ENDS, LATE_NOTICE, "    10        server  > client1  NLM4_DENIED_GRACE_PERIOD")
    assert story.says == ["error confirmed server=server client=client1: 10 9 2 4 7"]


def test_status_4_to_an_ordinary_lock_means_the_opposite():
    story = told(
        NLM003,
        HELD,
        """
         5   +5s  client2 > server   POLL 3
         6        server  > client2  NLM4_DENIED_GRACE_PERIOD
         7   +5s  client2 > server   POLL 3
         8        server  > client2  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 0


def test_status_4_to_a_reclaim_while_others_are_held_off():
    """The grace period of another export or node: NLM001."""
    story = told(
        NLM003,
        HELD,
        """
         5        client1 > server   NLM_LOCK fh=A oh=1 reclaim
         6        server  > client1  NLM4_DENIED_GRACE_PERIOD
         7        client2 > server   POLL 3
         8        server  > client2  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert story.says == []


def test_nothing_else_tells_whether_grace_is_over():
    """Linux and Ganesha say status 4 to a reclaim only when it is."""
    story = told(
        NLM003,
        HELD,
        """
         5 +120s  client1 > server   NLM_LOCK fh=A oh=1 reclaim
         6        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 6 5 2 4"]


def test_in_time():
    story = told(
        NLM003,
        HELD,
        """
         5        client1 > server   NLM_LOCK fh=A oh=1 reclaim
         6        server  > client1  NLM4_GRANTED
         7  +60s  client2 > server   POLL 3
         8        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_freebsd_asks_again_and_gets_it():
    story = told(
        NLM003,
        HELD,
        GRACE_ENDS,
        LATE_NOTICE,
        """
        10        server  > client1  NLM4_DENIED_GRACE_PERIOD
        11   +5s  client1 > server   NLM_LOCK fh=A oh=1 reclaim
        12        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_a_late_reclaim_that_was_granted():
    """FreeBSD, illumos and macOS treat it as an ordinary lock."""
    story = told(NLM003, HELD, GRACE_ENDS, LATE_NOTICE, "    10        server  > client1  NLM4_GRANTED")
    assert story.says == []


def test_no_restart_is_seen():
    """A spurious notice: the server still holds the lock."""
    story = told(
        NLM003,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3  +60s  client1 > server   NLM_LOCK fh=A oh=1 reclaim
         4        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert story.says == ["warning suspected server=server client=client1: 4 3 2"]


def test_only_a_notice_tells_of_the_restart():
    """It may be a spurious one."""
    story = told(
        NLM003,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3  +60s  server  > client1  SM_NOTIFY mon_name=server state=5
         4        client1 > server   OK
         5        client1 > server   NLM_LOCK fh=A oh=1 reclaim
         6        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert len(story.says) == 1
    assert "suspected" in story.says[0]


def test_the_capture_ends_before_the_answer():
    story = told(NLM003, HELD, GRACE_ENDS, LATE_NOTICE)
    assert story.says == []


def test_the_answer_is_lost():
    story = told(NLM003, HELD, GRACE_ENDS, LATE_NOTICE, "    lost      server  > client1  NLM4_GRANTED")
    assert story.says == []


def test_reclaimed_in_time_and_once_more():
    """A second notice makes the client walk again; the server has the lock already: nothing is lost."""
    text = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3  +60s  client2 > server   NLM_LOCK fh=B oh=2
     4        server  > client2  NLM4_DENIED_GRACE_PERIOD
     5        server  > client1  SM_NOTIFY mon_name=server state=5
     6        client1 > server   OK
     7        client1 > server   NLM_LOCK fh=A oh=1 reclaim
     8        server  > client1  NLM4_GRANTED
     9  +60s  client2 > server   POLL 3
    10        server  > client2  NLM4_GRANTED
    11        server  > client1  SM_NOTIFY mon_name=server state=5
    12        client1 > server   OK
    13        client1 > server   NLM_LOCK fh=A oh=1 reclaim
    14        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """
    assert [line.partition(" ")[0] for line in told(NLM003, text).says] == ["warning"]
