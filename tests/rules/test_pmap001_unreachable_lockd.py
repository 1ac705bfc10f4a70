"""PMAP001: the port of lockd is known, but packets to it die on the way."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

PMAP001 = BY_CODE["PMAP001"]

ASKS = """
     1        client1 > server   GETPORT lockd proto-tcp
     2        server  > client1  port 4045
"""
SYNS = """
     3        client1 > server   SYN nlm sport=801
     4        client1 > server   SYN nlm sport=801
     5   +4s  client1 > server   SYN nlm sport=801
"""
SERVES = """
     6        client2 > server   NLM_LOCK fh=B oh=2
     7        server  > client2  NLM4_GRANTED
"""
SYNS_GO_ON = """
     8   +8s  client1 > server   SYN nlm sport=801
     9  +60s  client1 > server   SYN nlm sport=801
"""
GETS_THROUGH = """
    10   +3s  client1 > server   SYN nlm sport=801
    11   +0s  server  > client1  SYNACK nlm
    12        client1 > server   NLM_LOCK fh=A oh=1 tcp
    13        server  > client1  NLM4_GRANTED
"""


def test_silence_while_the_host_serves_others():
    story = told(PMAP001, ASKS, SYNS, SERVES, SYNS_GO_ON)
    assert story.says == ["error confirmed server=server client=client1: 3 2 4 5 8 9 7"]
    assert "packets from it to there die" in story.findings[0].title


def test_it_works_later():
    story = told(PMAP001, ASKS, SYNS, SERVES, SYNS_GO_ON, GETS_THROUGH)
    assert story.says == ["warning confirmed server=server client=client1: 3 2 4 5 8 9 11 7"]


def test_not_for_long_yet():
    story = told(PMAP001, ASKS, SYNS, SERVES, "     8   +1s  client1 > server   SYN nlm sport=801")
    assert story.says == ["warning confirmed server=server client=client1: 3 2 4 5 8 7"]


def test_an_ordinary_loss():
    story = told(
        PMAP001,
        ASKS,
        """
     3        client1 > server   SYN nlm sport=801
     4        client1 > server   SYN nlm sport=801
     5        server  > client1  SYNACK nlm
     6        client1 > server   NLM_LOCK fh=A oh=1 tcp
     7        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 0


def test_the_host_is_down():
    """It is not heard after the first attempt: NLM012, or the host."""
    assert told(PMAP001, ASKS, SYNS).says == []


def test_the_port_is_closed():
    """RST: the packet arrived, and a new look-up cures it."""
    story = told(
        PMAP001,
        ASKS,
        """
     3        client1 > server   SYN nlm sport=801
     4   +0s  server  > client1  RST nlm
     5   +5s  client1 > server   SYN nlm sport=801
     6   +0s  server  > client1  RST nlm
     7   +5s  client1 > server   SYN nlm sport=801
     8   +0s  server  > client1  RST nlm
    """,
        "     9   +5s  client1 > server   SYN nlm sport=801",
    )
    assert story.says == []


def test_nobody_knows_that_port():
    """Something else may be there."""
    story = told(PMAP001, *(part.replace("GETPORT lockd", "GETPORT statd") for part in (ASKS, SYNS)))
    assert story.says == []


def test_the_answers_die():
    """The same SYN again after its SYN/ACK."""
    story = told(
        PMAP001,
        ASKS,
        """
     3        client1 > server   SYN nlm sport=801
     4   +0s  server  > client1  SYNACK nlm
     5   +3s  client1 > server   COPY 3
     6   +0s  server  > client1  COPY 4
     7   +6s  client1 > server   COPY 3
     8   +0s  server  > client1  COPY 4
     9  +12s  client1 > server   COPY 3
    """,
        "    10  +60s  client2 > server   NLM_LOCK fh=B oh=2",
        "    11        server  > client2  NLM4_GRANTED",
        "    12        client1 > server   COPY 3",
    )
    assert story.says == ["error confirmed server=server client=client1: 3 2 5 7 9 12 11"]
    assert "answers from there to it die" in story.findings[0].title


UDP = """
    host fw 10.0.0.254
     1        client1 > server   GETPORT lockd
     2        server  > client1  port 4045
     3        client1 > server   NLM_LOCK fh=A oh=1
"""


def test_icmp_says_so():
    story = told(
        PMAP001,
        UDP,
        """
     4   +0s  fw      > client1  ICMP prohibited server
     5  +10s  client1 > server   AGAIN 3
     6   +0s  fw      > client1  ICMP prohibited server
    """,
    )
    assert story.says == ["warning confirmed server=server client=client1: 3 4 6 2 5"]
    assert "10.0.0.254 says administratively prohibited" in story.findings[0].title


def test_the_host_itself_says_that_nobody_listens():
    """lockd is not up yet: C-28, or a stale port."""
    story = told(
        PMAP001,
        UDP,
        """
     4   +0s  server  > client1  ICMP port server
     5  +10s  client1 > server   AGAIN 3
     6   +0s  server  > client1  ICMP port server
    """,
    )
    assert story.says == []


@pytest.mark.parametrize(
    ("served", "found"),
    [
        (True, ["warning confirmed server=server client=client1: 3 2 6 8 9 10 5"]),
        (False, []),  # lockd may hang: NLM012
    ],
)
def test_lock_requests_over_udp(served, found):
    others = """
     4   +5s  client2 > server   NLM_LOCK fh=B oh=2
     5        server  > client2  NLM4_GRANTED
    """
    nobody = """
     4   +5s  client2 > server   NFS v3
     5        server  > client2  OK
    """
    story = told(
        PMAP001,
        UDP,
        others if served else nobody,
        """
     6   +4s  client1 > server   AGAIN 3
     7   +1s  client2 > server   NLM_TEST fh=B oh=2
     8  +19s  client1 > server   AGAIN 3
     9  +30s  client1 > server   AGAIN 3
    10        server  > client1  NLM4_GRANTED
    """.replace(
            "    10        server  > client1  NLM4_GRANTED\n", "    10   +2s  server  > client1  NLM4_GRANTED to=3\n"
        ),
    )
    assert story.says == found


CALLBACK = """
     1        client2 > server   NLM_LOCK fh=A oh=2
     2        server  > client2  NLM4_GRANTED
     3        client1 > server   NLM_LOCK fh=A oh=1 block
     4        server  > client1  NLM4_BLOCKED
     5        client2 > server   NLM_UNLOCK fh=A oh=2
     6        server  > client2  NLM4_GRANTED
     7        server  > client1  GETPORT lockd proto-tcp
     8        client1 > server   port 4045
     9        server  > client1  SYN nlm sport=801
    10   +3s  server  > client1  SYN nlm sport=801
    11   +6s  server  > client1  SYN nlm sport=801
    12        client1 > server   NFS v3
    13  +12s  server  > client1  SYN nlm sport=801
"""
POLL = """
    14        client1 > server   POLL 3
    15        server  > client1  NLM4_GRANTED
"""


def test_callbacks_die_and_the_waiter_polls():
    story = told(PMAP001, CALLBACK, POLL)
    assert story.says == ["warning confirmed server=server client=client1: 9 8 10 11 13"]


def test_callbacks_die_and_the_waiter_still_waits():
    story = told(PMAP001, CALLBACK)
    assert story.says == ["error confirmed server=server client=client1: 9 8 10 11 13"]


def test_a_restart_explains_it():
    story = told(
        PMAP001,
        SERVES.replace("     6 ", "     1 ").replace("     7 ", "     2 "),
        ASKS.replace("     2 ", "     4 ").replace("     1 ", "     3 "),
        """
     5        client1 > server   SYN nlm sport=801
     6   +3s  client1 > server   SYN nlm sport=801
     7   +6s  client1 > server   SYN nlm sport=801
     8  +12s  client1 > server   SYN nlm sport=801
     9        server  > client2  SM_NOTIFY mon_name=server state=5
    10        client2 > server   OK
    11        client2 > server   NLM_LOCK fh=B oh=2 reclaim
    12        server  > client2  NLM4_GRANTED
    13        client1 > server   SYN nlm sport=801
    14   +0s  server  > client1  SYNACK nlm
    """,
    )
    assert story.says == []


def test_only_one_direction_is_here():
    story = (
        told(PMAP001, "\n".join([SYNS.replace(" 5 ", " 3 ")]))
        if False
        else told(
            PMAP001,
            """
     1        client2 > server   GETPORT lockd proto-tcp
     2        server  > client2  port 4045
     3        client1 > server   SYN nlm sport=801
     4        client1 > server   SYN nlm sport=801
     5   +4s  client1 > server   SYN nlm sport=801
     6        server  > client2  NLM_GRANTED fh=B
     7   +4s  client1 > server   SYN nlm sport=801
    """,
        )
    )
    assert story.outcome is Outcome.NOT_ASSESSED


FREED = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3        client2 > server   NLM_LOCK fh=A oh=2 block
     4        server  > client2  NLM4_BLOCKED
     5        client1 > server   NLM_UNLOCK fh=A oh=1
     6        server  > client1  NLM4_GRANTED
"""
CALLS_BACK = """
     7        server  > client2  SYN portmap sport=801
     8   +1s  server  > client2  SYN portmap sport=801
     9   +2s  server  > client2  SYN portmap sport=801
    10   +4s  server  > client2  SYN portmap sport=801
"""


def test_a_server_cannot_ask_where_the_waiters_lockd_is():
    """The waiter sleeps meanwhile, and shows that it lives when it polls."""
    polls = """
    11  +20s  client2 > server   POLL 3
    12        server  > client2  NLM4_GRANTED
    """
    story = told(PMAP001, FREED, CALLS_BACK, polls)
    assert story.says == ["warning confirmed server=server client=client2: 7 8 9 10"]
    assert "cannot ask client2 (10.0.0.22) at port 111 for its lockd" in story.findings[0].title
    assert "NLM009" not in {f.code for f in story.everything}


def test_the_waiter_may_be_down():
    assert told(PMAP001, FREED, CALLS_BACK, "11 +60s client1 > server NFS").says == []


def test_what_a_client_wants_at_port_111_is_not_known():
    """It may want to mount."""
    syns = CALLS_BACK.replace("server  > client2", "client2 > server ")
    assert told(PMAP001, FREED, syns, "11 +1s server > client1 DATA ssh").says == []
