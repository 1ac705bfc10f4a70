"""Signs that a host is down."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Confidence, Severity
from nlmdissect.rules import BY_CODE

NSM001, SUSPECTED = BY_CODE["NSM001"], Confidence.SUSPECTED

HELD = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
"""
ASKED = """
     3        server  > client1  ARP
     4        server  > client1  ARP
     5        server  > client1  ARP
"""
RESTART = """
     6  +60s  client2 > server   NLM_LOCK fh=A oh=2
     7        server  > client2  NLM4_DENIED_GRACE_PERIOD
     8  +90s  client2 > server   POLL 6
     9        server  > client2  NLM4_GRANTED
"""


def dead(*parts):
    """Host and first sign of those that are down."""
    story = told(NSM001, *parts)
    return {story.names[host]: death.at.frame for host, death in story.history.deaths.items()}


def test_nobody_answers_arp():
    assert dead(HELD, ASKED) == {"client1": 3}


@pytest.mark.parametrize("line", ["5 client1 > server ARP reply", "5 client1 > server DATA ssh", "5 server > server ARP"])
def test_it_was_asked_in_vain_too_seldom(line):
    assert dead(HELD, *ASKED.splitlines()[:3], line) == {}


def test_it_is_heard_again():
    assert dead(HELD, ASKED, "6 client1 > server DATA ssh") == {}


def test_a_router_says_so():
    assert dead(HELD, "3 server2 > server ICMP host client1") == {"client1": 3}
    assert dead(HELD, "3 server2 > server ICMP port client1") == {}


def test_what_a_dead_client_held_is_lost_by_nobody_or_by_one_that_is_cut_off():
    """A restart of the server is how an administrator frees the locks of a dead client."""
    story = told(NSM001, HELD, ASKED, RESTART)
    errors = [f for f in story.everything if f.severity is Severity.ERROR]
    assert {(f.code, f.confidence) for f in errors} == {("NSM001", SUSPECTED), ("NLM004", SUSPECTED)}
    assert all("is down or cut off" in f.consequence for f in errors)


def test_a_client_that_dies_after_it_lost_its_lock():
    restart = "\n".join(f"{n} {line.split(maxsplit=1)[1]}" for n, line in enumerate(RESTART.strip().splitlines(), 3))
    lives = "7 client1 > server DATA ssh\n8 server > client1 ARP\n9 server > client1 ARP\n10 server > client1 ARP"
    story = told(NSM001, HELD, restart.replace("POLL 6", "POLL 3"), lives)
    errors = [f for f in story.everything if f.severity is Severity.ERROR]
    assert {f.code for f in errors} == {"NSM001", "NLM004"}
    assert not [f for f in errors if "cut off" in f.consequence]
