"""One schema, three readers: they must say the same of every type of every program, whole, cut short, or garbage."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.packet import Packet
from support.agree import assert_agree
from support.checked import checked
from support.xdr_values import TYPES, values

from nlmdissect import loops
from nlmdissect.scapy_layer import layer
from nlmdissect.xdr.codec import decode, encode
from nlmdissect.xdr.schema import List, Struct, Union

every_type = pytest.mark.parametrize("t", TYPES, ids=lambda t: t.name)


@every_type
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_codec_reads_what_it_wrote(t: Struct, data: st.DataObject) -> None:
    value = data.draw(values(t))
    raw = encode(t, value)
    assert len(raw) % 4 == 0
    assert decode(t, b"head" + raw + b"tail", 4) == (value, 4 + len(raw))


@every_type
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_columns_agree_with_the_codec_at_every_truncation(t: Struct, data: st.DataObject) -> None:
    # Two messages side by side, so that reading past the end of the first would find plausible bytes.
    one, two = (encode(t, data.draw(values(t))) for _ in range(2))
    buf = b"\xff" * data.draw(st.integers(0, 3)) + one + two
    base = len(buf) - len(one) - len(two)
    at = [base] * (len(one) + 1) + [base + len(one)] * (len(two) + 1)
    end = [base + cut for cut in range(len(one) + 1)] + [base + len(one) + cut for cut in range(len(two) + 1)]
    assert_agree(t, buf, at, end)


@every_type
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_columns_agree_with_the_codec_on_garbage(t: Struct, data: st.DataObject) -> None:
    # Small words make plausible lengths, so that the garbage is not refused at its first field.
    lengths = st.sampled_from([400, 401, 1024, 1025, 2**31, 2**32 - 4, 2**32 - 1])
    words = st.one_of(st.integers(0, 3), st.integers(0, 2**32 - 1), lengths)
    messages = data.draw(st.lists(st.lists(words, max_size=30), min_size=1, max_size=5))
    raw = [struct.pack(f">{len(message)}I", *message) for message in messages]
    cut = [message[: len(message) - data.draw(st.integers(0, 3))] for message in raw]
    end = np.cumsum([len(message) for message in cut]).tolist()
    at = [stop - len(message) for stop, message in zip(end, cut, strict=True)]
    assert_agree(t, b"".join(cut), at, end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops, "ready", checked(loops.read_words))
        assert_agree(t, b"".join(cut), at, end)


@every_type
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_scapy_reads_and_writes_the_same(t: Struct, data: st.DataObject) -> None:
    value = data.draw(values(t))
    raw = encode(t, value)
    packet = layer(t)(raw)
    assert_packet(t, packet, value)
    assert bytes(packet) == raw
    rebuilt = packet.copy()
    forget_cache(rebuilt)
    assert bytes(rebuilt) == raw


@every_type
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_scapy_refuses_what_the_codec_refuses(t: Struct, data: st.DataObject) -> None:
    raw = encode(t, data.draw(values(t)))
    for cut in range(1, len(raw)):  # of no bytes at all Scapy makes an empty packet
        with pytest.raises(struct.error):
            layer(t)(raw[:cut])


def assert_packet(t: Struct, packet: Packet, value: dict[str, Any]) -> None:
    for name, part in t.fields.items():
        got = packet.getfieldval(f"{name}_" if hasattr(Packet, name) else name)
        match part:
            case Struct():
                assert_packet(part, got, value[name])
            case Union(on=on, arms=arms, default=default):
                assert got == value[name]["tag"]
                chosen = [arm for member, arm in arms.items() if on.members[member] == got] or [default]
                if chosen[0].fields:
                    shared = f"{name}_{chosen[0].name}"  # where two unions have an arm of this name
                    there = shared if any(f.name == shared for f in packet.fields_desc) else chosen[0].name
                    assert_packet(chosen[0], packet.getfieldval(there), value[name])
            case List(element=element):
                assert len(got) == len(value[name])
                for item, wanted in zip(got, value[name], strict=True):
                    assert_packet(element, item, wanted)
            case _:
                assert got == value[name]


def forget_cache(packet: Packet) -> None:
    """Make Scapy build the bytes from the fields, not from those that it remembers."""
    packet.raw_packet_cache = None
    for field in packet.fields.values():
        for inner in field if isinstance(field, list) else [field]:
            if isinstance(inner, Packet):
                forget_cache(inner)
