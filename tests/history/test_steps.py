"""Every machine hears of everything that its table has a row for."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.captures import SHARED
from support.story import capture_of

from nlmdissect.history.history import History, read_history


@pytest.fixture
def walked(tmp_path: Path):
    def read(story: str) -> History:
        path = tmp_path / "story.pcap"
        path.write_bytes(capture_of(story)[0])
        return read_history([path])

    return read


def steps(history: History, machine: str, thing: int | None = None) -> list[str]:
    return [
        f"{s.at.frame} {s.before} {s.event} {s.after}"
        for s in history.walked.steps
        if s.machine == machine and thing in (None, s.thing)
    ]


def test_a_wait_that_is_given_up(walked) -> None:
    history = walked("""
        1  client1 > server   NLM_LOCK fh=A oh=1
        2  server  > client1  NLM4_GRANTED
        3  client2 > server   NLM_LOCK fh=A oh=2 svid=2 block
        4  server  > client2  NLM4_BLOCKED
        5  client2 > server   NLM_CANCEL fh=A oh=2 svid=2
        6  server  > client2  NLM4_GRANTED
    """)
    assert steps(history, "request", 1) == [
        "3 unseen ask asked",
        "4 asked blocked waiting",
        "5 waiting cancel cancelled",
    ]


@pytest.mark.parametrize("verb", ["NLM_CANCEL", "NLM_UNLOCK"])
def test_a_request_that_is_given_up_before_its_answer(walked, verb: str) -> None:
    history = walked(f"""
        1  client1 > server   NLM_LOCK fh=A oh=1
        2  client1 > server   {verb} fh=A oh=1
        3  client1 > server   AGAIN 2
        4  server  > client1  NLM4_GRANTED to=1
    """)
    assert steps(history, "request", 0) == [
        "1 unseen ask asked",
        "2 asked cancel cancelled",
        "3 cancelled cancel cancelled",
        "4 cancelled granted granted",
    ]


def test_a_request_that_is_held_off_and_given_up(walked) -> None:
    history = walked("""
        1  client1 > server   NLM_LOCK fh=A oh=1
        2  server  > client1  NLM4_DENIED_GRACE_PERIOD
        3  client1 > server   NLM_CANCEL fh=A oh=1
    """)
    assert steps(history, "request")[-1] == "3 held_off cancel cancelled"


def test_a_callback_that_overtakes_the_answer(walked) -> None:
    history = walked("""
        1  client1 > server   NLM_LOCK fh=A oh=1 block
        2  server  > client1  NLM_GRANTED fh=A oh=1
        3  client1 > server   NLM4_GRANTED
        4  server  > client1  NLM4_BLOCKED to=1
    """)
    assert steps(history, "request") == ["1 unseen ask asked", "2 asked callback granted", "4 granted blocked granted"]
    assert history.walked.waits == []


def test_a_callback_for_what_a_poll_has_won_is_refused(walked) -> None:
    history = walked("""
        1  client1 > server   NLM_LOCK fh=A oh=1 block
        2  server  > client1  NLM4_BLOCKED
        3  client1 > server   POLL 1
        4  server  > client1  NLM4_GRANTED
        5  server  > client1  NLM_GRANTED fh=A oh=1
        6  client1 > server   NLM4_DENIED
    """)
    assert steps(history, "hold") == ["4 unseen granted held", "5 held callback held", "6 held callback_refused held"]


def test_a_poll_under_another_cookie_ends_the_wait_of_the_first(walked) -> None:
    history = walked("""
        1  client1 > server   NLM_LOCK fh=A oh=1 block cookie=01000000
        2  server  > client1  NLM4_BLOCKED
        3  client1 > server   NLM_LOCK fh=A oh=1 block cookie=02000000
        4  server  > client1  NLM4_GRANTED
    """)
    assert steps(history, "request", 0)[-1] == "4 waiting granted granted"
    assert history.walked.undecided == []


def test_restarts_reach_requests_and_the_edges_of_who_watches_whom(walked) -> None:
    history = walked("""
        1        client1 > server   NLM_LOCK fh=A oh=1
        2        server  > client1  NLM4_GRANTED
        3        client2 > server   NLM_LOCK fh=A oh=2 svid=2 block
        4        server  > client2  NLM4_BLOCKED
        5  +30s  server  > client1  SM_NOTIFY mon_name=server state=5
        6        client1 > server   OK
        7        client2 > server   POLL 3
        8        server  > client2  NLM4_DENIED_GRACE_PERIOD
    """)
    assert steps(history, "request", 1) == [
        "3 unseen ask asked",
        "4 asked blocked waiting",
        "5 waiting server_restarted asked",
        "7 asked ask asked",
        "8 asked grace held_off",
    ]
    assert sorted(steps(history, "monitor")) == [
        "2 unseen locked implied",
        "2 unseen locked implied",
        "5 implied notify notified",
        "5 implied restarted unseen",
    ]


def test_each_edge_has_its_own_number(walked) -> None:
    history = walked("""
        1  client1 > server   NLM_LOCK fh=A oh=1
        2  server  > client1  NLM4_GRANTED
        3  client2 > server   NLM_LOCK fh=B oh=1
        4  server  > client2  NLM4_GRANTED
        5  client1 > server   SM_NOTIFY mon_name=client1 state=5
        6  server  > client1  OK
    """)
    told = [s.thing for s in history.walked.steps if s.machine == "monitor" and s.event == "notify"]
    edges = history.walked.edges
    assert sorted(edge.number for edge in edges.values()) == [0, 1, 2, 3]
    assert [(edge.watcher, edge.watched) for edge in edges.values() if edge.number == told[0]] == [
        (history.traffic.endpoints.find("10.0.0.1"), history.traffic.endpoints.find("10.0.0.21"))
    ]


def test_a_hold_goes_on_as_long_as_a_part_of_it_is_left(walked) -> None:
    history = walked("""
        1  client1 > server   NLM_LOCK fh=A oh=1 range=0-99
        2  server  > client1  NLM4_GRANTED
        3  client1 > server   NLM_UNLOCK fh=A oh=1 range=40-49
        4  server  > client1  NLM4_GRANTED
        5  client1 > server   NLM_LOCK fh=A oh=1 range=100-199
        6  server  > client1  NLM4_GRANTED
    """)
    rows = [(row.start, row.end, row.released and row.released.frame, row.how) for row in history.walked.table.rows]
    assert rows == [(0, 99, None, ""), (100, 199, None, "")]


def test_a_hold_that_another_one_has_taken_in(walked) -> None:
    history = walked("""
        1  client1 > server   NLM_LOCK fh=A oh=1 range=0-99
        2  server  > client1  NLM4_GRANTED
        3  client1 > server   NLM_LOCK fh=A oh=1 range=100-199
        4  server  > client1  NLM4_GRANTED
        5  client1 > server   NLM_UNLOCK fh=A oh=1 range=0-EOF
        6  server  > client1  NLM4_GRANTED
    """)
    rows = [(row.start, row.released and row.released.frame, row.how) for row in history.walked.table.rows]
    assert rows == [(0, 4, "joined"), (100, 6, "unlocked")]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings are not here")
def test_what_the_loopback_says_reaches_the_edges() -> None:
    name = "T14-loopback-upcall-dropped"
    history = read_history([SHARED / f"{name}.pcap", *sorted(SHARED.glob(f"{name}.lo.filer1.*.pcap"))])
    filer = history.traffic.endpoints.find("192.168.40.5")
    watched = {edge.watched: edge.state.value for edge in history.walked.edges.values() if edge.watcher == filer}
    app01, db7, render = (history.traffic.endpoints.find(f"192.168.40.{n}") for n in (31, 32, 47))
    assert watched == {app01: "monitored", db7: "unseen", render: "monitored"}  # db7 did not reclaim
    assert {s.event for s in history.walked.steps if s.machine == "monitor"} >= {"mon", "locked", "restarted"}
