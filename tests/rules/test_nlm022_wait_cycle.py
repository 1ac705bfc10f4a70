"""NLM022: owners wait for each other in a circle."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM022 = BY_CODE["NLM022"]

HELD = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3        client2 > server   NLM_LOCK fh=B oh=2
     4        server  > client2  NLM4_GRANTED
"""
CROSSED = """
     5        client1 > server   NLM_LOCK fh=B oh=1 block
     6        server  > client1  NLM4_BLOCKED
     7        client2 > server   NLM_LOCK fh=A oh=2 block
     8        server  > client2  NLM4_BLOCKED
"""
POLLS = """
     9  +30s  client1 > server   POLL 5
    10        server  > client1  NLM4_BLOCKED
    11        client2 > server   POLL 7
    12        server  > client2  NLM4_BLOCKED
"""


def test_two_wait_for_each_other():
    story = told(NLM022, HELD, CROSSED, POLLS)
    assert story.says == ["warning confirmed server=server client=client1 other=client2: 10 12 4 2 5 7"]
    assert len(story.findings[0].locks) == 2


def test_three_in_a_circle():
    story = told(
        NLM022,
        HELD,
        """
     5        client3 > server   NLM_LOCK fh=C oh=3
     6        server  > client3  NLM4_GRANTED
     7        client1 > server   NLM_LOCK fh=B oh=1 block
     8        server  > client1  NLM4_BLOCKED
     9        client2 > server   NLM_LOCK fh=C oh=2 block
    10        server  > client2  NLM4_BLOCKED
    11        client3 > server   NLM_LOCK fh=A oh=3 block
    12        server  > client3  NLM4_BLOCKED
    13  +30s  client1 > server   POLL 7
    14        server  > client1  NLM4_BLOCKED
    """,
    )
    assert story.says == ["warning confirmed server=server client=client1 other=client2: 14 10 12 4 6 2 7 9 11"]


def test_one_gives_up():
    story = told(
        NLM022,
        HELD,
        CROSSED,
        POLLS,
        """
    13  +20s  client2 > server   NLM_CANCEL fh=A oh=2 block
    14        server  > client2  NLM4_GRANTED
    15        client2 > server   NLM_UNLOCK fh=B oh=2
    16        server  > client2  NLM4_GRANTED
    """,
    )
    assert [line.partition(":")[0] for line in story.says] == [
        "info confirmed server=server client=client1 other=client2"
    ]


def test_a_chain_is_no_circle():
    story = told(
        NLM022,
        HELD,
        """
     5        client1 > server   NLM_LOCK fh=B oh=1 block
     6        server  > client1  NLM4_BLOCKED
     7        client3 > server   NLM_LOCK fh=A oh=3 block
     8        server  > client3  NLM4_BLOCKED
     9  +60s  client1 > server   POLL 5
    10        server  > client1  NLM4_BLOCKED
    """,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 2


def test_another_range():
    story = told(NLM022, HELD, CROSSED.replace("fh=A oh=2 block", "fh=A oh=2 block range=200-299"), POLLS)
    assert story.says == []


def test_the_first_was_served_before_the_second_waits():
    story = told(
        NLM022,
        HELD,
        """
     5        client1 > server   NLM_LOCK fh=B oh=1 block
     6        server  > client1  NLM4_BLOCKED
     7        client2 > server   NLM_UNLOCK fh=B oh=2
     8        server  > client2  NLM4_GRANTED
     9        server  > client1  NLM_GRANTED fh=B oh=1
    10        client1 > server   NLM4_GRANTED
    11        client2 > server   NLM_LOCK fh=A oh=2 block
    12        server  > client2  NLM4_BLOCKED
    13  +60s  client2 > server   POLL 11
    14        server  > client2  NLM4_BLOCKED
    """,
    )
    assert story.says == []


def test_other_processes_of_the_same_hosts():
    story = told(NLM022, HELD, CROSSED.replace("oh=1 block", "oh=8 block").replace("oh=2 block", "oh=9 block"), POLLS)
    assert story.says == []


def test_the_capture_ends_at_once():
    assert told(NLM022, HELD, CROSSED).says == []


def test_the_grants_are_before_the_capture():
    """Who holds it is not known: nothing is said."""
    lines = [line.split(maxsplit=1)[1] for line in (CROSSED + POLLS).splitlines() if line.strip()]
    text = "\n".join(f"{n} {line}" for n, line in enumerate(lines, 1)).replace("POLL 5", "POLL 1")
    assert told(NLM022, text.replace("POLL 7", "POLL 3")).says == []


def test_a_loss_around_it():
    story = told(
        NLM022,
        HELD,
        "    lost      client2 > server   NLM_TEST fh=B oh=2",
        CROSSED,
        POLLS,
    )
    assert story.says == ["warning suspected server=server client=client1 other=client2: 10 12 4 2 5 7"]
