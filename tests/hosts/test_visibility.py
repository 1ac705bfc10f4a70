"""What the capture was able to see, condition by condition."""

from __future__ import annotations

from random import Random

from support.packets import START as EPOCH
from support.story import capture_of
from support.told import history_of

from nlmdissect.capture.endpoints import NETWORK, Endpoints
from nlmdissect.hosts.names import Names
from nlmdissect.hosts.visibility import Extent, V, Visibility

SECOND = 10**9


def ask(condition, text, span=(0, 10), pair=("server", "client1"), snaplen=65535):
    """Whether a condition holds, and why. ``span`` in seconds of the story."""
    data, hosts = capture_of(text, snaplen)
    history = history_of(data)
    numbers = [history.traffic.endpoints.find(hosts[name].addresses[0]) for name in pair]
    start, end = (EPOCH * SECOND + round(t * SECOND) for t in span)
    sight = history.visibility.visible((numbers[0], numbers[1]), condition, start, end)
    assert sight.why
    return sight.holds


LOCK = "1 client1 > server NLM_LOCK\n2 server > client1 NLM4_GRANTED\n"
LOCK_TCP = "1 client1 > server NLM_LOCK tcp\n2 server > client1 NLM4_GRANTED\n"


def test_v1_the_capture_runs_over_the_whole_span():
    text = LOCK + "3 @100 client1 > server NLM_TEST"
    assert ask(V.SPAN, text, (0, 100))
    assert not ask(V.SPAN, text, (0, 101))
    assert not ask(V.SPAN, text, (-1, 50))


def test_v2_an_answer_without_its_call():
    text = (
        LOCK + "lost client1 > server GETPORT lockd\n3 @50 server > client1 port 4045\n4 @100 client1 > server NLM_TEST"
    )
    assert not ask(V.NO_LOSS, text, (40, 60))
    assert not ask(V.NO_LOSS, text, (51, 60))  # two seconds around it count
    assert ask(V.NO_LOSS, text, (60, 90))
    assert ask(V.NO_LOSS, LOCK, (0, 10))


def test_v2_a_hole_in_the_xids():
    text = LOCK + "lost client1 > server NLM_UNLOCK\nlost server > client1 NLM4_GRANTED\n3 client1 > server NLM_TEST"
    assert not ask(V.NO_LOSS, text)


def test_v2_bytes_of_a_connection():
    text = (
        LOCK_TCP
        + "lost client1 > server NLM_UNLOCK tcp\n3 client1 > server NLM_TEST tcp\n4 +9s client1 > server NLM_TEST tcp"
    )
    assert not ask(V.NO_LOSS, text, (0, 20))


def test_v2_the_time_goes_back():
    """Two recordings in one file, as ``cat`` makes of pcapng: which lock came first is not told by the frames."""
    first = "1 client1 > server NLM_LOCK\n2 server > client1 NLM4_GRANTED\n"
    text = first + "3 @60 client2 > server NLM_LOCK fh=B\n4 server > client2 NLM4_GRANTED"
    data, hosts = capture_of(text)
    other = capture_of(first.replace("NLM_LOCK", "NLM_LOCK fh=C"))[0][24:]  # without the header of the file
    for recording, whole in ((data, True), (data + other, False)):
        history = history_of(recording)
        pair = tuple(history.traffic.endpoints.find(hosts[name].addresses[0]) for name in ("server", "client1"))
        sight = history.visibility.visible(pair, V.NO_LOSS, EPOCH * SECOND, (EPOCH + 10) * SECOND)
        assert sight.holds == whole
    assert sight.why.startswith("frame 5: the time goes back by 60 s")


def test_v2_a_loss_between_others():
    text = LOCK + "lost client2 > server NLM_TEST\n3 server > client2 NLM4_GRANTED"
    assert ask(V.NO_LOSS, text)


def test_v3_both_directions():
    assert ask(V.BOTH_WAYS, LOCK)
    assert not ask(V.BOTH_WAYS, "1 client1 > server NLM_LOCK")
    assert ask(V.BOTH_WAYS, "1 client1 > server NLM_LOCK\n2 server > client1 DATA ssh")


def test_v4_udp_between_the_two():
    assert ask(V.NSM, LOCK)
    assert not ask(V.NSM, LOCK_TCP)


def test_v4_the_sender_tells_others():
    assert ask(V.NSM, LOCK_TCP + "3 server > client2 SM_NOTIFY state=5")
    assert ask(V.NSM, LOCK_TCP + "3 server > client2 GETPORT statd")
    assert not ask(V.NSM, LOCK_TCP + "3 client2 > server SM_NOTIFY state=5")
    assert not ask(V.NSM, LOCK_TCP + "3 server > client2 GETPORT lockd")


def test_v6_whole_and_in_clear():
    assert ask(V.DECODED, LOCK)
    assert not ask(V.DECODED, LOCK, snaplen=150)
    assert not ask(V.DECODED, LOCK + "3 client1 > server NLM_LOCK krb5p")
    assert not ask(V.DECODED, "1 client1 > server NLM_LOCK\n2 server > client1 NLM4_GRANTED short=4")
    assert ask(V.DECODED, LOCK + "3 client2 > server NLM_LOCK krb5p")


def test_what_was_asked_is_remembered():
    """It is the coverage table of reports."""
    history = history_of(capture_of(LOCK)[0])
    before = len(history.visibility.asked)
    sight = history.visibility.visible((0, 1), V.BOTH_WAYS, 0, 1)
    assert history.visibility.visible((0, 1), V.BOTH_WAYS, 0, 1) is sight
    assert len(history.visibility.asked) == before + 1
    assert history.visibility.all((0, 1), (V.BOTH_WAYS, V.DECODED), 0, 1) == []


def test_v5_other_addresses_are_found_as_if_each_endpoint_were_asked():
    chance, found = Random(5), 0
    for _ in range(50):
        ends = Endpoints()
        names = Names(ends)
        for n in range(12):
            ends.add(chance.choice((NETWORK, NETWORK, 1)), bytes((10, 0, 0, n)))
            ends.sent_from(n, bytes((2, 0, 0, 0, 0, chance.randrange(9))), 1)
            names.claimed[n] += chance.sample(("a", "A.x.net", "a.y.net", "b", "b.x.net", ".net"), chance.choice((0, 1, 2)))
            names.roles[n] |= set(chance.choice(((), ("server",), ("client",))))
            names.cards[n].add(0x020000000000 + chance.randrange(9))
        sight = Visibility(Extent(0, 9, 0), set(), {}, [], set(), set(), {}, "", names)
        for host in range(12):
            others = [e for e in range(12) if e != host and ends.scopes[e] == ends.scopes[host]]
            expected = [e for e in others if names.notifies_for(e, host)]
            assert sight.others(host) == expected
            found += any(not names.known_as(host, name) for e in expected for name in names.claimed[e] or [""])
    assert found > 20
