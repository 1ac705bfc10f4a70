"""NSM006: the NSM state did not change over a restart, or went backwards."""

from __future__ import annotations

import re

import pytest
from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NSM006 = BY_CODE["NSM006"]

FIRST_LIFE = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3  +60s  client2 > server   NLM_TEST fh=E oh=1
     4        server  > client2  NLM4_DENIED_GRACE_PERIOD
     5        server  > client1  SM_NOTIFY mon_name=server state=5
     6        client1 > server   OK
     7        client1 > server   NLM_LOCK fh=A oh=1 reclaim
     8        server  > client1  NLM4_GRANTED
     9  +60s  client2 > server   POLL 3
    10        server  > client2  NLM4_GRANTED
"""


def shifted(text, by):
    """The same lines with higher frame numbers."""
    return re.sub(r"^(\s*)(\d+)(.*)$", lambda m: f"{m[1]}{int(m[2]) + by}{m[3]}", text, flags=re.MULTILINE)


def second_life(state, reclaim=False):
    lines = f"""
    11 +600s  client2 > server   NLM_TEST fh=F oh=1
    12        server  > client2  NLM4_DENIED_GRACE_PERIOD
    13        server  > client1  SM_NOTIFY mon_name=server state={state}
    14        client1 > server   OK
    """
    asks = "15 client1 > server NLM_LOCK fh=A oh=1 reclaim\n16 server > client1 NLM4_GRANTED\n" if reclaim else ""
    ends = 17 if reclaim else 15
    return lines + asks + f"{ends} +60s client2 > server POLL 11\n{ends + 1} server > client2 NLM4_GRANTED"


def test_the_same_state_again_and_nobody_reclaims():
    story = told(NSM006, FIRST_LIFE, second_life(5))
    assert story.says == ["error confirmed server=server client=client1: 13 5 8 12"]


def test_a_theft_follows_from_it():
    story = told(
        NSM006, FIRST_LIFE, second_life(5), "17 client2 > server NLM_LOCK fh=A oh=2\n18 server > client2 NLM4_GRANTED"
    )
    [theft] = [f for f in story.everything if f.code == "NLM004"]
    assert theft.caused_by is not None
    assert story.everything[theft.caused_by].code == "NSM006"


def test_a_client_that_had_not_heard_the_state_before():
    """Its statd knows no state yet, and acts on any."""
    lock = "11 client3 > server NLM_LOCK fh=D oh=3\n12 server > client3 NLM4_GRANTED"
    text = second_life(5).replace("13        server  > client1", "13        server  > client3")
    text = text.replace("14        client1 > server", "14        client3 > server")
    story = told(NSM006, FIRST_LIFE, lock, shifted(text, 2))
    assert story.says == ["warning confirmed server=server: 15 5 14"]


def test_the_loss_of_a_client_that_was_never_told_has_another_cause():
    story = told(
        NSM006,
        """
     1        client3 > server   NLM_LOCK fh=D oh=1
     2        server  > client3  NLM4_GRANTED
    """,
        shifted(FIRST_LIFE, 2),
        shifted(second_life(5, reclaim=True), 2),
    )
    assert story.says == ["warning confirmed server=server: 15 7 14"]


def test_the_next_state():
    story = told(NSM006, FIRST_LIFE, second_life(7, reclaim=True))
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_the_same_state_and_it_was_acted_on():
    """Not every receiver compares."""
    story = told(NSM006, FIRST_LIFE, second_life(5, reclaim=True))
    assert story.says == ["warning confirmed server=server: 13 5 12"]


@pytest.mark.parametrize("state", [3, 1])
def test_the_state_goes_backwards(state):
    story = told(NSM006, FIRST_LIFE, second_life(state, reclaim=True))
    assert story.says == ["warning confirmed server=server: 13 5 12"]


def test_retries_carry_the_same_state_by_design():
    story = told(
        NSM006,
        FIRST_LIFE,
        """
        11 +120s  server  > client3  SM_NOTIFY mon_name=server state=5
        12        client3 > server   OK
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_the_state_in_locks_may_lag_behind():
    story = told(
        NSM006,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 state=5
         2        server  > client1  NLM4_GRANTED
         3  +60s  client1 > server   SM_NOTIFY mon_name=client1 state=5
         4        server  > client1  OK
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_a_notice_that_no_restart_explains_does_not_count():
    story = told(
        NSM006,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 tcp
         2        server  > client1  NLM4_GRANTED
         3        server  > client1  SM_NOTIFY mon_name=server state=5
         4        client1 > server   OK
         5 +600s  server  > client1  SM_NOTIFY mon_name=server state=3
         6        client1 > server   OK
         7        client1 > server   NLM_LOCK fh=B oh=1 tcp
         8        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.outcome is Outcome.CLEAN


def test_the_capture_has_only_one_life():
    assert told(NSM006, FIRST_LIFE).outcome is Outcome.CLEAN


def test_a_full_and_a_short_name_are_one_host():
    text = FIRST_LIFE.replace("mon_name=server", "mon_name=server.example.com")
    assert told(NSM006, text, second_life(5)).says == ["error confirmed server=server client=client1: 13 5 8 12"]


def test_two_names_have_two_counts():
    """The node of a cluster tells of itself and of its service address; the tool has a number of its own."""
    text = second_life(3, reclaim=True).replace("mon_name=server", "mon_name=service")
    assert told(NSM006, FIRST_LIFE, text).outcome is Outcome.CLEAN


@pytest.mark.parametrize(("state", "says"), [(3, []), (5, ["error confirmed server=server client=client1"])])
def test_the_address_moved_to_another_node(state, says):
    """The nodes count for themselves. If they happen to be at the same number, Linux receivers do not notice."""
    moved = "host server 10.0.0.1 name=server mac=02:00:00:00:00:77\n"
    story = told(NSM006, FIRST_LIFE, moved + second_life(state))
    assert [line.partition(":")[0] for line in story.says] == says


@pytest.mark.parametrize(
    ("answer", "says"),
    [("DENIED", "error confirmed server=server client=client1"), ("GRANTED", "warning confirmed client=client1")],
)
def test_a_client_announces_the_same_state_again(answer, says):
    """And the server keeps its locks, or frees them all the same."""
    story = told(
        NSM006,
        """
         1        client1 > server   SYN nlm
         2        server  > client1  SYNACK nlm
         3        client1 > server   NLM_LOCK fh=A oh=1 tcp state=3
         4        server  > client1  NLM4_GRANTED
         5  +60s  client1 > server   SM_NOTIFY mon_name=client1 state=5
         6        server  > client1  OK
         7        client1 > server   SYN nlm sport=901
         8        server  > client1  SYNACK nlm
         9        client1 > server   NLM_LOCK fh=A oh=1 tcp state=5 cookie=35120000
        10        server  > client1  NLM4_GRANTED
        11 +2000s client1 > server   SYN nlm sport=902
        12        server  > client1  SYNACK nlm
        13        client1 > server   NLM_LOCK fh=B oh=1 tcp state=5 cookie=35120000
        14        server  > client1  NLM4_GRANTED
        15        client1 > server   MNT
        16        client1 > server   MNT
        17        client1 > server   SM_NOTIFY mon_name=client1 state=5
        18        server  > client1  OK
        19  +60s  client2 > server   NLM_LOCK fh=A oh=1
    """,
        f"20 server > client2 NLM4_{answer}",
    )
    assert [line.partition(":")[0] for line in story.says] == [says]
