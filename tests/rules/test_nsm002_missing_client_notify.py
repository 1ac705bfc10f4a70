"""NSM002: a client restarted and never told the server that holds its locks."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Outcome, Severity
from nlmdissect.history import looks
from nlmdissect.rules import BY_CODE

NSM002 = BY_CODE["NSM002"]

HELD = """
     1        client1 > server   NLM_LOCK fh=A oh=7 state=3
     2        server  > client1  NLM4_GRANTED
"""
NEW_LIFE = """
     3  +60s  client1 > server   NLM_LOCK fh=B oh=1 state=5
     4        server  > client1  NLM4_GRANTED
"""
REFUSED = """
     5        client2 > server   NLM_LOCK fh=A oh=1
     6        server  > client2  NLM4_DENIED
"""
LATER = """
     7  +60s  client2 > server   NLM_LOCK fh=A oh=1
     8        server  > client2  NLM4_DENIED
"""


def test_another_state_in_its_locks_and_others_are_refused():
    story = told(NSM002, HELD, NEW_LIFE, REFUSED, LATER)
    assert story.says == ["error confirmed server=server client=client1: 3 2 6 8"]


def test_a_waiter_is_harmed_too():
    story = told(
        NSM002,
        HELD,
        NEW_LIFE,
        """
         5        client2 > server   NLM_LOCK fh=A oh=1 block
         6        server  > client2  NLM4_BLOCKED
         7  +30s  client2 > server   POLL 5
         8        server  > client2  NLM4_BLOCKED
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 3 2 8"]


def test_it_told_the_server():
    story = told(
        NSM002,
        HELD,
        """
         3  +60s  client1 > server   SM_NOTIFY mon_name=client1 state=5
         4        server  > client1  OK
         5        client1 > server   NLM_LOCK fh=B oh=1 state=5
         6        server  > client1  NLM4_GRANTED
         7  +60s  client2 > server   NLM_LOCK fh=A oh=1
         8        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_the_capture_ends_too_soon():
    story = told(NSM002, HELD, NEW_LIFE, REFUSED)
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_only_tcp_was_captured():
    story = told(
        NSM002,
        """
         1        client1 > server   NLM_LOCK fh=A oh=7 state=3 tcp
         2        server  > client1  NLM4_GRANTED
         3  +60s  client1 > server   SYN nlm sport=901
         4        server  > client1  SYNACK nlm
         5        client1 > server   NLM_LOCK fh=B oh=1 state=5 tcp
         6        server  > client1  NLM4_GRANTED
         7        client2 > server   NLM_LOCK fh=A oh=1 tcp
         8        server  > client2  NLM4_DENIED
         9  +60s  client2 > server   NLM_LOCK fh=A oh=1 tcp
        10        server  > client2  NLM4_DENIED
    """,
    )
    assert story.says == ["error suspected server=server client=client1: 5 2 8 10"]


def test_one_direction_only():
    """Without the server's answers no lock is known to be held."""
    story = told(
        NSM002,
        """
         1        client1 > server   NLM_LOCK fh=A oh=7 state=3
         2  +60s  client1 > server   NLM_LOCK fh=B oh=1 state=5
         3  +60s  client2 > server   NLM_LOCK fh=A oh=1
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_nobody_was_harmed():
    story = told(
        NSM002,
        HELD,
        NEW_LIFE,
        """
         5  +60s  client2 > server   NLM_LOCK fh=C oh=1
         6        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == ["warning confirmed server=server client=client1: 3 2"]


def test_the_same_owner_took_the_lock_again():
    """Client kernels number their owners from 0: the next life's first process has the numbers of the last life's."""
    story = told(
        NSM002,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 state=3
         2        server  > client1  NLM4_GRANTED
         3  +60s  client1 > server   NLM_LOCK fh=A oh=1 state=5
         4        server  > client1  NLM4_GRANTED
         5        client1 > server   NLM_UNLOCK fh=A oh=1
         6        server  > client1  NLM4_GRANTED
         7  +60s  client2 > server   NLM_LOCK fh=A oh=2
         8        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == ["warning confirmed server=server client=client1: 3 2"]


def test_free_all_instead_of_a_notice():
    """What an unmonitored client (NM_LOCK) sends when it restarts."""
    story = told(
        NSM002,
        """
         1        client1 > server   NM_LOCK fh=A oh=7
         2        server  > client1  NLM4_GRANTED
         3  +60s  client1 > server   NLM_FREE_ALL name=client1 state=0
         4        server  > client1  OK
         5        client1 > server   NM_LOCK fh=B oh=1
         6        server  > client1  NLM4_GRANTED
         7  +60s  client2 > server   NLM_LOCK fh=A oh=1
         8        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []
    assert story.outcome is Outcome.CLEAN


def test_free_all_after_the_first_new_lock():
    story = told(
        NSM002,
        HELD,
        NEW_LIFE,
        """
         5        client1 > server   NLM_FREE_ALL name=client1 state=5
         6        server  > client1  OK
         7  +60s  client2 > server   NLM_LOCK fh=A oh=1
         8        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_a_living_client_that_mounts_again():
    story = told(
        NSM002,
        """
         1        client1 > server   MNT
         2        server  > client1  OK
         3        client1 > server   NLM_LOCK fh=A oh=7
         4        server  > client1  NLM4_GRANTED
         5  +60s  client1 > server   MNT
         6        server  > client1  OK
         7        client2 > server   NLM_LOCK fh=A oh=1
         8        server  > client2  NLM4_DENIED
         9  +60s  client2 > server   NLM_LOCK fh=A oh=1
        10        server  > client2  NLM4_DENIED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.history.boots == []


@pytest.mark.parametrize(("before", "after"), [(0, 5), (3, 0), (3, 3)])
def test_a_state_of_zero_means_unknown(before, after):
    story = told(
        NSM002,
        f"""
         1        client1 > server   NLM_LOCK fh=A oh=7 state={before}
         2        server  > client1  NLM4_GRANTED
         3  +60s  client1 > server   NLM_LOCK fh=B oh=1 state={after}
         4        server  > client1  NLM4_GRANTED
    """,
        REFUSED,
        LATER,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.history.boots == []


def test_it_held_nothing_at_the_restart():
    story = told(
        NSM002,
        """
         1        client1 > server   NLM_LOCK fh=A oh=7 state=3
         2        server  > client1  NLM4_GRANTED
         3        client1 > server   NLM_UNLOCK fh=A oh=7
         4        server  > client1  NLM4_GRANTED
         5  +60s  client1 > server   NLM_LOCK fh=B oh=1 state=5
         6        server  > client1  NLM4_GRANTED
         7  +60s  client2 > server   NLM_LOCK fh=A oh=1
         8        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_a_client_that_never_came_back():
    """Silence is NLM005's business."""
    story = told(
        NSM002,
        HELD,
        """
         3  +60s  client2 > server   NLM_LOCK fh=A oh=1
         4        server  > client2  NLM4_DENIED
         5  +600s client2 > server   NLM_LOCK fh=A oh=1
         6        server  > client2  NLM4_DENIED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_the_server_restarted_in_between():
    """It forgot the locks by itself."""
    story = told(
        NSM002,
        HELD,
        """
         3        client2 > server   NLM_LOCK fh=C oh=2
         4        server  > client2  NLM4_GRANTED
         5  +60s  server  > client2  SM_NOTIFY mon_name=server state=9
         6        client2 > server   OK
         7  +60s  client1 > server   NLM_LOCK fh=B oh=1 state=5
         8        server  > client1  NLM4_GRANTED
         9  +60s  client2 > server   NLM_LOCK fh=A oh=1
        10        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_somebody_is_refused_by_the_new_life_itself():
    """The next life asked for the lock as anybody would, and holds it: that it refuses others is in order."""
    story = told(
        NSM002,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 state=3
         2        server  > client1  NLM4_GRANTED
         3  +60s  client1 > server   NLM_LOCK fh=A oh=1 state=5
         4        server  > client1  NLM4_GRANTED
         5  +60s  client2 > server   NLM_LOCK fh=A oh=2
         6        server  > client2  NLM4_DENIED
    """,
    )
    assert story.says == ["warning confirmed server=server client=client1: 3 2"]


@pytest.mark.parametrize(("to", "says"), [("server/2", "suspected"), ("server2", "confirmed")])
def test_it_told_another_address(to, says):
    """Of the same server, as its callbacks name it: its statd is one. Or another server, which is another matter."""
    story = told(
        NSM002,
        f"""
    host server 10.0.0.1 10.1.0.1 name=server
     1        client3 > server/2 NLM_LOCK fh=Q oh=7 block
     2        server/2 > client3 NLM4_BLOCKED
     3        server/2 > client3 NLM_GRANTED_MSG fh=Q oh=7 svid=7
     4        client3 > server/2 NLM_GRANTED_RES NLM4_GRANTED
     5        client3 > server   NLM_LOCK fh=Q oh=7 block
     6        server  > client3  NLM4_BLOCKED
     7        server  > client3  NLM_GRANTED_MSG fh=Q oh=7 svid=7
     8        client3 > server   NLM_GRANTED_RES NLM4_GRANTED
     9        client1 > server   NLM_LOCK fh=A oh=1 state=3
    10        server  > client1  NLM4_GRANTED
    11  +60s  client1 > {to} SM_NOTIFY mon_name=client1 state=5
    12        {to} > client1 OK
    13        client1 > server   NLM_LOCK fh=B oh=2 state=5
    14        server  > client1  NLM4_GRANTED
    15  +60s  client2 > server   NLM_LOCK fh=A oh=2
    16        server  > client2  NLM4_DENIED
    """,
    )
    assert [line.partition(":")[0] for line in story.says] == [f"error {says} server=server client=client1"]


ASKS = """
     3  +60s  client1 > server   GETPORT statd
"""
BACK_AND_REFUSED = """
     {}        client1 > server   NLM_LOCK fh=B oh=1 state=5
     {}        server  > client1  NLM4_GRANTED
     {} +100s  client2 > server   NLM_LOCK fh=A oh=1
     {}        server  > client2  NLM4_DENIED
"""


def test_the_servers_statd_is_not_registered():
    """The client did want to tell: NSM008."""
    story = told(NSM002, HELD, ASKS, "4 server > client1 port 0", BACK_AND_REFUSED.format(5, 6, 7, 8))
    assert story.says == []
    (other,) = [f for f in story.everything if f.severity is Severity.ERROR]
    assert other.code == "NSM008"
    assert "sm-notify -f on the client" in other.remedy


def test_nobody_answers_where_the_servers_statd_is():
    story = told(NSM002, HELD, ASKS, BACK_AND_REFUSED.format(4, 5, 6, 7))
    assert story.says == ["error confirmed server=server client=client1: 3 4 2 7"]
    assert "got no answer" in story.findings[0].title
    assert "port 111 of the server" in story.findings[0].remedy


def test_a_port_was_found_and_no_notice_is_here():
    """It may have been sent and lost before the capture point."""
    story = told(NSM002, HELD, ASKS, "4 server > client1 port 662", BACK_AND_REFUSED.format(5, 6, 7, 8))
    assert story.says == ["error suspected server=server client=client1: 3 5 2 8"]


def test_the_server_has_given_it_to_another():
    """Then it was told, unseen, and holds nothing of the old life."""
    taken = REFUSED.replace("DENIED", "GRANTED")
    later = "7 +60s client1 > server NLM_TEST fh=B oh=1\n8 server > client1 NLM4_GRANTED"
    story = told(NSM002, HELD, NEW_LIFE, taken, later)
    assert story.says == []
    assert story.outcome is Outcome.CLEAN


def test_many_locks_and_many_refusals(monkeypatch: pytest.MonkeyPatch):
    """Whether a refusal is in order is found out once, not for each lock that is in its way."""
    monkeypatch.setattr(looks, "LOOKS", 20_000)
    locks = "\n".join(
        f"{2 * n + 1} client1 > server NLM_LOCK fh=A oh=7 range={2 * n}-{2 * n} state=3\n{2 * n + 2} server > client1 NLM4_GRANTED"
        for n in range(30)
    )
    polls = "\n".join(
        f"{n} +1s client2 > server NLM_LOCK fh=A oh=1\n{n + 1} server > client2 NLM4_DENIED" for n in range(63, 183, 2)
    )
    story = told(NSM002, locks, "61 +60s client1 > server NLM_LOCK fh=B oh=1 state=5\n62 server > client1 NLM4_GRANTED", polls)
    assert [says.partition(":")[0] for says in story.says] == ["error confirmed server=server client=client1"]
    assert "60 requests were refused" in story.findings[0].consequence
