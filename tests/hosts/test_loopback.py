"""What statd and lockd of one host say to each other, and whose loopback it is."""

from __future__ import annotations

import pytest
from support.captures import SHARED
from support.story import capture_of
from support.told import history_of

from nlmdissect.history.history import History, read_history
from nlmdissect.protocols import NLM, NSM

NETWORK = """
    1        client1 > server   NLM_LOCK fh=A oh=1 block
    2        server  > client1  NLM4_BLOCKED
    3        server  > client1  NLM_GRANTED fh=A oh=1
    4        client1 > server   NLM4_GRANTED
"""
"""The server says its name in the callback."""
SERVER = "host lo 127.0.0.1 name=server"
MONITORS = """
    1        lo > lo  SM_MON mon_name=10.0.0.21
    2        lo > lo  STAT_SUCC
"""


def heard(*stories: str) -> History:
    """The network, and loopbacks beside it."""
    return history_of(*(capture_of(text)[0] for text in stories))


def host(history: History, address: str) -> int:
    found = history.names.endpoints.find(address)
    assert found is not None
    return found


def test_it_belongs_to_the_host_that_its_sm_mon_names():
    history = heard(NETWORK, SERVER + MONITORS)
    [mon] = history.loopback.mons
    assert (mon.host, mon.peer) == (host(history, "10.0.0.1"), host(history, "10.0.0.21"))
    assert (mon.name, mon.my_name, mon.watch, mon.refused) == ("10.0.0.21", "server", True, False)
    assert mon.answered is not None
    assert list(history.loopback.covers) == [mon.host]


def test_a_full_name_is_the_same_host():
    history = heard(NETWORK, "host lo 127.0.0.1 name=SERVER.example.com" + MONITORS)
    assert history.loopback.mons[0].host == host(history, "10.0.0.1")


def test_each_loopback_has_an_address_of_its_own():
    client = """
        host lo 127.0.0.1 name=client1
        1        lo > lo  SM_MON mon_name=10.0.0.1
        2        lo > lo  STAT_SUCC
    """
    history = heard(NETWORK, SERVER + MONITORS, client)
    server, client1 = host(history, "10.0.0.1"), host(history, "10.0.0.21")
    assert {(m.host, m.peer) for m in history.loopback.mons} == {(server, client1), (client1, server)}
    assert len(set(history.names.endpoints.scopes)) == 3


@pytest.mark.parametrize("name", ["stranger", "localhost"])
def test_it_belongs_to_nobody(name):
    """BSD lockds call themselves localhost: nothing in this capture says whose it is."""
    history = heard(NETWORK, f"host lo 127.0.0.1 name={name}" + MONITORS)
    [mon] = history.loopback.mons
    assert history.names.address(mon.host) == "127.0.0.1"
    assert not history.loopback.covers


NAMELESS = """
    1        client1 > server   NLM_LOCK fh=A oh=1
    2        server  > client1  NLM4_GRANTED
    3        client2 > server   NLM_LOCK fh=B oh=1
    4        server  > client2  NLM4_GRANTED
"""


@pytest.mark.parametrize("name", ["server", "localhost"])
def test_a_server_that_never_said_its_name(name):
    """Nobody else had dealings with those whom it monitors."""
    history = heard(NAMELESS, f"host lo 127.0.0.1 name={name}" + MONITORS)
    assert history.loopback.mons[0].host == host(history, "10.0.0.1")


@pytest.mark.parametrize("of", ["5 client1 > server2 NLM_LOCK fh=A oh=1", "5 server > client1 SM_NOTIFY state=5"])
def test_a_nameless_server_of_two_or_one_of_another_name(of):
    history = heard(f"{NAMELESS}\n{of}", "host lo 127.0.0.1 name=stranger" + MONITORS)
    assert not history.loopback.covers


def test_two_hosts_of_one_name():
    clones = """
        host client1 10.0.0.21 name=clone
        host client2 10.0.0.22 name=clone
        1        client1 > server   NLM_LOCK fh=A oh=1
        2        server  > client1  NLM4_GRANTED
        3        client2 > server   NLM_LOCK fh=B oh=1
        4        server  > client2  NLM4_GRANTED
    """
    history = heard(clones, "host lo 127.0.0.1 name=clone" + MONITORS.replace("10.0.0.21", "10.0.0.1"))
    assert not history.loopback.covers


def test_a_client_that_only_mounted_has_a_name():
    """One whose statd refuses to monitor sends no LOCK."""
    mounts = "1 client1 > server MNT\n2 server > client1 OK"
    history = heard(mounts, "host lo 127.0.0.1 name=client1" + MONITORS.replace("10.0.0.21", "10.0.0.1"))
    assert history.loopback.mons[0].host == host(history, "10.0.0.21")


def test_any_interface_in_one_file():
    text = "5 lo > lo SM_MON mon_name=10.0.0.21\n6 lo > lo STAT_SUCC"
    history = heard(SERVER + NETWORK + text)
    assert history.loopback.mons[0].host == host(history, "10.0.0.1")


@pytest.mark.parametrize(
    ("answer", "answered", "refused"),
    [("STAT_SUCC", True, False), ("STAT_FAIL", True, True), ("SYSTEM_ERR", True, True), (None, False, False)],
)
def test_what_statd_says(answer, answered, refused):
    lines = "1 lo > lo SM_MON mon_name=10.0.0.21\n" + (f"2 lo > lo {answer}" if answer else "")
    [mon] = heard(NETWORK, f"{SERVER}\n{lines}").loopback.mons
    assert (mon.answered is not None, mon.refused) == (answered, refused)


@pytest.mark.parametrize(("name", "address"), [("10.0.0.21", "10.0.0.21"), ("CLIENT1", "10.0.0.21"), ("other", None)])
def test_whom_a_name_means(name, address):
    history = heard(NETWORK, f"{SERVER}\n1 lo > lo SM_MON mon_name={name}\n2 lo > lo STAT_SUCC")
    assert history.loopback.mons[0].peer == (host(history, address) if address else None)


def test_it_stops_to_watch():
    text = "3 lo > lo SM_UNMON mon_name=10.0.0.21\n4 lo > lo OK"
    assert [m.watch for m in heard(NETWORK, SERVER + MONITORS + text).loopback.mons] == [True, False]


def test_statd_calls_lockd():
    text = """
        3 lo > lo NLM_SM_NOTIFY mon_name=10.0.0.21 state=5
        4 lo > lo OK
        5 lo > lo NLM_SM_NOTIFY mon_name=10.0.0.21 state=7
        6 lo > lo PROG_UNAVAIL
        7 lo > lo NLM_SM_NOTIFY mon_name=10.0.0.21 state=7
    """
    history = heard(NETWORK, SERVER + MONITORS + text)
    calls = history.loopback.upcalls
    assert [(c.state, c.taken, c.error) for c in calls] == [(5, True, ""), (7, False, "PROG_UNAVAIL"), (7, False, "")]
    assert {c.peer for c in calls} == {host(history, "10.0.0.21")}


def test_daemons_register():
    text = "3 lo > lo SET statd registers=662\n4 lo > lo OK\n5 lo > lo SET lockd registers=4045\n6 lo > lo OK"
    history = heard(NETWORK, SERVER + MONITORS + text)
    server = host(history, "10.0.0.1")
    assert [at.frame for at in history.loopback.registered[server, NSM]] == [3]
    assert [at.frame for at in history.loopback.registered[server, NLM]] == [5]


def test_what_a_loopback_covers():
    loopback = heard(NETWORK, SERVER + MONITORS + "3 +60s lo > lo SM_UNMON mon_name=10.0.0.21").loopback
    [(server, [(first, last)])] = loopback.covers.items()
    second = 10**9
    assert last - first == 61 * second
    assert loopback.covered(server, first, last)
    assert loopback.covered(server, first - second // 4, last + second // 4)  # two clocks
    assert not loopback.covered(server, first - second, last)
    assert not loopback.covered(server, first, last + second)
    assert not loopback.covered(server + 1, first, last)


def test_the_network_hears_nothing_of_it():
    """SM_MON from the network is refused by Linux, and says nothing of what lockd wants."""
    history = heard(NETWORK + "5 client1 > server SM_MON mon_name=10.0.0.1\n6 server > client1 STAT_FAIL")
    assert not history.loopback.mons


def recorded(name: str) -> History:
    files = [SHARED / f"{name}.pcap", *sorted(SHARED.glob(f"{name}.lo.*"))]
    if len(files) < 2 or not files[0].exists():
        pytest.skip(f"{name} is not here")
    return read_history(files)


def test_a_recorded_restart_of_a_server():
    """The server monitored both clients in both lives; its notice reached the lockd of each."""
    history = recorded("S13-loopback")
    loopback, label = history.loopback, history.names.address
    watched = [(label(m.host), m.name) for m in loopback.mons if m.watch]
    assert watched == [
        ("10.77.0.21", "10.77.0.10"),
        ("10.77.0.10", "10.77.0.21"),
        ("10.77.0.22", "10.77.0.10"),
        ("10.77.0.10", "10.77.0.22"),
        ("10.77.0.10", "10.77.0.22"),
        ("10.77.0.10", "10.77.0.21"),
    ]
    assert [(label(m.host), m.name) for m in loopback.mons if not m.watch] == [("10.77.0.21", "10.77.0.10")]
    assert [(label(c.host), c.name, c.state, c.taken) for c in loopback.upcalls] == [
        ("10.77.0.22", "10.77.0.10", 5, True),
        ("10.77.0.21", "10.77.0.10", 5, True),
        ("10.77.0.10", "10.77.0.22", 5, True),
    ]
    [server] = [h for h in loopback.covers if label(h) == "10.77.0.10"]
    assert len(loopback.covers[server]) == 2  # it was down between its two captures
    assert len(loopback.registered[server, NSM]) == 8  # UDP and TCP over IPv4 and IPv6, twice
    assert loopback.registered[server, NLM]


def test_a_recorded_filter_on_the_loopback():
    history = recorded("T14-loopback-upcall-dropped")
    of = [c for c in history.loopback.upcalls if not c.taken]
    assert [c.at.frame for c in of] == [117, 118, 119, 120]
    assert {history.names.address(c.host) for c in of} == {"192.168.40.32"}
