"""NLM007: GRANTED callbacks got no answer."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM007 = BY_CODE["NLM007"]

WAITS = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3        client2 > server   NLM_LOCK fh=A oh=2 block
     4        server  > client2  NLM4_BLOCKED
     5        client1 > server   NLM_UNLOCK fh=A oh=1
     6        server  > client1  NLM4_GRANTED
     7        server  > client2  NLM_GRANTED_MSG fh=A oh=2 caller=server
"""


def test_the_poll_wins_the_lock():
    story = told(
        NLM007,
        WAITS,
        """
         8  +20s  client2 > server   POLL 3
         9        server  > client2  NLM4_GRANTED
        10  +10s  client2 > server   NFS
    """,
    )
    assert story.says == ["warning confirmed server=server client=client2: 7 3 8 9"]
    assert "taken for linux, polling every 30 s" in story.findings[0].consequence


def test_the_empty_reply_is_no_answer():
    story = told(
        NLM007,
        WAITS,
        """
         8        client2 > server   OK to=7
         9  +20s  client2 > server   POLL 3
        10        server  > client2  NLM4_GRANTED
        11  +10s  client2 > server   NFS
    """,
    )
    assert story.says == ["warning confirmed server=server client=client2: 7 3 9 10"]


def test_answered():
    story = told(NLM007, WAITS, "     8        client2 > server   NLM_GRANTED_RES NLM4_GRANTED")
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_the_waiter_never_gets_it_although_the_server_calls_again():
    story = told(
        NLM007,
        WAITS,
        """
         8  +60s  server  > client2  POLL 7
         9  +60s  client2 > server   NFS
    """,
    )
    assert story.says == ["error confirmed server=server client=client2: 7 8 3"]


def test_a_client_that_is_not_heard_again_may_be_down():
    story = told(NLM007, WAITS, "     8 +120s  client1 > server   NFS")
    assert story.says == ["error suspected server=server client=client2: 7 3"]


def test_a_waiter_that_unlocks_next_has_heard_it():
    story = told(
        NLM007,
        WAITS,
        """
         8        client2 > server   NLM_UNLOCK fh=A oh=2
         9        server  > client2  NLM4_GRANTED
        10  +60s  client2 > server   NFS
    """,
    )
    assert story.says == []


def test_a_callback_that_the_poll_has_overtaken():
    story = told(
        NLM007,
        """
         1        client2 > server   NLM_LOCK fh=A oh=2 block
         2        server  > client2  NLM4_BLOCKED
         3  +30s  client2 > server   POLL 1
         4        server  > client2  NLM4_GRANTED
         5        server  > client2  NLM_GRANTED_MSG fh=A oh=2
         6  +60s  client2 > server   NFS
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_answered_by_the_second_callback():
    story = told(
        NLM007,
        WAITS,
        """
         8  +60s  server  > client2  POLL 7
         9        client2 > server   NLM_GRANTED_RES NLM4_GRANTED
    """,
    )
    assert story.says == ["warning confirmed server=server client=client2: 7 8 9 3"]


def test_the_synchronous_form_of_illumos():
    story = told(
        NLM007,
        """
         1        client2 > server   NLM_LOCK fh=A oh=ab svid=7 block
         2        server  > client2  NLM4_BLOCKED
         3        server  > client2  NLM_GRANTED fh=A oh=ab svid=7
         4   +4s  client2 > server   NLM_LOCK fh=A oh=ab svid=7 block
         5        server  > client2  NLM4_GRANTED
         6  +10s  client2 > server   NFS
    """,
    )
    assert story.says == ["warning confirmed server=server client=client2: 3 1 4 5"]
    assert "taken for illumos" in story.findings[0].consequence


def test_an_rpc_error_is_no_answer():
    story = told(
        NLM007,
        WAITS,
        """
         8        client2 > server   SYSTEM_ERR to=7
         9  +20s  client2 > server   POLL 3
        10        server  > client2  NLM4_GRANTED
        11  +10s  client2 > server   NFS
    """,
    )
    assert story.says == ["warning confirmed server=server client=client2: 7 8 3 9 10"]


def test_the_capture_ends_too_soon():
    story = told(NLM007, WAITS, "     8  +9s  client1 > server   NFS")
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_nothing_from_the_client_is_here():
    story = told(
        NLM007,
        """
         1        server  > client2  NLM_GRANTED_MSG fh=A oh=2 caller=server
         2  +90s  client1 > server   NFS
    """,
    )
    assert story.says == []
    assert "no packet from 10.0.0.22" in story.result.reasons[0]


def test_the_answer_is_lost_to_the_capture():
    story = told(
        NLM007,
        WAITS,
        """
      lost        client2 > server   NLM_GRANTED_RES NLM4_GRANTED
         8  +60s  client2 > server   NLM_LOCK fh=B oh=3
         9        server  > client2  NLM4_GRANTED
        10  +30s  client2 > server   NFS
    """,
    )
    assert story.says == []  # it stopped polling, so it has heard the callback


def test_a_linux_waiter_that_stops_polling_has_heard_it():
    story = told(NLM007, WAITS, "     8 +120s  client2 > server   NFS")
    assert story.says == []
    assert "stopped polling" in story.result.reasons[0]
