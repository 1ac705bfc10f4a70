"""NLM014: CANCEL and GRANTED crossed and nobody cleaned up."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM014 = BY_CODE["NLM014"]

CROSSED = """
     1        client2 > server   NLM_LOCK fh=A oh=2 block
     2        server  > client2  NLM4_BLOCKED
     3        client2 > server   NLM_CANCEL fh=A oh=2 block
     4        server  > client2  NLM_GRANTED_MSG fh=A oh=2
     5        server  > client2  NLM4_DENIED to=3
"""


def test_nobody_unlocks():
    story = told(NLM014, CROSSED, "     6  +20s  client2 > server   NFS")
    assert story.says == ["error confirmed server=server client=client2: 5 3 4 1"]


def test_the_client_unlocks():
    story = told(
        NLM014,
        CROSSED,
        """
         6        client2 > server   NLM_UNLOCK fh=A oh=2
         7        server  > client2  NLM4_GRANTED
         8  +20s  client2 > server   NFS
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_the_client_refuses_the_callback():
    story = told(
        NLM014,
        CROSSED,
        """
         6        client2 > server   NLM_GRANTED_RES NLM4_DENIED
         7  +20s  client2 > server   NFS
    """,
    )
    assert story.says == []


def test_macos_cancels_and_asks_again():
    story = told(
        NLM014,
        CROSSED,
        """
         6        client2 > server   NLM_LOCK fh=A oh=2 block
         7        server  > client2  NLM4_GRANTED
         8  +20s  client2 > server   NFS
    """,
    )
    assert story.says == []


def test_the_cancel_comes_in_time():
    story = told(
        NLM014,
        """
         1        client2 > server   NLM_LOCK fh=A oh=2 block
         2        server  > client2  NLM4_BLOCKED
         3        client2 > server   NLM_CANCEL fh=A oh=2 block
         4        server  > client2  NLM4_GRANTED
         5  +20s  client2 > server   NFS
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_a_cancel_that_finds_nothing_queued():
    """Linux answers GRANTED whenever nothing is queued, also when the callback was just accepted."""
    story = told(
        NLM014,
        """
         1        client2 > server   NLM_LOCK fh=A oh=2 block
         2        server  > client2  NLM4_BLOCKED
         3        server  > client2  NLM_GRANTED_MSG fh=A oh=2
         4        client2 > server   NLM_GRANTED_RES NLM4_GRANTED
         5        client2 > server   NLM_CANCEL fh=A oh=2 block
         6        server  > client2  NLM4_GRANTED
         7  +20s  client2 > server   NFS
    """,
    )
    assert story.says == ["error suspected server=server client=client2: 6 5 3 1 4"]


def test_a_phantom_of_freebsd():
    story = told(
        NLM014,
        """
         1        client2 > server   NLM_LOCK fh=A oh=4711 block cookie=11223344
         2        server  > client2  NLM4_BLOCKED
         3        client2 > server   NLM_CANCEL fh=A oh=4711 block cookie=11223344
         4        server  > client2  NLM4_DENIED
         5        client1 > server   NLM_LOCK fh=A oh=1
         6        server  > client1  NLM4_GRANTED
         7  +20s  client2 > server   NFS
    """,
    )
    assert story.says == ["error suspected server=server client=client2 other=client1: 4 3 6"]
    assert "taken for freebsd" in story.findings[0].consequence


def test_denied_to_a_linux_client_with_nothing_queued():
    story = told(
        NLM014,
        """
         1        client2 > server   NLM_CANCEL fh=A oh=2 block
         2        server  > client2  NLM4_DENIED
         3        client1 > server   NLM_LOCK fh=A oh=1
         4        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_the_unlock_is_lost_to_the_capture():
    story = told(
        NLM014,
        CROSSED,
        """
      lost        client2 > server   NLM_UNLOCK fh=A oh=2
         6        server  > client2  NLM4_GRANTED
         7  +20s  client2 > server   NFS
    """,
    )
    assert [said for said in story.says if "confirmed" in said] == []


def test_the_server_restarts():
    story = told(
        NLM014,
        CROSSED,
        """
         6  +60s  server  > client2  SM_NOTIFY mon_name=server state=5
         7        client2 > server   OK
         8  +20s  client2 > server   NFS
    """,
    )
    assert story.says == []


def test_the_capture_ends_too_soon():
    story = told(NLM014, CROSSED)
    assert story.outcome is Outcome.NOT_ASSESSED
