"""For every restart and every peer: what should have happened, and what did."""

from __future__ import annotations

import pytest
from support.story import capture_of
from support.told import history_of


def recoveries(*parts):
    """Every row as ``client1 client understood: reclaimed 1, stolen 1``."""
    data, hosts = capture_of("\n".join(parts))
    history = history_of(data)
    find = history.traffic.endpoints.find
    names = {find(host.addresses[0]): name for name, host in hosts.items()}
    return [
        f"{names[row.peer]} {row.role} {row.notify}: "
        + ", ".join(f"{word} {n}" for word, n in row.counts().items() if n)
        for row in history.recoveries
    ]


def fates(*parts):
    """Every fate as ``A 0-99 reclaimed 8``, with the frame that decided it."""
    history = history_of(capture_of("\n".join(parts))[0])
    return sorted(
        f"{history.texts[f.file.fh][-1:].decode()} {f.piece.start}-{f.piece.end} {f.outcome}"
        + (f" {f.at.frame}" if f.at else "")
        for f in history.walked.table.fates
    )


HELD = """
    1        client1 > server   NLM_LOCK fh=A oh=1
    2        server  > client1  NLM4_GRANTED
    3  +60s  client2 > server   NLM_LOCK fh=Z oh=1
    4        server  > client2  NLM4_DENIED_GRACE_PERIOD
"""
TOLD = """
    5        server  > client1  SM_NOTIFY mon_name=server state=5
    6        client1 > server   OK
"""
OVER = "7 +60s client2 > server POLL 3\n8 server > client2 NLM4_GRANTED"


def test_reclaimed():
    parts = HELD, TOLD, "7 client1 > server NLM_LOCK fh=A oh=1 reclaim\n8 server > client1 NLM4_GRANTED"
    assert recoveries(*parts) == ["client1 client understood: reclaimed 1"]
    assert fates(*parts) == ["A 0-99 reclaimed 8"]


def test_refused():
    parts = HELD, TOLD, "7 client1 > server NLM_LOCK fh=A oh=1 reclaim\n8 server > client1 NLM4_STALE_FH"
    assert recoveries(*parts) == ["client1 client understood: refused 1"]
    assert fates(*parts) == ["A 0-99 refused 8"]


def test_missing():
    assert recoveries(HELD, TOLD, OVER) == ["client1 client understood: missing 1"]
    assert fates(HELD, TOLD, OVER) == ["A 0-99 missing"]


def test_stolen():
    parts = HELD, TOLD, "7 +60s client2 > server NLM_LOCK fh=A oh=2\n8 server > client2 NLM4_GRANTED"
    assert recoveries(*parts) == ["client1 client understood: stolen 1"]
    assert fates(*parts) == ["A 0-99 stolen 8"]


def test_refused_and_then_stolen_is_written_down_once():
    parts = (
        HELD,
        TOLD,
        "7 client1 > server NLM_LOCK fh=A oh=1 reclaim\n8 server > client1 NLM4_STALE_FH",
        "9 +60s client2 > server NLM_LOCK fh=A oh=2\n10 server > client2 NLM4_GRANTED",
    )
    assert fates(*parts) == ["A 0-99 refused 8"]


def test_released_in_time():
    parts = HELD, TOLD, "7 client1 > server NLM_UNLOCK fh=A oh=1\n8 server > client1 NLM4_DENIED_GRACE_PERIOD"
    assert recoveries(*parts) == ["client1 client understood: released 1"]


def test_granted_again_as_a_new_lock():
    parts = HELD, TOLD, "7 +60s client1 > server NLM_LOCK fh=A oh=1\n8 server > client1 NLM4_GRANTED"
    assert fates(*parts) == ["A 0-99 regained 8"]


def test_the_client_restarted_as_well():
    parts = HELD, TOLD, "7 client1 > server SM_NOTIFY mon_name=client1 state=9\n8 server > client1 OK"
    assert "client1 client understood: released 1" in recoveries(*parts)
    assert fates(*parts) == ["A 0-99 gone 7"]


def test_the_server_restarted_again_first():
    parts = HELD, TOLD, "7 +30s server > client1 SM_NOTIFY mon_name=server state=7\n8 client1 > server OK"
    assert fates(*parts) == ["A 0-99 missing", "A 0-99 superseded 7"]
    assert len(recoveries(*parts)) == 2


def test_a_reclaim_without_an_answer():
    assert fates(HELD, TOLD, "7 client1 > server NLM_LOCK fh=A oh=1 reclaim") == ["A 0-99 unanswered"]


def test_each_part_has_its_fate_and_the_whole_counts_once():
    parts = (
        HELD,
        TOLD,
        """
        7        client1 > server   NLM_LOCK fh=A oh=1 range=0-39 reclaim
        8        server  > client1  NLM4_GRANTED
        9        client1 > server   NLM_LOCK fh=A oh=1 range=60-99 reclaim
        10       server  > client1  NLM4_FAILED
    """,
    )
    assert fates(*parts) == ["A 0-39 reclaimed 8", "A 40-59 missing", "A 60-99 refused 10"]
    assert recoveries(*parts) == ["client1 client understood: refused 1"]


def test_what_the_capture_did_not_see_granted_is_known_from_its_reclaim():
    parts = (
        "1 client2 > server NLM_LOCK fh=Z\n2 server > client2 NLM4_DENIED_GRACE_PERIOD",
        "3 client1 > server NLM_LOCK fh=A oh=1 reclaim\n4 server > client1 NLM4_GRANTED",
    )
    assert recoveries(*parts) == ["client1 client unknown: reclaimed 1"]


@pytest.mark.parametrize(
    ("lines", "notify"),
    [
        ("", "missing"),
        ("5 server > client1 SM_NOTIFY state=5\n6 client1 > server OK", "understood"),
        ("5 server > client1 SM_NOTIFY state=5", "sent"),
        ("5 server > client1 SM_NOTIFY state=5\n6 +60s client2 > server NFS", "sent"),
        ("\n".join(f"{n} +4s server > client1 SM_NOTIFY state=5" for n in (5, 6, 7, 8)), "unanswered"),
        ("5 client1 > server NLM_LOCK fh=A oh=1 reclaim\n6 server > client1 NLM4_GRANTED", "unknown"),
    ],
)
def test_what_became_of_the_notice(lines, notify):
    assert [row.split(":")[0] for row in recoveries(HELD, lines)] == [f"client1 client {notify}"]


def test_a_notice_that_was_answered_with_an_error_only():
    lines = "5 server > client1 SM_NOTIFY state=5\n6 client1 > server SYSTEM_ERR\n7 +60s client2 > server NFS"
    assert recoveries(HELD, lines)[0].startswith("client1 client unanswered")


def test_a_peer_that_held_nothing():
    assert recoveries(
        "1 client1 > server NLM_LOCK fh=A oh=1\n2 server > client1 NLM4_DENIED",
        "3 +60s client2 > server NLM_LOCK fh=Z\n4 server > client2 NLM4_DENIED_GRACE_PERIOD",
    ) == []  # fmt: skip


def test_a_restarted_client_and_its_server():
    held = "1 client1 > server NLM_LOCK fh=A oh=1 state=3\n2 server > client1 NLM4_GRANTED\n"
    new = "3 +60s client1 > server NLM_LOCK fh=B oh=2 state=5\n4 server > client1 NLM4_GRANTED\n"
    assert recoveries(held + new) == ["server server missing: missing 1"]
    assert recoveries(held + new + "5 client1 > server SM_NOTIFY state=5\n6 server > client1 OK") == [
        "server server understood: released 1"
    ]


def test_free_all_is_as_good_as_a_notice():
    held = "1 client1 > server NM_LOCK fh=A oh=1\n2 server > client1 NLM4_GRANTED\n"
    assert "missing" not in "".join(recoveries(held + "3 +60s client1 > server NLM_FREE_ALL name=client1"))


def test_when_it_is_decided():
    def decided(*parts):
        row = history_of(capture_of("\n".join(parts))[0]).recoveries[0]
        return None if row.decided is None else (row.decided - row.boot.not_after.time) // 10**9

    assert decided(HELD) is None
    assert decided(HELD, "5 +60s client2 > server POLL 3\n6 server > client2 NLM4_GRANTED") == 61
    assert decided(HELD, "5 +900s client2 > server NFS") is None
    assert decided(HELD, "5 +970s client2 > server NFS") == 960  # 15 minutes of tries, and one to start up


ONE_TRY = """
     1        client1 > server   NLM_LOCK fh=A oh=1 block
     2        server  > client1  NLM4_BLOCKED
     3        server  > client1  NLM_GRANTED_MSG fh=A oh=1 svid=1 cookie={} {}
     4        client1 > server   NLM_GRANTED_RES NLM4_GRANTED
     5  +60s  client2 > server   NLM_LOCK fh=Z oh=1
     6        server  > client2  NLM4_DENIED_GRACE_PERIOD
     7        server  > client1  SM_NOTIFY mon_name=server state=5
     8  +60s  client2 > server   POLL 5
     9        server  > client2  NLM4_GRANTED
"""


def test_a_sender_that_does_not_try_again():
    """Linux stops when it has its answer, which the capture lost then; the tools of Ganesha never try again."""
    assert recoveries(ONE_TRY.format("36120000", "caller=server")) == ["client1 client sent: missing 1"]
    assert recoveries(ONE_TRY.format("ab" * 24, "caller=client1")) == ["client1 client unanswered: missing 1"]
