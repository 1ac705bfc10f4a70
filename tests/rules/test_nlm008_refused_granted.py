"""NLM008: the waiter refused a GRANTED that was not a duplicate."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM008 = BY_CODE["NLM008"]

CALLED = """
     1        client2 > server   NLM_LOCK fh=A oh=2 block
     2        server  > client2  NLM4_BLOCKED
     3        server  > client2  NLM_GRANTED_MSG fh=A oh=2
"""


def test_refused():
    story = told(NLM008, CALLED, "     4        client2 > server   NLM_GRANTED_RES NLM4_DENIED")
    assert story.says == ["warning confirmed server=server client=client2: 4 3 1"]


def test_accepted():
    story = told(NLM008, CALLED, "     4        client2 > server   NLM_GRANTED_RES NLM4_GRANTED")
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_refused_and_the_server_keeps_it():
    story = told(
        NLM008,
        CALLED,
        """
         4        client2 > server   NLM_GRANTED_RES NLM4_DENIED
         5        client3 > server   NLM_LOCK fh=A oh=3
         6        server  > client3  NLM4_DENIED
    """,
    )
    assert story.says == ["warning confirmed server=server client=client2: 4 3 1 6"]
    assert "keep the lock" in story.findings[0].consequence


def test_a_poll_had_won_the_lock():
    story = told(
        NLM008,
        """
         1        client2 > server   NLM_LOCK fh=A oh=2 block
         2        server  > client2  NLM4_BLOCKED
         3  +30s  client2 > server   POLL 1
         4        server  > client2  NLM_GRANTED_MSG fh=A oh=2
         5        server  > client2  NLM4_GRANTED to=3
         6        client2 > server   NLM_GRANTED_RES NLM4_DENIED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_a_poll_is_under_way():
    story = told(
        NLM008,
        """
         1        client2 > server   NLM_LOCK fh=A oh=2 block
         2        server  > client2  NLM4_BLOCKED
         3  +30s  client2 > server   POLL 1
         4        server  > client2  NLM_GRANTED_MSG fh=A oh=2
         5        client2 > server   NLM_GRANTED_RES NLM4_DENIED
         6        server  > client2  NLM4_GRANTED to=3
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_after_a_cancel():
    story = told(
        NLM008,
        """
         1        client2 > server   NLM_LOCK fh=A oh=2 block
         2        server  > client2  NLM4_BLOCKED
         3        client2 > server   NLM_CANCEL fh=A oh=2 block
         4        server  > client2  NLM_GRANTED_MSG fh=A oh=2
         5        client2 > server   NLM_GRANTED_RES NLM4_DENIED
         6        server  > client2  NLM4_GRANTED to=3
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_a_client_in_its_own_grace_period():
    story = told(
        NLM008,
        CALLED,
        """
         4        client2 > server   NLM_GRANTED_RES NLM4_DENIED_GRACE_PERIOD
         5  +10s  server  > client2  POLL 3
         6        client2 > server   NLM_GRANTED_RES NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_a_client_that_stays_in_its_grace_period():
    story = told(NLM008, CALLED, "     4        client2 > server   NLM_GRANTED_RES NLM4_DENIED_GRACE_PERIOD")
    assert story.says == ["warning confirmed server=server client=client2: 4 3 1"]


def test_the_request_came_before_the_capture():
    story = told(
        NLM008,
        """
         1        server  > client2  NLM_GRANTED_MSG fh=A oh=2
         2        client2 > server   NLM_GRANTED_RES NLM4_DENIED
    """,
    )
    assert story.says == ["warning suspected server=server client=client2: 2 1"]


def test_a_client_that_restarted_knows_nothing_of_it():
    story = told(
        NLM008,
        """
         1        client2 > server   NLM_LOCK fh=A oh=2 block state=3
         2        server  > client2  NLM4_BLOCKED
         3  +60s  client2 > server   NLM_LOCK fh=B oh=1 state=5
         4        server  > client2  NLM4_GRANTED
         5        server  > client2  NLM_GRANTED_MSG fh=A oh=2
         6        client2 > server   NLM_GRANTED_RES NLM4_DENIED
    """,
    )
    assert story.says == ["info confirmed server=server client=client2: 6 5 1"]
