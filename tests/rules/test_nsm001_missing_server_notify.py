"""NSM001: the server restarted and never sent SM_NOTIFY to a client that held locks."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Confidence, Outcome
from nlmdissect.rules import BY_CODE

NSM001 = BY_CODE["NSM001"]

TWO_HOLD_LOCKS = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3        client2 > server   NLM_LOCK fh=B oh=2
     4        server  > client2  NLM4_GRANTED
"""
ONE_IS_TOLD = """
     5  +60s  client2 > server   NLM_LOCK fh=E oh=2
     6        server  > client2  NLM4_DENIED_GRACE_PERIOD
     7        server  > client2  GETPORT statd
     8        client2 > server   port 662
     9        server  > client2  SM_NOTIFY mon_name=server state=5
    10        client2 > server   OK
    11        client2 > server   NLM_LOCK fh=B oh=2 reclaim
    12        server  > client2  NLM4_GRANTED
"""
GRACE_ENDS = """
    13  +60s  client1 > server   NLM_LOCK fh=C oh=3
    14        server  > client1  NLM4_GRANTED
"""


def test_one_client_is_told_and_the_other_is_not():
    story = told(NSM001, TWO_HOLD_LOCKS, ONE_IS_TOLD, GRACE_ENDS)
    assert story.says == ["error confirmed server=server client=client1: 6 9 2 14"]
    assert [lock.fh[-1:] for lock in story.findings[0].locks] == [b"A"]


def test_both_are_told():
    story = told(
        NSM001,
        TWO_HOLD_LOCKS,
        ONE_IS_TOLD,
        """
        13        server  > client1  SM_NOTIFY mon_name=server state=5
        14        client1 > server   OK
        15        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        16        server  > client1  NLM4_GRANTED
        17  +60s  client2 > server   NLM_LOCK fh=C oh=3
        18        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 2


def test_the_capture_ends_before_the_end_of_grace():
    story = told(NSM001, TWO_HOLD_LOCKS, ONE_IS_TOLD)
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED
    assert "the capture ends before" in story.result.reasons[0]


def test_a_client_that_says_nothing_may_be_down():
    story = told(
        NSM001,
        TWO_HOLD_LOCKS,
        ONE_IS_TOLD,
        """
        13  +60s  client2 > server   NLM_LOCK fh=C oh=3
        14        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == ["error suspected server=server client=client1: 6 9 2 14"]


def test_only_a_notice_to_somebody_else_tells_of_the_restart():
    story = told(
        NSM001,
        TWO_HOLD_LOCKS,
        """
         5  +60s  server  > client2  GETPORT statd
         6        client2 > server   port 662
         7        server  > client2  SM_NOTIFY mon_name=server state=5
         8        client2 > server   OK
         9  +60s  client1 > server   NLM_LOCK fh=C oh=3
        10        server  > client1  NLM4_GRANTED
    """,
    )
    assert not [line for line in story.says if "confirmed" in line]


def test_nobody_asks_for_a_lock_and_the_whole_retry_window_passes():
    """Linux tries for 15 minutes; a minute more is allowed for the start of its sm-notify."""
    story = told(
        NSM001,
        TWO_HOLD_LOCKS,
        ONE_IS_TOLD,
        """
        13  +960s client1 > server   NFS
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 6 9 2"]
    assert (
        told(
            NSM001,
            TWO_HOLD_LOCKS
            + ONE_IS_TOLD
            + """
        13  +800s client1 > server   NFS
    """,
        ).outcome
        is Outcome.NOT_ASSESSED
    )


def test_only_tcp_was_captured():
    """Nothing shows that UDP could have been seen: a filter may hide the notice."""
    story = told(
        NSM001,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 tcp
         2        server  > client1  NLM4_GRANTED
         3        client2 > server   NLM_LOCK fh=B oh=2 tcp
         4        server  > client2  NLM4_GRANTED
         5  +60s  client2 > server   NLM_LOCK fh=C oh=3 tcp
         6        server  > client2  RST nlm
         7        client2 > server   SYN nlm
         8        server  > client2  SYNACK nlm
         9        client2 > server   AGAIN 5
        10        server  > client2  NLM4_DENIED_GRACE_PERIOD
        11  +60s  client2 > server   POLL 5
        12        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == [
        "error suspected server=server client=client1: 6 10 2 12",
        "error suspected server=server client=client2: 6 10 4 12",
    ]
    assert "V4" in story.findings[0].consequence


def test_the_capture_lost_something_between_the_two():
    story = told(
        NSM001,
        TWO_HOLD_LOCKS,
        ONE_IS_TOLD,
        """
        lost      client1 > server   NLM_TEST fh=Z oh=9
        13        server  > client1  NLM4_DENIED
        14  +60s  client2 > server   NLM_LOCK fh=C oh=3
        15        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == ["error suspected server=server client=client1: 6 9 2 15"]


def test_a_lock_that_the_server_does_not_monitor():
    story = told(
        NSM001,
        """
         1        client1 > server   NM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3        client2 > server   NLM_LOCK fh=B oh=2
         4        server  > client2  NLM4_GRANTED
    """,
        ONE_IS_TOLD,
        GRACE_ENDS,
    )
    assert story.outcome is Outcome.CLEAN


def test_a_client_that_held_nothing_any_more():
    story = told(
        NSM001,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3        client1 > server   NLM_UNLOCK fh=A oh=1
         4        server  > client1  NLM4_GRANTED
    """,
        ONE_IS_TOLD,
        GRACE_ENDS,
    )
    assert story.outcome is Outcome.CLEAN


def test_a_client_that_waited_for_a_lock_held_nothing():
    story = told(
        NSM001,
        """
         1        client1 > server   NLM_LOCK fh=B oh=1 block
         2        server  > client1  NLM4_BLOCKED
         3        client2 > server   NLM_LOCK fh=B oh=2
         4        server  > client2  NLM4_GRANTED
    """,
        ONE_IS_TOLD,
        GRACE_ENDS,
    )
    assert story.outcome is Outcome.CLEAN


def test_the_full_name_and_then_the_short_one_are_one_restart():
    story = told(
        NSM001,
        TWO_HOLD_LOCKS,
        """
         5  +60s  server  > client1  SM_NOTIFY mon_name=server.example.com state=5
         6        client1 > server   OK
         7        server  > client1  SM_NOTIFY mon_name=server state=5
         8        client1 > server   OK
         9        server  > client2  SM_NOTIFY mon_name=server.example.com state=5
        10        client2 > server   OK
        11        server  > client2  SM_NOTIFY mon_name=server state=5
        12        client2 > server   OK
        13        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        14        server  > client1  NLM4_GRANTED
        15        client2 > server   NLM_LOCK fh=B oh=2 reclaim
        16        server  > client2  NLM4_GRANTED
        17  +60s  client2 > server   NLM_LOCK fh=C oh=3
        18        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert len(story.history.boots) == 1


def test_statd_is_not_registered_at_the_client():
    """A look-up answered 0 is another failure (NSM008)."""
    story = told(
        NSM001,
        TWO_HOLD_LOCKS,
        ONE_IS_TOLD,
        """
        13        server  > client1  GETPORT statd
        14        client1 > server   port 0
        15  +60s  client2 > server   NLM_LOCK fh=C oh=3
        16        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_a_lookup_got_a_port_and_no_notice_followed():
    """It may have been sent and lost before the capture point."""
    story = told(
        NSM001,
        TWO_HOLD_LOCKS,
        ONE_IS_TOLD,
        """
        13        server  > client1  GETPORT statd
        14        client1 > server   port 662
        15  +60s  client2 > server   NLM_LOCK fh=C oh=3
        16        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == ["error suspected server=server client=client1: 6 9 2 13 16"]


def test_the_notice_came_from_another_address_of_the_server():
    story = told(
        NSM001,
        """
        host server 10.0.0.1 10.1.0.1
         1        client1 > server   NLM_LOCK fh=A oh=1 block
         2        server  > client1  NLM4_BLOCKED
         3        server  > client1  NLM_GRANTED_MSG fh=A oh=1 svid=1
         4        client1 > server   NLM_GRANTED_RES NLM4_GRANTED
         5  +60s  client2 > server   NLM_LOCK fh=B oh=2
         6        server  > client2  NLM4_DENIED_GRACE_PERIOD
         7        server/2 > client1 SM_NOTIFY mon_name=server state=5
         8        client1 > server/2 OK
         9  +60s  client2 > server   NLM_LOCK fh=B oh=2
        10        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_the_notice_came_over_tcp():
    story = told(
        NSM001,
        TWO_HOLD_LOCKS,
        ONE_IS_TOLD,
        """
        13        server  > client1  SM_NOTIFY mon_name=server state=5 tcp
        14        client1 > server   OK
        15  +60s  client2 > server   NLM_LOCK fh=C oh=3
        16        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_an_unanswered_notice_is_no_missing_one():
    story = told(
        NSM001,
        TWO_HOLD_LOCKS,
        ONE_IS_TOLD,
        """
        13        server  > client1  SM_NOTIFY mon_name=server state=5
        14   +2s  server  > client1  SM_NOTIFY mon_name=server state=5
        15   +4s  server  > client1  SM_NOTIFY mon_name=server state=5
        16  +60s  client2 > server   NLM_LOCK fh=C oh=3
        17        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_the_client_restarted_as_well():
    """Its locks ended with it: nothing was left to reclaim."""
    story = told(
        NSM001,
        TWO_HOLD_LOCKS,
        ONE_IS_TOLD,
        """
        13        client1 > server   SM_NOTIFY mon_name=client1 state=7
        14        server  > client1  OK
        15  +60s  client2 > server   NLM_LOCK fh=C oh=3
        16        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_only_lockd_restarted():
    """The host stayed up: HOST002."""
    story = told(
        NSM001,
        """
         1        server  > client2  DATA ssh
         2        client2 > server   DATA ssh
         3        client1 > server   NLM_LOCK fh=A oh=1
         4        server  > client1  NLM4_GRANTED
         5        client2 > server   NLM_LOCK fh=B oh=2
         6        server  > client2  NLM4_GRANTED
         7  +60s  client2 > server   NLM_LOCK fh=C oh=3
         8        server  > client2  NLM4_DENIED_GRACE_PERIOD
         9        server  > client2  DATA ssh
        10  +60s  client1 > server   NLM_LOCK fh=D oh=3
        11        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []
    assert story.history.boots[0].lived_on


def test_the_capture_begins_after_the_locks():
    """What nobody saw granted is not called missing."""
    story = told(
        NSM001,
        """
         1        server  > client2  GETPORT statd
         2        client2 > server   port 662
         3        server  > client2  SM_NOTIFY mon_name=server state=5
         4        client2 > server   OK
         5        client2 > server   NLM_LOCK fh=B oh=2 reclaim
         6        server  > client2  NLM4_GRANTED
         7  +60s  client1 > server   NLM_UNLOCK fh=A oh=1
         8        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_the_client_acted_as_if_it_was_told():
    """Then the notice took a path that the capture does not show."""
    story = told(
        NSM001,
        TWO_HOLD_LOCKS,
        ONE_IS_TOLD,
        """
        13        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        14        server  > client1  NLM4_GRANTED
        15  +60s  client2 > server   NLM_LOCK fh=C oh=3
        16        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_who_reclaims_was_told_even_if_the_lock_had_been_stolen_by_then():
    """The notice is not in the capture; the reclaim says that it was received."""
    stolen = """
        13  +60s client2 > server   NLM_LOCK fh=A oh=2
        14       server  > client2  NLM4_GRANTED
        15  +10s client1 > server   NLM_LOCK fh=A oh=1 reclaim
        16       server  > client1  NLM4_DENIED_GRACE_PERIOD
    """
    assert told(NSM001, TWO_HOLD_LOCKS, ONE_IS_TOLD, stolen).says == []
    silent = stolen.partition("15")[0] + "15 +10s client1 > server NFS"
    assert told(NSM001, TWO_HOLD_LOCKS, ONE_IS_TOLD, silent).says != []


UNHEARD = """
     7        server  > client1  GETPORT statd
     8        client1 > server   ICMP port client1 port=111
     9  +2s   server  > client1  GETPORT statd
    10        client1 > server   ICMP port client1 port=111
    11        server  > client2  GETPORT statd
    12        client2 > server   port 662
    13        server  > client2  SM_NOTIFY mon_name=server state=5
    14        client2 > server   OK
    15        client2 > server   NLM_LOCK fh=B oh=2 reclaim
    16        server  > client2  NLM4_GRANTED
    17  +60s  client1 > server   NLM_LOCK fh=C oh=3
    18        server  > client1  NLM4_GRANTED
"""


def test_the_portmapper_of_the_client_does_not_listen():
    in_grace = ONE_IS_TOLD.partition("     7 ")[0]
    found = told(NSM001, TWO_HOLD_LOCKS, in_grace, UNHEARD).findings
    assert [e.at.frame for e in found[0].evidence if "ICMP" in e.what] == [8, 10]
    assert "rpcbind runs on the client" in found[0].remedy
    assert "sm-notify did not run" in told(NSM001, TWO_HOLD_LOCKS, ONE_IS_TOLD, GRACE_ENDS).findings[0].remedy


def test_it_may_still_be_trying():
    """What was assumed of the server decides when a notice is missing: the reason says so."""
    (reason,) = told(NSM001, TWO_HOLD_LOCKS, ONE_IS_TOLD).result.reasons
    assert "unknown implementation, repeating SM_NOTIFY for 900 s: nothing that it sent tells which" in reason
    linux = ONE_IS_TOLD.replace("GETPORT statd", "GETPORT statd xid=100").replace(
        "state=5", "state=5 xid=101 sport=40001"
    )
    (reason,) = told(NSM001, TWO_HOLD_LOCKS, linux).result.reasons
    assert "taken for linux, repeating SM_NOTIFY for 900 s: its sm-notify" in reason


def test_the_notice_went_to_another_address_of_the_client():
    """Its record has the other address: whether that is the same host, names alone cannot tell."""
    held = """
    host client1 10.0.0.21 10.1.0.21 name=client1
     1        client1/2 > server NLM_TEST fh=Z oh=1
     2        server  > client1/2 NLM4_GRANTED
     3        client1 > server   NLM_LOCK fh=A oh=1
     4        server  > client1  NLM4_GRANTED
     5  +60s  client2 > server   NLM_LOCK fh=E oh=2
     6        server  > client2  NLM4_DENIED_GRACE_PERIOD
     7        server  > client1  GETPORT statd
     8        server  > {0}      GETPORT statd
     9        {0}     > server   port 662
    10        server  > {0}      SM_NOTIFY mon_name=server state=5
    11        {0}     > server   OK
    12  +60s  client1 > server   NLM_LOCK fh=C oh=3
    13        server  > client1  NLM4_GRANTED
    """
    own, other = told(NSM001, held.format("client1/2")), told(NSM001, held.format("client3"))
    assert own.says[0].startswith("error suspected server=server client=client1: 6 10 4")
    assert "SM_NOTIFY went to 10.1.0.21, which seems to be the same host" in own.findings[0].consequence
    assert "same host" not in other.findings[0].consequence


def test_a_lock_that_came_by_callback():
    """FreeBSD does not monitor for it: nobody is told by design, and the lock is lost all the same."""
    held = """
     1        client1 > server   NLM_LOCK fh=A oh=1 block
     2        server  > client1  NLM4_BLOCKED
     3        server  > client1  NLM_GRANTED_MSG fh=A oh=1 svid=1 caller=client1 cookie=1122334455667788
     4        client1 > server   NLM_GRANTED_RES NLM4_GRANTED
    """
    story = told(NSM001, held, ONE_IS_TOLD.replace("client2  NLM4_GRANTED", "client2  NLM4_GRANTED"), GRACE_ENDS)
    assert [line.partition(":")[0] for line in story.says] == ["error confirmed server=server client=client1"]


def test_a_stranger_told_the_client_something():
    """A node of a cluster, perhaps, that sends from its own address: a router hides its card."""
    text = """
        host node 10.0.0.7 name=node
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3  +60s  client2 > server   NLM_LOCK fh=B oh=2
         4        server  > client2  NLM4_DENIED_GRACE_PERIOD
         5        {}    > client1  SM_NOTIFY mon_name=old-node state=5
         6        client1 > {}     OK
         7  +60s  client2 > server   POLL 3
         8        server  > client2  NLM4_GRANTED
    """
    story = told(NSM001, text.format("node", "node"))
    assert story.says == ["error suspected server=server client=client1: 4 2 5 8"]
    assert "10.0.0.7, which may be another address of this host" in story.findings[0].consequence
    (line,) = told(NSM001, text.format("server2", "server2"), "9 client1 > server2 NLM_TEST").says
    assert line == "error confirmed server=server client=client1: 4 2 8"


@pytest.mark.parametrize(
    "families", [("10.0.0.1 10.1.0.1", "10.0.0.31 10.1.0.31"), ("10.0.0.1 fd00::1", "10.0.0.31 fd00::31")]
)
def test_it_was_told_between_other_addresses_of_the_same_cards(families):
    """Nothing but the cards connects them, and a router's would be the same for many."""
    text = """
        host filer {}
        host user {}
         1        user/2  > filer/2  NLM_LOCK fh=A oh=1@user
         2        filer/2 > user/2   NLM4_GRANTED
         3  +60s  user/2  > filer/2  NLM_LOCK fh=B oh=1@user
         4        filer/2 > user/2   NLM4_DENIED_GRACE_PERIOD
         5        filer   > user     SM_NOTIFY mon_name=other-name state=5
         6        user    > filer    OK
         7  +90s  user/2  > filer/2  POLL 3
         8        filer/2 > user/2   NLM4_GRANTED
    """
    (found,) = told(NSM001, text.format(*families)).findings
    assert found.confidence is Confidence.SUSPECTED
    assert "10.0.0.1, which may be another address of this host" in found.consequence
