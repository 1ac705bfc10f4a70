"""One request over all its transmissions."""

from __future__ import annotations

import pytest
from support.story import capture_of
from support.told import history_of

from nlmdissect.protocols.nlm import END
from nlmdissect.rpc.requests import Op


def asked(text):
    """Every request as ``LOCK 1,3: GRANTED 4``: its transmissions, and its answers with their frames."""
    data, _ = capture_of(text)
    return [
        f"{r.op} {','.join(str(s.at.frame) for s in r.sends)}:"
        + "".join(f" {a.status} {a.at.frame}" for a in r.answers)
        for r in history_of(data).requests
    ]


def one(text):
    data, _ = capture_of(text)
    (request,) = history_of(data).requests
    return request


def test_a_call_and_its_answer():
    assert asked("1 client1 > server NLM_LOCK\n2 server > client1 NLM4_GRANTED") == ["LOCK 1: GRANTED 2"]


def test_again_over_another_connection_and_port():
    """The first reclaim after a restart goes out on the dead connection, and once more on a new one."""
    assert asked("""
        1  client1 > server   NLM_LOCK tcp reclaim
        2  server  > client1  RST nlm
        3  client1 > server   SYN nlm sport=999
        4  server  > client1  SYNACK nlm
        5  client1 > server   AGAIN 1
        6  server  > client1  NLM4_GRANTED
    """) == ["LOCK 1,5: GRANTED 6"]


def test_again_over_udp_from_another_port():
    assert asked("""
        1        client1 > server   NLM_LOCK
        2  +10s  client1 > server   AGAIN 1 sport=888 port=9999
        3        server  > client1  NLM4_GRANTED
    """) == ["LOCK 1,2: GRANTED 3"]


def test_a_poll_has_the_cookie_and_another_xid():
    assert asked("""
        1        client1 > server   NLM_LOCK block
        2        server  > client1  NLM4_BLOCKED
        3  +30s  client1 > server   POLL 1
        4        server  > client1  NLM4_BLOCKED
        5  +30s  client1 > server   POLL 1
        6        server  > client1  NLM4_GRANTED
    """) == ["LOCK 1,3,5: BLOCKED 2 BLOCKED 4 GRANTED 6"]


def test_held_off_in_the_grace_period():
    assert asked("""
        1       client1 > server   NLM_LOCK
        2       server  > client1  NLM4_DENIED_GRACE_PERIOD
        3  +5s  client1 > server   POLL 1
        4       server  > client1  NLM4_GRANTED
    """) == ["LOCK 1,3: DENIED_GRACE_PERIOD 2 GRANTED 4"]


def test_a_new_xid_after_the_last_word_is_another_request():
    assert asked("""
        1       client1 > server   NLM_LOCK
        2       server  > client1  NLM4_DENIED
        3       client1 > server   POLL 1
        4       server  > client1  NLM4_GRANTED
    """) == ["LOCK 1: DENIED 2", "LOCK 3: GRANTED 4"]


def test_the_same_xid_after_the_last_word_is_a_retransmission():
    assert asked("""
        1       client1 > server   NLM_LOCK
        2       server  > client1  NLM4_DENIED
        3       client1 > server   AGAIN 1
        4       server  > client1  NLM4_GRANTED
    """) == ["LOCK 1,3: DENIED 2 GRANTED 4"]


def test_a_cookie_used_again_after_a_long_time():
    assert asked("""
        1         client1 > server   NLM_LOCK block
        2         server  > client1  NLM4_BLOCKED
        3  +400s  client1 > server   POLL 1
        4         server  > client1  NLM4_BLOCKED
    """) == ["LOCK 1: BLOCKED 2", "LOCK 3: BLOCKED 4"]


def test_a_cookie_used_again_in_the_next_life():
    """Linux counts its cookies and its owners from the beginning at every boot."""
    assert asked("""
        1        client1 > server   NLM_LOCK block state=3 cookie=35120000
        2        server  > client1  NLM4_BLOCKED
        3  +60s  client1 > server   SM_NOTIFY state=5
        4        server  > client1  OK
        5        client1 > server   NLM_LOCK block state=5 cookie=35120000
        6        server  > client1  NLM4_BLOCKED
    """) == ["LOCK 1: BLOCKED 2", "LOCK 5: BLOCKED 6"]


@pytest.mark.parametrize("words", ["fh=B", "oh=2", "range=0-98", "shared", "block", "reclaim", "cookie=aabbccdd", "v3"])
def test_other_arguments_make_another_request(words):
    said = "LCK_GRANTED" if words == "v3" else "NLM4_GRANTED"
    assert asked(f"""
        1  client1 > server   NLM_LOCK cookie=01000000
        2  client1 > server   NLM_LOCK {"" if "cookie" in words else "cookie=01000000"} {words}
        3  server  > client1  {said} to=2
    """) == ["LOCK 1:", "LOCK 2: GRANTED 3"]


def test_two_clients_never_share_a_request():
    assert asked("""
        1  client1 > server   NLM_LOCK cookie=01000000 oh=x caller=same machine=same xid=5
        2  client2 > server   NLM_LOCK cookie=01000000 oh=x caller=same machine=same xid=5
        3  server  > client2  NLM4_GRANTED
    """) == ["LOCK 1:", "LOCK 2: GRANTED 3"]


def test_a_copy_of_the_frame_is_no_transmission():
    assert asked("""
        1       client1 > server   NLM_LOCK
        2  +0s  client1 > server   COPY 1
        3       server  > client1  NLM4_GRANTED
        4  +0s  server  > client1  COPY 3
    """) == ["LOCK 1: GRANTED 3"]


def test_an_asynchronous_call_is_answered_by_another_call():
    assert asked("""
        1  client1 > server   NLM_LOCK_MSG
        2  server  > client1  OK
        3  server  > client1  NLM_LOCK_RES NLM4_DENIED
        4  client1 > server   OK
    """) == ["LOCK 1: DENIED 3"]


def test_the_empty_reply_to_a_msg_says_nothing():
    assert asked("1 client1 > server NLM_LOCK_MSG\n2 server > client1 OK") == ["LOCK 1:"]


def test_a_server_that_cannot_serve_a_msg():
    assert asked("1 server > client1 NLM_GRANTED_MSG\n2 client1 > server SYSTEM_ERR") == ["GRANTED 1: SYSTEM_ERR 2"]


def test_results_with_colliding_cookies_of_two_clients():
    assert asked("""
        1  client1 > server   NLM_LOCK_MSG cookie=07000000
        2  client2 > server   NLM_LOCK_MSG cookie=07000000 fh=B
        3  server  > client2  NLM_LOCK_RES NLM4_DENIED
        4  server  > client1  NLM_LOCK_RES NLM4_GRANTED
    """) == ["LOCK 1: GRANTED 4", "LOCK 2: DENIED 3"]


def test_results_of_other_procedures_with_the_same_cookie():
    assert asked("""
        1  client1 > server   NLM_LOCK_MSG cookie=07000000
        2  client1 > server   NLM_UNLOCK_MSG cookie=07000000
        3  server  > client1  NLM_UNLOCK_RES NLM4_GRANTED to=2
        4  server  > client1  NLM_LOCK_RES NLM4_DENIED to=1
    """) == ["LOCK 1: DENIED 4", "UNLOCK 2: GRANTED 3"]


def test_a_result_that_nobody_asked_for():
    assert asked("lost client1 > server NLM_LOCK_MSG\n1 server > client1 NLM_LOCK_RES NLM4_GRANTED") == []


def test_a_callback_goes_from_server_to_client():
    request = one("""
        1  server  > client1  NLM_GRANTED_MSG caller=server
        2  client1 > server   NLM_GRANTED_RES NLM4_GRANTED
    """)
    assert request.op is Op.GRANTED
    assert request.server != request.client
    lock = one("1 client1 > server NLM_LOCK")
    assert (lock.client, lock.server) == (0, 1)  # the one that sends is the client
    assert (request.server, request.client) == (0, 1)  # the one that sends is the server


def test_a_repeated_callback_is_one_request():
    """Linux repeats it every 60 s with a new xid and the same cookie."""
    assert asked("""
        1        server  > client1  NLM_GRANTED_MSG
        2  +60s  server  > client1  POLL 1
        3        client1 > server   NLM_GRANTED_RES NLM4_GRANTED
    """) == ["GRANTED 1,2: GRANTED 3"]


@pytest.mark.parametrize(
    ("words", "start", "end"),
    [
        ("range=0-99", 0, 99),
        ("range=5-EOF", 5, END),
        ("range=0-9223372036854775807", 0, 2**63 - 1),
        ("v1 range=0-99", 0, 99),
        ("v1 range=5-EOF", 5, END),
        ("v1 range=4294967295-EOF", 2**32 - 1, END),
        ("v1 range=2147483648-4294967295", 2**31, 2**32 - 1),
    ],
)
def test_ranges(words, start, end):
    request = one(f"1 client1 > server NLM_LOCK {words}")
    assert (request.start, request.end) == (start, end)


def test_an_rpc_error_is_an_answer():
    assert asked("1 client1 > server NLM_LOCK\n2 server > client1 PROG_MISMATCH") == ["LOCK 1: PROG_MISMATCH 2"]


def test_the_private_callback_of_statd_is_no_request():
    assert asked("1 client1 > server SM_NOTIFY state=3") == []


def test_an_encrypted_call_is_a_request_that_cannot_be_read():
    assert one("1 client1 > server NLM_LOCK krb5p").readable is False


def test_a_result_that_cannot_be_read_is_no_refusal():
    request = one("1 client1 > server NLM_LOCK\n2 server > client1 NLM4_GRANTED short=4")
    assert request.status == "UNREADABLE"


WAIT = "1 client1 > server NLM_LOCK fh=A oh=1 svid=1 block\n2 server > client1 NLM4_BLOCKED\n"


def callback_of(text):
    """The address of the server that a callback is taken for."""
    data, _ = capture_of(text)
    history = history_of(data)
    (request,) = [r for r in history.requests if r.op is Op.GRANTED]
    return history.names.address(request.server), request.status


def test_a_callback_from_another_address_of_the_server():
    """It belongs to the LOCK; whoever keeps the addresses apart believes that nobody called."""
    other = "host server 10.0.0.1 10.1.0.1\n" + WAIT + "3 server/2 > client1 NLM_GRANTED_MSG fh=A oh=1 svid=1\n"
    assert callback_of(other + "4 client1 > server/2 NLM_GRANTED_RES NLM4_GRANTED") == ("10.0.0.1", "GRANTED")


@pytest.mark.parametrize("words", ["fh=B oh=1 svid=1", "fh=A oh=1 svid=2", "fh=A oh=1 svid=1 range=0-9"])
def test_a_callback_from_another_server(words):
    assert callback_of(WAIT + f"3 server2 > client1 NLM_GRANTED_MSG {words}")[0] == "10.0.0.2"


def test_a_client_that_waits_at_both():
    """Copies of one file system have equal handles."""
    both = WAIT + "3 client1 > server2 NLM_LOCK fh=A oh=1 svid=1 block\n4 server2 > client1 NLM4_BLOCKED\n"
    assert callback_of(both + "5 server2 > client1 NLM_GRANTED_MSG fh=A oh=1 svid=1")[0] == "10.0.0.2"
