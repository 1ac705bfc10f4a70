"""NLM009: the lock became free, and the waiter was never called."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM009 = BY_CODE["NLM009"]

FREED = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3        client2 > server   NLM_LOCK fh=A oh=2 block
     4        server  > client2  NLM4_BLOCKED
     5        client1 > server   NLM_UNLOCK fh=A oh=1
     6        server  > client1  NLM4_GRANTED
"""


def test_only_the_poll_wins_it():
    story = told(
        NLM009,
        FREED,
        """
         7  +25s  client2 > server   POLL 3
         8        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == ["warning confirmed server=server client=client2: 6 4 2 8"]


def test_it_waits_on():
    story = told(NLM009, FREED, "     7  +70s  client1 > server   NFS")
    assert story.says == ["warning suspected server=server client=client2: 6 4 2"]


def test_the_poll_was_only_faster():
    story = told(
        NLM009,
        FREED,
        """
         7        client2 > server   POLL 3
         8        server  > client2  NLM4_GRANTED
         9  +70s  client1 > server   NFS
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_called_back():
    story = told(
        NLM009,
        FREED,
        """
         7        server  > client2  NLM_GRANTED_MSG fh=A oh=2
         8  +70s  client1 > server   NFS
    """,
    )
    assert story.says == []


def test_the_callback_is_sent_before_the_answer_to_the_unlock():
    story = told(
        NLM009,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3        client2 > server   NLM_LOCK fh=A oh=2 block
         4        server  > client2  NLM4_BLOCKED
         5        client1 > server   NLM_UNLOCK fh=A oh=1
         6        server  > client2  NLM_GRANTED_MSG fh=A oh=2
         7        server  > client1  NLM4_GRANTED to=5
         8  +70s  client1 > server   NFS
    """,
    )
    assert story.says == []


def test_only_looked_up():
    """The port is known and nothing follows: PMAP001, not this."""
    story = told(
        NLM009,
        FREED,
        """
         7        server  > client2  GETPORT lockd
         8        client2 > server   port 4045
         9  +70s  client1 > server   NFS
    """,
    )
    assert story.says == []


def test_only_connection_attempts():
    story = told(
        NLM009,
        FREED,
        """
         7        server  > client2  SYN nlm
         8  +70s  client1 > server   NFS
    """,
    )
    assert story.says == []


def test_another_waiter_was_served_first():
    story = told(
        NLM009,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3        client2 > server   NLM_LOCK fh=A oh=2 block
         4        server  > client2  NLM4_BLOCKED
         5        client3 > server   NLM_LOCK fh=A oh=3 block
         6        server  > client3  NLM4_BLOCKED
         7        client1 > server   NLM_UNLOCK fh=A oh=1
         8        server  > client1  NLM4_GRANTED
         9        server  > client3  NLM_GRANTED_MSG fh=A oh=3
        10        client3 > server   NLM_GRANTED_RES NLM4_GRANTED
        11  +70s  client1 > server   NFS
    """,
    )
    assert story.says == []


def test_a_part_of_what_is_in_the_way_is_unlocked():
    story = told(
        NLM009,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 range=0-99
         2        server  > client1  NLM4_GRANTED
         3        client2 > server   NLM_LOCK fh=A oh=2 range=0-99 block
         4        server  > client2  NLM4_BLOCKED
         5        client1 > server   NLM_UNLOCK fh=A oh=1 range=0-49
         6        server  > client1  NLM4_GRANTED
         7  +70s  client1 > server   NFS
    """,
    )
    assert story.says == []


def test_blocked_again_after_the_unlock():
    """Somebody who is not seen here has it."""
    story = told(
        NLM009,
        FREED,
        """
         7  +25s  client2 > server   POLL 3
         8        server  > client2  NLM4_BLOCKED
         9  +70s  client1 > server   NFS
    """,
    )
    assert story.says == []


def test_the_callback_is_lost_to_the_capture():
    """The waiter unlocks, so it was called."""
    story = told(
        NLM009,
        FREED,
        """
      lost        server  > client2  NLM_GRANTED_MSG fh=A oh=2
         7        client2 > server   NLM_GRANTED_RES NLM4_GRANTED
         8  +70s  client2 > server   NLM_UNLOCK fh=A oh=2
         9        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_the_capture_ends_too_soon():
    story = told(NLM009, FREED, "     7  +30s  client1 > server   NFS")
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_called_from_another_address_of_the_server():
    called = """
     7        server/2 > client2 NLM_GRANTED_MSG fh=A oh=2 svid=2
     8        client2 > server/2 NLM_GRANTED_RES NLM4_GRANTED
     9  +70s  client1 > server   NFS
    """
    story = told(NLM009, "host server 10.0.0.1 10.1.0.1", FREED, called)
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_a_callback_for_another_file_with_the_same_numbers():
    """FreeBSD tells the waits of one owner apart by range and svid alone: the first file is never served then."""
    called = """
     7        client2 > server   NLM_LOCK fh=B oh=2 block
     8        server  > client2  NLM4_BLOCKED
     9        server  > client2  NLM_GRANTED_MSG fh=B oh=2 svid=2
    10        client2 > server   NLM_GRANTED_RES NLM4_GRANTED
    11  +70s  client1 > server   NFS
    """
    assert told(NLM009, FREED, called).says == ["warning suspected server=server client=client2: 6 4 2"]


POLL_WINS = """
     {}  +20s  client2 > server   POLL 3
     {}        server  > client2  NLM4_GRANTED
"""


def test_the_look_up_is_never_answered():
    """The waiter's firewall lets nothing in, not even to port 111."""
    looks = """
     7        server  > client2  GETPORT lockd
     8   +5s  server  > client2  AGAIN 7
    """
    story = told(NLM009, FREED, looks, POLL_WINS.format(9, 10))
    assert story.says == ["warning confirmed server=server client=client2: 6 4 2 10 7 8"]
    assert "asked for the port of its lockd and got no answer" in story.findings[0].title
    assert "port 111" in story.findings[0].remedy


def test_the_waiters_lockd_is_not_registered():
    looks = """
     7        server  > client2  GETPORT lockd
     8        client2 > server   port 0
    """
    story = told(NLM009, FREED, looks, POLL_WINS.format(9, 10))
    assert story.says == ["warning confirmed server=server client=client2: 6 4 2 10 7 8"]
    assert "not registered" in story.findings[0].title


def test_the_waiter_is_down():
    looks = """
     7        server  > client2  GETPORT lockd
     8   +5s  server  > client2  AGAIN 7
     9  +90s  client1 > server   NLM_TEST fh=A oh=1
    10        server  > client1  NLM4_DENIED
    """
    story = told(NLM009, FREED, looks)
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_freed_by_the_notice_of_the_holder():
    """It is this that is cited, not the UNLOCK of another range later. When the server did free it nothing shows."""
    story = told(
        NLM009,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 range=0-9
         2        server  > client1  NLM4_GRANTED
         3        client3 > server   NLM_LOCK fh=A oh=3 range=100-109
         4        server  > client3  NLM4_GRANTED
         5        client2 > server   NLM_LOCK fh=A oh=2 range=0-9 block
         6        server  > client2  NLM4_BLOCKED
         7   +5s  client1 > server   SM_NOTIFY mon_name=client1 state=5
         8        server  > client1  OK
         9   +3s  client3 > server   NLM_UNLOCK fh=A oh=3 range=100-109
        10        server  > client3  NLM4_GRANTED
        11  +20s  client2 > server   NLM_LOCK fh=A oh=2 range=0-9 block
        12        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == ["warning suspected server=server client=client2: 7 6 2 12"]
    assert "after client1" in story.findings[0].title
    assert "restarted and said so" in story.findings[0].title
