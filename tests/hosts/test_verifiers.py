"""What write verifiers tell: a change is a sign of a restart, one that stays is a sign that the host lived on."""

from __future__ import annotations

import pytest
from support.story import capture_of
from support.told import history_of

from nlmdissect.hosts.signs import What


def history(*parts):
    return history_of(capture_of("\n".join(parts))[0])


def signs(*parts):
    """Each sign of a verifier, with its frame."""
    kinds = (What.VERIFIER, What.UNSURE_VERIFIER)
    return [(s.what.value, s.at.frame) for s in history(*parts).signs if s.what in kinds]


BEFORE = """
     1        client1 > server   WRITE udp
     2        server  > client1  OK verf=a
     3        client1 > server   NLM_LOCK fh=A oh=1
     4        server  > client1  NLM4_GRANTED
"""


def test_a_change():
    assert signs(BEFORE, "5 +60s client1 > server COMMIT udp\n6 server > client1 OK verf=b") == [("verifier", 6)]


def test_another_client_sees_the_change():
    assert signs(BEFORE, "5 +60s client2 > server WRITE udp\n6 server > client2 OK verf=b") == [("verifier", 6)]


def test_one_verifier_for_each_volume():
    text = """
     5        client1 > server   WRITE udp
     6        server  > client1  OK verf=b
     7        client2 > server   WRITE udp
     8        server  > client2  OK verf=a
    """
    assert signs(BEFORE, text) == []
    assert history(BEFORE, text).lives.lived_on(0, 0, 1) == ""


def test_after_a_write_that_failed():
    """Linux takes another verifier when data could not be written; whoever asked for it."""
    failed = "5 client2 > server WRITE udp\n6 server > client2 OK error=5"
    changed = "7 client1 > server WRITE udp\n8 server > client1 OK verf=b"
    assert signs(BEFORE, failed, changed) == [("unsure_verifier", 8)]
    between = "7 client1 > server WRITE udp\n8 server > client1 OK verf=a"
    later = "9 client1 > server WRITE udp\n10 server > client1 OK verf=b"
    assert signs(BEFORE, failed, between, later) == [("verifier", 10)]


def test_alone_it_is_no_restart():
    assert not history(BEFORE, "5 +60s client1 > server WRITE udp\n6 server > client1 OK verf=b").boots


PORTS = """
     5  +60s  client1 > server   WRITE udp
     6        server  > client1  OK verf=b
     7        client1 > server   GETPORT lockd
     8        server  > client1  port 4045
     9        client1 > server   GETPORT lockd
    10        server  > client1  port 5555
"""


def test_with_another_port_of_lockd_it_is_one():
    (boot,) = history(BEFORE, PORTS).boots
    assert boot.kinds == {What.VERIFIER, What.PORT}
    assert boot.not_before is not None
    assert (boot.not_before.frame, boot.not_after.frame) == (4, 6)
    assert boot.proven


def test_after_a_failed_write_it_counts_less():
    """Over a connection of lockd that was closed in order it would be a restart otherwise."""
    text = """
     1        client1 > server   WRITE udp
     2        server  > client1  OK verf=a
     3        client1 > server   NLM_LOCK fh=A oh=1 tcp
     4        server  > client1  NLM4_GRANTED
     5        client2 > server   WRITE udp
     6        server  > client2  OK {}
     7        server  > client1  FIN nlm
     8        client1 > server   WRITE udp
     9        server  > client1  OK verf=b
    """
    assert [boot.kinds for boot in history(text.format("verf=a")).boots] == [{What.CLOSED, What.VERIFIER}]
    assert not history(text.format("error=5")).boots


@pytest.mark.parametrize(("verf", "kinds"), [("b", [{What.NOTIFY, What.VERIFIER}]), ("a", [])])
def test_a_notice(verf, kinds):
    """A verifier that another one has replaced bears it out; the same one refutes it: its nfsd lives."""
    text = f"""
     5  +60s  client1 > server   WRITE udp
     6        server  > client1  OK verf=a
     7        server  > client1  SM_NOTIFY state=5
     8        client1 > server   OK
     9        client1 > server   WRITE udp
    10        server  > client1  OK verf={verf}
    """
    found = history(BEFORE, text)
    assert [boot.kinds for boot in found.boots] == kinds
    assert bool(found.stray) == (verf == "a")


def test_a_server_that_writes_through_may_keep_it():
    """Then it has nothing to lose in a restart, and the verifier says nothing."""
    text = BEFORE.replace("verf=a", "verf=a stable")
    after = """
     5        server  > client1  SM_NOTIFY state=5
     6        client1 > server   OK
     7        client1 > server   WRITE udp
     8        server  > client1  OK verf=a stable
    """
    assert [boot.kinds for boot in history(text, after).boots] == [{What.NOTIFY}]


def test_the_old_one_is_still_in_use_after_lockd_closed_a_connection():
    """lockd's connection was idle; nfsd restarted, or not, a while later."""
    lock = """
     3        client1 > server   SYN nlm
     4        server  > client1  SYNACK nlm
     5        client1 > server   NLM_LOCK fh=A oh=1 tcp
     6        server  > client1  NLM4_GRANTED
     7  +60s  server  > client1  FIN nlm
    """
    begin = "1 client1 > server WRITE udp\n2 server > client1 OK verf=a"
    used = "8 client1 > server WRITE udp\n9 server > client1 OK verf=a"
    assert not history(begin, lock, used, "10 client1 > server WRITE udp\n11 server > client1 OK verf=b").boots
    (boot,) = history(begin, lock, "8 client1 > server WRITE udp\n9 server > client1 OK verf=b").boots
    assert boot.kinds == {What.CLOSED, What.VERIFIER}


def test_a_connection_that_began_after_the_change_and_is_reset():
    """It is of the new life already: its reset is no sign of the same restart."""
    text = """
     1        client1 > server   WRITE udp
     2        server  > client1  OK verf=a
{old}
     {n}  +60s client1 > server  WRITE udp
     {n1}     server  > client1  OK verf=b
{new}
     {n2} +60s client1 > server  NLM_UNLOCK fh=A oh=1 tcp
     {n3}     server  > client1  RST nlm
    """
    locks = "{}  +1s  client1 > server  SYN nlm\n{}  server > client1 SYNACK nlm\n{} client1 > server NLM_LOCK fh=A oh=1 tcp\n{} server > client1 NLM4_GRANTED"
    before = text.format(old=locks.format(3, 4, 5, 6), new="", n=7, n1=8, n2=9, n3=10)
    after = text.format(old="", new=locks.format(5, 6, 7, 8), n=3, n1=4, n2=9, n3=10)
    assert [boot.kinds for boot in history(before).boots] == [{What.VERIFIER, What.RESET}]
    assert not history(after).boots
