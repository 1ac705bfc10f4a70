"""The lock tables at a moment, held against what the hosts' own lists said then, and what the testers did and wrote down."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from support.captures import SECOND, SHARED
from support.story import capture_of

from nlmdissect.history.history import History, read_history
from nlmdissect.history.moment import Moment, moment
from nlmdissect.protocols.nlm import END

POSIX = re.compile(r"(-> )?POSIX +ADVISORY +(READ|WRITE) +\d+ +\S+ +(\d+) +(\d+|EOF)")

Ranges = Counter[tuple[str, int, int]]


def ranges(
    found: Moment, server: str | None = None, client: str | None = None, sure: tuple[str, ...] = ("yes",)
) -> Ranges:
    """What a server holds, or a client believes to hold; with ``unknown`` among ``sure``, what it may."""
    address = found.history.names.address
    return Counter(
        ("WRITE" if lock.piece.exclusive else "READ", lock.piece.start, lock.piece.end)
        for lock in found.locks
        if (server is None or (address(lock.file.server) == server and lock.truth.server_holds in sure))
        and (client is None or (address(lock.owner.client) == client and lock.truth.client_believes in sure))
    )


def waiting(found: Moment, server: str) -> Ranges:
    return Counter(
        ("WRITE" if wait.request.exclusive else "READ", wait.request.start, wait.request.end)
        for wait in found.waits
        if found.history.names.address(wait.request.server) == server
    )


def listings() -> list[tuple[str, float, str, str]]:
    """Every /proc/locks that was written down while a recording was made: file, time, address, text."""
    known = [json.loads(path.read_text()) for path in sorted(SHARED.glob("*.expect.json"))]
    return [
        (of["capture"], done["t"], of["hosts"][done["host"]]["ip"], done["result"])
        for of in known
        if isinstance(of["capture"], str) and ".client." not in of["capture"]  # that one has another clock
        for done in of.get("timeline", [])
        if "/proc/locks" in done["action"] and "POSIX" in (done.get("result") or "")
    ]


@pytest.mark.parametrize(("file", "time", "address", "text"), listings())
def test_what_the_kernels_listed(file: str, time: float, address: str, text: str) -> None:
    history = read_history([SHARED / file])
    found = moment(history, min(round(time * SECOND), history.extent.last))
    listed, queued = (
        Counter(
            (kind, int(a), END if b == "EOF" else int(b)) for wait, kind, a, b in POSIX.findall(text) if wait == here
        )
        for here in ("", "-> ")
    )
    host = history.traffic.endpoints.find(address)
    roles = set() if host is None else history.names.roles.get(host, set())
    if not roles:
        pytest.skip("the address of a cluster's node, which serves under another one")
    role = "client" if roles == {"client"} else "server"
    sure = ranges(found, **{role: address})
    assert sure <= listed <= ranges(found, **{role: address}, sure=("yes", "unknown"))
    for lock in found.locks:
        if "unknown" in lock.truth:
            assert lock.why.endswith("restarts about then") or "in the name of its client, which lives" in lock.why
    if role == "server":
        assert waiting(found, address) == queued


RESTART = """
    1        client1 > server   NLM_LOCK fh=A oh=1 range=0-99
    2        server  > client1  NLM4_GRANTED
    3        client2 > server   NLM_LOCK fh=A oh=2 svid=2 range=50-59 shared block
    4        server  > client2  NLM4_BLOCKED
    5  +30s  client2 > server   POLL 3
    6        server  > client2  NLM4_BLOCKED
    7  +30s  server  > client1  SM_NOTIFY mon_name=server state=5
    8        client1 > server   OK
    9        client1 > server   NLM_LOCK fh=A oh=1 range=0-99 reclaim
    10       server  > client1  NLM4_GRANTED
    11       client3 > server   NLM_LOCK fh=B oh=3 range=7-7 reclaim
    12       server  > client3  NLM4_GRANTED
    13       client3 > server   NLM_LOCK fh=C oh=3
"""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    path = tmp_path_factory.mktemp("moment") / "story.pcap"
    path.write_bytes(capture_of(RESTART)[0])
    return read_history([path])


def at(history: History, frame_of: int, later: float = 0.0) -> Moment:
    """The moment of a frame of the story, which begins with a frame of the first second."""
    seconds = [0, 1, 2, 3, 33, 34, 64, 65, 66, 67, 68, 69, 70]
    return moment(history, history.extent.first + round((seconds[frame_of - 1] + later) * SECOND))


def shown(found: Moment) -> list[str]:
    return [
        f"{lock.piece.start}-{lock.piece.end} {lock.piece.state} {'/'.join(lock.truth)} {lock.proof.frame}"
        for lock in found.locks
    ]


def test_before_the_grant_there_is_a_request_under_way(history: History) -> None:
    found = at(history, 1)
    assert shown(found) == []
    assert [(r.sends[0].at.frame, state.value) for r, state in found.under_way] == [(1, "asked")]
    assert found.unknown[0].what == "locks that were taken before the capture began are not listed"


def test_who_waits_since_when_and_how_often(history: History) -> None:
    found = at(history, 6)
    assert shown(found) == ["0-99 held yes/yes 2"]
    (wait,) = found.locks[0].waits
    assert (wait.since.frame, wait.polls, wait.last and wait.last.frame) == (4, 2, 6)
    (before,) = at(history, 4).locks[0].waits
    assert before.polls == 1


def test_nobody_can_tell_between_two_lives(history: History) -> None:
    found = at(history, 6, later=1)
    assert shown(found) == ["0-99 held unknown/yes 2"]
    assert found.locks[0].why == "server (10.0.0.1) restarts about then"
    assert any(unknown.what.endswith("its table may be empty") for unknown in found.unknown)


def test_after_the_restart_the_server_has_nothing_and_the_client_does_not_know(history: History) -> None:
    found = at(history, 8)
    assert shown(found) == ["0-99 orphaned no/yes 2"]
    assert (found.waits, found.locks[0].waits) == ([], ())
    assert not any(
        fate.at is None for fate in history.walked.table.fates
    )  # the whole walk decides what a moment leaves open


def test_a_reclaim_is_under_way_and_then_granted(history: History) -> None:
    assert shown(at(history, 9)) == ["0-99 reclaiming unknown/yes 2"]
    found = at(history, 10)
    assert shown(found) == ["0-99 held yes/yes 10"]
    assert found.locks[0].since == history.walked.table.rows[0].granted  # the hold is the old one


def test_a_lock_from_before_the_capture_is_known_by_its_reclaim_only(history: History) -> None:
    (early,) = [u for u in at(history, 4).unknown if u.at is not None and u.at.frame == 12]
    assert "client3 (10.0.0.23) svid" in early.what
    assert "has 7-7" in early.what
    (lock,) = [lock for lock in at(history, 12).locks if lock.piece.start == 7]
    assert (lock.since, lock.proof.frame) == (None, 12)


def test_only_some_hosts(history: History) -> None:
    found = at(history, 6).about(frozenset({history.traffic.endpoints.find("10.0.0.22") or 0}))
    assert (shown(found), len(found.waits), len(found.servers)) == ([], 1, 1)


def test_the_walk_to_the_end_is_the_whole_walk(history: History) -> None:
    found = moment(history, history.extent.last)
    pieces = [(f, o, p) for f, o, p in history.walked.table.of() if p.truth != ("no", "no")]
    assert [(lock.file, lock.owner, lock.piece) for lock in found.locks] == pieces


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings are not here")
def test_the_lost_lock_of_s08() -> None:
    """client-a's reclaim is refused in frame 279, and client-b gets its lock in frame 295."""
    history = read_history([SHARED / "S08-reclaim-after-grace.pcap"])
    address = history.names.address

    def state(seconds: float) -> list[tuple[str, str]]:
        found = moment(history, round(seconds * SECOND))
        return [(address(lock.owner.client), lock.piece.state.value) for lock in found.locks]

    a, b = "10.77.0.21", "10.77.0.22"
    assert state(1795346998.6) == [(a, "held"), (b, "held")]
    assert state(1795347003.75) == [(a, "orphaned"), (b, "orphaned")]
    assert state(1795347021.7) == [(a, "reclaiming"), (b, "held")]
    assert state(1795347033.0) == [(a, "lost"), (b, "held")]
    assert sorted(state(1795347081.766)) == [(a, "stolen"), (b, "held"), (b, "held")]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings are not here")
def test_all_reclaims_of_t10() -> None:
    """12 locks of three clients each, before, during and after the restart; other processes come and go."""
    history = read_history([SHARED / "T10-base-healthy.pcap"])

    def count(seconds: float) -> Counter[str]:
        found = moment(history, round(seconds * SECOND))
        return Counter(lock.piece.state.value for lock in found.locks if lock.owner.svid == 0)

    assert count(1795348841.5) == {"held": 36}
    assert count(1795348889.1) == {"held": 36}
    restart = history.boots[0].not_after.time / SECOND
    assert count(restart + 0.001)["orphaned"] >= 30
