"""NLM020: one caller_name is used by several hosts at once."""

from __future__ import annotations

from support.cards import told_with_cards
from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM020 = BY_CODE["NLM020"]


def asks(*turns):
    """One TEST after the other, each (host, cookie), all under one name."""
    lines = []
    for number, (host, cookie) in enumerate(turns):
        text = f"NLM_TEST fh=A oh=1 caller=node cookie={cookie.to_bytes(4, 'little').hex()}"
        lines += [f"{2 * number + 1} {host} > server {text}", f"{2 * number + 2} server > {host} NLM4_GRANTED"]
    return "\n".join(lines)


CLONES = asks(*(("client1", 5), ("client2", 5), ("client1", 6), ("client2", 6), ("client1", 7)))


def test_two_counters_take_turns():
    story = told(NLM020, CLONES)
    assert story.says == ["warning confirmed server=server client=client1 other=client2: 1 3 9 7"]


def test_one_kernel_with_two_addresses():
    """It counts on from one to the other."""
    story = told(NLM020, asks(("client1", 5), ("client2", 6), ("client1", 7), ("client2", 8)))
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_one_kernel_of_a_big_endian_processor():
    cookies = [int.from_bytes(n.to_bytes(4, "big"), "little") for n in (254, 255, 256, 257)]
    hosts = ("client1", "client2", "client1", "client2")
    assert told(NLM020, asks(*zip(hosts, cookies, strict=True))).says == []


def test_another_address_after_the_first():
    """DHCP: one host, one after the other."""
    story = told(NLM020, asks(("client1", 5), ("client1", 6), ("client2", 5), ("client2", 6)))
    assert story.says == []


def test_states_differ():
    lines = []
    for number, (host, state) in enumerate([("client1", 3), ("client2", 7)] * 2):
        text = f"NLM_LOCK fh={number} oh=1 caller=node state={state} cookie=0{number}000000"
        lines += [f"{2 * number + 1} {host} > server {text}", f"{2 * number + 2} server > {host} NLM4_GRANTED"]
    story = told(NLM020, "\n".join(lines))
    assert story.says == ["warning confirmed server=server client=client1 other=client2: 1 3 5 7"]


TOO_FEW = asks(("client1", 5), ("client2", 6), ("client1", 7))


def test_too_few_turns_and_two_cards():
    story = told_with_cards(NLM020, TOO_FEW)
    assert story.says == ["warning suspected server=server client=client1 other=client2: 1 3 5"]


def test_too_few_turns_and_one_card():
    """IPv4 and IPv6, or an alias."""
    story = told_with_cards(NLM020, TOO_FEW, cards={"client1": "same", "client2": "same"})
    assert story.outcome is Outcome.CLEAN


def test_each_has_its_own_name():
    assert told(NLM020, CLONES.replace("caller=node ", "")).says == []


def test_the_capture_ends_before_they_take_turns():
    assert told(NLM020, asks(("client1", 5), ("client2", 5))).says == []


def test_the_servers_name_in_callbacks():
    """Linux puts its own name into NLM_GRANTED, and may be a client of its clients."""
    story = told(
        NLM020,
        """
     1        server  > client1  NLM_GRANTED fh=A caller=server
     2        client1 > server   NLM4_GRANTED
     3        server  > client2  NLM_GRANTED fh=A caller=server
     4        client2 > server   NLM4_GRANTED
     5        server  > client1  NLM_GRANTED fh=B caller=server
     6        client1 > server   NLM4_GRANTED
    """,
    )
    assert story.says == []
