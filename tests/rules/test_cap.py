"""CAP001 to CAP006: what the capture itself cannot show."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

CAP001, CAP002, CAP003 = BY_CODE["CAP001"], BY_CODE["CAP002"], BY_CODE["CAP003"]
CAP004, CAP005, CAP006 = BY_CODE["CAP004"], BY_CODE["CAP005"], BY_CODE["CAP006"]

NFS_ONLY = """
     1        client1 > server   NFS
     2        server  > client1  OK
"""
ONE_LOCK = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
"""


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_cap001_nothing_but_port_2049(version):
    story = told(CAP001, NFS_ONLY.replace("NFS", f"NFS {version}"))
    assert story.says == ["info confirmed: 1"]


@pytest.mark.parametrize(
    "more",
    [
        "3 client1 > server ARP",
        "3 client1 > server GETPORT statd",
        "3 client1 > server MNT",
        "3 client1 > server NLM_LOCK",
    ],
)
def test_cap001_something_else_was_captured(more):
    assert told(CAP001, NFS_ONLY, more).outcome is Outcome.CLEAN


def test_cap001_nfsv4_needs_no_other_port():
    assert told(CAP001, NFS_ONLY.replace("NFS", "NFS v4")).outcome is Outcome.CLEAN


def test_cap002_bodies_are_cut():
    story = told(CAP002, ONE_LOCK, snaplen=150)
    assert story.says == ["info confirmed: 1"]


def test_cap002_not_even_a_header_is_left():
    story = told(CAP002, ONE_LOCK, snaplen=54)
    assert story.says == ["info confirmed: 1"]


def test_cap002_bodies_are_whole():
    assert told(CAP002, ONE_LOCK).outcome is Outcome.CLEAN


def test_cap002_only_nfs_is_cut():
    assert told(CAP002, NFS_ONLY, snaplen=120).outcome is Outcome.CLEAN


def test_cap002_a_malformed_message_is_not_a_cut_one():
    story = told(CAP002, "1 client1 > server NLM_LOCK\n2 server > client1 NLM4_GRANTED short=4")
    assert story.says == []


RESTART = """
     1        client1 > server   NLM_LOCK fh=A oh=1 tcp
     2        server  > client1  NLM4_GRANTED
     3  +60s  client2 > server   NLM_LOCK fh=B oh=2
     4        server  > client2  NLM4_DENIED_GRACE_PERIOD
"""


def test_cap003_a_gap_soon_after_a_restart():
    story = told(
        CAP003,
        RESTART,
        """
         5        client1 > server   NLM_LOCK fh=C oh=1 tcp
         lost     client1 > server   NLM_LOCK fh=D oh=1 tcp
         6        client1 > server   NLM_LOCK fh=E oh=1 tcp
         7  +30s  client2 > server   POLL 3
    """,
    )
    assert len(story.says) == 1
    assert story.says[0].startswith("info")


def test_cap003_an_answer_without_its_call():
    story = told(
        CAP003,
        RESTART,
        """
         lost     client1 > server   NLM_TEST fh=D oh=1
         5        server  > client1  NLM4_DENIED
    """,
    )
    assert story.says == ["info confirmed: 5"]


def test_cap003_a_loss_far_from_what_matters():
    story = told(
        CAP003,
        RESTART,
        """
         lost     client1 > server   NLM_TEST fh=D oh=1
         5 +900s  server  > client1  NLM4_DENIED
    """,
    )
    assert story.says == []


def test_cap003_nothing_matters():
    story = told(
        CAP003,
        ONE_LOCK,
        """
         lost     client1 > server   NLM_TEST fh=D oh=1
         3        server  > client1  NLM4_DENIED
    """,
    )
    assert story.says == []


@pytest.mark.parametrize(
    ("line", "missing"), [("1 client1 > server NLM_LOCK", 1), ("1 server > client1 SM_NOTIFY state=3", 1)]
)
def test_cap004_only_one_direction(line, missing):
    story = told(CAP004, line)
    assert len(story.says) == missing
    assert story.says[0].startswith("info")
    assert story.says[0].endswith(": 1")


def test_cap004_only_answers():
    story = told(CAP004, "lost client1 > server NLM_LOCK\n1 server > client1 NLM4_GRANTED")
    assert story.says == ["info confirmed server=server client=client1: 1"]


def test_cap004_both_directions():
    assert told(CAP004, ONE_LOCK).outcome is Outcome.CLEAN


def test_cap004_the_other_direction_is_there_over_another_connection():
    assert told(CAP004, "1 client1 > server NLM_LOCK\n2 server > client1 DATA ssh").outcome is Outcome.CLEAN


def test_cap005_privacy():
    story = told(CAP005, "1 client1 > server NLM_LOCK krb5p\n2 server > client1 OK")
    assert story.says == ["info confirmed: 1"]


def test_cap005_in_clear():
    assert told(CAP005, ONE_LOCK).outcome is Outcome.CLEAN


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 client1 > server NFS v4", "only NFSv4"),
        ("1 client1 > server MNT\n2 client1 > server NFS", "nolock or local_lock"),
        ("1 client1 > server ARP\n2 client1 > server NFS", "the capture began after the mount"),
    ],
)
def test_cap006_nfs_without_nlm(text, words):
    story = told(CAP006, text)
    assert len(story.says) == 1
    assert story.says[0].startswith("info confirmed:")
    assert words in story.findings[0].title


def test_cap006_there_are_locks():
    assert told(CAP006, ONE_LOCK, "3 client1 > server NFS").outcome is Outcome.CLEAN


def test_cap006_a_filter_is_cap001():
    assert told(CAP006, NFS_ONLY).outcome is Outcome.CLEAN
