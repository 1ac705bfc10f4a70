"""Lock requests that were answered BLOCKED, and how they ended."""

from __future__ import annotations

import pytest
from support.story import capture_of
from support.told import history_of

BLOCKED = """
    1        client2 > server   NLM_LOCK fh=A oh=2
    2        server  > client2  NLM4_GRANTED
    3        client1 > server   NLM_LOCK fh=A oh=1 block
    4        server  > client1  NLM4_BLOCKED
"""


def waits(*parts):
    """Every wait as ``2 polls, granted 8``."""
    history = history_of(capture_of("\n".join(parts))[0])
    return [f"{w.polls} polls, {w.how}{f' {w.ended.frame}' if w.ended else ''}" for w in history.walked.waits]


def test_still_waiting():
    assert waits(BLOCKED) == ["1 polls, "]
    assert waits(BLOCKED, "5 +30s client1 > server POLL 3\n6 server > client1 NLM4_BLOCKED") == ["2 polls, "]


@pytest.mark.parametrize(
    ("lines", "end"),
    [
        ("5 +30s client1 > server POLL 3\n6 server > client1 NLM4_GRANTED", "granted 6"),
        ("5 +30s client1 > server POLL 3\n6 server > client1 NLM4_DEADLCK", "refused 6"),
        (
            "5 server > client1 NLM_GRANTED_MSG fh=A oh=1\n6 client1 > server NLM_GRANTED_RES NLM4_GRANTED",
            "called back 6",
        ),
        ("5 server > client1 NLM_GRANTED fh=A oh=1 cookie=99\n6 client1 > server NLM4_GRANTED", "called back 6"),
        ("5 client1 > server NLM_CANCEL fh=A oh=1 block\n6 server > client1 NLM4_GRANTED", "cancelled 5"),
        ("5 client1 > server NLM_UNLOCK fh=A oh=1 range=0-EOF", "cancelled 5"),
        ("5 +60s server > client1 SM_NOTIFY state=5\n6 client1 > server OK", "restarted 5"),
        ("5 +60s client1 > server NLM_FREE_ALL name=client1", "restarted 5"),
    ],
)
def test_how_it_ended(lines, end):
    assert waits(BLOCKED, lines) == [f"1 polls, {end}"]


@pytest.mark.parametrize(
    "lines",
    [
        "5 server > client1 NLM_GRANTED_MSG fh=A oh=1 range=0-98\n6 client1 > server NLM_GRANTED_RES NLM4_GRANTED",
        "5 server > client1 NLM_GRANTED_MSG fh=B oh=1\n6 client1 > server NLM_GRANTED_RES NLM4_GRANTED",
        "5 server > client1 NLM_GRANTED_MSG fh=A oh=1 svid=9\n6 client1 > server NLM_GRANTED_RES NLM4_GRANTED",
        "5 client1 > server NLM_CANCEL fh=A oh=2 block",
        "5 client1 > server NLM_UNLOCK fh=A oh=1 range=0-50",
        "5 client3 > server NLM_CANCEL fh=A oh=1 block",
    ],
)
def test_what_is_for_another_wait(lines):
    assert waits(BLOCKED, lines)[0] == "1 polls, "


def test_what_is_in_the_way():
    (wait,) = history_of(capture_of(BLOCKED)[0]).walked.waits
    assert [(owner.svid, piece.granted.frame) for _, owner, piece in wait.blockers] == [(2, 2)]
    assert wait.freed is None
    free = "5 client2 > server NLM_UNLOCK fh=A oh=2\n6 server > client2 NLM4_GRANTED"
    (wait,) = history_of(capture_of(BLOCKED + free)[0]).walked.waits
    assert wait.freed is not None
    assert wait.freed.frame == 6


@pytest.mark.parametrize("own", [3, 120])
def test_what_the_waiter_has_itself_hides_nobody(own):
    """However many its pieces are: the wait is free when the last of the others has gone."""
    held = [f"client1 > server NLM_LOCK fh=A oh=1 range={2 * i}-{2 * i}" for i in range(own)]
    asked = [
        "client2 > server NLM_LOCK fh=A oh=2 range=1001-1001",
        *held,
        "client3 > server NLM_LOCK fh=A oh=3 range=2001-2001",
    ]
    lines = [line for ask in asked for line in (ask, f"server > {ask.split()[0]} NLM4_GRANTED")]
    lines += ["client1 > server NLM_LOCK fh=A oh=1 range=0-9999 block", "server > client1 NLM4_BLOCKED"]
    for n in (2, 3):
        lines += [f"client{n} > server NLM_UNLOCK fh=A oh={n} range={n - 1}001-{n - 1}001"]
        lines += [f"server > client{n} NLM4_GRANTED"]
    story = "\n".join(f"{number} {line}" for number, line in enumerate(lines, 1))
    (wait,) = history_of(capture_of(story)[0]).walked.waits
    assert [owner.svid for _, owner, _ in wait.blockers] == [2, 3]
    assert wait.freed is not None
    assert wait.freed.frame == len(lines)


@pytest.mark.parametrize("others", [0, 150])
@pytest.mark.parametrize(
    ("frees", "how"),
    [
        ("client2 > server SM_NOTIFY mon_name=client2 state=5", "SM_NOTIFY"),
        ("client2 > server NLM_FREE_ALL name=client2", "NLM_FREE_ALL"),
        ("client2 > server NLM_UNLOCK fh=A oh=2 range=0-9", "NLM_UNLOCK"),
    ],
)
def test_what_freed_the_range(frees, how, others):
    """Whatever it is, and however many wait for something else of the file, whose UNLOCK is not it."""
    lines = [
        "client2 > server NLM_LOCK fh=A oh=2 range=0-9",
        "server > client2 NLM4_GRANTED",
        "client3 > server NLM_LOCK fh=A oh=3 range=100-109",
        "server > client3 NLM4_GRANTED",
        "client1 > server NLM_LOCK fh=A oh=1 range=0-9 block",
        "server > client1 NLM4_BLOCKED",
    ]
    for n in range(others):
        lines += [f"client4 > server NLM_LOCK fh=A oh={1000 + n} range=100-109 block", "server > client4 NLM4_BLOCKED"]
    lines += [frees]
    freed = len(lines)
    if how == "SM_NOTIFY":
        lines += ["server > client2 OK"]
    elif how == "NLM_UNLOCK":
        lines += ["server > client2 NLM4_GRANTED"]
        freed += 1
    lines += ["client3 > server NLM_UNLOCK fh=A oh=3 range=100-109", "server > client3 NLM4_GRANTED"]
    story = "\n".join(f"{number} {line}" for number, line in enumerate(lines, 1))
    wait = history_of(capture_of(story)[0]).walked.waits[0]
    assert wait.freed is not None
    assert (wait.freed.frame, str(wait.freed_how)) == (freed, how)
    assert wait.freed_by is not None
    assert wait.freed_by[1].svid == 2
