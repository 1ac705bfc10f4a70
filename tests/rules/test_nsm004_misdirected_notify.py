"""NSM004: SM_NOTIFY went to a wrong or dead port and was not healed."""

from __future__ import annotations

import pytest
from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NSM004, NSM003 = BY_CODE["NSM004"], BY_CODE["NSM003"]

HELD = """
     1        client1 > server   NLM_LOCK fh=A oh=1
     2        server  > client1  NLM4_GRANTED
     3  +60s  client2 > server   NLM_LOCK fh=E oh=1
     4        server  > client2  NLM4_DENIED_GRACE_PERIOD
     5        server  > client1  GETPORT statd
     6        client1 > server   port 662
"""
GRACE_ENDS = """
    11  +90s  client1 > server   NLM_LOCK fh=B oh=2
    12        server  > client1  NLM4_GRANTED
"""


@pytest.mark.parametrize("error", ["PROG_UNAVAIL", "PROG_MISMATCH"])
def test_no_statd_at_this_port(error):
    text = f"""
         7        server  > client1  SM_NOTIFY mon_name=server state=5
         8        client1 > server   {error}
         9   +2s  server  > client1  SM_NOTIFY mon_name=server state=5
        10        client1 > server   {error}
    """
    story = told(NSM004, HELD, text, GRACE_ENDS)
    assert story.says == ["error confirmed server=server client=client1: 8 7 9 10 2 4"]
    assert not told(NSM003, HELD, text, GRACE_ENDS).says


def test_the_host_says_that_nobody_listens():
    story = told(
        NSM004,
        HELD,
        """
         7        server  > client1  SM_NOTIFY mon_name=server state=5 port=4045
         8        client1 > server   ICMP port server
         9   +2s  server  > client1  SM_NOTIFY mon_name=server state=5 port=4045
        10        client1 > server   ICMP port server
    """,
        GRACE_ENDS,
    )
    assert len(story.says) == 1
    assert story.says[0].startswith("error")
    assert "server=server client=client1" in story.says[0]


def test_another_port_than_the_lookup_gave():
    story = told(
        NSM004,
        HELD,
        """
         7        server  > client1  SM_NOTIFY mon_name=server state=5 port=999
         8   +2s  server  > client1  SM_NOTIFY mon_name=server state=5 port=999
         9   +4s  server  > client1  SM_NOTIFY mon_name=server state=5 port=999
        10   +8s  server  > client1  SM_NOTIFY mon_name=server state=5 port=999
    """,
        GRACE_ENDS,
    )
    assert story.says == ["error suspected server=server client=client1: 7 8 9 10 2 4"]


def test_healed_by_the_next_lookup():
    story = told(
        NSM004,
        HELD,
        """
         7        server  > client1  SM_NOTIFY mon_name=server state=5
         8        client1 > server   PROG_UNAVAIL
         9  +30s  server  > client1  SM_NOTIFY mon_name=server state=5 port=700
        10        client1 > server   OK
    """,
        GRACE_ENDS,
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_silence_is_another_finding():
    story = told(
        NSM004,
        HELD,
        """
         7        server  > client1  SM_NOTIFY mon_name=server state=5
         8   +2s  server  > client1  SM_NOTIFY mon_name=server state=5
         9   +4s  server  > client1  SM_NOTIFY mon_name=server state=5
        10   +8s  server  > client1  SM_NOTIFY mon_name=server state=5
    """,
        GRACE_ENDS,
    )
    assert story.says == []


def test_the_capture_ends_too_soon():
    story = told(
        NSM004,
        HELD,
        """
         7        server  > client1  SM_NOTIFY mon_name=server state=5
         8        client1 > server   PROG_UNAVAIL
    """,
    )
    assert story.says == []
    assert story.outcome is Outcome.NOT_ASSESSED
