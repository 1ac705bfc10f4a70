"""HOST002: lockd lost its locks without a reboot, and nobody was told."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

HOST002, NSM001 = BY_CODE["HOST002"], BY_CODE["NSM001"]

BEFORE = """
     1        client2 > server   DATA ssh
     2        server  > client2  DATA ssh
     3        client1 > server   NLM_LOCK fh=A oh=1
     4        server  > client1  NLM4_GRANTED
"""
RESTART = """
     5  +60s  client2 > server   NLM_LOCK fh=B oh=2
     6        server  > client2  NLM4_DENIED_GRACE_PERIOD
     7        server  > client2  DATA ssh
"""
GRACE_ENDS = """
     8  +60s  client2 > server   POLL 5
     9        server  > client2  NLM4_GRANTED
    10        client1 > server   NLM_LOCK fh=C oh=3
    11        server  > client1  NLM4_GRANTED
"""


def test_a_connection_of_the_host_goes_on_over_it():
    story = told(HOST002, BEFORE, RESTART, GRACE_ENDS)
    assert story.says == ["error confirmed server=server client=client1: 6 4 9"]
    assert not told(NSM001, BEFORE, RESTART, GRACE_ENDS).says


def test_nothing_shows_that_the_host_stayed_up():
    """Then it is NSM001, which says "the server, or its lockd"."""
    text = """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3  +60s  client2 > server   NLM_LOCK fh=B oh=2
         4        server  > client2  NLM4_DENIED_GRACE_PERIOD
         5  +60s  client2 > server   POLL 3
         6        server  > client2  NLM4_GRANTED
         7        client1 > server   NLM_LOCK fh=C oh=3
         8        server  > client1  NLM4_GRANTED
    """
    assert told(HOST002, text).says == []
    story = told(NSM001, text)
    assert story.says == ["error confirmed server=server client=client1: 4 2 6"]
    assert "10.0.0.1, or its lockd, restarted" in story.findings[0].title


def test_the_administrator_ran_sm_notify():
    story = told(
        HOST002,
        BEFORE,
        RESTART,
        """
         8        server  > client1  SM_NOTIFY mon_name=server state=5
         9        client1 > server   OK
        10        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        11        server  > client1  NLM4_GRANTED
        12  +60s  client2 > server   POLL 5
        13        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_the_notice_came_after_the_grace_period():
    story = told(
        HOST002,
        BEFORE,
        RESTART,
        GRACE_ENDS,
        """
        12        server  > client1  SM_NOTIFY mon_name=server state=5
        13        client1 > server   OK
        14        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        15        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 6 12 4 9"]


def test_the_capture_ends_in_the_grace_period():
    story = told(HOST002, BEFORE, RESTART)
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_the_connection_began_only_afterwards():
    story = told(
        HOST002,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3  +60s  client2 > server   DATA ssh
         4        server  > client2  DATA ssh
         5        client2 > server   NLM_LOCK fh=B oh=2
         6        server  > client2  NLM4_DENIED_GRACE_PERIOD
         7        server  > client2  DATA ssh
         8  +60s  client2 > server   POLL 5
         9        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_a_new_statd_loses_nothing():
    story = told(
        HOST002,
        """
         1        client1 > server   GETPORT statd
         2        server  > client1  port 662
         3        client1 > server   NLM_LOCK fh=A oh=1
         4        server  > client1  NLM4_GRANTED
         5  +60s  client1 > server   GETPORT statd
         6        server  > client1  port 700
         7        client1 > server   NLM_LOCK fh=B oh=1
         8        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.history.boots == []


def test_closed_in_order_and_back_within_seconds():
    """Too soon for an operating system, but no connection proves that it went on."""
    story = told(
        HOST002,
        """
         1        client1 > server   SYN nlm
         2        server  > client1  SYNACK nlm
         3        client1 > server   NLM_LOCK fh=A oh=1 tcp
         4        server  > client1  NLM4_GRANTED
         5        client1 > server   GETPORT lockd
         6        server  > client1  port 4045
         7  +60s  server  > client1  FIN nlm
         8        client1 > server   FIN nlm
         9   +5s  client1 > server   SYN nlm sport=801
        10        server  > client1  SYNACK nlm
        11        client1 > server   NLM_LOCK fh=B oh=1 tcp
        12        server  > client1  NLM4_DENIED_GRACE_PERIOD
        13  +60s  client1 > server   POLL 11
        14        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == ["error suspected server=server client=client1: 7 12 4 14"]


def test_only_tcp_was_captured():
    story = told(
        HOST002,
        """
         1        client2 > server   DATA ssh
         2        server  > client2  DATA ssh
         3        client1 > server   SYN nlm
         4        server  > client1  SYNACK nlm
         5        client1 > server   NLM_LOCK fh=A oh=1 tcp
         6        server  > client1  NLM4_GRANTED
         7  +60s  client1 > server   NLM_LOCK fh=B oh=1 tcp
         8        server  > client1  RST nlm
         9        client1 > server   SYN nlm sport=801
        10        server  > client1  SYNACK nlm
        11        client1 > server   AGAIN 7
        12        server  > client1  NLM4_DENIED_GRACE_PERIOD
        13        server  > client2  DATA ssh
        14  +60s  client1 > server   POLL 7
        15        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == ["error suspected server=server client=client1: 8 12 6 15"]


WRITES = """
     1        client2 > server   WRITE udp
     2        server  > client2  OK verf=a
     3        client1 > server   NLM_LOCK fh=A oh=1
     4        server  > client1  NLM4_GRANTED
     5  +60s  client2 > server   NLM_LOCK fh=B oh=2
     6        server  > client2  NLM4_DENIED_GRACE_PERIOD
     7        client2 > server   WRITE udp
"""


def test_nfsd_lives_on_with_its_write_verifier():
    """No connection of the host was there before; its nfsd still promises what it promised then."""
    story = told(HOST002, WRITES, "     8  server > client2  OK verf=a", GRACE_ENDS_LATER)
    assert story.says == ["error confirmed server=server client=client1: 6 4 10"]
    assert "write verifier stays the same" in story.findings[0].consequence


def test_nfsd_has_another_write_verifier():
    """Then the host may have restarted with it."""
    text = (WRITES, "     8  server > client2  OK verf=b", GRACE_ENDS_LATER)
    assert told(HOST002, *text).says == []
    assert told(NSM001, *text).says == ["error confirmed server=server client=client1: 6 4 10"]


GRACE_ENDS_LATER = """
     9  +60s  client2 > server   POLL 5
    10        server  > client2  NLM4_GRANTED
    11        client1 > server   NLM_LOCK fh=C oh=3
    12        server  > client1  NLM4_GRANTED
"""


def test_the_lock_was_given_back_in_the_grace_period():
    text = """
         8        client1 > server   NLM_UNLOCK fh=A oh=1
         9        server  > client1  NLM4_DENIED_GRACE_PERIOD
        10  +60s  client2 > server   POLL 5
        11        server  > client2  NLM4_GRANTED
        12        client1 > server   POLL 8
        13        server  > client1  NLM4_GRANTED
    """
    story = told(HOST002, BEFORE, RESTART, text)
    assert story.says == []
    assert story.outcome is Outcome.CLEAN


def test_the_capture_begins_in_the_grace_period():
    """The host may have restarted before: what goes on since then is of its new life."""
    text = """
         1        client2 > server   DATA ssh
         2        server  > client2  DATA ssh
         3        client2 > server   NLM_LOCK fh=B oh=2
         4        server  > client2  NLM4_DENIED_GRACE_PERIOD
         5        server  > client2  DATA ssh
    """
    (boot,) = told(HOST002, text).history.boots
    assert (boot.lived_on, boot.unbroken) == ("", False)
