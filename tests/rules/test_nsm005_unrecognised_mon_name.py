"""NSM005: SM_NOTIFY was answered, but named a host that the receiver does not know, and nothing followed."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NSM005 = BY_CODE["NSM005"]

# An owner of two bytes is how illumos names them; its statd goes by names.
KNOWN_AS_SERVER = """
     1        client1 > server   NLM_LOCK fh=A oh=ab svid=100
     2        server  > client1  NLM4_GRANTED
     3  +60s  server  > client1  SM_NOTIFY mon_name=server state=5
     4        client1 > server   OK
     5        client1 > server   NLM_LOCK fh=A oh=ab svid=100 reclaim
     6        server  > client1  NLM4_GRANTED
     7  +60s  client2 > server   NLM_LOCK fh=B oh=2
     8        server  > client2  NLM4_GRANTED
"""
ANOTHER_NAME = """
     9  +900s server  > client1  SM_NOTIFY mon_name=othername state=7
    10        client1 > server   OK
"""
GRACE_ENDS = """
    11  +60s  client1 > server   NLM_LOCK fh=C oh=ab svid=100
    12        server  > client1  NLM4_GRANTED
"""


def test_another_name_than_before():
    story = told(NSM005, KNOWN_AS_SERVER, ANOTHER_NAME, GRACE_ENDS)
    assert story.says == ["error suspected server=server client=client1: 9 10 6"]


def test_it_reclaims_all_the_same():
    story = told(
        NSM005,
        KNOWN_AS_SERVER,
        ANOTHER_NAME,
        """
        11        client1 > server   NLM_LOCK fh=A oh=ab svid=100 reclaim
        12        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 2


def test_the_capture_ends_with_the_answer():
    """Linux asks for lockd's port within seconds, others later: it is too early to say that nothing followed."""
    story = told(NSM005, KNOWN_AS_SERVER, ANOTHER_NAME)
    assert story.says == []


def test_a_receiver_that_goes_by_addresses():
    """Linux takes the source address for a name."""
    story = told(
        NSM005,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3  +60s  server  > client1  SM_NOTIFY mon_name=server state=5
         4        client1 > server   OK
         5        client1 > server   NLM_LOCK fh=A oh=1 reclaim
         6        server  > client1  NLM4_GRANTED
         7  +60s  client2 > server   NLM_LOCK fh=B oh=2
         8        server  > client2  NLM4_GRANTED
    """,
        ANOTHER_NAME,
        """
        11  +60s  client1 > server   NLM_LOCK fh=C oh=1
        12        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


@pytest.mark.parametrize("name", ["SERVER", "Server.Example.COM"])
def test_case_and_domain_make_no_other_name(name):
    story = told(
        NSM005,
        KNOWN_AS_SERVER,
        f"""
         9  +900s server  > client1  SM_NOTIFY mon_name={name} state=7
        10        client1 > server   OK
    """,
        GRACE_ENDS,
    )
    assert story.says == []


def test_a_strange_full_name_and_then_the_right_short_one():
    """Linux sends both: judge only after the second."""
    story = told(
        NSM005,
        KNOWN_AS_SERVER,
        ANOTHER_NAME,
        """
        11        server  > client1  SM_NOTIFY mon_name=server state=7
        12        client1 > server   OK
        13  +60s  client1 > server   NLM_LOCK fh=C oh=ab svid=100
        14        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_the_server_named_itself_in_a_callback():
    story = told(
        NSM005,
        """
         1        client1 > server   NLM_LOCK fh=A oh=ab svid=100 block
         2        server  > client1  NLM4_BLOCKED
         3        server  > client1  NLM_GRANTED_MSG fh=A oh=ab svid=100 caller=server
         4        client1 > server   NLM_GRANTED_RES NLM4_GRANTED
         5  +60s  server  > client1  SM_NOTIFY mon_name=othername state=5
         6        client1 > server   OK
         7  +60s  client1 > server   NLM_LOCK fh=C oh=ab svid=100
         8        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == ["error suspected server=server client=client1: 5 6 3"]


def test_the_client_held_nothing():
    story = told(
        NSM005,
        KNOWN_AS_SERVER,
        """
         9        client1 > server   NLM_UNLOCK fh=A oh=ab svid=100
        10        server  > client1  NLM4_GRANTED
        11  +900s server  > client1  SM_NOTIFY mon_name=othername state=7
        12        client1 > server   OK
        13  +60s  client1 > server   NLM_LOCK fh=C oh=ab svid=100
        14        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_another_client_acts_on_the_same_name():
    story = told(
        NSM005,
        KNOWN_AS_SERVER,
        ANOTHER_NAME,
        """
        11        server  > client2  SM_NOTIFY mon_name=othername state=7
        12        client2 > server   OK
        13        client2 > server   NLM_LOCK fh=B oh=2 reclaim
        14        server  > client2  NLM4_GRANTED
        15  +60s  client1 > server   NLM_LOCK fh=C oh=ab svid=100
        16        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


LATER_ENDS = """
    12  +60s  client1 > server   NLM_LOCK fh=C oh=ab svid=100
    13        server  > client1  NLM4_GRANTED
"""


def test_its_own_resolver_gives_the_name_the_right_address():
    """illumos compares resolved addresses as well: it understood."""
    named = "11 ns > client1 DNS name=othername.example.com address=10.0.0.1"
    story = told(NSM005, "host ns 10.0.0.53", KNOWN_AS_SERVER, ANOTHER_NAME, named, LATER_ENDS)
    assert story.says == []
    assert "NLM002" in [f.code for f in story.everything]


@pytest.mark.parametrize(("asker", "frames"), [("client1", "9 10 11 6"), ("client2", "9 10 6")])
def test_a_resolver_gives_the_name_another_address(asker, frames):
    named = f"11 ns > {asker} DNS name=othername.example.com address=10.0.0.77"
    story = told(NSM005, "host ns 10.0.0.53", KNOWN_AS_SERVER, ANOTHER_NAME, named, LATER_ENDS)
    assert story.says == [f"error suspected server=server client=client1: {frames}"]


def test_a_resolver_that_told_somebody_else():
    named = "11 ns > client2 DNS name=othername.example.com address=10.0.0.1"
    assert told(NSM005, "host ns 10.0.0.53", KNOWN_AS_SERVER, ANOTHER_NAME, named, LATER_ENDS).says
