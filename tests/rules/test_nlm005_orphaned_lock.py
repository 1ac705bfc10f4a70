"""NLM005: a dead client's lock stays and others are refused."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM005 = BY_CODE["NLM005"]

HELD = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
"""
WAITS = """
     3  +60s  client2 > server   NLM_LOCK fh=A oh=2 block
     4        server  > client2  NLM4_BLOCKED
"""


def test_nobody_answers_for_its_address():
    story = told(
        NLM005,
        HELD,
        WAITS,
        """
         5        server  > client1  ARP
         6        server  > client1  ARP
         7        server  > client1  ARP
         8  +28s  client2 > server   POLL 3
         9        server  > client2  NLM4_BLOCKED
    """,
    )
    assert story.says == ["error confirmed server=server client=client1 other=client2: 9 2 5"]


def test_a_router_says_that_it_cannot_be_reached():
    story = told(
        NLM005,
        """
        host router 10.0.0.254
    """,
        HELD,
        WAITS,
        """
         5        router  > server   ICMP host client1
         6  +28s  client2 > server   POLL 3
         7        server  > client2  NLM4_BLOCKED
    """,
    )
    assert story.says == ["error confirmed server=server client=client1 other=client2: 7 2 5"]


def test_five_minutes_of_silence_of_a_client_that_was_heard_often():
    story = told(
        NLM005,
        HELD,
        """
         3        client1 > server   NFS
         4        server  > client1  OK
         5  +20s  client1 > server   NFS
         6        server  > client1  OK
         7  +20s  client1 > server   NFS
         8        server  > client1  OK
         9        client2 > server   NLM_LOCK fh=A oh=2 block
        10        server  > client2  NLM4_BLOCKED
        11 +400s  client2 > server   POLL 9
        12        server  > client2  NLM4_BLOCKED
    """,
    )
    assert story.says == ["warning suspected server=server client=client1 other=client2: 12 2 7"]


def test_an_idle_holder_that_closed_its_connections_in_order():
    story = told(
        NLM005,
        """
         1        client1 > server   SYN nlm
         2        server  > client1  SYNACK nlm
         3        client1 > server   NLM_LOCK fh=A oh=1 tcp
         4        server  > client1  NLM4_GRANTED
         5  +20s  client1 > server   FIN nlm
         6        server  > client1  FIN nlm
         7        client2 > server   NLM_LOCK fh=A oh=2 block
         8        server  > client2  NLM4_BLOCKED
         9 +400s  client2 > server   POLL 7
        10        server  > client2  NLM4_BLOCKED
    """,
    )
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED
    assert "idle or dead" in story.result.reasons[0]


def test_a_minute_of_silence():
    story = told(NLM005, HELD, WAITS)
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_a_holder_that_is_heard_again():
    story = told(
        NLM005,
        HELD,
        WAITS,
        """
         5        server  > client1  ARP
         6        server  > client1  ARP
         7        server  > client1  ARP
         8  +28s  client1 > server   NFS
         9        client2 > server   POLL 3
        10        server  > client2  NLM4_BLOCKED
    """,
    )
    assert story.says == []


def test_arp_requests_that_are_answered():
    """The host lives, it has nothing to say over IP."""
    story = told(
        NLM005,
        HELD,
        WAITS,
        """
         5        server  > client1  ARP
         6        client1 > server   ARP reply
         7  +60s  server  > client1  ARP
         8        client1 > server   ARP reply
         9  +60s  server  > client1  ARP
        10        client1 > server   ARP reply
        11        client2 > server   POLL 3
        12        server  > client2  NLM4_BLOCKED
    """,
    )
    assert not [line for line in story.says if line.startswith("error")]


def test_others_are_denied_and_do_not_wait():
    """A dead client's lock refuses also those who do not wait for it."""
    story = told(
        NLM005,
        HELD,
        """
         3  +60s  client2 > server   NLM_LOCK fh=A oh=2
         4        server  > client2  NLM4_DENIED
         5        server  > client1  ARP
         6        server  > client1  ARP
         7        server  > client1  ARP
         8  +60s  client2 > server   NLM_LOCK fh=A oh=2
         9        server  > client2  NLM4_DENIED
    """,
    )
    assert len(story.says) == 1
    assert story.says[0].startswith("error confirmed server=server client=client1 other=client2: 9 2")


def test_nobody_waits():
    story = told(
        NLM005,
        HELD,
        """
         3  +60s  server  > client1  ARP
         4        server  > client1  ARP
         5        server  > client1  ARP
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_the_lock_was_released():
    story = told(
        NLM005,
        HELD,
        """
         3        client2 > server   NLM_LOCK fh=A oh=2 block
         4        server  > client2  NLM4_BLOCKED
         5        client1 > server   NLM_UNLOCK fh=A oh=1
         6        server  > client1  NLM4_GRANTED
         7        server  > client2  NLM_GRANTED_MSG fh=A oh=2 svid=2
         8        client2 > server   NLM_GRANTED_RES NLM4_GRANTED
         9  +60s  server  > client1  ARP
        10        server  > client1  ARP
        11        server  > client1  ARP
    """,
    )
    assert story.outcome is Outcome.CLEAN


@pytest.mark.parametrize("line", ["SM_NOTIFY mon_name=client1 state=5", "NLM_FREE_ALL name=client1"])
def test_the_client_came_back_and_told_the_server(line):
    story = told(
        NLM005,
        HELD,
        WAITS,
        f"""
         5        server  > client1  ARP
         6        server  > client1  ARP
         7        server  > client1  ARP
         8  +60s  client1 > server   {line}
         9        server  > client1  OK
        10        client2 > server   POLL 3
        11        server  > client2  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_it_came_back_without_a_word():
    """NSM002."""
    story = told(
        NLM005,
        HELD,
        WAITS,
        """
         5        server  > client1  ARP
         6        server  > client1  ARP
         7        server  > client1  ARP
         8  +60s  client1 > server   NLM_LOCK fh=C oh=1 state=5
         9        server  > client1  NLM4_GRANTED
        10        client2 > server   POLL 3
        11        server  > client2  NLM4_BLOCKED
    """,
    )
    assert not [line for line in story.says if line.startswith("error confirmed")]


def test_waiting_for_a_range_that_nobody_visible_holds():
    """A lock taken on the server itself, over NFSv4, or before the capture."""
    story = told(
        NLM005,
        """
         1        client2 > server   NLM_LOCK fh=A oh=2 block
         2        server  > client2  NLM4_BLOCKED
         3        server  > client1  ARP
         4        server  > client1  ARP
         5        server  > client1  ARP
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_two_readers_do_not_wait_for_each_other():
    story = told(
        NLM005,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 shared
         2        server  > client1  NLM4_GRANTED
         3        client2 > server   NLM_LOCK fh=A oh=2 shared block
         4        server  > client2  NLM4_BLOCKED
         5        server  > client1  ARP
         6        server  > client1  ARP
         7        server  > client1  ARP
    """,
    )
    assert story.says == []


RENUMBERED = """
    host new 10.0.0.77 name=client1
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3  +60s  new     > server   SM_NOTIFY mon_name=client1 state=5
     4        server  > new      OK
     5        client2 > server   NLM_LOCK fh=A oh=2
     6        server  > client2  NLM4_DENIED
"""


def test_it_came_back_at_another_address():
    """The server knows its clients by address, and took no notice."""
    story = told(NLM005, RENUMBERED)
    assert story.says == ["error suspected server=server client=client1 other=client2: 6 2 3"]
    assert "seems to have come back as 10.0.0.77" in story.findings[0].title


def test_a_clone_came_back():
    """Its address was in use before the holder fell silent."""
    clone = "0 new > server NLM_LOCK fh=Z oh=9\n1 server > new NLM4_GRANTED\n"
    lines = (clone + RENUMBERED.partition("\n    host new 10.0.0.77 name=client1")[2]).splitlines()
    numbered = [f"{n} {line.split(maxsplit=1)[1]}" for n, line in enumerate(filter(str.strip, lines), 1)]
    assert told(NLM005, "host new 10.0.0.77 name=client1", *numbered).says == []


def test_the_old_address_is_heard_again():
    assert told(NLM005, RENUMBERED, "7 client1 > server NLM_LOCK fh=B oh=1").says == []


def test_all_who_are_refused_because_of_many_locks():
    """Each refusal is told once, whatever it is because of."""
    held = [f"{2 * n + 1} client1 > server NLM_LOCK fh=A oh=1 range={n}-{n}\n{2 * n + 2} server > client1 NLM4_GRANTED" for n in range(50)]
    dead = "101 +60s server > client1 ARP\n102 server > client1 ARP\n103 server > client1 ARP"
    refused = [
        f"{102 + 2 * n} +1s client{n} > server NLM_LOCK fh=A oh=2 range=0-99\n{103 + 2 * n} server > client{n} NLM4_DENIED"
        for n in range(1, 6)
    ]
    refused = [line.replace("client1 ", "client6 ").replace("> client1", "> client6") for line in refused]
    story = told(NLM005, "\n".join(held), dead, "\n".join(refused))
    assert [f.title.split(" is refused")[0].split(" (")[0] for f in story.findings] == ["client5"]
    assert sum(e.what.endswith("is refused: DENIED") for e in story.findings[0].evidence) == 5
