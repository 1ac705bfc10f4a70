"""SM_NOTIFYs of hosts that demonstrably lived on."""

from __future__ import annotations

import pytest
from support.captures import SHARED
from support.story import capture_of
from support.told import history_of

from nlmdissect.history.history import History, read_history

CONNECTED = """
     1        client1 > server   SYN nlm
     2        server  > client1  SYNACK nlm
     3        client1 > server   NLM_LOCK fh=A oh=1 tcp
     4        server  > client1  NLM4_GRANTED
"""
GOES_ON = """
     7  +20s  client1 > server   NLM_LOCK fh=B oh=1 tcp
     8        server  > client1  NLM4_GRANTED
"""


def cases(*parts: str) -> list[tuple[str, str, list[int]]]:
    """(host, sender, frames) of each, with addresses."""
    history = history_of(capture_of("\n".join(parts))[0])
    return told(history)


def told(history: History) -> list[tuple[str, str, list[int]]]:
    name = history.names.address
    return [(name(c.host), name(c.sender), [t.at.frame for t in c.tries]) for c in history.spurious]


@pytest.mark.parametrize("who", ["client1 > server", "server > client1"])
def test_a_connection_goes_on(who):
    """It belongs to both ends."""
    sender = who.partition(" ")[0]
    notice = f"5 +60s {who} SM_NOTIFY state=7\n6 {' > '.join(reversed(who.split(' > ')))} OK"
    address = {"client1": "10.0.0.21", "server": "10.0.0.1"}[sender]
    assert cases(CONNECTED, notice, GOES_ON) == [(address, address, [5])]


def test_the_connection_ends_before():
    notice = "5 +60s client1 > server SM_NOTIFY state=7\n6 server > client1 OK"
    assert cases(CONNECTED, notice) == []


def test_the_host_resets_the_connection():
    """It knows nothing of it: that is a new life."""
    notice = "5 +60s client1 > server SM_NOTIFY state=7\n6 server > client1 OK"
    assert cases(CONNECTED, notice, "7 server > client1 DATA nlm\n8 client1 > server RST nlm") == []


def test_a_connection_of_the_new_life():
    later = """
     5  +60s  client1 > server   SM_NOTIFY state=7
     6        server  > client1  OK
     7        client1 > server   SYN nlm sport=901
     8        server  > client1  SYNACK nlm
     9        client1 > server   NLM_LOCK fh=B oh=1 tcp
    10        server  > client1  NLM4_GRANTED
    """
    assert cases(CONNECTED, later) == []


def test_a_notice_goes_to_many_and_twice():
    notices = """
     5  +60s  server  > client1  SM_NOTIFY mon_name=server.example.com state=7
     6        client1 > server   OK
     7        server  > client1  SM_NOTIFY mon_name=server state=7
     8        client1 > server   OK
     9        server  > client2  SM_NOTIFY mon_name=server state=7
    10        client1 > server   NLM_LOCK fh=B oh=1 tcp
    11        server  > client1  NLM4_GRANTED
    """
    assert cases(CONNECTED, notices) == [("10.0.0.1", "10.0.0.1", [5, 7, 9])]


def test_a_restart_later_with_its_own_notice():
    """The reset connection is of an old life."""
    restart = """
     5  +60s  server  > client1  SM_NOTIFY mon_name=server state=7
     6        client1 > server   OK
     7        client1 > server   NLM_LOCK fh=B oh=1 tcp
     8        server  > client1  NLM4_GRANTED
     9 +600s  client1 > server   NLM_LOCK fh=C oh=1 tcp
    10        server  > client1  RST nlm
    11        client1 > server   SYN nlm sport=901
    12        server  > client1  SYNACK nlm
    13        client1 > server   NLM_LOCK fh=C oh=1 tcp
    14        server  > client1  NLM4_DENIED_GRACE_PERIOD
    15        server  > client1  SM_NOTIFY mon_name=server state=9
    16        client1 > server   OK
    """
    assert cases(CONNECTED, restart) == [("10.0.0.1", "10.0.0.1", [5])]


def test_lockd_restarts_alone_and_tells():
    """Its NFS connection goes on, its locks are gone: the notice is right (illumos sends it at each start of lockd)."""
    history = history_of(
        capture_of("""
     1        client1 > server   NFS
     2        server  > client1  OK
     3        client1 > server   NLM_LOCK fh=A oh=1
     4        server  > client1  NLM4_GRANTED
     5  +60s  server  > client1  SM_NOTIFY mon_name=server state=7
     6        client1 > server   OK
     7        client2 > server   NLM_LOCK fh=B oh=1
     8        server  > client2  NLM4_DENIED_GRACE_PERIOD
     9        client1 > server   NLM_LOCK fh=A oh=1 reclaim
    10        server  > client1  NLM4_GRANTED
    11        client1 > server   NFS
    12        server  > client1  OK
    """)[0]
    )
    assert told(history) == []
    [boot] = history.boots
    assert boot.not_after.frame == 5
    assert boot.lived_on
    assert [(r.notify, [t.at.frame for t in r.tries]) for r in history.recoveries] == [("understood", [5])]


def test_a_statd_that_restarts_in_a_container():
    """The state in the client's locks follows, but the client itself, and what it believes, goes on."""
    text = """
     5  +60s  client1 > server   SM_NOTIFY mon_name=client1 state=7
     6        server  > client1  OK
     7        client1 > server   NLM_LOCK fh=B oh=1 tcp state=7
     8        server  > client1  NLM4_GRANTED
    """
    assert cases(CONNECTED, text) == [("10.0.0.21", "10.0.0.21", [5])]


STRANGER = "host stranger 10.0.0.66 name=stranger"


def test_somebody_speaks_in_its_name():
    notice = "5 +60s stranger > server SM_NOTIFY mon_name=client1 state=7\n6 server > stranger OK"
    assert cases(STRANGER, CONNECTED, notice, GOES_ON) == [("10.0.0.21", "10.0.0.66", [5])]


def test_it_restarted_and_somebody_speaks_for_it():
    """Its other address, or the tool of a cluster."""
    text = """
     5  +60s  stranger > server  SM_NOTIFY mon_name=client1 state=7
     6        server  > stranger OK
     7        client1 > server   SYN nlm sport=901
     8        server  > client1  SYNACK nlm
     9        client1 > server   NLM_LOCK fh=A oh=1 tcp state=7
    10        server  > client1  NLM4_GRANTED
    """
    assert cases(STRANGER, CONNECTED, text) == []


def test_clones_speak_for_themselves():
    """What their notices do to each other is another matter."""
    clones = "host client1 10.0.0.21 name=clone\nhost client2 10.0.0.22 name=clone"
    text = """
     5        client2 > server   NLM_LOCK fh=B oh=1
     6        server  > client2  NLM4_GRANTED
     7  +60s  client2 > server   SM_NOTIFY mon_name=clone state=7
     8        server  > client2  OK
     9  +20s  client1 > server   NLM_LOCK fh=C oh=1 tcp
    10        server  > client1  NLM4_GRANTED
    """
    assert cases(clones, CONNECTED, text) == []


def test_nobody_has_that_name():
    notice = "5 +60s stranger > server SM_NOTIFY mon_name=elsewhere state=7\n6 server > stranger OK"
    assert cases(STRANGER, CONNECTED, notice, GOES_ON) == []


def test_recorded():
    path = SHARED / "S15-spurious-notify.pcap"
    if not path.exists():
        pytest.skip("the recording is not here")
    assert told(read_history([path])) == [("10.77.0.10", "10.77.0.10", [225, 227])]
