"""NLM012: an NLM request was never answered."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM012 = BY_CODE["NLM012"]

SERVED = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
"""
ASKED = """
     3        client1 > server   NLM_LOCK fh=B oh=1
     4  +10s  client1 > server   AGAIN 3
     5  +20s  client1 > server   AGAIN 3
"""


def test_never_answered():
    story = told(
        NLM012,
        SERVED,
        ASKED,
        """
         6  +30s  client1 > server   AGAIN 3
         7  +20s  client2 > server   NFS
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 3 4 5 6"]


def test_not_yet_answered():
    story = told(NLM012, SERVED, ASKED)
    assert story.says == ["warning confirmed server=server client=client1: 3 4 5"]


def test_one_transmission_is_answered():
    story = told(NLM012, SERVED, ASKED, "     6        server  > client1  NLM4_GRANTED")
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 2


def test_answered_late():
    story = told(
        NLM012,
        SERVED,
        ASKED,
        """
         6  +30s  client1 > server   AGAIN 3
         7  +20s  server  > client1  NLM4_GRANTED to=6
    """,
    )
    assert story.says == ["warning confirmed server=server client=client1: 3 4 5 6 7"]


def test_under_way_when_the_capture_ends():
    story = told(NLM012, SERVED, "     3        client1 > server   NLM_LOCK fh=B oh=1")
    assert story.outcome is Outcome.CLEAN


def test_a_udp_client_that_does_not_ask_again_was_probably_answered():
    story = told(
        NLM012,
        SERVED,
        """
         3        client1 > server   NLM_LOCK fh=B oh=1
         4 +100s  client2 > server   NFS
    """,
    )
    assert story.says == []
    assert "1 NLM request never answered (first: frame 3)" in story.result.reasons[0]


def test_over_tcp_a_kernel_does_not_ask_again():
    story = told(
        NLM012,
        """
         1        client1 > server   SYN nlm
         2        server  > client1  SYNACK nlm
         3        client1 > server   NLM_LOCK fh=B oh=1 tcp
         4        server  > client1  DATA nfs
         5 +100s  client2 > server   NFS
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 3"]


def test_a_message_is_answered_by_its_result_only():
    story = told(
        NLM012,
        """
         1        client1 > server   NLM_LOCK_MSG fh=B oh=1
         2        server  > client1  OK
         3  +10s  client1 > server   AGAIN 1
         4  +40s  client1 > server   AGAIN 1
         5  +30s  client2 > server   NFS
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 1 3 4"]


def test_a_result_needs_no_reply():
    story = told(
        NLM012,
        """
         1        client1 > server   NLM_LOCK_MSG fh=B oh=1
         2        server  > client1  NLM_LOCK_RES NLM4_GRANTED
         3  +90s  client2 > server   NFS
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_a_result_from_another_address_of_the_server():
    story = told(
        NLM012,
        """
        host filer 10.0.0.1 10.0.0.2
         1        client1 > filer    NLM_LOCK_MSG fh=B oh=1 cookie=77000000
      lost        client1 > filer/2  NLM_LOCK_MSG fh=B oh=1 cookie=77000000
         2        filer/2 > client1  NLM_LOCK_RES NLM4_GRANTED cookie=77000000
         3  +90s  client2 > filer    NFS
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_polls_that_are_not_answered_any_more():
    story = told(
        NLM012,
        """
         1        client1 > server   NLM_LOCK fh=B oh=1 block
         2        server  > client1  NLM4_BLOCKED
         3  +30s  client1 > server   POLL 1
         4  +30s  client1 > server   POLL 1
         5  +40s  client2 > server   NFS
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 3 4"]


def test_the_server_may_hold_back_the_answer_to_a_blocking_lock():
    story = told(
        NLM012,
        """
         1        client1 > server   NLM_LOCK fh=B oh=1 block
         2  +20s  client1 > server   AGAIN 1
         3        client1 > server   NLM_LOCK fh=C oh=1
         4        server  > client1  NLM4_GRANTED
         5  +40s  client1 > server   AGAIN 1
    """,
    )
    assert story.says == ["error suspected server=server client=client1: 1 2 5"]


def test_the_client_took_it_back():
    story = told(
        NLM012,
        """
         1        client1 > server   NLM_LOCK fh=B oh=1 block
         2        client1 > server   NLM_CANCEL fh=B oh=1 block
         3        server  > client1  NLM4_GRANTED to=2
         4  +90s  client2 > server   NFS
    """,
    )
    assert story.says == []


def test_the_server_restarts_meanwhile():
    story = told(
        NLM012,
        SERVED,
        ASKED,
        """
         6  +60s  server  > client1  SM_NOTIFY mon_name=server state=5
         7        client1 > server   OK
         8        client1 > server   AGAIN 3
         9        server  > client1  NLM4_GRANTED to=8
    """,
    )
    assert story.says == []


def test_nothing_of_the_server_is_here():
    story = told(
        NLM012,
        """
         1        client1 > server   NLM_LOCK fh=B oh=1
         2  +90s  client1 > server   NFS
    """,
    )
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_the_answer_is_lost_to_the_capture():
    story = told(
        NLM012,
        SERVED,
        """
         3        client1 > server   NLM_LOCK fh=B oh=1
      lost        server  > client1  NLM4_GRANTED
         4  +20s  client1 > server   NLM_UNLOCK fh=B oh=1
         5        server  > client1  NLM4_GRANTED
         6  +90s  client2 > server   NFS
    """,
    )
    assert [s for s in story.says if "confirmed" in s] == []


PAUSES = """
     1        client1 > server   NLM_LOCK fh=A {0}
     2        server  > client1  NLM4_GRANTED
     3        client1 > server   NLM_LOCK fh=B {0}
     4   +5s  client1 > server   AGAIN 3
     5  +40s  server  > client1  NFS
"""


@pytest.mark.parametrize(
    ("owner", "confidence", "kind"), [("oh=1 svid=1", "confirmed", "linux"), ("oh=ab svid=9", "suspected", "illumos")]
)
def test_how_long_a_client_waits_before_it_asks_again(owner, confidence, kind):
    """40 s are nothing to Linux; illumos would have asked again eight times."""
    story = told(NLM012, PAUSES.format(owner))
    assert story.says == [f"warning {confidence} server=server client=client1: 3 4"]
    assert f"taken for {kind}" in story.findings[0].consequence
