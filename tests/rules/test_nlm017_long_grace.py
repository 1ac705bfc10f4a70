"""NLM017: new locks were refused for far longer than any default grace period."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM017 = BY_CODE["NLM017"]

REFUSED = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_DENIED_GRACE_PERIOD
     3  +60s  client1 > server   POLL 1
     4        server  > client1  NLM4_DENIED_GRACE_PERIOD
"""
SERVED = """
     7   +5s  client1 > server   POLL 1
     8        server  > client1  NLM4_GRANTED
"""


def test_two_minutes():
    story = told(
        NLM017,
        REFUSED,
        """
         5  +60s  client1 > server   POLL 1
         6        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
        SERVED,
    )
    assert story.says == ["warning confirmed server=server client=client1: 6 2 8 4"]


def test_a_usual_grace_period():
    story = told(
        NLM017,
        REFUSED,
        """
         5  +30s  client1 > server   POLL 1
         6        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
        SERVED,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged > 0


def test_two_grace_periods():
    story = told(
        NLM017,
        REFUSED,
        """
         5        client2 > server   NLM_LOCK fh=B oh=2
         6        server  > client2  NLM4_GRANTED
         7  +60s  client1 > server   POLL 1
         8        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert story.says == []


def test_only_some_files_are_held_off():
    """As in a cluster after the takeover of one file system."""
    lines = ["1 client1 > server NLM_LOCK fh=A oh=1", "2 server > client1 NLM4_DENIED_GRACE_PERIOD"]
    for n in range(1, 30):
        lines += [f"{4 * n - 1} client2 > server NLM_TEST fh=B oh=2", f"{4 * n} server > client2 NLM4_GRANTED"]
        lines += [f"{4 * n + 1} +3s client1 > server POLL 1"]
        lines += [f"{4 * n + 2} server > client1 NLM4_DENIED_GRACE_PERIOD"]
    story = told(NLM017, "\n".join(lines))
    assert [said[:51] for said in story.says] == ["warning confirmed server=server client=client1: 118"]
    assert "other files are served" in story.findings[0].title


def test_a_restart_in_between():
    story = told(
        NLM017,
        REFUSED,
        """
         5        server  > client1  SM_NOTIFY mon_name=server state=5
         6        client1 > server   OK
         7  +30s  client1 > server   POLL 1
         8        server  > client1  NLM4_DENIED_GRACE_PERIOD
         9        server  > client1  SM_NOTIFY mon_name=server state=7
        10        client1 > server   OK
        11  +60s  client1 > server   POLL 1
        12        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert story.says == []


def test_reclaims_that_come_too_late_are_no_grace_period():
    story = told(
        NLM017,
        """
         1        client1 > server   NLM_LOCK fh=A oh=1 reclaim
         2        server  > client1  NLM4_DENIED_GRACE_PERIOD
         3 +150s  client1 > server   NLM_LOCK fh=A oh=1 reclaim
         4        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert story.says == []


def test_other_statuses_prove_nothing():
    story = told(
        NLM017,
        REFUSED,
        """
         5        client2 > server   NLM_LOCK fh=B oh=2
         6        server  > client2  NLM4_STALE_FH
         7  +60s  client1 > server   POLL 1
         8        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
    )
    assert story.says == ["warning confirmed server=server client=client1: 8 2 4"]
