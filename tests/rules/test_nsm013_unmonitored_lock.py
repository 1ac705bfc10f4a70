"""NSM013: a lock was taken with no SM_MON before it."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NSM013 = BY_CODE["NSM013"]

LOCKS = """
     1   @50  client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3        client2 > server   NLM_LOCK fh=B oh=2
     4        server  > client2  NLM4_GRANTED
"""
"""The loopback begins earlier: this is the second capture."""
STARTS = """
    host lo 127.0.0.1 name=server
     1   @0   lo > lo  SET statd registers=662
     2        lo > lo  OK
     3        lo > lo  SET lockd registers=4045
     4        lo > lo  OK
"""
ONE = """
     5  @52.5 lo > lo  SM_MON mon_name=10.0.0.22
     6  +.1   lo > lo  STAT_SUCC
"""
BOTH = """
     5  @50.5 lo > lo  SM_MON mon_name=10.0.0.21
     6  +.1   lo > lo  STAT_SUCC
     7  @52.5 lo > lo  SM_MON mon_name=10.0.0.22
     8  +.1   lo > lo  STAT_SUCC
"""
LATER = "{}  @120  lo > lo  SM_MON mon_name=10.0.0.22"


def test_one_client_is_not_monitored():
    story = told(NSM013, LOCKS, loopbacks=[STARTS + ONE + LATER.format(7)])
    assert story.says == ["warning confirmed server=server client=client1: 1:2"]
    assert story.result.judged == 2


def test_both_are_monitored():
    story = told(NSM013, LOCKS, loopbacks=[STARTS + BOTH + LATER.format(9)])
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 2


def test_monitored_only_when_the_lock_was_granted():
    """FreeBSD and illumos do so."""
    story = told(NSM013, LOCKS, loopbacks=[STARTS + BOTH.replace("@50.5", "@51.5") + LATER.format(9)])
    assert story.outcome is Outcome.CLEAN


def test_no_longer_monitored():
    text = """
     5   @10  lo > lo  SM_MON mon_name=10.0.0.21
     6        lo > lo  STAT_SUCC
     7   @40  lo > lo  SM_UNMON mon_name=10.0.0.21
     8        lo > lo  OK
     9  @52.5 lo > lo  SM_MON mon_name=10.0.0.22
    10        lo > lo  STAT_SUCC
    """
    story = told(NSM013, LOCKS, loopbacks=[STARTS + text + LATER.format(11)])
    assert story.says == ["warning confirmed server=server client=client1: 1:2"]


def test_statd_restarts_and_reads_its_list_again():
    """Linux lockd does not ask a second time, and need not."""
    text = """
     5  @10   lo > lo  SM_MON mon_name=10.0.0.21
     6        lo > lo  STAT_SUCC
     7        lo > lo  SM_MON mon_name=10.0.0.22
     8        lo > lo  STAT_SUCC
     9  @30   lo > lo  SET statd registers=663
    10        lo > lo  OK
    """
    story = told(NSM013, LOCKS, loopbacks=[STARTS + text + LATER.format(11)])
    assert story.outcome is Outcome.CLEAN


def test_nm_lock_asks_for_no_monitoring():
    text = LOCKS.replace("client1 > server   NLM_LOCK", "client1 > server   NM_LOCK")
    assert told(NSM013, text, loopbacks=[STARTS + ONE + LATER.format(7)]).outcome is Outcome.CLEAN


def test_a_refused_sm_mon_is_another_finding():
    text = BOTH.replace("STAT_SUCC", "STAT_FAIL", 1)
    story = told(NSM013, LOCKS, loopbacks=[STARTS + text + LATER.format(9)])
    assert story.says == []
    assert "NSM011" in [f.code for f in story.everything]


def test_a_name_that_may_be_this_client():
    text = ONE.replace("10.0.0.22", "pc17.example.com") + " 7 lo > lo SM_MON mon_name=10.0.0.22\n"
    story = told(NSM013, LOCKS, loopbacks=[STARTS + text + LATER.format(8)])
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


@pytest.mark.parametrize("missing", ["SET statd", "SET lockd"])
def test_the_loopback_was_not_captured_from_the_start(missing):
    lines = (
        STARTS.replace(missing, "SM_MON mon_name=10.0.0.99", 1)
        .replace("registers=662", "")
        .replace("registers=4045", "")
    )
    text = lines.replace("OK", "STAT_SUCC" if missing == "SET statd" else "OK", 1)
    story = told(NSM013, LOCKS, loopbacks=[text + ONE + LATER.format(7)])
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_the_loopback_capture_ends_before_the_lock():
    story = told(NSM013, LOCKS, loopbacks=[STARTS + ONE.replace("@52.5", "@20")])
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED


def test_only_the_loopback_of_a_client():
    client = "host lo 127.0.0.1 name=client1\n1 @0 lo > lo SM_MON mon_name=10.0.0.1\n2 @120 lo > lo STAT_SUCC"
    story = told(NSM013, LOCKS, loopbacks=[client])
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 0
