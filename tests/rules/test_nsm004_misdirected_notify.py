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


NOBODY = """
     7        server  > client1  SM_NOTIFY mon_name=server state=5
     8        client1 > server   ICMP port client1 port=662
     9   +2s  server  > client1  SM_NOTIFY mon_name=server state=5
    10        client1 > server   ICMP port client1 port=662
"""


def test_the_host_says_that_nobody_listens():
    """Its statd died after it had registered."""
    story = told(NSM004, HELD, NOBODY, GRACE_ENDS)
    assert story.says == ["error confirmed server=server client=client1: 8 7 9 10 2 4"]
    assert "NSM003" not in [f.code for f in story.everything]


def test_a_firewall_says_something_else():
    """No word about the port: NSM003."""
    text = NOBODY.replace("ICMP port", "ICMP prohibited")
    assert told(NSM004, HELD, text, GRACE_ENDS).says == []
    assert told(NSM003, HELD, text, GRACE_ENDS).says


def test_unreachable_is_another_port():
    assert told(NSM004, HELD, NOBODY.replace("client1 port=662", "client1 port=4045"), GRACE_ENDS).says == []


def test_the_locks_are_reclaimed_too_late():
    """Healed, but after the grace period: the refused reclaims follow from it."""
    late = """
        13        server  > client1  GETPORT statd
        14        client1 > server   port 700
        15        server  > client1  SM_NOTIFY mon_name=server state=5 port=700
        16        client1 > server   OK
        17        client1 > server   NLM_LOCK fh=A oh=1 reclaim
        18        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """
    story = told(NSM004, HELD, NOBODY, GRACE_ENDS, late)
    assert story.says[0].startswith("error confirmed server=server client=client1: 8 7 9")
    [refused] = [f for f in story.everything if f.code == "NLM003"]
    assert refused.caused_by is not None
    assert story.everything[refused.caused_by].code == "NSM004"


def test_the_client_held_nothing():
    text = HELD.replace("NLM4_GRANTED", "NLM4_DENIED")
    assert told(NSM004, text, NOBODY, GRACE_ENDS).says == ["warning confirmed server=server client=client1: 8 7 9 10 4"]


CLIENT_BACK = """
     1        client1 > server   NLM_LOCK fh=A oh=1 state=3
     2        server  > client1  NLM4_GRANTED
     3  +60s  client1 > server   NLM_LOCK fh=B oh=7 state=5
     4        server  > client1  NLM4_GRANTED
     5        client1 > server   SM_NOTIFY mon_name=client1 state=5
     6        server  > client1  PROG_UNAVAIL
     7   +2s  client1 > server   SM_NOTIFY mon_name=client1 state=5
     8        server  > client1  PROG_UNAVAIL
"""


def test_a_client_asks_the_wrong_port_of_its_server():
    refused = "9 +90s client2 > server NLM_LOCK fh=A oh=2\n10 server > client2 NLM4_DENIED"
    story = told(NSM004, CLIENT_BACK, refused)
    assert story.says == ["error confirmed server=server client=client1: 6 5 7 8 2 3"]


def test_the_server_freed_the_locks_for_another_reason():
    served = "9 +90s client2 > server NLM_LOCK fh=A oh=2\n10 server > client2 NLM4_GRANTED"
    assert told(NSM004, CLIENT_BACK, served).says == ["warning confirmed server=server client=client1: 6 5 7 8 3"]


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


def test_the_lookup_was_answered_after_the_try():
    """The port of the try came from an earlier one."""
    story = told(
        NSM004,
        HELD.replace("6        client1 > server   port 662", "6        server  > client1  SM_NOTIFY state=5 port=999"),
        """
         7        client1 > server   port 662
         8   +2s  server  > client1  SM_NOTIFY state=5
         9   +4s  server  > client1  SM_NOTIFY state=5
        10   +8s  server  > client1  SM_NOTIFY state=5
    """,
        GRACE_ENDS,
    )
    assert story.says == []


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
