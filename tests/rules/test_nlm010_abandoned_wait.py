"""NLM010: a blocked lock request was neither served nor cancelled."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM010 = BY_CODE["NLM010"]

WAITS = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3        client2 > server   NLM_LOCK fh=A oh=2 block
     4        server  > client2  NLM4_BLOCKED
"""
POLLS = """
     5  +30s  client2 > server   POLL 3
     6        server  > client2  NLM4_BLOCKED
     7  +30s  client2 > server   POLL 3
     8        server  > client2  NLM4_BLOCKED
"""


def test_it_still_polls():
    story = told(NLM010, WAITS, POLLS)
    assert story.says == ["info confirmed server=server client=client2 other=client1: 4 7 2"]
    assert "has waited 62 s" in story.findings[0].title


def test_it_stopped_polling():
    story = told(NLM010, WAITS, POLLS, "     9  +80s  client1 > server   NFS")
    assert story.says == ["warning confirmed server=server client=client2 other=client1: 4 7 2"]


def test_it_stopped_polling_and_lives():
    """It may have heard a callback that is not here."""
    story = told(NLM010, WAITS, POLLS, "     9  +80s  client2 > server   NFS")
    assert story.says == ["warning suspected server=server client=client2 other=client1: 4 7 2"]


def test_illumos_polls_every_5_s():
    story = told(
        NLM010,
        """
         1        client2 > server   NLM_LOCK fh=A oh=ab svid=7 block
         2        server  > client2  NLM4_BLOCKED
         3  +25s  client1 > server   NFS
    """,
    )
    assert story.says == ["warning confirmed server=server client=client2: 2 1"]
    assert "somebody who is not seen here" in story.findings[0].title


def test_an_unknown_client_need_not_poll():
    story = told(
        NLM010,
        """
         1        client2 > server   NLM_LOCK fh=A oh=abcde svid=7 block
         2        server  > client2  NLM4_BLOCKED
         3 +200s  client1 > server   NFS
    """,
    )
    assert story.says == ["warning suspected server=server client=client2: 2 1"]


def test_a_short_wait():
    story = told(NLM010, WAITS)
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_served_by_a_callback():
    story = told(
        NLM010,
        WAITS,
        """
         5        client1 > server   NLM_UNLOCK fh=A oh=1
         6        server  > client1  NLM4_GRANTED
         7        server  > client2  NLM_GRANTED_MSG fh=A oh=2
         8        client2 > server   NLM_GRANTED_RES NLM4_GRANTED
         9 +200s  client1 > server   NFS
    """,
    )
    assert story.says == []


def test_the_callback_overtook_the_answer():
    story = told(
        NLM010,
        """
         1        client2 > server   NLM_LOCK fh=A oh=2 block
         2        server  > client2  NLM_GRANTED_MSG fh=A oh=2
         3        client2 > server   NLM_GRANTED_RES NLM4_GRANTED
         4        server  > client2  NLM4_BLOCKED to=1
         5 +200s  client1 > server   NFS
    """,
    )
    assert story.says == []


def test_cancelled():
    story = told(
        NLM010,
        WAITS,
        """
         5        client2 > server   NLM_CANCEL fh=A oh=2 block
         6        server  > client2  NLM4_GRANTED
         7 +200s  client1 > server   NFS
    """,
    )
    assert story.says == []


def test_a_poll_is_lost_to_the_capture():
    story = told(
        NLM010,
        WAITS,
        """
      lost  +30s  client2 > server   POLL 3
      lost        server  > client2  NLM4_BLOCKED
         5  +30s  client2 > server   POLL 3
         6        server  > client2  NLM4_BLOCKED
    """,
    )
    assert [said for said in story.says if "warning" in said] == []


def test_a_wait_for_the_dead_is_a_consequence():
    story = told(
        NLM010,
        WAITS,
        POLLS,
        """
         9        server  > client1  ARP
        10        server  > client1  ARP
        11        server  > client1  ARP
        12  +25s  client2 > server   POLL 3
        13        server  > client2  NLM4_BLOCKED
    """,
    )
    assert [story.everything[f.caused_by].code for f in story.findings if f.caused_by is not None] == ["NLM005"]
