"""NSM003: SM_NOTIFY was sent, and no try was ever answered."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NSM003 = BY_CODE["NSM003"]

HELD = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3  +60s  client1 > server   NLM_LOCK fh=E oh=1
     4        server  > client1  NLM4_DENIED_GRACE_PERIOD
"""
FOUR_TRIES = """
     5        server  > client1  SM_NOTIFY mon_name=server state=5
     6   +2s  server  > client1  SM_NOTIFY mon_name=server state=5
     7   +4s  server  > client1  SM_NOTIFY mon_name=server state=5
     8   +8s  server  > client1  SM_NOTIFY mon_name=server state=5
"""


def test_four_tries_and_no_answer_from_a_client_that_lives():
    story = told(
        NSM003,
        HELD,
        FOUR_TRIES,
        """
         9  +60s  client1 > server   NLM_LOCK fh=B oh=2
        10        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 5 6 7 8 2 4"]
    assert "no answer" in story.findings[0].evidence[0].what


def test_only_the_notice_itself_tells_of_a_restart():
    """It can be sent without one."""
    story = told(
        NSM003,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3  +60s  client2 > server   NLM_LOCK fh=E oh=1
         4        server  > client2  NLM4_GRANTED
    """,
        FOUR_TRIES,
        """
         9  +60s  client1 > server   NLM_LOCK fh=B oh=2
        10        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == ["error suspected server=server client=client1: 5 6 7 8 2"]


def test_the_first_try_is_answered():
    story = told(
        NSM003,
        HELD,
        """
         5        server  > client1  SM_NOTIFY mon_name=server state=5
         6        client1 > server   OK
         7  +60s  client1 > server   NLM_LOCK fh=B oh=2
         8        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_one_lost_answer_is_normal_udp():
    story = told(
        NSM003,
        HELD,
        """
         5        server  > client1  SM_NOTIFY mon_name=server state=5
         6   +2s  server  > client1  SM_NOTIFY mon_name=server state=5
         7        client1 > server   OK
         8        client1 > server   NLM_LOCK fh=A oh=1 reclaim
         9        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == ["info confirmed server=server client=client1: 5 7"]


def test_answered_only_after_the_grace_period():
    story = told(
        NSM003,
        HELD,
        """
         5        server  > client1  SM_NOTIFY mon_name=server state=5
         6   +2s  server  > client1  SM_NOTIFY mon_name=server state=5
         7  +60s  client2 > server   NLM_LOCK fh=B oh=2
         8        server  > client2  NLM4_GRANTED
         9        server  > client1  SM_NOTIFY mon_name=server state=5
        10        client1 > server   OK
    """,
    )
    assert story.says == ["warning confirmed server=server client=client1: 5 6 10"]


def test_a_late_answer_to_an_older_try():
    """Linux takes a new xid for each try and drops the answers to older ones; for us it was answered."""
    story = told(
        NSM003,
        HELD,
        """
         5        server  > client1  SM_NOTIFY mon_name=server state=5
         6   +2s  server  > client1  SM_NOTIFY mon_name=server state=5
         7        client1 > server   OK to=5
         8   +4s  server  > client1  SM_NOTIFY mon_name=server state=5
         9  +60s  client1 > server   NLM_LOCK fh=A oh=1 reclaim
        10        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_an_rpc_error_is_no_answer():
    story = told(
        NSM003,
        HELD,
        """
         5        server  > client1  SM_NOTIFY mon_name=server state=5
         6        client1 > server   SYSTEM_ERR
         7   +2s  server  > client1  SM_NOTIFY mon_name=server state=5
         8        client1 > server   SYSTEM_ERR
         9   +4s  server  > client1  SM_NOTIFY mon_name=server state=5
        10        client1 > server   SYSTEM_ERR
        11  +60s  client1 > server   NLM_LOCK fh=B oh=2
        12        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 5 7 9 2 4"]
    assert not [f for f in story.everything if f.code == "NSM004"]


def test_the_receiver_may_be_down():
    """It said nothing at all afterwards."""
    story = told(
        NSM003,
        HELD,
        FOUR_TRIES,
        """
         9  +60s  client2 > server   NLM_LOCK fh=B oh=2
        10        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == ["error suspected server=server client=client1: 5 6 7 8 2 4"]


def test_the_capture_ends_after_the_first_try():
    story = told(
        NSM003,
        HELD,
        """
         5        server  > client1  SM_NOTIFY mon_name=server state=5
    """,
    )
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_a_sender_that_does_not_try_again_was_answered():
    """So the answer is what the capture lacks."""
    story = told(
        NSM003,
        HELD,
        """
         5        server  > client1  SM_NOTIFY mon_name=server state=5
         6  +60s  client2 > server   NLM_LOCK fh=B oh=2
         7        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_answers_that_the_capture_cannot_show():
    """Nothing that the client sends to the server is here."""
    story = told(
        NSM003,
        """
         1        client2 > server   NLM_LOCK fh=B oh=2
         2        server  > client2  NLM4_GRANTED
         3  +60s  server  > client1  SM_NOTIFY mon_name=server state=5
         4   +2s  server  > client1  SM_NOTIFY mon_name=server state=5
         5   +4s  server  > client1  SM_NOTIFY mon_name=server state=5
         6        client2 > server   NLM_LOCK fh=C oh=2
         7        server  > client2  NLM4_GRANTED
    """,
    )
    assert not [line for line in story.says if line.startswith("error") or "confirmed" in line]


def test_the_receiver_held_nothing():
    story = told(
        NSM003,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3        client1 > server   NLM_UNLOCK fh=A oh=1
         4        server  > client1  NLM4_GRANTED
         5  +60s  server  > client1  SM_NOTIFY mon_name=server state=5
         6   +2s  server  > client1  SM_NOTIFY mon_name=server state=5
         7   +4s  server  > client1  SM_NOTIFY mon_name=server state=5
         8  +60s  client1 > server   NLM_LOCK fh=B oh=2
         9        server  > client1  NLM4_GRANTED
    """,
    )
    assert not [line for line in story.says if line.startswith("error")]


def test_a_client_tells_a_server_that_does_not_answer():
    story = told(
        NSM003,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3  +60s  client1 > server   NLM_LOCK fh=B oh=2 state=5
         4        server  > client1  NLM4_GRANTED
         5        client1 > server   SM_NOTIFY mon_name=client1 state=5
         6   +2s  client1 > server   SM_NOTIFY mon_name=client1 state=5
         7   +4s  client1 > server   SM_NOTIFY mon_name=client1 state=5
         8  +60s  client2 > server   NLM_LOCK fh=A oh=2
         9        server  > client2  NLM4_DENIED
        10        server  > client1  DATA ssh
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 5 6 7 2 3"]
    assert story.findings[0].consequence == "10.0.0.1 was not told of the restart and holds on to the locks of the old life."


def test_the_next_restart_reached_it():
    story = told(
        NSM003,
        HELD,
        FOUR_TRIES,
        """
         9  +60s  server  > client1  SM_NOTIFY mon_name=server state=7
        10        client1 > server   OK
        11        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        12        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_the_capture_lost_frames_between_the_two():
    story = told(
        NSM003,
        HELD,
        """
         5        server  > client1  SM_NOTIFY mon_name=server state=5
         6   +2s  server  > client1  SM_NOTIFY mon_name=server state=5
        lost      client1 > server   NLM_TEST fh=Z oh=4
         7        server  > client1  NLM4_DENIED_GRACE_PERIOD
         8   +4s  server  > client1  SM_NOTIFY mon_name=server state=5
         9  +60s  client1 > server   NLM_LOCK fh=B oh=2
        10        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == ["error suspected server=server client=client1: 5 6 8 2 4"]


def test_the_receiver_restarted_meanwhile():
    """It lost nothing that the notice could have saved."""
    text = """
         1        client1 > server   NLM_LOCK fh=A oh=1 state=3
         2        server  > client1  NLM4_GRANTED
         3        client2 > server   NLM_LOCK fh=B oh=2
         4        server  > client2  NLM4_GRANTED
         5  +60s  server  > client2  SM_NOTIFY mon_name=server state=5
         6        client2 > server   OK
         7        client2 > server   NLM_LOCK fh=B oh=2 reclaim
         8        server  > client2  NLM4_GRANTED
         9        server  > client1  SM_NOTIFY mon_name=server state=5
        10   +2s  server  > client1  SM_NOTIFY mon_name=server state=5
        11   +4s  server  > client1  SM_NOTIFY mon_name=server state=5
        12  +20s  client1 > server   SM_NOTIFY mon_name=client1 state=5
        13        server  > client1  OK
        14 +100s  client1 > server   NLM_LOCK fh=A oh=1 state=5
        15        server  > client1  NLM4_GRANTED
    """
    story = told(NSM003, text)
    assert story.says == ["warning suspected server=server client=client1: 9 10 11 5"]
    assert "held" not in story.findings[0].title
    assert "reclaimed" not in story.findings[0].consequence


def test_the_next_restart_did_not_reach_it_either():
    """One finding, about the restart after which the locks stayed lost."""
    both = """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3        client2 > server   NLM_LOCK fh=B oh=2
         4        server  > client2  NLM4_GRANTED
         5  +60s  server  > client2  SM_NOTIFY mon_name=server state=5
         6        client2 > server   OK
         7        server  > client1  SM_NOTIFY mon_name=server state=5
         8   +2s  server  > client1  SM_NOTIFY mon_name=server state=5
    """
    again = """
         9   +5s  server  > client2  SM_NOTIFY mon_name=server state=7
        10        client2 > server   OK
        11        server  > client1  SM_NOTIFY mon_name=server state=7
        12   +2s  server  > client1  SM_NOTIFY mon_name=server state=7
        13   +4s  server  > client1  SM_NOTIFY mon_name=server state=7
        14 +100s  client1 > server   NLM_LOCK fh=C oh=1
        15        server  > client1  NLM4_GRANTED
    """
    story = told(NSM003, both, again)
    assert [line.partition(":")[0] for line in story.says] == ["error suspected server=server client=client1"]
    assert [e.at.frame for e in story.findings[0].evidence[:3]] == [11, 12, 13]
