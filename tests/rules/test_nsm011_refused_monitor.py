"""NSM011: SM_MON failed, or locks are refused because a peer cannot be monitored."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome, Severity
from nlmdissect.rules import BY_CODE

NSM011 = BY_CODE["NSM011"]

REFUSED = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_DENIED_NOLOCKS
     3  +20s  client1 > server   NLM_LOCK fh=B oh=1
     4        server  > client1  NLM4_DENIED_NOLOCKS
"""
OTHERS = """
     5        client2 > server   NLM_LOCK fh=C oh=2
     6        server  > client2  NLM4_GRANTED
"""
SERVER = """
    host lo 127.0.0.1 name=server
     1   @0   lo > lo  SM_MON mon_name=10.0.0.21
     2        lo > lo  STAT_FAIL
"""
LATER = "{}  @60  lo > lo  SM_UNMON mon_name=10.0.0.99"


def test_one_client_is_refused_and_others_are_served():
    story = told(NSM011, REFUSED, OTHERS)
    assert story.says == ["error suspected server=server client=client1: 2 4"]


def test_the_same_client_is_served_later():
    later = "7 +60s client1 > server NLM_LOCK fh=A oh=1\n8 server > client1 NLM4_GRANTED"
    assert told(NSM011, REFUSED, OTHERS, later).says == ["warning suspected server=server client=client1: 2 4 8"]


def test_nobody_is_served():
    """nfsd is not running, or there is no memory: that is not about monitoring."""
    story = told(
        NSM011,
        REFUSED,
        """
         5        client2 > server   NLM_LOCK fh=C oh=2
         6        server  > client2  NLM4_DENIED_NOLOCKS
    """,
    )
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_everybody_is_refused_while_the_server_starts():
    story = told(
        NSM011,
        REFUSED,
        """
         5        client2 > server   NLM_LOCK fh=C oh=2
         6        server  > client2  NLM4_DENIED_NOLOCKS
         7  +20s  client2 > server   NLM_LOCK fh=C oh=2
         8        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_once_is_no_run():
    story = told(
        NSM011,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_DENIED_NOLOCKS
         3        client2 > server   NLM_LOCK fh=C oh=2
         4        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_one_request_and_its_retransmission_are_no_run():
    story = told(
        NSM011,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_DENIED_NOLOCKS
         3        client1 > server   AGAIN 1
         4        server  > client1  NLM4_DENIED_NOLOCKS
    """,
        OTHERS,
    )
    assert story.says == []


def test_served_in_between():
    """Out of memory now and then: a server that cannot monitor a client does not serve it at all."""
    story = told(
        NSM011,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_DENIED_NOLOCKS
         3        client1 > server   NLM_LOCK fh=A oh=1
         4        server  > client1  NLM4_GRANTED
    """,
        OTHERS,
        """
         7        client1 > server   NLM_LOCK fh=B oh=1
         8        server  > client1  NLM4_DENIED_NOLOCKS
    """,
    )
    assert story.says == []


def test_refused_reclaims_are_another_finding():
    story = told(
        NSM011,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 reclaim
         2        server  > client1  NLM4_DENIED_NOLOCKS
         3        client1 > server   NLM_LOCK fh=B oh=1 reclaim
         4        server  > client1  NLM4_DENIED_NOLOCKS
    """,
        OTHERS,
    )
    assert story.says == []


def test_other_refusals():
    assert told(NSM011, REFUSED.replace("DENIED_NOLOCKS", "DENIED"), OTHERS).outcome is Outcome.CLEAN


def test_the_loopback_of_the_server_proves_it():
    """Even one refusal."""
    story = told(
        NSM011,
        "1 client1 > server NLM_LOCK fh=A oh=1\n2 server > client1 NLM4_DENIED_NOLOCKS",
        loopbacks=[SERVER],
    )
    assert story.says == ["error confirmed server=server client=client1: 2 1:1"]


def test_the_loopback_of_the_server_says_that_it_monitors():
    story = told(
        NSM011,
        "1 client1 > server NLM_LOCK fh=A oh=1\n2 server > client1 NLM4_DENIED_NOLOCKS",
        loopbacks=[SERVER.replace("FAIL", "SUCC")],
    )
    assert story.says == []


CLIENT_MOUNTS = """
     1        client1 > server   MNT
     2        server  > client1  OK
     3        client2 > server   NLM_LOCK fh=C oh=2
     4        server  > client2  NLM4_GRANTED
"""
CLIENT = """
    host lo 127.0.0.1 name=client1
     1   @5   lo > lo  SM_MON mon_name=10.0.0.1
"""


def test_a_client_whose_statd_refuses_sends_no_lock():
    story = told(NSM011, CLIENT_MOUNTS, loopbacks=[CLIENT + " 2  lo > lo  STAT_FAIL"])
    assert story.says == ["error confirmed server=server client=client1: 1:1"]


def test_statd_does_not_answer():
    story = told(NSM011, CLIENT_MOUNTS, loopbacks=[CLIENT + LATER.format(2)])
    assert story.says == ["error confirmed server=server client=client1: 1:1"]


def test_the_capture_ends_before_statd_could_answer():
    assert told(NSM011, CLIENT_MOUNTS, loopbacks=[CLIENT]).says == ["error suspected server=server client=client1: 1:1"]


def test_statd_answers_the_next_time():
    again = " 2  +10s  lo > lo  SM_MON mon_name=10.0.0.1\n 3  lo > lo  STAT_SUCC\n" + LATER.format(4)
    assert told(NSM011, CLIENT_MOUNTS, loopbacks=[CLIENT + again]).says == [
        "warning confirmed server=server client=client1: 1:1 1:3"
    ]


def test_the_answer_is_missing_from_the_capture():
    """The lock that follows says that statd did answer."""
    lock = "5 @6 client1 > server NLM_LOCK fh=A oh=1\n6 server > client1 NLM4_GRANTED"
    assert told(NSM011, CLIENT_MOUNTS, lock, loopbacks=[CLIENT + LATER.format(2)]).says == [
        "warning suspected server=server client=client1: 1:1 6"
    ]


def test_one_peer_of_two():
    text = """
     2        lo > lo  STAT_FAIL
     3        lo > lo  SM_MON mon_name=10.0.0.2
     4        lo > lo  STAT_SUCC
    """
    story = told(NSM011, CLIENT_MOUNTS, loopbacks=[CLIENT + text])
    assert story.says == ["error confirmed server=server client=client1: 1:1"]


def test_names_that_no_address_is_known_for_are_findings_each():
    text = """
     host lo 127.0.0.1 name=client1
     1   @5   lo > lo  SM_MON mon_name=filer
     2        lo > lo  STAT_FAIL
     3        lo > lo  SM_MON mon_name=archive
     4        lo > lo  STAT_FAIL
    """
    story = told(NSM011, CLIENT_MOUNTS, loopbacks=[text])
    assert story.says == ["error confirmed client=client1: 1:1", "error confirmed client=client1: 1:3"]
    assert ["filer" in f.title for f in story.findings] == [True, False]


def test_a_loopback_by_itself():
    """Nothing says which host it is, but its own name for itself."""
    story = told(NSM011, CLIENT + " 2  lo > lo  STAT_FAIL")
    [found] = story.findings
    assert "statd on client1 " in found.title
    assert found.severity is Severity.ERROR
    assert found.server is None


OLD = """
     1        client1 > server   NLM_LOCK fh=A oh=1 {version}
     2        server  > client1  {status}
     3  +20s  client1 > server   NLM_LOCK fh={file} oh=2 {version}
     4        server  > client1  {status}
     5  +20s  client1 > server   NLM_LOCK fh=A oh=3 {version}
     6        server  > client1  {status}
     7        client2 > server   NLM_LOCK fh=B oh=2
     8        server  > client2  NLM4_GRANTED
"""


def test_a_version_without_a_word_for_other_errors():
    """In NLM 1 and 3 a stale handle is DENIED_NOLOCKS as well."""
    old = {"version": "v3", "status": "LCK_DENIED_NOLOCKS"}
    one = told(NSM011, OLD.format(file="A", **old))
    assert one.outcome is Outcome.NOT_ASSESSED
    assert "no other status" in one.result.reasons[0]
    assert told(NSM011, OLD.format(file="C", **old)).outcome is Outcome.SUSPECTED
    new = {"version": "v4", "status": "NLM4_DENIED_NOLOCKS"}
    assert told(NSM011, OLD.format(file="A", **new)).outcome is Outcome.SUSPECTED


ONCE_EACH = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3        client2 > server   NLM_LOCK fh=B oh=2
     4        server  > client2  NLM4_DENIED_NOLOCKS
     5        client3 > server   NLM_LOCK fh=C oh=3
     6        server  > client3  NLM4_DENIED_NOLOCKS
"""


def test_two_new_clients_are_refused_once_each():
    """The one that was monitored before statd died is served."""
    assert told(NSM011, ONCE_EACH).says == [
        "error suspected server=server client=client2: 4",
        "error suspected server=server client=client3: 6",
    ]


TESTED = """
     1        client1 > server   NLM_TEST fh=A oh=1
     2        server  > client1  {}
     3        client1 > server   NLM_LOCK fh=A oh=1
     4        server  > client1  NLM4_DENIED_NOLOCKS
"""


def test_its_test_is_decided():
    """The server has files, and memory: it lacks somebody who monitors."""
    for status in ("NLM4_GRANTED", "NLM4_DENIED"):
        assert told(NSM011, TESTED.format(status)).says == ["error suspected server=server client=client1: 4 2"]
    assert told(NSM011, TESTED.format("NLM4_DENIED_NOLOCKS")).says == []
