"""The lock table at the end of a recording: pieces, and what the server holds and the client believes."""

from __future__ import annotations

from support.story import capture_of
from support.told import history_of


def held(*parts):
    """Every piece as ``client1 svid 1 A 0-99 write: held (yes, yes), granted 2``."""
    data, hosts = capture_of("\n".join(parts))
    history = history_of(data)
    find = history.traffic.endpoints.find
    names = {find(host.addresses[0]): name for name, host in hosts.items()}
    return sorted(
        f"{names[owner.client]} svid {owner.svid} {history.texts[file.fh][-1:].decode()} "
        f"{p.start}-{'EOF' if p.end == 2**64 - 1 else p.end} {'write' if p.exclusive else 'read'}: "
        f"{p.state} ({', '.join(p.truth)}), granted {p.granted.frame}"
        for file, owner, p in history.walked.table.of()
    )


GRANT = "1 client1 > server NLM_LOCK fh=A oh=1 range=0-99\n2 server > client1 NLM4_GRANTED"


def test_granted():
    assert held(GRANT) == ["client1 svid 1 A 0-99 write: held (yes, yes), granted 2"]


def test_asking_takes_nothing():
    assert held("1 client1 > server NLM_LOCK") == []
    assert held("1 client1 > server NLM_LOCK block\n2 server > client1 NLM4_BLOCKED") == []
    assert held("1 client1 > server NLM_LOCK\n2 server > client1 NLM4_DENIED") == []


def test_an_upgrade_and_a_split():
    assert held(
        GRANT.replace("NLM_LOCK", "NLM_LOCK shared"),
        "3 client1 > server NLM_LOCK fh=A oh=1 range=40-59\n4 server > client1 NLM4_GRANTED",
        "5 client1 > server NLM_UNLOCK fh=A oh=1 range=0-9\n6 server > client1 NLM4_GRANTED",
    ) == [
        "client1 svid 1 A 10-39 read: held (yes, yes), granted 2",
        "client1 svid 1 A 40-59 write: held (yes, yes), granted 4",
        "client1 svid 1 A 60-99 read: held (yes, yes), granted 2",
    ]


def test_a_refused_upgrade_leaves_the_old_lock():
    assert held(
        GRANT.replace("NLM_LOCK", "NLM_LOCK shared"),
        "3 client1 > server NLM_LOCK fh=A oh=1 range=40-59\n4 server > client1 NLM4_DENIED",
    ) == ["client1 svid 1 A 0-99 read: held (yes, yes), granted 2"]


def test_an_unlock_that_nobody_answered():
    """The client has forgotten the lock; the server may not have heard."""
    assert held(GRANT, "3 client1 > server NLM_UNLOCK fh=A oh=1") == [
        "client1 svid 1 A 0-99 write: releasing (unknown, no), granted 2"
    ]


def test_unlocking_what_was_never_locked():
    assert held("1 client1 > server NLM_UNLOCK fh=A oh=1\n2 server > client1 NLM4_GRANTED") == []


def test_one_unlock_clears_the_whole_file_of_its_owner():
    assert held(
        GRANT,
        "3 client1 > server NLM_LOCK fh=A oh=1 range=500-EOF\n4 server > client1 NLM4_GRANTED",
        "5 client1 > server NLM_LOCK fh=B oh=1\n6 server > client1 NLM4_GRANTED",
        "7 client1 > server NLM_UNLOCK fh=A oh=1 range=0-EOF\n8 server > client1 NLM4_GRANTED",
    ) == ["client1 svid 1 B 0-99 write: held (yes, yes), granted 6"]


def test_a_waiter_that_was_called():
    called = """
        1  client1 > server   NLM_LOCK fh=A oh=1 block
        2  server  > client1  NLM4_BLOCKED
        3  server  > client1  NLM_GRANTED_MSG fh=A oh=x svid=1 caller=server
    """
    assert held(called) == ["client1 svid 1 A 0-99 write: handed (yes, unknown), granted 3"]
    assert held(called, "4 client1 > server NLM_GRANTED_RES NLM4_GRANTED") == [
        "client1 svid 1 A 0-99 write: held (yes, yes), granted 3"
    ]
    assert held(called, "4 client1 > server NLM_GRANTED_RES NLM4_DENIED") == []


def test_a_callback_that_overtakes_the_answer():
    assert held(
        """
        1  client1 > server   NLM_LOCK fh=A oh=1 block
        2  server  > client1  NLM_GRANTED_MSG fh=A oh=1 svid=1
        3  server  > client1  NLM4_BLOCKED to=1
        4  client1 > server   NLM_GRANTED_RES NLM4_GRANTED
    """
    ) == ["client1 svid 1 A 0-99 write: held (yes, yes), granted 2"]


def test_a_callback_for_what_a_poll_has_won():
    assert held(
        """
        1        client1 > server   NLM_LOCK fh=A oh=1 block
        2        server  > client1  NLM4_BLOCKED
        3  +30s  client1 > server   POLL 1
        4        server  > client1  NLM4_GRANTED
        5        server  > client1  NLM_GRANTED_MSG fh=A oh=1 svid=1
        6        client1 > server   NLM_GRANTED_RES NLM4_DENIED
    """
    ) == ["client1 svid 1 A 0-99 write: held (yes, yes), granted 4"]


RESTART = "3 +60s client2 > server NLM_LOCK fh=Z\n4 server > client2 NLM4_DENIED_GRACE_PERIOD"


def test_the_server_restarted():
    assert held(GRANT, RESTART) == ["client1 svid 1 A 0-99 write: orphaned (no, yes), granted 2"]


def test_a_reclaim_under_way():
    assert held(GRANT, RESTART, "5 client1 > server NLM_LOCK fh=A oh=1 reclaim") == [
        "client1 svid 1 A 0-99 write: reclaiming (unknown, yes), granted 2"
    ]


def test_a_reclaim_of_a_part():
    assert held(
        GRANT, RESTART, "5 client1 > server NLM_LOCK fh=A oh=1 range=0-49 reclaim\n6 server > client1 NLM4_GRANTED"
    ) == [
        "client1 svid 1 A 0-49 write: held (yes, yes), granted 6",
        "client1 svid 1 A 50-99 write: orphaned (no, yes), granted 2",
    ]


def test_a_refused_reclaim():
    assert held(GRANT, RESTART, "5 client1 > server NLM_LOCK fh=A oh=1 reclaim\n6 server > client1 NLM4_STALE_FH") == [
        "client1 svid 1 A 0-99 write: lost (no, yes), granted 2"
    ]


def test_a_theft():
    assert held(GRANT, RESTART, "5 +60s client2 > server NLM_LOCK fh=A oh=2\n6 server > client2 NLM4_GRANTED") == [
        "client1 svid 1 A 0-99 write: stolen (no, yes), granted 2",
        "client2 svid 2 A 0-99 write: held (yes, yes), granted 6",
    ]


def test_a_dead_client_leaves_its_locks_behind():
    assert held(
        GRANT.replace("range=0-99", "range=0-99 state=3"),
        "3 +60s client1 > server NLM_LOCK fh=B oh=2 state=5\n4 server > client1 NLM4_GRANTED",
    ) == [
        "client1 svid 1 A 0-99 write: dead (yes, no), granted 2",
        "client1 svid 2 B 0-99 write: held (yes, yes), granted 4",
    ]


def test_a_notice_frees_the_locks_of_the_old_life():
    assert held(GRANT, "3 +60s client1 > server SM_NOTIFY mon_name=client1 state=5\n4 server > client1 OK") == []


def test_an_unanswered_notice_frees_nothing():
    """Whether the server heard it is not known."""
    (only,) = held(GRANT, "3 +60s client1 > server SM_NOTIFY mon_name=client1 state=5")
    assert only.startswith("client1 svid 1 A 0-99 write: dead")


def test_free_all_frees_the_locks_of_its_sender():
    assert held(
        GRANT,
        "3 client2 > server NLM_LOCK fh=B oh=1\n4 server > client2 NLM4_GRANTED",
        "5 client1 > server NLM_FREE_ALL name=client1",
    ) == ["client2 svid 1 B 0-99 write: held (yes, yes), granted 4"]


def test_tests_and_cancels_change_nothing():
    one = ["client1 svid 1 A 0-99 write: held (yes, yes), granted 2"]
    assert held(GRANT, "3 client2 > server NLM_TEST fh=A oh=2\n4 server > client2 NLM4_DENIED") == one
    assert held(GRANT, "3 client1 > server NLM_CANCEL fh=A oh=1 block\n4 server > client1 NLM4_GRANTED") == one


def test_shares_are_no_locks():
    assert held("1 client1 > server NLM_SHARE fh=A oh=1\n2 server > client1 NLM4_GRANTED") == []


def test_a_late_answer_after_the_unlock_makes_the_client_believe_nothing():
    """The copy was executed before the UNLOCK, or after it: the server may hold the lock, the client has let go."""
    pieces = held("""
        1  client1 > server   NLM_LOCK fh=A oh=1
        2  client1 > server   AGAIN 1
        3  server  > client1  NLM4_GRANTED to=1
        4  client1 > server   NLM_UNLOCK fh=A oh=1
        5  server  > client1  NLM4_GRANTED to=4
        6  server  > client1  NLM4_GRANTED to=2
    """)
    assert not [piece for piece in pieces if ", yes)" in piece]
