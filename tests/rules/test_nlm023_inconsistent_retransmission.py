"""NLM023: one request was executed twice, and the client believes the wrong answer."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM023 = BY_CODE["NLM023"]

TWICE = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2  +10s  client1 > server   AGAIN 1
"""


def answers(first, last):
    return f"3 +0.1 server > client1 {first} to=1\n4 +0.1 server > client1 {last} to=2"


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [
        ("NLM4_DENIED", "NLM4_GRANTED", True),
        ("NLM4_DENIED_NOLOCKS", "NLM4_GRANTED", True),
        ("NLM4_GRANTED", "NLM4_DENIED", True),
        ("NLM4_GRANTED", "NLM4_GRANTED", False),
        ("NLM4_DENIED", "NLM4_DENIED", False),
        ("NLM4_BLOCKED", "NLM4_GRANTED", False),  # the client polls
        ("NLM4_DENIED_GRACE_PERIOD", "NLM4_GRANTED", False),
        ("NLM4_DENIED", "NLM4_DENIED_NOLOCKS", False),
    ],
)
def test_two_answers(first, last, found):
    story = told(NLM023, TWICE, answers(first, last))
    assert story.says == (["warning confirmed server=server client=client1: 4 3 1 2"] if found else [])
    assert story.result.judged == 1


def test_which_of_the_two_believes():
    ghost = told(NLM023, TWICE, answers("NLM4_DENIED", "NLM4_GRANTED")).findings[0].title
    mind = told(NLM023, TWICE, answers("NLM4_GRANTED", "NLM4_DENIED")).findings[0].title
    assert ghost.endswith("the server holds it and the client does not know")
    assert mind.endswith("the client holds it only in its mind")


def test_the_first_answer_was_lost_after_the_capture():
    """The client sends again long after it: it never got it."""
    story = told(
        NLM023,
        """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_DENIED
     3  +10s  client1 > server   AGAIN 1
     4        server  > client1  NLM4_GRANTED to=3
    """,
    )
    assert story.says == []


@pytest.mark.parametrize("cure", ["NLM_UNLOCK fh=A oh=1", "NLM_LOCK fh=A oh=1", "NLM_CANCEL fh=A oh=1"])
def test_the_client_puts_it_right(cure):
    story = told(
        NLM023,
        TWICE,
        answers("NLM4_DENIED", "NLM4_GRANTED"),
        f"""
     5        client1 > server   {cure}
     6        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


LATE_COPY = """
     3        server  > client1  NLM4_GRANTED to=1
     4        client1 > server   NLM_UNLOCK fh=A oh=1
     5        server  > client1  NLM4_GRANTED to=4
     6        server  > client1  NLM4_GRANTED to=2
"""


def test_the_copy_comes_after_the_unlock():
    story = told(NLM023, TWICE, LATE_COPY)
    assert story.says == ["warning confirmed server=server client=client1: 6 3 5 1 2"]


def test_the_restart_in_between():
    story = told(
        NLM023,
        """
     1        client2 > server   NLM_LOCK fh=B oh=2
     2        server  > client2  NLM4_GRANTED
     3        client1 > server   NLM_LOCK fh=A oh=1
     4  +10s  client1 > server   AGAIN 3
     5  +0.1  server  > client1  NLM4_GRANTED to=3
     6  +0.1  server  > client2  SM_NOTIFY mon_name=server state=5
     7  +0.1  server  > client1  NLM4_DENIED_NOLOCKS to=4
    """,
    )
    assert story.says == []


def test_only_one_answer_is_here():
    story = told(NLM023, TWICE, "3 server > client1 NLM4_DENIED to=1\nlost server > client1 NLM4_GRANTED to=2")
    assert story.outcome is Outcome.CLEAN


def test_a_poll_has_another_xid():
    story = told(
        NLM023,
        """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        client1 > server   POLL 1
     3        server  > client1  NLM4_DENIED to=1
     4        server  > client1  NLM4_GRANTED to=2
    """,
    )
    assert story.says == []


def test_a_mirrored_frame_is_no_retransmission():
    story = told(
        NLM023,
        """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2   +0s  client1 > server   COPY 1
     3        server  > client1  NLM4_DENIED to=1
     4   +0s  server  > client1  COPY 3
    """,
    )
    assert story.says == []


def test_something_was_lost():
    story = told(
        NLM023,
        TWICE,
        answers("NLM4_DENIED", "NLM4_GRANTED"),
        """
    lost      client1 > server   NLM_UNLOCK fh=A oh=1
     5        client1 > server   NLM_TEST fh=B oh=1
    """,
    )
    assert story.says == ["warning suspected server=server client=client1: 4 3 1 2"]
