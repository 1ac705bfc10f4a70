"""PMAP002: lockd was not registered when clients wanted to reclaim."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

PMAP002 = BY_CODE["PMAP002"]

HELD = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3        client2 > server   NLM_LOCK fh=B oh=2
     4        server  > client2  NLM4_GRANTED
"""
TOLD = """
     5  +30s  server  > client1  GETPORT statd
     6        client1 > server   port 662
     7        server  > client1  SM_NOTIFY mon_name=server state=5
     8        client1 > server   OK
"""
NOT_THERE = """
     9        client1 > server   GETPORT lockd
    10   +0s  server  > client1  port 0
    11   +3s  client1 > server   GETPORT lockd
    12   +0s  server  > client1  port 0
    13   +3s  client1 > server   GETPORT lockd
    14   +0s  server  > client1  port 0
"""
OTHERS = """
    15  +20s  client2 > server   NLM_LOCK fh=B oh=2 reclaim
    16        server  > client2  NLM4_GRANTED
    17  +90s  client2 > server   NLM_LOCK fh=C oh=2
    18        server  > client2  NLM4_GRANTED
"""


def test_the_client_gives_up():
    story = told(PMAP002, HELD, TOLD, NOT_THERE, OTHERS)
    assert story.says == ["error confirmed server=server client=client1: 10 7 12 14 2 5"]


def test_what_follows_from_it():
    story = told(PMAP002, HELD, TOLD, NOT_THERE, OTHERS)
    found = [f for f in story.everything if f.severity and f.severity.name == "ERROR" and f.caused_by is None]
    assert [f.code for f in found] == ["PMAP002"]


def test_it_heals_within_seconds():
    story = told(
        PMAP002,
        HELD,
        TOLD,
        """
     9        client1 > server   GETPORT lockd
    10        server  > client1  port 0
    11   +3s  client1 > server   GETPORT lockd
    12        server  > client1  port 4045
    13        client1 > server   NLM_LOCK fh=A oh=1 reclaim
    14        server  > client1  NLM4_GRANTED
    """,
        OTHERS,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


@pytest.mark.parametrize(
    ("status", "found"),  # in the second, only the notice tells of the restart
    [
        ("NLM4_GRANTED", "warning confirmed server=server client=client1: 10 7 12 14 16 5"),
        ("NLM4_DENIED_GRACE_PERIOD", "error suspected server=server client=client1: 10 7 12 14 16 2 5"),
    ],
)
def test_it_heals_late(status, found):
    story = told(
        PMAP002,
        HELD,
        TOLD,
        NOT_THERE,
        f"""
    15  +30s  client1 > server   GETPORT lockd
    16        server  > client1  port 4045
    17        client1 > server   NLM_LOCK fh=A oh=1 reclaim
    18        server  > client1  {status}
    """,
    )
    assert story.says == [found]


def test_no_restart():
    story = told(PMAP002, HELD, "\n".join(f"{n} {line.split(maxsplit=1)[1]}" for n, line in _five(NOT_THERE)))
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 0


def test_the_client_was_never_told():
    """NSM001: it asks because its connection broke."""
    story = told(
        PMAP002,
        HELD,
        """
     5  +30s  server  > client2  GETPORT statd
     6        client2 > server   port 662
     7        server  > client2  SM_NOTIFY mon_name=server state=5
     8        client2 > server   OK
    """,
        NOT_THERE,
        OTHERS,
    )
    assert story.says == []


def test_the_capture_ends_before_grace_does():
    story = told(PMAP002, HELD, TOLD, NOT_THERE)
    assert story.outcome is Outcome.NOT_ASSESSED


def test_answers_are_not_here():
    story = told(
        PMAP002, HELD, TOLD, "\n".join(f"{n} {line.split(maxsplit=1)[1]}" for n, line in _five(_questions(), 9))
    )
    assert story.says == []


def _five(text, first=5):
    return list(enumerate((line for line in text.splitlines() if line.strip()), first))


def _questions():
    return "\n".join(line for line in NOT_THERE.splitlines() if "GETPORT" in line)


def test_it_is_there_soon_and_the_client_has_given_up():
    """Its kernel asks three times and drops the reclaim; the next lock finds lockd."""
    soon = """
    15   +2s  client1 > server   GETPORT lockd
    16   +0s  server  > client1  port 4045
    17        client1 > server   NLM_LOCK fh=D oh=1
    18        server  > client1  NLM4_DENIED_GRACE_PERIOD
    19  +90s  client1 > server   POLL 17
    20        server  > client1  NLM4_GRANTED
    """
    story = told(PMAP002, HELD, TOLD, NOT_THERE, soon)
    assert story.says == ["error confirmed server=server client=client1: 10 7 12 14 16 2 5"]
    (missing,) = [f for f in story.everything if f.code == "NLM002"]
    assert story.everything[missing.caused_by].code == "PMAP002"
