"""NLM019: the two sides have no NLM version in common."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM019 = BY_CODE["NLM019"]

REFUSED = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  PROG_MISMATCH
"""
LATER = """
     3  +30s  client1 > server   NFS v3
     4        server  > client1  OK
"""


def test_no_other_version_is_tried():
    story = told(NLM019, REFUSED, LATER)
    assert story.says == ["error confirmed server=server client=client1: 2"]
    assert "wants NLM version 4" in story.findings[0].title
    assert story.findings[0].evidence[0].what.endswith("PROG_MISMATCH: 1 to 3")


def test_it_falls_back():
    story = told(
        NLM019,
        REFUSED,
        """
     3        client1 > server   NLM_LOCK v3 fh=A oh=1
     4        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_every_version_is_refused():
    story = told(
        NLM019,
        REFUSED,
        """
     3        client1 > server   NLM_LOCK v3 fh=A oh=1
     4        server  > client1  PROG_MISMATCH
     5  +30s  client1 > server   NFS v3
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 2 4"]


def test_the_capture_ends_too_early():
    assert told(NLM019, REFUSED).outcome is Outcome.NOT_ASSESSED


def test_a_callback():
    story = told(
        NLM019,
        """
     1        server  > client1  NLM_GRANTED fh=A
     2        client1 > server   PROG_MISMATCH
     3  +30s  client1 > server   NFS v3
    """,
    )
    assert story.says == ["warning confirmed server=server client=client1: 2"]


def test_other_errors_are_no_mismatch():
    assert told(NLM019, REFUSED.replace("PROG_MISMATCH", "PROG_UNAVAIL"), LATER).says == []


def test_only_the_answers_are_missing():
    story = told(NLM019, REFUSED.splitlines()[1], "    lost server > client1 PROG_MISMATCH")
    assert story.outcome is Outcome.CLEAN


def test_a_port_that_comes_later():
    """lockd was starting: PMAP002, if anything."""
    story = told(
        NLM019,
        """
     1        client1 > server   GETPORT lockd
     2        server  > client1  port 0
     3  +30s  client1 > server   GETPORT lockd
     4        server  > client1  port 4045
    """,
    )
    assert story.outcome is Outcome.CLEAN


LOOKUPS = """
     1        client1 > server   GETPORT lockd
     2        server  > client1  port 0
     3        client2 > server   GETPORT lockd nlm=3
     4        server  > client2  port 4045
"""


def test_only_another_version_is_registered():
    story = told(NLM019, LOOKUPS, "    5 +30s client1 > server NFS v3")
    assert story.says == ["error confirmed server=server client=client1: 2"]
    assert story.findings[0].evidence[0].what == "NLM version 4 is not registered; version 3 is"


def test_no_version_is_registered():
    """PMAP002, or no lockd at all."""
    story = told(NLM019, LOOKUPS.replace("port 4045", "port 0"), "    5 +30s client1 > server NFS v3")
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 0


def test_it_asks_for_the_other_version():
    story = told(
        NLM019,
        LOOKUPS,
        """
     5        client1 > server   GETPORT lockd nlm=3
     6        server  > client1  port 4045
     7        client1 > server   NLM_LOCK v3 fh=A oh=1
     8        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_the_private_call_of_statd():
    """Version 3 of a lockd that has only version 4: it is NSM012's business, and no client needs it."""
    network = "1 client1 > server NLM_LOCK fh=A oh=1\n2 server > client1 NLM4_GRANTED"
    private = """
    host lo 127.0.0.1 name=client1
    1 @0 lo > lo SM_MON mon_name=10.0.0.1
    2 lo > lo STAT_SUCC
    3 lo > lo NLM_SM_NOTIFY mon_name=10.0.0.1 state=5
    4 lo > lo PROG_MISMATCH
    5 @120 lo > lo SM_MON mon_name=10.0.0.1
    6 lo > lo STAT_SUCC
    """
    assert told(NLM019, network, loopbacks=[private]).says == []
