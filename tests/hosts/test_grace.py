"""The end of the grace period: the two meanings of status 4, and what proves nothing."""

from __future__ import annotations

import pytest
from support.story import capture_of
from support.told import history_of

RESTART = """
    1        client1 > server   NLM_LOCK fh=A oh=1
    2        server  > client1  NLM4_GRANTED
    3  +60s  client1 > server   NLM_LOCK fh=B oh=1
    4        server  > client1  NLM4_DENIED_GRACE_PERIOD
"""


def bounds(*parts):
    """(last frame in grace, first frame after it) of the only restart."""
    (boot,) = history_of(capture_of("\n".join(parts))[0]).boots
    return boot.in_grace and boot.in_grace.frame, boot.grace_over and boot.grace_over.frame


def test_held_off_and_then_served():
    assert bounds(
        RESTART,
        """
        5   +5s  client1 > server   POLL 3
        6        server  > client1  NLM4_DENIED_GRACE_PERIOD
        7  +60s  client1 > server   POLL 3
        8        server  > client1  NLM4_GRANTED
    """,
    ) == (6, 8)


def test_nothing_shows_its_end():
    assert bounds(RESTART) == (4, None)


@pytest.mark.parametrize(
    ("call", "status", "over"),
    [
        ("NLM_LOCK fh=C", "NLM4_GRANTED", True),
        ("NLM_LOCK fh=C", "NLM4_DENIED", True),
        ("NLM_LOCK fh=C block", "NLM4_BLOCKED", True),
        ("NLM_TEST fh=C", "NLM4_GRANTED", True),
        ("NLM_TEST fh=C", "NLM4_DENIED", True),
        ("NM_LOCK fh=C", "NLM4_GRANTED", True),
        # these are decided before the grace period is asked about
        ("NLM_LOCK fh=C", "NLM4_DENIED_NOLOCKS", False),
        ("NLM_LOCK fh=C", "NLM4_STALE_FH", False),
        ("NLM_LOCK fh=C", "NLM4_FBIG", False),
        ("NLM_LOCK fh=C", "NLM4_FAILED", False),
        ("NLM_LOCK fh=C", "SYSTEM_ERR", False),
        # Ganesha and macOS do not check for it here
        ("NLM_UNLOCK fh=C", "NLM4_GRANTED", False),
        ("NLM_CANCEL fh=C", "NLM4_GRANTED", False),
        # and this is what the grace period is for
        ("NLM_LOCK fh=A oh=1 reclaim", "NLM4_GRANTED", False),
        ("NLM_LOCK fh=A oh=1 reclaim", "NLM4_DENIED", False),
        ("NLM_LOCK fh=A oh=1 reclaim", "NLM4_STALE_FH", False),
        # the opposite meaning
        ("NLM_LOCK fh=A oh=1 reclaim", "NLM4_DENIED_GRACE_PERIOD", True),
    ],
)
def test_what_shows_that_it_is_over(call, status, over):
    assert bounds(RESTART, f"5 +30s client1 > server {call}\n6 server > client1 {status}") == (4, 6 if over else None)


def test_an_unanswered_call_shows_nothing():
    assert bounds(RESTART, "5 +60s client1 > server NLM_LOCK fh=C") == (4, None)


def test_an_answer_of_another_server_shows_nothing():
    assert bounds(RESTART, "5 +60s client1 > server2 NLM_LOCK fh=C\n6 server2 > client1 NLM4_GRANTED") == (4, None)


def test_an_answer_over_res_counts():
    assert bounds(
        RESTART, "5 +60s client1 > server NLM_LOCK_MSG fh=C\n6 server > client1 NLM_LOCK_RES NLM4_GRANTED"
    ) == (4, 6)
