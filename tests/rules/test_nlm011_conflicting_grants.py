"""NLM011: two owners hold overlapping locks, one exclusive, and no restart explains it."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM011 = BY_CODE["NLM011"]

HELD = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
"""
GRANTED_TOO = """
     3        client2 > server   NLM_LOCK fh=A oh=2 range=50-149
     4        server  > client2  NLM4_GRANTED
"""


def test_granted_to_two_clients():
    story = told(NLM011, HELD, GRANTED_TOO)
    assert story.says == ["error confirmed server=server client=client1 other=client2: 4 2 3"]


@pytest.mark.parametrize(("first", "second"), [("shared", ""), ("", "shared")])
def test_one_of_the_two_is_a_reader(first, second):
    story = told(
        NLM011,
        f"""
         1        client1 > server   NLM_LOCK fh=A oh=1 {first}
         2        server  > client1  NLM4_GRANTED
         3        client2 > server   NLM_LOCK fh=A oh=2 {second}
         4        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == ["error confirmed server=server client=client1 other=client2: 4 2 3"]


def test_two_readers():
    story = told(
        NLM011,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 shared
         2        server  > client1  NLM4_GRANTED
         3        client2 > server   NLM_LOCK fh=A oh=2 shared
         4        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN


@pytest.mark.parametrize("words", ["fh=B oh=2", "fh=A oh=2 range=100-199"])
def test_another_file_or_another_range(words):
    story = told(
        NLM011,
        HELD,
        f"""
         3        client2 > server   NLM_LOCK {words}
         4        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_another_server():
    story = told(
        NLM011,
        HELD,
        """
         3        client2 > server2  NLM_LOCK fh=A oh=2
         4        server2 > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_unlocked_in_between():
    story = told(
        NLM011,
        HELD,
        """
         3        client1 > server   NLM_UNLOCK fh=A oh=1
         4        server  > client1  NLM4_GRANTED
         5        client2 > server   NLM_LOCK fh=A oh=2
         6        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_the_unlock_is_under_way():
    """The server has heard it before it answers the other: its own answer may be overtaken."""
    story = told(
        NLM011,
        HELD,
        """
         3        client2 > server   NLM_LOCK fh=A oh=2
         4        client1 > server   NLM_UNLOCK fh=A oh=1
         5        server  > client2  NLM4_GRANTED
         6        server  > client1  NLM4_GRANTED to=4
    """,
    )
    assert story.says == []


def test_a_downgrade_in_between():
    story = told(
        NLM011,
        HELD,
        """
         3        client1 > server   NLM_LOCK fh=A oh=1 shared
         4        server  > client1  NLM4_GRANTED
         5        client2 > server   NLM_LOCK fh=A oh=2 shared
         6        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_a_refused_upgrade_leaves_the_old_lock_in_place():
    story = told(
        NLM011,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 shared
         2        server  > client1  NLM4_GRANTED
         3        client2 > server   NLM_LOCK fh=A oh=2 shared
         4        server  > client2  NLM4_GRANTED
         5        client1 > server   NLM_LOCK fh=A oh=1
         6        server  > client1  NLM4_DENIED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_the_same_svid_with_another_oh_is_one_owner():
    story = told(
        NLM011,
        HELD,
        """
         3        client1 > server   NLM_LOCK fh=A oh=other svid=1
         4        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_two_owners_of_one_client():
    """Only suspected: some systems change the identity of one process."""
    story = told(
        NLM011,
        HELD,
        """
         3        client1 > server   NLM_LOCK fh=A oh=2
         4        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == ["error suspected server=server client=client1 other=client1: 4 2 3"]


def test_the_server_restarted_in_between():
    """NLM004."""
    story = told(
        NLM011,
        HELD,
        """
         3  +60s  client2 > server   NLM_LOCK fh=B oh=2
         4        server  > client2  NLM4_DENIED_GRACE_PERIOD
         5  +60s  client2 > server   NLM_LOCK fh=A oh=2
         6        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


@pytest.mark.parametrize("call", ["SM_NOTIFY mon_name=client1 state=5", "NLM_FREE_ALL name=client1"])
def test_the_client_restarted_in_between(call):
    story = told(
        NLM011,
        HELD,
        f"""
         3  +60s  client1 > server   {call}
         4        server  > client1  OK
         5        client2 > server   NLM_LOCK fh=A oh=2
         6        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_the_client_restarted_and_only_its_state_tells():
    """A FreeBSD or illumos server reads it and drops the old life's locks."""
    story = told(
        NLM011,
        HELD,
        """
         3  +60s  client1 > server   NLM_LOCK fh=B oh=1 state=5
         4        server  > client1  NLM4_GRANTED
         5        client2 > server   NLM_LOCK fh=A oh=2
         6        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_an_unlock_and_its_answer_are_not_in_the_capture():
    """The client's xids have a hole."""
    story = told(
        NLM011,
        HELD,
        """
        lost      client1 > server   NLM_UNLOCK fh=A oh=1
        lost      server  > client1  NLM4_GRANTED
         3        client1 > server   NLM_LOCK fh=B oh=1
         4        server  > client1  NLM4_GRANTED
         5        client2 > server   NLM_LOCK fh=A oh=2
         6        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == ["error suspected server=server client=client1 other=client2: 6 2 5"]


def test_only_the_answer_to_the_unlock_is_in_the_capture():
    story = told(
        NLM011,
        HELD,
        """
        lost      client1 > server   NLM_UNLOCK fh=A oh=1
         3        server  > client1  NLM4_GRANTED
         4        client2 > server   NLM_LOCK fh=A oh=2
         5        server  > client2  NLM4_GRANTED
    """,
    )
    assert not [line for line in story.says if "confirmed" in line]


def test_a_gap_in_the_connection_of_the_holder():
    story = told(
        NLM011,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 tcp
         2        server  > client1  NLM4_GRANTED
        lost      client1 > server   NLM_UNLOCK fh=A oh=1 tcp
        lost      server  > client1  NLM4_GRANTED
         3        client1 > server   NLM_LOCK fh=B oh=1 tcp
         4        server  > client1  NLM4_GRANTED
         5        client2 > server   NLM_LOCK fh=A oh=2
         6        server  > client2  NLM4_GRANTED
         7  +10s  client1 > server   NLM_LOCK fh=C oh=1 tcp
         8        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == ["error suspected server=server client=client1 other=client2: 6 2 5"]


def test_a_waiter_is_handed_what_another_holds():
    story = told(
        NLM011,
        HELD,
        """
         3        client2 > server   NLM_LOCK fh=A oh=2 block
         4        server  > client2  NLM4_BLOCKED
         5        server  > client2  NLM_GRANTED_MSG fh=A oh=2 svid=2
         6        client2 > server   NLM_GRANTED_RES NLM4_GRANTED
    """,
    )
    assert len(story.says) == 1
    assert story.says[0].startswith("error confirmed server=server client=client1 other=client2: 5 2")


def test_a_waiter_is_handed_it_after_the_release():
    story = told(
        NLM011,
        HELD,
        """
         3        client2 > server   NLM_LOCK fh=A oh=2 block
         4        server  > client2  NLM4_BLOCKED
         5        client1 > server   NLM_UNLOCK fh=A oh=1
         6        server  > client1  NLM4_GRANTED
         7        server  > client2  NLM_GRANTED_MSG fh=A oh=2 svid=2
         8        client2 > server   NLM_GRANTED_RES NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_a_late_copy_of_a_lock_call():
    """Lock calls are idempotent: the second answer takes nothing from anybody."""
    story = told(
        NLM011,
        HELD,
        """
         3        client1 > server   AGAIN 1
         4        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_one_direction_only():
    story = told(
        NLM011,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        client2 > server   NLM_LOCK fh=A oh=2
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_asynchronous_locks():
    story = told(
        NLM011,
        """
         1        client1 > server   NLM_LOCK_MSG fh=A oh=1
         2        server  > client1  NLM_LOCK_RES NLM4_GRANTED
         3        client2 > server   NLM_LOCK_MSG fh=A oh=2
         4        server  > client2  NLM_LOCK_RES NLM4_GRANTED
    """,
    )
    assert story.says == ["error confirmed server=server client=client1 other=client2: 4 2 3"]


def test_version_1_locks_to_the_end_of_the_file():
    story = told(
        NLM011,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 range=100-EOF v1
         2        server  > client1  LCK_GRANTED
         3        client2 > server   NLM_LOCK fh=A oh=2 range=5000-5099 v1
         4        server  > client2  LCK_GRANTED
    """,
    )
    assert story.says == ["error confirmed server=server client=client1 other=client2: 4 2 3"]


def test_a_late_copy_that_is_answered_after_the_unlock():
    """Whatever the server made of it, the client has let go: nobody writes twice."""
    story = told(
        NLM011,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        client1 > server   AGAIN 1
         3        server  > client1  NLM4_GRANTED to=1
         4        client1 > server   NLM_UNLOCK fh=A oh=1
         5        server  > client1  NLM4_GRANTED to=4
         6        server  > client1  NLM4_GRANTED to=2
         7  +60s  client2 > server   NLM_LOCK fh=A oh=2
         8        server  > client2  NLM4_GRANTED
    """,
    )
    assert not [line for line in story.says if "confirmed" in line]


@pytest.mark.parametrize("transport", ["", "tcp"])
def test_the_hole_shows_only_much_later(transport):
    """The holder's next call tells that something before it is missing: it may have been the UNLOCK."""
    story = told(
        NLM011,
        f"""
         1        client1 > server   NLM_LOCK fh=A oh=1 {transport}
         2        server  > client1  NLM4_GRANTED
        lost      client1 > server   NLM_UNLOCK fh=A oh=1 {transport}
        lost      server  > client1  NLM4_GRANTED
         3        client2 > server   NLM_LOCK fh=A oh=2
         4        server  > client2  NLM4_GRANTED
         5 +120s  client1 > server   NLM_LOCK fh=B oh=1 {transport}
         6        server  > client1  NLM4_GRANTED
         7 +120s  client1 > server   NLM_UNLOCK fh=B oh=1 {transport}
         8        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == ["error suspected server=server client=client1 other=client2: 4 2 3"]
