"""NLM024: a reclaimed lock was dropped by a server that reads the NSM state in LOCK."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM024 = BY_CODE["NLM024"]

RECLAIMED = """
     1        client1 > server   NLM_LOCK fh=A oh=1 state=3
     2        server  > client1  NLM4_GRANTED
     3  +30s  server  > client1  SM_NOTIFY mon_name=server state=5
     4        client1 > server   OK
     5        client1 > server   NLM_LOCK fh=A oh=1 reclaim state=0
     6        server  > client1  NLM4_GRANTED
"""
ANOTHER = """
     7  +90s  client1 > server   NLM_LOCK fh=B oh=1 state=3
     8        server  > client1  NLM4_GRANTED
"""
TAKEN = """
     9        client2 > server   NLM_LOCK fh=A oh=2
    10        server  > client2  NLM4_GRANTED
"""


def test_the_state_of_an_ordinary_lock_differs():
    story = told(NLM024, RECLAIMED, ANOTHER, TAKEN)
    assert story.says == ["error suspected server=server client=client1 other=client2: 10 6 8 5 7"]


def test_the_collision_follows_from_it():
    story = told(NLM024, RECLAIMED, ANOTHER, TAKEN)
    [collision] = [f for f in story.everything if f.code == "NLM011"]
    assert collision.caused_by is not None
    assert story.everything[collision.caused_by].code == "NLM024"


def test_the_same_state():
    """As a FreeBSD client reclaims: NLM011 alone."""
    story = told(NLM024, RECLAIMED.replace("state=0", "state=3"), ANOTHER, TAKEN)
    assert story.outcome is Outcome.CLEAN
    assert "NLM011" in {f.code for f in story.everything}


@pytest.mark.parametrize("answer", ["NLM4_DENIED", "NLM4_BLOCKED"])
def test_nobody_else_gets_it(answer):
    story = told(NLM024, RECLAIMED, ANOTHER, TAKEN.replace("NLM4_GRANTED", answer))
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_it_was_given_back():
    story = told(
        NLM024,
        RECLAIMED,
        ANOTHER,
        """
     9        client1 > server   NLM_UNLOCK fh=A oh=1
    10        server  > client1  NLM4_GRANTED
    11        client2 > server   NLM_LOCK fh=A oh=2
    12        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_no_ordinary_lock_in_between():
    story = told(NLM024, RECLAIMED, TAKEN.replace("     9 ", "     7 ").replace("    10 ", "     8 "))
    assert story.says == []


def test_a_server_that_names_itself_in_callbacks_is_linux():
    story = told(
        NLM024,
        RECLAIMED,
        ANOTHER,
        TAKEN,
        """
    11        server  > client2  NLM_GRANTED fh=C caller=server
    12        client2 > server   NLM4_DENIED
    """,
    )
    assert story.says == []


def test_no_reclaim():
    story = told(NLM024, *RECLAIMED.splitlines()[:3], ANOTHER.replace("7  +90s", "3").replace("     8 ", "     4 "))
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 0


def test_the_capture_ends_before_the_other_asks():
    assert told(NLM024, RECLAIMED, ANOTHER).outcome is Outcome.CLEAN


def test_the_answer_to_the_reclaim_is_not_here():
    story = told(
        NLM024,
        *RECLAIMED.splitlines()[:-1],
        "    lost      server  > client1  NLM4_GRANTED",
        ANOTHER.replace("     7 ", "     6 ").replace("     8 ", "     7 "),
        TAKEN.replace("     9 ", "     8 ").replace("    10 ", "     9 "),
    )
    assert story.says == []
