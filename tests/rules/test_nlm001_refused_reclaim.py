"""NLM001: a reclaim was answered with anything but GRANTED."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM001 = BY_CODE["NLM001"]

HELD = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3  +60s  client2 > server   NLM_LOCK fh=B oh=2
     4        server  > client2  NLM4_DENIED_GRACE_PERIOD
     5        server  > client1  SM_NOTIFY mon_name=server state=5
     6        client1 > server   OK
     7        client1 > server   NLM_LOCK fh=A oh=1 reclaim
"""


@pytest.mark.parametrize(
    "status",
    [
        "NLM4_DENIED",
        "NLM4_DENIED_NOLOCKS",
        "NLM4_BLOCKED",
        "NLM4_DEADLCK",
        "NLM4_ROFS",
        "NLM4_STALE_FH",
        "NLM4_FBIG",
        "NLM4_FAILED",
        "SYSTEM_ERR",
        "PROG_UNAVAIL",
    ],
)
def test_refused_in_grace(status):
    story = told(NLM001, HELD, f"     8        server  > client1  {status}")
    assert story.says == ["error confirmed server=server client=client1: 8 7 2 4 5"]
    assert story.findings[0].status == status.removeprefix("NLM4_")
    assert status.removeprefix("NLM4_") in story.findings[0].title


def test_granted():
    story = told(NLM001, HELD, "     8        server  > client1  NLM4_GRANTED")
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_refused_and_granted_at_a_second_try():
    """nfsd was not ready; FreeBSD and others try again."""
    story = told(
        NLM001,
        HELD,
        """
         8        server  > client1  NLM4_DENIED_NOLOCKS
         9   +5s  client1 > server   NLM_LOCK fh=A oh=1 range=0-199 reclaim
        10        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_the_second_answer_to_one_request_counts():
    """A retransmission was executed again: the client believes the last word."""
    story = told(
        NLM001,
        HELD,
        """
         8        server  > client1  NLM4_FAILED
         9  +10s  client1 > server   AGAIN 7
        10        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == []


def test_granted_to_another_owner_does_not_help():
    story = told(
        NLM001,
        HELD,
        """
         8        server  > client1  NLM4_STALE_FH
         9        client1 > server   NLM_LOCK fh=A oh=3 range=0-99 reclaim
        10        server  > client1  NLM4_GRANTED
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 8 7 2 4 5"]


def test_too_late_is_another_finding():
    story = told(
        NLM001,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3  +60s  client2 > server   NLM_LOCK fh=B oh=2
         4        server  > client2  NLM4_DENIED_GRACE_PERIOD
         5  +60s  client2 > server   POLL 3
         6        server  > client2  NLM4_GRANTED
         7        server  > client1  SM_NOTIFY mon_name=server state=5
         8        client1 > server   OK
         9        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        10        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert story.says == []


def test_status_4_while_all_others_get_it_too():
    """The grace period is not the same for all exports or nodes."""
    story = told(
        NLM001,
        HELD,
        """
         8        server  > client1  NLM4_DENIED_GRACE_PERIOD
         9        client2 > server   POLL 3
        10        server  > client2  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert story.says == ["error confirmed server=server client=client1: 8 7 2 4 5"]


def test_the_capture_begins_after_the_lock_was_granted():
    """The reclaim itself tells what the client believes to hold."""
    story = told(
        NLM001,
        """
         1        client2 > server   NLM_LOCK fh=B oh=2
         2        server  > client2  NLM4_DENIED_GRACE_PERIOD
         3        client1 > server   NLM_LOCK fh=A oh=1 reclaim
         4        server  > client1  NLM4_STALE_FH
    """,
    )
    assert len(story.says) == 1
    assert story.says[0].startswith("error")
    assert "client=client1: 4 3" in story.says[0]


def test_no_restart_explains_it():
    """The server holds what it granted before; the refusal alone loses nothing."""
    story = told(
        NLM001,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3  +60s  client1 > server   NLM_LOCK fh=A oh=1 reclaim
         4        server  > client1  NLM4_DENIED
    """,
    )
    assert story.says == ["warning suspected server=server client=client1: 4 3 2"]


def test_the_capture_ends_before_the_answer():
    story = told(NLM001, HELD)
    assert story.says == []


def test_an_answer_that_cannot_be_read():
    story = told(NLM001, HELD, "     8        server  > client1  NLM4_GRANTED short=4")
    assert story.says == []


def test_one_finding_for_each_status():
    story = told(
        NLM001,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1
         2        server  > client1  NLM4_GRANTED
         3        client1 > server   NLM_LOCK fh=B oh=1
         4        server  > client1  NLM4_GRANTED
         5        client1 > server   NLM_LOCK fh=C oh=1
         6        server  > client1  NLM4_GRANTED
         7  +60s  client2 > server   NLM_LOCK fh=Z oh=2
         8        server  > client2  NLM4_DENIED_GRACE_PERIOD
         9        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        10        server  > client1  NLM4_STALE_FH
        11        client1 > server   NLM_LOCK fh=B oh=1 reclaim
        12        server  > client1  NLM4_ROFS
        13        client1 > server   NLM_LOCK fh=C oh=1 reclaim
        14        server  > client1  NLM4_STALE_FH
    """,
    )
    assert story.says == [
        "error confirmed server=server client=client1: 10 9 2 6 14 13 8",
        "error confirmed server=server client=client1: 12 11 4 8",
    ]
    assert [len(f.locks) for f in story.findings] == [2, 1]
