"""NLM006: locks of a living client were released."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Confidence, Outcome, Severity
from nlmdissect.rules import BY_CODE

NLM006, NLM011 = BY_CODE["NLM006"], BY_CODE["NLM011"]

HELD = """
     1        client1 > server   NLM_LOCK fh=A oh=1 tcp
     2        server  > client1  NLM4_GRANTED
     3  +60s  client1 > server   SM_NOTIFY mon_name=client1 state=7
     4        server  > client1  OK
"""
TAKEN = """
     5        client2 > server   NLM_LOCK fh=A oh=2
     6        server  > client2  NLM4_GRANTED
     7        client1 > server   NLM_LOCK fh=B oh=1 tcp
     8        server  > client1  NLM4_GRANTED
"""


def test_a_notice_in_the_name_of_a_client_that_lives_on():
    story = told(NLM006, HELD, TAKEN)
    assert story.says == ["error confirmed server=server client=client1: 6 2 3"]
    assert not told(NLM011, HELD, TAKEN).says


def test_the_client_did_restart():
    story = told(
        NLM006,
        HELD,
        """
         5        client2 > server   NLM_LOCK fh=A oh=2
         6        server  > client2  NLM4_GRANTED
         7        client1 > server   SYN nlm sport=901
         8        server  > client1  SYNACK nlm
         9        client1 > server   NLM_LOCK fh=B oh=1 tcp state=7
        10        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_the_lock_is_still_refused_to_others():
    story = told(
        NLM006,
        HELD,
        """
         5        client2 > server   NLM_LOCK fh=A oh=2
         6        server  > client2  NLM4_DENIED
         7        client1 > server   NLM_LOCK fh=B oh=1 tcp
         8        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_unlocked_in_between():
    story = told(
        NLM006,
        HELD,
        """
         5        client1 > server   NLM_UNLOCK fh=A oh=1 tcp
         6        server  > client1  NLM4_GRANTED
         7        client2 > server   NLM_LOCK fh=A oh=2
         8        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_the_capture_ends_before_anybody_asks():
    story = told(NLM006, HELD, "5 client1 > server NFS")
    assert story.says == []


def test_a_clone_restarted():
    """Servers that go by names free the locks of both."""
    story = told(
        NLM006,
        """
        host client1 10.0.0.21 name=clone
        host client2 10.0.0.22 name=clone
         1        client1 > server   NLM_LOCK fh=A oh=1 tcp
         2        server  > client1  NLM4_GRANTED
         3        client2 > server   NLM_LOCK fh=B oh=1
         4        server  > client2  NLM4_GRANTED
         5  +60s  client2 > server   SM_NOTIFY mon_name=clone state=7
         6        server  > client2  OK
         7        client3 > server   NLM_LOCK fh=A oh=3
         8        server  > client3  NLM4_GRANTED
         9        client1 > server   NLM_LOCK fh=C oh=1 tcp
        10        server  > client1  NLM4_GRANTED
    """,
    )
    assert len(story.says) == 1
    assert story.says[0].startswith("error confirmed server=server client=client1: 8 2 5")


@pytest.mark.parametrize("lost", ["NLM_UNLOCK fh=A oh=1 tcp"])
def test_the_capture_lost_what_the_client_said(lost):
    story = told(
        NLM006,
        HELD,
        f"""
        lost      client1 > server   {lost}
        lost      server  > client1  NLM4_GRANTED
         5        client2 > server   NLM_LOCK fh=A oh=2
         6        server  > client2  NLM4_GRANTED
         7        client1 > server   NLM_LOCK fh=B oh=1 tcp
         8        server  > client1  NLM4_GRANTED
         9  +10s  client1 > server   NLM_LOCK fh=C oh=1 tcp
        10        server  > client1  NLM4_GRANTED
    """,
    )
    assert not [line for line in story.says if "confirmed" in line]


def test_the_client_gave_the_lock_back_and_took_it_again():
    """Then what others get is another matter."""
    story = told(
        NLM006,
        HELD,
        """
         5        client1 > server   NLM_UNLOCK fh=A oh=1 tcp
         6        server  > client1  NLM4_GRANTED
         7        client1 > server   NLM_LOCK fh=A oh=1 tcp
         8        server  > client1  NLM4_GRANTED
         9        client2 > server   NLM_LOCK fh=A oh=2
        10        server  > client2  NLM4_DENIED
    """,
    )
    assert story.says == []


def test_a_shared_lock_beside_a_shared_lock():
    story = told(
        NLM006,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 tcp shared
         2        server  > client1  NLM4_GRANTED
         3  +60s  client1 > server   SM_NOTIFY mon_name=client1 state=7
         4        server  > client1  OK
         5        client2 > server   NLM_LOCK fh=A oh=2 shared
         6        server  > client2  NLM4_GRANTED
         7        client1 > server   NLM_LOCK fh=B oh=1 tcp
         8        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_a_statd_that_restarts_in_a_container():
    """The client's new locks carry the new state; its old ones were dropped all the same."""
    story = told(
        NLM006,
        HELD,
        """
         5        client1 > server   NLM_LOCK fh=B oh=1 tcp state=7
         6        server  > client1  NLM4_GRANTED
         7        client2 > server   NLM_LOCK fh=A oh=2
         8        server  > client2  NLM4_GRANTED
         9        client1 > server   NLM_LOCK fh=C oh=1 tcp state=7
        10        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 8 2 3"]
    assert "NSM009" in [f.code for f in story.everything]


def test_the_server_did_restart():
    """What it forgot then was not dropped for the notice: NSM001 and NLM004."""
    story = told(
        NLM006,
        HELD,
        """
         5  +60s  client3 > server   NLM_LOCK fh=E oh=3
         6        server  > client3  NLM4_DENIED_GRACE_PERIOD
         7  +90s  client2 > server   NLM_LOCK fh=A oh=2
         8        server  > client2  NLM4_GRANTED
         9        client1 > server   NLM_LOCK fh=C oh=1 tcp
        10        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []
    assert "NLM004" in [f.code for f in story.everything]


def test_nothing_shows_that_the_client_lived():
    """Over UDP, without another call of it afterwards, this is how a restart looks."""
    story = told(
        NLM006,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3  +60s  client1 > server   SM_NOTIFY mon_name=client1 state=7
         4        server  > client1  OK
         5        client2 > server   NLM_LOCK fh=A oh=2
         6        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN


RENUMBERED = """
    host new 10.0.0.77 name=client1
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3  +60s  new     > server   SM_NOTIFY mon_name=client1 state=5
     4        server  > new      OK
     5        client2 > server   NLM_LOCK fh=A oh=2
     6        server  > client2  NLM4_GRANTED
"""


def test_the_client_may_have_come_back_at_another_address():
    story = told(NLM006, RENUMBERED, "7 +60s client2 > server NFS")
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED
    assert "came back as 10.0.0.77" in story.result.reasons[0]
    assert not [f for f in story.everything if f.severity is Severity.ERROR]


def test_the_old_address_is_heard_again():
    story = told(NLM006, RENUMBERED, "7 +60s client1 > server NLM_LOCK fh=B oh=1")
    assert [line.partition(":")[0] for line in story.says] == ["error confirmed server=server client=client1"]


BEHIND_ONE_ADDRESS = """
     1        client1 > server   NLM_LOCK fh=A oh=1@vm1 svid=1 caller=vm1 state=3
     2        server  > client1  NLM4_GRANTED
     3        client1 > server   NLM_LOCK fh=B oh=2@vm2 svid=2 caller=vm2 state=3
     4        server  > client1  NLM4_GRANTED
     5  +60s  client1 > server   SM_NOTIFY mon_name=vm1 state=5
     6        server  > client1  OK
     7  +10s  client2 > server   NLM_LOCK fh={} oh=1@client2
     8        server  > client2  NLM4_GRANTED
"""
SPEAKS_ON = "9 client1 > server NLM_TEST fh=Q oh=2@vm2 svid=2 caller=vm2\n10 server > client1 NLM4_GRANTED"


def test_another_host_behind_the_address_restarted():
    """The server knows one client there, and frees what both held."""
    (found,) = told(NLM006, BEHIND_ONE_ADDRESS.format("B"), SPEAKS_ON).findings
    assert found.severity is Severity.ERROR
    assert found.confidence is Confidence.SUSPECTED
    assert [lock.caller_name for lock in found.locks] == ["vm2"]


def test_what_the_restarted_one_held_behind_the_address_is_free():
    assert told(NLM006, BEHIND_ONE_ADDRESS.format("A"), SPEAKS_ON).says == []


def test_the_other_one_is_not_heard_again():
    assert told(NLM006, BEHIND_ONE_ADDRESS.format("B")).says == []
