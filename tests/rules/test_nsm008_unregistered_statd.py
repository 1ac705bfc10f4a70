"""NSM008: a port lookup for 100024 answered 0 or "" and was not healed."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Outcome, Severity
from nlmdissect.rules import BY_CODE

NSM008, NSM001 = BY_CODE["NSM008"], BY_CODE["NSM001"]

HELD = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3  +60s  client2 > server   NLM_LOCK fh=E oh=1
     4        server  > client2  NLM4_DENIED_GRACE_PERIOD
     5        server  > client1  GETPORT statd
     6        client1 > server   port 0
"""
GRACE_ENDS = """
     7  +60s  client2 > server   POLL 3
     8        server  > client2  NLM4_GRANTED
"""


def test_statd_is_not_there():
    story = told(NSM008, HELD, GRACE_ENDS)
    assert story.says == ["error confirmed server=server client=client1: 6 5 2 4"]
    assert not told(NSM001, HELD, GRACE_ENDS).says


def test_registered_at_the_next_question():
    story = told(
        NSM008,
        HELD,
        """
         7  +20s  server  > client1  GETPORT statd
         8        client1 > server   port 662
         9        server  > client1  SM_NOTIFY mon_name=server state=5
        10        client1 > server   OK
        11        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        12        server  > client1  NLM4_GRANTED
        13  +60s  client2 > server   POLL 3
        14        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_registered_only_after_the_grace_period():
    story = told(
        NSM008,
        HELD,
        GRACE_ENDS,
        """
         9  +60s  server  > client1  GETPORT statd
        10        client1 > server   port 662
        11        server  > client1  SM_NOTIFY mon_name=server state=5
        12        client1 > server   OK
    """,
    )
    assert len(story.says) == 1
    assert story.says[0].startswith("error confirmed server=server client=client1: 6 5")


def test_the_client_held_nothing():
    story = told(
        NSM008,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3        client1 > server   NLM_UNLOCK fh=A oh=1
         4        server  > client1  NLM4_GRANTED
         5  +60s  client2 > server   NLM_LOCK fh=E oh=1
         6        server  > client2  NLM4_DENIED_GRACE_PERIOD
         7        server  > client1  GETPORT statd
         8        client1 > server   port 0
         9  +60s  client2 > server   POLL 5
        10        server  > client2  NLM4_GRANTED
    """,
    )
    assert not [line for line in story.says if line.startswith("error")]


def test_the_capture_ends_in_the_grace_period():
    story = told(NSM008, HELD)
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


@pytest.mark.parametrize(
    ("when", "says", "outcome"),
    [
        ("+160s", ["error confirmed server=server client=client1"], Outcome.FOUND),
        ("+90s", ["error suspected server=server client=client1"], Outcome.SUSPECTED),
        ("+10s", [], Outcome.NOT_ASSESSED),
    ],
)
def test_a_client_cannot_tell_its_server(when, says, outcome):
    """Linux asks again after two minutes."""
    story = told(
        NSM008,
        f"""
         1        client1 > server   NLM_LOCK fh=A oh=1 state=3
         2        server  > client1  NLM4_GRANTED
         3  +60s  client1 > server   NLM_LOCK fh=B oh=1 state=5
         4        server  > client1  NLM4_GRANTED
         5        client1 > server   GETPORT statd
         6        server  > client1  port 0
         7 {when}  client2 > server   NLM_LOCK fh=A oh=1
         8        server  > client2  NLM4_DENIED
    """,
    )
    assert [line.partition(":")[0] for line in story.says] == says
    assert story.outcome is outcome


def test_a_question_for_another_program():
    story = told(NSM008, HELD.replace("statd", "lockd"), GRACE_ENDS)
    assert story.says == []


def test_the_client_was_told_all_the_same():
    """It reclaims: a notice that the capture did not see, from another address perhaps."""
    story = told(
        NSM008,
        HELD,
        """
         7        client1 > server   NLM_LOCK fh=A oh=1 reclaim
         8        server  > client1  NLM4_GRANTED
         9  +60s  client2 > server   POLL 3
        10        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_registered_for_another_transport():
    """TCP is not what sm-notify needs; the next question is about UDP."""
    story = told(
        NSM008,
        HELD.replace("GETPORT statd", "GETPORT statd proto-tcp"),
        """
         7        server  > client1  GETPORT statd
         8        client1 > server   port 662
         9        server  > client1  SM_NOTIFY mon_name=server state=5
        10        client1 > server   OK
        11        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        12        server  > client1  NLM4_GRANTED
        13  +60s  client2 > server   POLL 3
        14        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_notices_went_out_before_it_vanished():
    """Unanswered notices are NSM003, whatever the portmapper says afterwards."""
    story = told(
        NSM008,
        HELD.replace("port 0", "port 662"),
        """
         7        server  > client1  SM_NOTIFY mon_name=server state=5
         8   +2s  server  > client1  SM_NOTIFY mon_name=server state=5
         9   +4s  server  > client1  SM_NOTIFY mon_name=server state=5
        10   +8s  server  > client1  SM_NOTIFY mon_name=server state=5
        11  +16s  server  > client1  GETPORT statd
        12        client1 > server   port 0
        13  +60s  client2 > server   POLL 3
        14        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []
    assert [f.code for f in story.everything if f.severity is Severity.ERROR] == ["NSM003"]


def test_something_that_was_sent_is_not_in_the_capture():
    """sm-notify counts its xids up over all that it sends."""
    story = told(
        NSM008,
        HELD.replace("GETPORT statd", "GETPORT statd xid=100 sport=800"),
        """
         7        server  > client2  GETPORT statd xid=103 sport=800
         8        client2 > server   port 0
         9  +60s  client2 > server   POLL 3
        10        server  > client2  NLM4_GRANTED
    """,
    )
    assert [line.partition(":")[0] for line in story.says][:1] == ["error suspected server=server client=client1"]


def test_the_question_is_asked_in_peace():
    """No restart: monitoring tools ask too."""
    story = told(NSM008, "1 server > client1 GETPORT statd\n2 client1 > server port 0")
    assert story.outcome is Outcome.CLEAN
