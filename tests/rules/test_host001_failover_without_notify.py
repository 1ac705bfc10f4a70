"""HOST001: the address moved to another node and its clients were not told."""

from __future__ import annotations

import pytest
from support.cards import told_with_cards

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

HOST001 = BY_CODE["HOST001"]

HELD = """
     1        client2 > server   ARP
     2        server  > client2  ARP reply
     3        client1 > server   NLM_LOCK fh=A oh=1
     4        server  > client1  NLM4_GRANTED
     5        client2 > server   NLM_LOCK fh=B oh=2
     6        server  > client2  NLM4_GRANTED
"""
MOVES = """
     7  +30s  server  > server   ARP
     8        server  > client2  GETPORT statd
     9        client2 > server   port 662
    10        server  > client2  SM_NOTIFY mon_name=server state=5
    11        client2 > server   OK
    12        client2 > server   NLM_LOCK fh=B oh=2 reclaim
    13        server  > client2  NLM4_GRANTED
"""
OVER = """
    14  +90s  client1 > server   NLM_LOCK fh=C oh=1
    15        server  > client1  NLM4_GRANTED
"""


def test_one_client_is_not_told():
    story = told_with_cards(HOST001, HELD, MOVES, OVER, moved=7)
    assert story.says == ["error confirmed server=server client=client1: 7 8 10 4 15"]


def test_the_same_node_restarts():
    """NSM001."""
    story = told_with_cards(HOST001, HELD, MOVES, OVER)
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 0
    assert "NSM001" in {f.code for f in story.everything}


def test_everybody_is_told():
    story = told_with_cards(
        HOST001,
        HELD,
        MOVES,
        """
    14        server  > client1  SM_NOTIFY mon_name=server state=5
    15        client1 > server   OK
    16        client1 > server   NLM_LOCK fh=A oh=1 reclaim
    17        server  > client1  NLM4_GRANTED
    """,
        OVER.replace("    14 ", "    18 ").replace("    15 ", "    19 "),
        moved=7,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 2


def test_the_notice_comes_from_the_nodes_own_address():
    """NSM010."""
    story = told_with_cards(
        HOST001,
        "host node 10.0.0.7",
        HELD,
        MOVES,
        """
    14        node    > client1  SM_NOTIFY mon_name=node state=5
    15        client1 > node     OK
    """,
        OVER.replace("    14 ", "    16 ").replace("    15 ", "    17 "),
        cards={"node": "moved"},
        moved=7,
    )
    assert story.says == []
    assert "NSM010" in {f.code for f in story.everything}


def test_no_arp_is_here():
    """It may be a router that changed."""
    lines = "\n".join([HELD, MOVES, OVER]).splitlines()
    story = told_with_cards(HOST001, *_renumbered([line for line in lines if "ARP" not in line]), moved=5)
    assert story.says == ["error suspected server=server client=client1: 5 7 2 12"]


def test_the_capture_ends_before_grace_does():
    story = told_with_cards(HOST001, HELD, MOVES, moved=7)
    assert story.outcome is Outcome.NOT_ASSESSED


def test_the_lock_was_given_back():
    story = told_with_cards(
        HOST001,
        HELD,
        """
     7        client1 > server   NLM_UNLOCK fh=A oh=1
     8        server  > client1  NLM4_GRANTED
    """,
        *_renumbered((MOVES + OVER).splitlines(), 9),
        moved=9,
    )
    assert story.says == []


@pytest.mark.parametrize("hosts", [3, 6])
def test_a_router_in_between(hosts):
    """Many addresses behind one card; the card of the router changes, and nothing is said of the server."""
    others = [f"host h{n} 10.1.0.{n}" for n in range(hosts)]
    noise = [f"    {n + 1}  h{n} > client2  SM_NOTIFY mon_name=h{n} state=3" for n in range(hosts)]
    lines = [line for line in "\n".join([HELD, MOVES, OVER]).splitlines() if "ARP" not in line]
    story = told_with_cards(
        HOST001,
        *others,
        *noise,
        *_renumbered(lines, hosts + 1),
        cards={f"h{n}": "moved" for n in range(hosts)},
        moved=hosts + 5,
    )
    assert [line.split(":")[0] for line in story.says] == (
        ["error suspected server=server client=client1"] if hosts == 3 else []
    )


def _renumbered(lines, first=1):
    told = [line.split(maxsplit=1)[1] for line in lines if line.strip()]
    return [f"{number} {rest}" for number, rest in enumerate(told, first)]
