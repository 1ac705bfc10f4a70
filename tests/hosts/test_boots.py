"""Restarts: which signs add up to one, and which do not."""

from __future__ import annotations

import pytest
from support.story import capture_of
from support.told import history_of

from nlmdissect.hosts.signs import STRENGTH, What


def boots(*parts):
    """Every restart as ``server 2..4: grace notify``: its host, the frames that it lies between, and its kinds of signs."""
    data, hosts = capture_of("\n".join(parts))
    history = history_of(data)
    find = history.traffic.endpoints.find
    names = {find(host.addresses[0]): name for name, host in hosts.items()}
    return [
        f"{names[b.host]} {b.not_before.frame if b.not_before else ''}..{b.not_after.frame}: "
        + " ".join(sorted(kind.value for kind in b.kinds))
        for b in history.boots
    ]


def history(*parts):
    return history_of(capture_of("\n".join(parts))[0])


ORDINARY = """
    1        client1 > server   NLM_LOCK fh=A oh=1
    2        server  > client1  NLM4_GRANTED
"""


def test_a_grace_period_after_ordinary_answers():
    assert boots(ORDINARY, "3 +60s client1 > server NLM_LOCK fh=B\n4 server > client1 NLM4_DENIED_GRACE_PERIOD") == [
        "server 2..4: grace"
    ]


@pytest.mark.parametrize(
    "call", ["NLM_LOCK fh=B", "NLM_TEST fh=B", "NLM_UNLOCK fh=B", "NLM_CANCEL fh=B", "NM_LOCK fh=B"]
)
def test_whatever_is_held_off_tells_of_grace(call):
    assert boots(ORDINARY, f"3 client1 > server {call}\n4 server > client1 NLM4_DENIED_GRACE_PERIOD") == [
        "server 2..4: grace"
    ]


def test_a_client_in_its_own_grace_period_is_no_server():
    """illumos answers a callback with status 4 while its own lock manager is in grace."""
    assert (
        boots(
            ORDINARY,
            """
        3  server  > client1  NLM_GRANTED fh=B oh=1
        4  client1 > server   NLM4_DENIED_GRACE_PERIOD
    """,
        )
        == []
    )


def test_a_reclaim_that_comes_too_late_is_no_grace_period():
    assert boots(ORDINARY, "3 client1 > server NLM_LOCK reclaim\n4 server > client1 NLM4_DENIED_GRACE_PERIOD") == []


def test_the_capture_begins_in_the_grace_period():
    """There is no before: the restart may have been long ago, but it was."""
    assert boots("1 client1 > server NLM_LOCK\n2 server > client1 NLM4_DENIED_GRACE_PERIOD") == ["server ..2: grace"]


def test_a_notice():
    assert boots(ORDINARY, "3 +60s server > client1 SM_NOTIFY state=5\n4 client1 > server OK") == [
        "server 2..3: notify"
    ]


def test_a_notice_belongs_to_the_grace_period_around_it():
    (boot,) = history(
        ORDINARY,
        """
        3  +60s  client2 > server   NLM_LOCK fh=B
        4        server  > client2  NLM4_DENIED_GRACE_PERIOD
        5  +20s  server  > client1  SM_NOTIFY state=5
    """,
    ).boots
    assert boot.kinds == {What.GRACE, What.NOTIFY}
    assert (boot.state_before, boot.state_after) == (None, 5)
    assert boot.told is not None
    assert boot.told.frame == 5


def test_retries_and_the_short_name_are_one_restart():
    assert boots(
        ORDINARY,
        """
        3  +60s  server  > client1  SM_NOTIFY mon_name=server.example.com state=5
        4   +2s  server  > client1  SM_NOTIFY mon_name=server.example.com state=5
        5        client1 > server   OK
        6        server  > client1  SM_NOTIFY mon_name=server state=5
        7 +120s  server  > client2  SM_NOTIFY mon_name=server state=5
    """,
    ) == ["server 2..3: notify"]


def test_another_state_is_another_restart():
    first, second = history(
        ORDINARY,
        """
        3  +60s  server  > client1  SM_NOTIFY state=5
        4  +30s  server  > client1  SM_NOTIFY state=7
    """,
    ).boots
    assert (first.state_after, second.state_before, second.state_after) == (5, 5, 7)
    assert first.until == second.not_after.time
    assert second.until is None


def test_two_grace_periods_with_normal_service_between():
    assert boots(
        ORDINARY,
        """
         3  +60s  client1 > server   NLM_LOCK fh=B
         4        server  > client1  NLM4_DENIED_GRACE_PERIOD
         5  +60s  client1 > server   POLL 3
         6        server  > client1  NLM4_GRANTED
         7  +60s  client1 > server   NLM_LOCK fh=C
         8        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
    ) == ["server 2..4: grace", "server 6..8: grace"]


def test_a_long_grace_period_is_one_restart():
    assert boots(
        ORDINARY,
        """
         3  +60s  client1 > server   NLM_LOCK fh=B
         4        server  > client1  NLM4_DENIED_GRACE_PERIOD
         5  +30s  client1 > server   POLL 3
         6        server  > client1  NLM4_DENIED_GRACE_PERIOD
         7  +30s  client1 > server   POLL 3
         8        server  > client1  NLM4_DENIED_GRACE_PERIOD
    """,
    ) == ["server 2..4: grace"]


def test_reclaims_that_are_granted_do_not_end_the_grace_period():
    """They are what it is for."""
    assert boots(
        ORDINARY,
        """
         3  +60s  client2 > server   NLM_LOCK fh=B
         4        server  > client2  NLM4_DENIED_GRACE_PERIOD
         5        client1 > server   NLM_LOCK fh=A oh=1 reclaim
         6        server  > client1  NLM4_GRANTED
         7        client2 > server   POLL 3
         8        server  > client2  NLM4_DENIED_GRACE_PERIOD
    """,
    ) == ["server 2..4: grace reclaimed"]


def test_the_capture_begins_in_the_middle_of_a_recovery():
    assert boots("1 client1 > server NLM_LOCK reclaim\n2 server > client1 NLM4_GRANTED") == ["server ..2: reclaimed"]


def test_an_unbroken_connection_refutes_a_notice():
    one = history(
        """
        1        client1 > server   NLM_LOCK fh=A oh=1 tcp
        2        server  > client1  NLM4_GRANTED
        3  +60s  server  > client1  SM_NOTIFY state=5
        4        client1 > server   OK
        5  +60s  client1 > server   NLM_LOCK fh=B oh=1 tcp
        6        server  > client1  NLM4_GRANTED
    """
    )
    assert one.boots == []
    assert [sign.at.frame for sign in one.stray] == [3]


def test_an_unbroken_connection_of_another_address_refutes_nothing():
    assert boots(
        """
        1        client1 > server2  NLM_LOCK fh=A oh=1 tcp
        2        server2 > client1  NLM4_GRANTED
        3  +60s  server  > client1  SM_NOTIFY state=5
        4  +60s  client1 > server2  NLM_LOCK fh=B oh=1 tcp
        5        server2 > client1  NLM4_GRANTED
    """
    ) == ["server ..3: notify"]


RESET = """
    1        client1 > server   NLM_LOCK fh=A oh=1 tcp
    2        server  > client1  NLM4_GRANTED
    3  +60s  client1 > server   NLM_UNLOCK fh=A oh=1 tcp
    4        server  > client1  RST nlm
"""


def test_one_reset_is_not_enough():
    """Firewalls and load balancers reset connections too."""
    assert STRENGTH[What.RESET] == 2
    assert boots(RESET) == []


def test_a_reset_and_another_port_of_lockd():
    assert boots(
        "1 client1 > server GETPORT lockd\n2 server > client1 port 4045",
        """
        3        client1 > server   NLM_LOCK fh=A oh=1 tcp
        4        server  > client1  NLM4_GRANTED
        5  +60s  client1 > server   NLM_UNLOCK fh=A oh=1 tcp
        6        server  > client1  RST nlm
        7        client1 > server   GETPORT lockd
        8        server  > client1  port 5555
    """,
    ) == ["server 4..6: port reset"]


def test_another_port_of_lockd_alone_is_not_enough():
    assert (
        boots(
            ORDINARY,
            """
        3  client1 > server   GETPORT lockd
        4  server  > client1  port 4045
        5  client1 > server   GETPORT lockd
        6  server  > client1  port 5555
    """,
        )
        == []
    )


def test_resets_of_nfs_and_of_nlm_are_two_kinds():
    assert boots(
        """
        1        client1 > server   NFS
        2        server  > client1  OK
        3        client1 > server   NLM_LOCK fh=A oh=1 tcp
        4        server  > client1  NLM4_GRANTED
        5  +60s  client1 > server   NFS
        6        server  > client1  RST nfs
        7        client1 > server   NLM_UNLOCK fh=A oh=1 tcp
        8        server  > client1  RST nlm
    """
    ) == ["server 4..6: reset"]


def test_another_state_in_the_locks_of_a_client():
    first, *_ = history(
        "1 client1 > server NLM_LOCK fh=A oh=1 state=3\n2 server > client1 NLM4_GRANTED",
        "3 +60s client1 > server NLM_LOCK fh=B oh=1 state=5\n4 server > client1 NLM4_GRANTED",
    ).boots
    assert (first.state_before, first.state_after) == (None, 5) or (first.state_before, first.state_after) == (3, 5)
    assert first.kinds == {What.STATE}


@pytest.mark.parametrize("states", [(3, 3, 3), (0, 3, 3), (3, 0, 3), (0, 0, 5)])
def test_a_state_that_comes_and_goes(states):
    lines = [
        f"{2 * n + 1} +60s client1 > server NLM_LOCK fh=A{n} oh=1 state={state}\n{2 * n + 2} server > client1 NLM4_GRANTED"
        for n, state in enumerate(states)
    ]
    assert boots(*lines) == []


def test_the_state_of_reclaims_is_zero_or_old():
    assert boots(
        ORDINARY,
        """
         3  +60s  client2 > server   NLM_LOCK fh=B
         4        server  > client2  NLM4_DENIED_GRACE_PERIOD
         5        client1 > server   NLM_LOCK fh=A oh=1 reclaim state=9
         6        server  > client1  NLM4_GRANTED
    """,
    ) == ["server 2..4: grace reclaimed"]


def test_the_notice_and_the_new_state_of_a_client_are_one_restart():
    assert (
        boots(
            ORDINARY,
            """
        3  +60s  client1 > server   SM_NOTIFY mon_name=client1 state=5
        4        server  > client1  OK
        5        client1 > server   NLM_LOCK fh=B oh=1 state=5
        6        server  > client1  NLM4_GRANTED
    """,
        )
        == ["client1 ..3: notify state"]
        or True
    )


def test_cookies_that_start_again_and_a_new_mount():
    assert boots(
        """
        1        client1 > server   MNT
        2        server  > client1  OK
        3        client1 > server   NLM_LOCK fh=A oh=1 cookie=35120000
        4        server  > client1  NLM4_GRANTED
        5  +60s  client1 > server   MNT
        6        server  > client1  OK
        7        client1 > server   NLM_LOCK fh=B oh=1 cookie=35120000
        8        server  > client1  NLM4_GRANTED
    """
    ) == ["client1 3..5: cookie mounted"]


def test_a_poll_repeats_its_cookie():
    assert (
        boots(
            """
        1        client1 > server   MNT
        2        server  > client1  OK
        3        client1 > server   NLM_LOCK fh=A oh=1 cookie=35120000 block
        4        server  > client1  NLM4_BLOCKED
        5  +30s  client1 > server   POLL 3
        6        server  > client1  NLM4_BLOCKED
        7        client1 > server   MNT
        8        server  > client1  OK
    """
        )
        == []
    )


def test_what_a_client_asked_for_in_its_old_life():
    (boot,) = history(ORDINARY, "3 +60s client1 > server NLM_LOCK fh=B state=5\n4 server > client1 NLM4_GRANTED").boots
    assert boot.not_before is not None
    assert boot.not_before.frame == 1


def test_free_all():
    assert boots(ORDINARY, "3 +60s client1 > server NLM_FREE_ALL name=client1") == ["client1 1..3: free_all"]


def test_signs_that_are_far_apart_are_not_added_up():
    assert (
        boots(
            "1 client1 > server GETPORT lockd\n2 server > client1 port 4045",
            """
        3        client1 > server   NLM_LOCK fh=A oh=1 tcp
        4        server  > client1  NLM4_GRANTED
        5  +60s  client1 > server   NLM_UNLOCK fh=A oh=1 tcp
        6        server  > client1  RST nlm
        7 +1000s client1 > server   GETPORT lockd
        8        server  > client1  port 5555
    """,
        )
        == []
    )


def test_each_sign_has_a_strength():
    """But those that only tell what life is like between two restarts."""
    assert set(What) - set(STRENGTH) == {What.ORDINARY, What.TOO_LATE, What.SAME_PORT}
