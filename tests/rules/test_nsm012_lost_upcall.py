"""NSM012: statd took the NOTIFY but lockd was never told."""

from __future__ import annotations

import pytest
from support.captures import SHARED
from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.history.history import read_history
from nlmdissect.rules import BY_CODE, run

NSM012, NLM002, NSM002 = BY_CODE["NSM012"], BY_CODE["NLM002"], BY_CODE["NSM002"]

HELD = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3  +60s  client2 > server   NLM_LOCK fh=E oh=1
     4        server  > client2  NLM4_DENIED_GRACE_PERIOD
     5        server  > client1  SM_NOTIFY mon_name=server state=5
     6        client1 > server   OK
"""
GRACE_ENDS = """
     7  +60s  client2 > server   POLL 3
     8        server  > client2  NLM4_GRANTED
     9  +60s  client2 > server   NLM_UNLOCK fh=E oh=1
    10        server  > client2  NLM4_GRANTED
"""
CLIENT = """
    host lo 127.0.0.1 name=client1
     1   @0   lo > lo  SM_MON mon_name=10.0.0.1
     2        lo > lo  STAT_SUCC
"""
"""The notice is answered at 64 s of the network's clock."""
CALLS = """
     3 @64.1  lo > lo  NLM_SM_NOTIFY mon_name=10.0.0.1 state=5
     4  +5s   lo > lo  NLM_SM_NOTIFY mon_name=10.0.0.1 state=5
     5  +6s   lo > lo  NLM_SM_NOTIFY mon_name=10.0.0.1 state=5
     6  +6s   lo > lo  NLM_SM_NOTIFY mon_name=10.0.0.1 state=5
"""
LATER = " {}  @180  lo > lo  SM_UNMON mon_name=10.0.0.1"


def test_lockd_does_not_answer():
    story = told(NSM012, HELD, GRACE_ENDS, loopbacks=[CLIENT + CALLS + LATER.format(7)])
    assert story.says == ["error confirmed server=server client=client1: 1:3 6 1:4 1:5 1:6 2 4 5"]
    assert not [f for f in story.everything if f.code == "NLM002"]


def test_a_stolen_lock_follows_from_it():
    stolen = "11 client2 > server NLM_LOCK fh=A oh=2\n12 server > client2 NLM4_GRANTED"
    story = told(NSM012, HELD, GRACE_ENDS, stolen, loopbacks=[CLIENT + CALLS + LATER.format(7)])
    [theft] = [f for f in story.everything if f.code == "NLM004"]
    assert theft.caused_by is not None
    assert story.everything[theft.caused_by].code == "NSM012"


def test_lockd_is_not_registered_for_it():
    refused = """
     3 @64.1  lo > lo  NLM_SM_NOTIFY mon_name=10.0.0.1 state=5
     4        lo > lo  PROG_UNAVAIL
    """
    story = told(NSM012, HELD, GRACE_ENDS, loopbacks=[CLIENT + refused + LATER.format(5)])
    assert story.says == ["error confirmed server=server client=client1: 1:3 6 2 4 5"]


def test_one_of_the_calls_gets_through():
    late = CALLS + " 7        lo > lo  OK\n"
    story = told(NSM012, HELD, GRACE_ENDS, loopbacks=[CLIENT + late + LATER.format(8)])
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1
    assert [f.code for f in story.everything if f.severity == 2] == ["NLM002"]


def test_the_client_reclaims_all_the_same():
    """What the loopback capture lost was not lost."""
    reclaims = "7 client1 > server NLM_LOCK fh=A oh=1 reclaim\n8 server > client1 NLM4_GRANTED"
    story = told(NSM012, HELD, reclaims, loopbacks=[CLIENT + CALLS + LATER.format(7)])
    assert story.outcome is Outcome.CLEAN


def test_statd_does_not_call_at_all():
    story = told(NSM012, HELD, GRACE_ENDS, loopbacks=[CLIENT + LATER.format(3)])
    assert story.says == ["error suspected server=server client=client1: 6 2 4 5"]


def test_statd_has_no_reason_to_call():
    """The same state as after the restart before: it answers, and that is all (NSM006)."""
    before = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3  +60s  client2 > server   NLM_TEST fh=E oh=1
     4        server  > client2  NLM4_DENIED_GRACE_PERIOD
     5        server  > client1  SM_NOTIFY mon_name=server state=5
     6        client1 > server   OK
     7        client1 > server   NLM_LOCK fh=A oh=1 reclaim
     8        server  > client1  NLM4_GRANTED
     9  +60s  client2 > server   POLL 3
    10        server  > client2  NLM4_GRANTED
    11 +600s  client2 > server   NLM_TEST fh=F oh=1
    12        server  > client2  NLM4_DENIED_GRACE_PERIOD
    13        server  > client1  SM_NOTIFY mon_name=server state=5
    14        client1 > server   OK
    15  +60s  client2 > server   POLL 11
    16        server  > client2  NLM4_GRANTED
    """
    first = """
     3 @64.1  lo > lo  NLM_SM_NOTIFY mon_name=10.0.0.1 state=5
     4        lo > lo  OK
     5 @900   lo > lo  SM_UNMON mon_name=10.0.0.1
    """
    story = told(NSM012, before, loopbacks=[CLIENT + first])
    assert story.says == []
    assert [f.code for f in story.everything if f.severity == 2 and f.caused_by is None] == ["NSM006"]


def test_the_notice_came_from_a_stranger_to_this_client():
    """Another address than the locks were taken from (NSM010): statd rightly ignores it."""
    foreign = HELD.replace("5        server  >", "5        server/2 >").replace(
        "client1 > server   OK", "client1 > server/2 OK"
    )
    names = "11 server > client2 NLM_GRANTED fh=Z oh=9\n12 client2 > server NLM4_DENIED"
    story = told(
        NSM012,
        "host server 10.0.0.1 10.1.0.1",
        foreign,
        GRACE_ENDS,
        names,
        loopbacks=[CLIENT + LATER.format(3)],
    )
    assert story.says == []
    assert "NSM010" in [f.code for f in story.everything]


def test_the_loopback_capture_ends_too_soon():
    story = told(NSM012, HELD, GRACE_ENDS, loopbacks=[CLIENT + CALLS.splitlines()[1]])
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_there_is_no_loopback_capture_of_this_host():
    server = "host lo 127.0.0.1 name=server\n1 @0 lo > lo SM_MON mon_name=10.0.0.21\n2 @180 lo > lo STAT_SUCC"
    story = told(NSM012, HELD, GRACE_ENDS, loopbacks=[server])
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 0
    assert "NLM002" in [f.code for f in story.everything]


CLIENT_BACK = """
     1        client1 > server   NLM_LOCK fh=A oh=1 state=3 block
     2        server  > client1  NLM4_BLOCKED
     3        server  > client1  NLM_GRANTED fh=A oh=1
     4        client1 > server   NLM4_GRANTED
     5 @60    client1 > server   SM_NOTIFY mon_name=client1 state=5
     6        server  > client1  OK
     7        client1 > server   NLM_LOCK fh=B oh=7 state=5
     8        server  > client1  NLM4_GRANTED
"""
SERVER = """
    host lo 127.0.0.1 name=server
     1   @0   lo > lo  SM_MON mon_name=10.0.0.21
     2        lo > lo  STAT_SUCC
     3 @61.1  lo > lo  NLM_SM_NOTIFY mon_name=10.0.0.21 state=5
     4  +5s   lo > lo  NLM_SM_NOTIFY mon_name=10.0.0.21 state=5
     5 @150   lo > lo  SM_UNMON mon_name=10.0.0.21
"""


def test_a_server_does_not_hear_that_its_client_restarted():
    refused = " 9 @100    client2 > server   NLM_LOCK fh=A oh=2\n10        server  > client2  NLM4_DENIED"
    story = told(NSM012, CLIENT_BACK, refused, loopbacks=[SERVER])
    assert story.says == ["error confirmed server=server client=client1: 1:3 6 1:4 3 5"]


def test_a_server_that_frees_the_locks_has_heard_of_it():
    served = " 9 @100    client2 > server   NLM_LOCK fh=A oh=2\n10        server  > client2  NLM4_GRANTED"
    assert told(NSM012, CLIENT_BACK, served, loopbacks=[SERVER]).says == []


def test_recorded():
    files = [SHARED / "T14-loopback-upcall-dropped.pcap", *sorted(SHARED.glob("T14-loopback-upcall-dropped.lo.*"))]
    if len(files) < 2 or not files[0].exists():
        pytest.skip("the recording is not here")
    history = read_history(files)
    findings, _ = run(history)
    [found] = [f for f in findings if f.code == "NSM012"]
    assert history.names.address(found.client or 0) == "192.168.40.32"
    assert [e.at.frame for e in found.evidence if e.at.capture == found.evidence[0].at.capture][:1] == [117]


def test_a_loopback_capture_that_ends_after_the_call_was_heard():
    heard = """
     3 @64.1  lo > lo  NLM_SM_NOTIFY mon_name=10.0.0.1 state=5
     4        lo > lo  OK
    """
    story = told(NSM012, HELD, GRACE_ENDS, loopbacks=[CLIENT + heard])
    assert story.outcome is Outcome.CLEAN
    assert [f.code for f in story.everything if f.severity == 2] == ["NLM002"]
