"""NSM010: SM_NOTIFY came from another address than the locks were taken from, and was not understood."""

from __future__ import annotations

from support.cards import told_with_cards
from support.told import told

from nlmdissect.findings import Outcome, Severity
from nlmdissect.rules import BY_CODE

NSM010, NLM002 = BY_CODE["NSM010"], BY_CODE["NLM002"]

HELD = """
    host server 10.0.0.1 10.1.0.1
     1        client1 > server   NLM_LOCK fh=A oh=1 block
     2        server  > client1  NLM4_BLOCKED
     3        server  > client1  NLM_GRANTED_MSG fh=A oh=1 svid=1
     4        client1 > server   NLM_GRANTED_RES NLM4_GRANTED
     5  +60s  client2 > server   NLM_LOCK fh=B oh=2
     6        server  > client2  NLM4_DENIED_GRACE_PERIOD
"""
FOREIGN = """
     7        server/2 > client1 SM_NOTIFY mon_name=server state=5
     8        client1 > server/2 OK
"""
GRACE_ENDS = """
     9  +60s  client1 > server   NLM_LOCK fh=C oh=2
    10        server  > client1  NLM4_GRANTED
"""


def test_from_another_address_and_nobody_reclaims():
    story = told(NSM010, HELD, FOREIGN, GRACE_ENDS)
    assert len(story.says) == 1
    assert story.says[0].startswith("error confirmed server=server client=client1 other=server: 7 8")
    assert not told(NLM002, HELD, FOREIGN, GRACE_ENDS).says


def test_the_client_understands_it():
    """DNS connects the two names."""
    story = told(
        NSM010,
        HELD,
        FOREIGN,
        """
         9        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        10        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_the_right_address_follows():
    story = told(
        NSM010,
        HELD,
        FOREIGN,
        """
         9        server  > client1  SM_NOTIFY mon_name=server state=5
        10        client1 > server   OK
        11        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        12        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_the_capture_ends_in_the_grace_period():
    story = told(NSM010, HELD, FOREIGN)
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_a_strangers_notice_is_not_about_this_server():
    story = told(
        NSM010,
        HELD,
        """
        host stranger 10.0.0.77 name=stranger
         7        stranger > client1 SM_NOTIFY mon_name=elsewhere state=5
         8        client1 > stranger OK
    """,
        GRACE_ENDS,
    )
    assert story.says == []


def test_a_stranger_behind_the_same_router():
    """A capture that is routed shows the router's MAC for every host beyond it."""
    story = told(
        NSM010,
        "host stranger 10.2.0.77 name=stranger mac=02:00:00:00:00:fe",
        HELD.replace("10.1.0.1", "10.1.0.1 mac=02:00:00:00:00:fe"),
        """
         7        stranger > client1 SM_NOTIFY mon_name=elsewhere state=5
         8        client1 > stranger OK
    """,
        GRACE_ENDS,
    )
    assert story.says == []


def test_the_client_held_nothing():
    text = HELD.replace("NLM4_BLOCKED", "NLM4_DENIED").replace(
        "client1 > server   NLM_GRANTED_RES NLM4_GRANTED", "client1 > server   NLM_GRANTED_RES NLM4_DENIED"
    )
    assert not [line for line in told(NSM010, text, FOREIGN, GRACE_ENDS).says if line.startswith("error")]


def test_another_client_understood_the_same_notice():
    """Then this one could have as well: NLM002."""
    story = told(
        NSM010,
        "host server 10.0.0.1 10.1.0.1",
        """
     1        client3 > server   NLM_LOCK fh=D oh=3
     2        server  > client3  NLM4_GRANTED
     3        client1 > server   NLM_LOCK fh=A oh=1 block
     4        server  > client1  NLM4_BLOCKED
     5        server  > client1  NLM_GRANTED_MSG fh=A oh=1 svid=1
     6        client1 > server   NLM_GRANTED_RES NLM4_GRANTED
     7  +60s  client2 > server   NLM_LOCK fh=B oh=2
     8        server  > client2  NLM4_DENIED_GRACE_PERIOD
     9        server/2 > client1 SM_NOTIFY mon_name=server state=5
    10        client1 > server/2 OK
    11        server/2 > client3 SM_NOTIFY mon_name=server state=5
    12        client3 > server/2 OK
    13        client3 > server   NLM_LOCK fh=D oh=3 reclaim
    14        server  > client3  NLM4_GRANTED
    15  +60s  client1 > server   NLM_LOCK fh=C oh=2
    16        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []
    assert "NLM002" in [f.code for f in story.everything]


def test_a_client_that_may_go_by_names():
    """illumos: two bytes of oh. What kept it from reclaiming is less certain."""
    held = HELD.replace("oh=1 block", "oh=zz block").replace("fh=A oh=1 svid=1", "fh=A oh=zz svid=1")
    story = told(NSM010, held, FOREIGN, GRACE_ENDS.replace("oh=2", "oh=zz"))
    assert [line.partition(":")[0] for line in story.says] == [
        "error suspected server=server client=client1 other=server"
    ]


def test_not_answered_is_another_finding():
    tries = """
     7        server/2 > client1 SM_NOTIFY mon_name=server state=5
     8   +2s  server/2 > client1 SM_NOTIFY mon_name=server state=5
     9   +4s  server/2 > client1 SM_NOTIFY mon_name=server state=5
    """
    ends = "10 +60s client1 > server NLM_LOCK fh=C oh=2\n11 server > client1 NLM4_GRANTED"
    story = told(NSM010, HELD, tries, ends)
    assert story.says == []
    assert "NSM003" in [f.code for f in story.everything]


NAMED = """
     9        ns      > client1  DNS name=server {}
"""
ENDS = """
    10  +60s  client1 > server   NLM_LOCK fh=C oh=2
    11        server  > client1  NLM4_GRANTED
"""


def test_its_own_resolver_leads_it_to_the_right_address():
    """Then it understood the notice: what kept it from reclaiming is behind its statd."""
    right = NAMED.format("address=10.0.0.1,10.1.0.1")
    assert told(NSM010, "host ns 10.0.0.53", HELD, FOREIGN, right, ENDS).says == []
    (line,) = told(NLM002, "host ns 10.0.0.53", HELD, FOREIGN, right, ENDS).says
    assert line.startswith("error confirmed server=server client=client1: 8 3 9")


def test_its_own_resolver_leads_it_elsewhere():
    for name in ("address=10.1.0.1", ""):
        story = told(NSM010, "host ns 10.0.0.53", HELD, FOREIGN, NAMED.format(name), ENDS)
        (line,) = story.says
        assert line.startswith("error confirmed server=server client=client1 other=server: 7 8 9")


def test_somebody_elses_resolver_knows_the_name():
    """The client may know it as well, from its /etc/hosts or from before the capture."""
    known = NAMED.format("address=10.0.0.1,10.1.0.1").replace("client1", "client2")
    (line,) = told(NSM010, "host ns 10.0.0.53", HELD, FOREIGN, known, ENDS).says
    assert line.startswith("error suspected server=server client=client1 other=server: 7 8")


def test_the_answer_came_after_the_notice_was_forgotten():
    late = NAMED.format("address=10.0.0.1,10.1.0.1").replace("9   ", "9 +30s")
    (line,) = told(NSM010, "host ns 10.0.0.53", HELD, FOREIGN, late, ENDS).says
    assert line.startswith("error suspected")


NODE = """
    host ns 10.0.0.53
    host node 10.0.0.99 name=node
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3        ns      > client2  DNS name={} address={}
     4  +60s  client2 > server   NLM_LOCK fh=B oh=2
     5        server  > client2  NLM4_DENIED_GRACE_PERIOD
     6        node    > client1  SM_NOTIFY mon_name=filer state=5
     7        client1 > node     OK
     8  +60s  client1 > server   NLM_LOCK fh=C oh=2
     9        server  > client1  NLM4_GRANTED
"""


def test_only_dns_tells_whose_notice_it_is():
    """The server never said its name, and the node has its own card."""
    (line,) = told(NSM010, NODE.format("filer", "10.0.0.1")).says
    assert line.startswith("error suspected server=server client=client1 other=node: 6 7")
    for nobody in (("other", "10.0.0.1"), ("filer", "10.0.0.98")):
        assert told(NSM010, NODE.format(*nobody)).says == []


def test_a_name_of_several_servers_is_nobodys():
    """A service behind round robin: the notice is of one of them, and DNS cannot tell of which."""
    more = "10 client1 > server2 NLM_LOCK fh=Z oh=2\n11 server2 > client1 NLM4_GRANTED"
    assert told(NSM010, NODE.format("filer", "10.0.0.1,10.0.0.2"), more).says == []
    assert told(NSM010, NODE.format("filer", "10.0.0.1,10.0.0.3"), more).says


FAILOVER = """
    host node 10.0.0.7 name=node
     1        client2 > server   ARP
     2        server  > client2  ARP reply
     3        client1 > server   GETPORT lockd
     4        server  > client1  port 4045
     5        client1 > server   NLM_LOCK fh=A oh=1@client1
     6        server  > client1  NLM4_GRANTED
     7  +30s  server  > server   ARP
     8        node    > client1  GETPORT statd
     9        client1 > node     port 662
    10        node    > client1  SM_NOTIFY mon_name=old-node state=5
    11        client1 > node     OK
"""
USED_AFTER_GRACE = """
    12 +100s  client1 > server   GETPORT lockd
    13        server  > client1  port 4050
    14        client1 > server   NLM_LOCK fh=B oh=1@client1
    15        server  > client1  NLM4_GRANTED
"""


def test_the_move_of_the_address_is_the_first_sign_of_the_failover():
    """sm-notify without -v: from the address of the node that took over, long before a client speaks to the server."""
    story = told_with_cards(NSM010, FAILOVER, USED_AFTER_GRACE, cards={"node": "moved"}, moved=7)
    assert story.says == ["error confirmed server=server client=client1 other=node: 10 11 6 7 13"]
    assert {f.code for f in story.everything if f.severity is Severity.ERROR} == {"NSM010"}


def test_the_address_stays_where_it_is():
    """The node is a stranger."""
    story = told_with_cards(NSM010, FAILOVER, USED_AFTER_GRACE, cards={"node": "elsewhere"})
    assert story.says == []


def test_a_connection_goes_on_over_the_move():
    """Of two bonded cards the other one took over, and lockd closes an idle connection later."""
    lines = """
        client2 > server   ARP
        server  > client2  ARP reply
        client1 > server   NLM_LOCK fh=A oh=1 tcp
        server  > client1  NLM4_GRANTED
  +30s  server  > server   ARP
        client1 > server   NLM_TEST fh=A oh=1 tcp
        server  > client1  SYSTEM_ERR
 +300s  server  > client1  FIN nlm
    """
    numbered = [f"{n} {line}" for n, line in enumerate(filter(str.strip, lines.splitlines()), 1)]
    story = told_with_cards(NSM010, *numbered, moved=5)
    assert story.history.boots == []


def test_a_move_alone_is_no_restart():
    story = told_with_cards(
        NSM010, FAILOVER, USED_AFTER_GRACE.replace("4050", "4045"), cards={"node": "moved"}, moved=7
    )
    assert story.says == []
    assert [boot.host for boot in story.history.boots] == [story.number("node")]
