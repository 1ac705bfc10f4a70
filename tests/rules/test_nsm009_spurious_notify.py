"""NSM009: SM_NOTIFY without a restart, or from an address that is not the named host."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Confidence, Outcome, Severity
from nlmdissect.rules import BY_CODE

NSM009, NLM006 = BY_CODE["NSM009"], BY_CODE["NLM006"]

CLIENT_LIVES = """
     1        client1 > server   NLM_LOCK fh=A oh=1 tcp
     2        server  > client1  NLM4_GRANTED
     3  +60s  client1 > server   SM_NOTIFY mon_name=client1 state=7
     4        server  > client1  OK
     5        client1 > server   NFS
"""
STILL_ALIVE = """
     8        client1 > server   NLM_LOCK fh=B oh=1 tcp
     9        server  > client1  NLM4_GRANTED
"""


def test_the_server_drops_the_locks_of_a_client_that_lives():
    taken = """
         6        client2 > server   NLM_LOCK fh=A oh=2
         7        server  > client2  NLM4_GRANTED
    """
    story = told(NSM009, CLIENT_LIVES, taken, STILL_ALIVE)
    assert len(story.says) == 1
    assert story.says[0].startswith("error confirmed server=server client=client1: 3")
    assert told(NLM006, CLIENT_LIVES, taken, STILL_ALIVE).findings[0].caused_by is not None


def test_the_server_keeps_them():
    story = told(
        NSM009,
        CLIENT_LIVES,
        """
         6        client2 > server   NLM_LOCK fh=A oh=2
         7        server  > client2  NLM4_DENIED
    """,
        STILL_ALIVE,
    )
    assert story.says == ["info confirmed server=server client=client1: 3"]


def test_a_server_says_it_and_a_reclaim_is_refused():
    story = told(
        NSM009,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 tcp
         2        server  > client1  NLM4_GRANTED
         3  +60s  server  > client1  SM_NOTIFY mon_name=server state=7
         4        client1 > server   OK
         5        client1 > server   NLM_LOCK fh=A oh=1 reclaim tcp
         6        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert len(story.says) == 1
    assert story.says[0].startswith("warning confirmed server=server")
    assert story.says[0].split(": ")[1].split()[0] == "3"


def test_a_notice_is_often_the_first_packet_of_a_new_life():
    story = told(
        NSM009,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 tcp
         2        server  > client1  NLM4_GRANTED
         3  +60s  server  > client1  SM_NOTIFY mon_name=server state=7
         4        client1 > server   OK
         5        client1 > server   NLM_LOCK fh=A oh=1 reclaim tcp
         6        server  > client1  RST nlm
         7        client1 > server   SYN nlm sport=901
         8        server  > client1  SYNACK nlm
         9        client1 > server   AGAIN 5
        10        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_nothing_shows_that_the_host_lived_on():
    """Over UDP a host that restarted cannot be told from one that did not."""
    story = told(
        NSM009,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3  +60s  client1 > server   SM_NOTIFY mon_name=client1 state=7
         4        server  > client1  OK
         5        client2 > server   NLM_LOCK fh=A oh=2
         6        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_the_capture_ends_before_it_is_heard_again():
    story = told(
        NSM009,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 tcp
         2        server  > client1  NLM4_GRANTED
         3  +60s  client1 > server   SM_NOTIFY mon_name=client1 state=7
         4        server  > client1  OK
    """,
    )
    assert story.says == []


def test_somebody_else_says_it():
    story = told(
        NSM009,
        """
        host clone 10.0.0.66 name=clone
         1        client1 > server   NLM_LOCK fh=A oh=1 tcp
         2        server  > client1  NLM4_GRANTED
         3  +60s  clone   > server   SM_NOTIFY mon_name=client1 state=7
         4        server  > clone    OK
         5        client2 > server   NLM_LOCK fh=A oh=2
         6        server  > client2  NLM4_GRANTED
         7        client1 > server   NLM_LOCK fh=B oh=1 tcp
         8        server  > client1  NLM4_GRANTED
    """,
    )
    assert len(story.says) == 1
    assert story.says[0].startswith("error confirmed")
    assert "client=client1 other=clone: 3" in story.says[0]


def test_the_new_life_connects_before_its_sm_notify_runs():
    """A mount at boot may come some seconds before the notice; the new state in its locks says that it restarted."""
    story = told(
        NSM009,
        """
         1        client1 > server   SYN nlm
         2        server  > client1  SYNACK nlm
         3        client1 > server   NLM_LOCK fh=A oh=1 tcp state=3
         4        server  > client1  NLM4_GRANTED
         5  +60s  client1 > server   SYN nlm sport=901
         6        server  > client1  SYNACK nlm
         7   +5s  client1 > server   SM_NOTIFY mon_name=client1 state=5
         8        server  > client1  OK
         9        client1 > server   NLM_LOCK fh=A oh=2 tcp state=5
        10        server  > client1  NLM4_GRANTED
    """,
    )
    assert not [f.code for f in story.everything if f.code in ("NSM009", "NLM006", "NLM004")]


def test_a_real_restart_long_before_explains_nothing():
    """The lock was reclaimed then, and is held: the refusal lost nothing."""
    story = told(
        NSM009,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3  +60s  client2 > server   NLM_LOCK fh=B oh=1
         4        server  > client2  NLM4_DENIED_GRACE_PERIOD
         5        server  > client1  SM_NOTIFY mon_name=server state=5
         6        client1 > server   OK
         7        client1 > server   SYN nlm
         8        server  > client1  SYNACK nlm
         9        client1 > server   NLM_LOCK fh=A oh=1 reclaim tcp
        10        server  > client1  NLM4_GRANTED
        11  +60s  client2 > server   POLL 3
        12        server  > client2  NLM4_GRANTED
        13 +1000s server  > client1  SM_NOTIFY mon_name=server state=7
        14        client1 > server   OK
        15        client1 > server   NLM_LOCK fh=A oh=1 reclaim tcp
        16        server  > client1  NLM4_DENIED_GRACE_PERIOD
        17        client1 > server   NLM_LOCK fh=C oh=1 tcp
        18        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == ["warning confirmed server=server: 13 16"]
    assert not [f.code for f in story.everything if f.severity is Severity.ERROR]
    [late] = [f for f in story.everything if f.code == "NLM003"]
    assert late.caused_by is not None


def test_lockd_restarted_alone():
    """illumos notifies then, and rightly: the server's locks are gone, though its NFS connections go on."""
    story = told(
        NSM009,
        """
         1        client1 > server   NFS
         2        server  > client1  OK
         3        client1 > server   NLM_LOCK fh=A oh=1
         4        server  > client1  NLM4_GRANTED
         5  +60s  server  > client1  SM_NOTIFY mon_name=server state=7
         6        client1 > server   OK
         7        client2 > server   NLM_LOCK fh=B oh=1
         8        server  > client2  NLM4_DENIED_GRACE_PERIOD
         9        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        10        server  > client1  NLM4_GRANTED
        11        client1 > server   NFS
        12        server  > client1  OK
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_a_refusal_of_another_day():
    story = told(
        NSM009,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 tcp
         2        server  > client1  NLM4_GRANTED
         3  +60s  server  > client1  SM_NOTIFY mon_name=server state=7
         4        client1 > server   OK
         5 +9000s client1 > server   NLM_LOCK fh=A oh=1 reclaim tcp
         6        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert story.says == ["info confirmed server=server: 3"]


def test_several_clients_behind_one_address():
    """One of them may have restarted while the connection of another goes on."""
    story = told(
        NSM009,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 tcp
         2        server  > client1  NLM4_GRANTED
         3        client1 > server   NLM_LOCK fh=B oh=1 tcp caller=inner machine=inner
         4        server  > client1  NLM4_GRANTED
         5  +60s  client1 > server   SM_NOTIFY mon_name=inner state=7
         6        server  > client1  OK
         7        client2 > server   NLM_LOCK fh=A oh=2
         8        server  > client2  NLM4_GRANTED
         9        client1 > server   NLM_LOCK fh=C oh=1 tcp
        10        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == ["error suspected server=server client=client1: 5 8"]
    assert not [f for f in story.everything if f.severity is Severity.ERROR and f.confidence is Confidence.CONFIRMED]


def test_in_a_name_that_hundreds_have():
    """It is nobody's in particular, but not its sender's either, who has another one."""
    hosts = range(2, 103)
    many = [f"{n - 1} client{n} > server NLM_LOCK fh=B oh=1 caller=localhost range={n}-{n}" for n in hosts]
    said = """
       102        nas    > server   NLM_LOCK fh=C oh=1 caller=nas tcp
       103        server > nas      NLM4_GRANTED
       104  +60s  nas    > server   SM_NOTIFY mon_name=localhost state=5 alive
       105        server > nas      OK
       106        nas    > server   NLM_LOCK fh=D oh=1 caller=nas tcp
       107        server > nas      NLM4_GRANTED
    """
    story = told(NSM009, "host nas 10.0.0.9", "\n".join(many), said)
    assert story.says == []
    assert [d.reason for d in story.history.defects] == ["too_many_of_one_name"]
