"""Other names: what stays to be seen of two of them, and what does not."""

from __future__ import annotations

import sys
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yacryptopan import CryptoPAn

from nlmdissect.errors import UsageError
from nlmdissect.evidence.anonymise.addresses import Addresses
from nlmdissect.evidence.anonymise.keyed import Keyed
from nlmdissect.evidence.anonymise.pseudonyms import Pseudonyms

KEYED = Keyed(b"k")
ADDRESSES = Addresses(bytes(range(32)), KEYED)
NAMES = Pseudonyms(b"a key that is long enough for all")
FOUR, SIX = st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)


def test_the_library_computes_the_published_values() -> None:
    """The sample of the reference implementation (Lucent's sample.cpp, its trace and key)."""
    key = bytes([21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
                 216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2])  # fmt: skip
    published = {"128.11.68.132": "135.242.180.132", "129.118.74.4": "134.136.186.123", "24.0.250.221": "100.15.198.226"}
    assert {old: CryptoPAn(key).anonymize(old) for old in published} == published


@given(FOUR, FOUR, st.integers(0, 32))
def test_prefixes_of_version_4_stay_prefixes(a: bytes, b: bytes, bits: int) -> None:
    check(a, b, bits, alone=8)


@given(SIX, SIX, st.integers(0, 128))
def test_prefixes_of_version_6_stay_prefixes(a: bytes, b: bytes, bits: int) -> None:
    a, b = b"\x20" + a[1:], b"\x20" + b[1:]
    check(a, b, bits, alone=10)


def check(a: bytes, b: bytes, bits: int, alone: int) -> None:
    """``b`` begins with the same bits as ``a``: so do their new addresses, unless they are few."""
    size = len(a) * 8
    low = (1 << size - bits) - 1
    b = ((int.from_bytes(a, "big") & ~low) | (int.from_bytes(b, "big") & low)).to_bytes(len(a), "big")
    if any(special(one) for one in (a, b)):
        return
    old, new = common(a, b), common(ADDRESSES[a], ADDRESSES[b])
    assert new == old or (new < alone and old < alone)


def common(a: bytes, b: bytes) -> int:
    return len(a) * 8 - (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_length()


def special(address: bytes) -> bool:
    if len(address) == 4:
        return address[0] in (0, 127) or address[0] >= 224
    return address[0] in (0, 0xFF) or (address[0] == 0xFE and address[1] & 0xC0 == 0x80)


@given(st.one_of(FOUR, SIX))
def test_what_an_address_is_for_stays(address: bytes) -> None:
    old, new = ip_address(address), ip_address(ADDRESSES[address])
    for kind in ("is_loopback", "is_multicast", "is_link_local", "is_unspecified"):
        if kind != "is_link_local" or len(address) == 16:  # that of version 4 is an ordinary network here
            assert getattr(new, kind) == getattr(old, kind)
    assert special(address) == special(ADDRESSES[address])


@pytest.mark.parametrize("text", ["127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.251", "::", "::1", "ff02::1"])
def test_addresses_of_nobody_stay(text: str) -> None:
    address = ip_address(text).packed
    assert ADDRESSES[address] == address


def test_addresses_in_addresses() -> None:
    inner = ADDRESSES[ip_address("10.0.0.1").packed]
    assert ADDRESSES[ip_address("::ffff:10.0.0.1").packed][-4:] == inner
    one, group = NAMES.mac(bytes.fromhex("3333ff123456")), NAMES.address(ip_address("ff02::1:ff12:3456").packed)
    assert one[3:] == group[-3:] != bytes.fromhex("123456")


def test_bytes_of_one_length_never_become_the_same() -> None:
    assert len({KEYED.permute(b"x", bytes((n,))) for n in range(256)}) == 256
    assert len({KEYED.permute(b"x", n.to_bytes(2, "big")) for n in range(5000)}) == 5000
    assert KEYED.permute(b"x", b"") == b""
    assert KEYED.permute(b"x", bytes(100)) != KEYED.permute(b"y", bytes(100))


def test_short_words_never_become_the_same() -> None:
    words = [b"%c" % n for n in range(ord("a"), ord("a") + 20)] + [b"%02d" % n for n in range(80)]
    keyed = Keyed(b"k")
    assert len({keyed.word(b"x", word) for word in words}) == len(words)


@given(st.binary(min_size=1, max_size=64))
def test_names_keep_their_length_their_dots_and_their_capitals(name: bytes) -> None:
    if NAMES.text_address(name) is not None:
        return
    new = NAMES.name(name)
    assert [len(label) for label in new.split(b".")] == [len(label) for label in name.split(b".")]
    assert NAMES.name(name.lower()) == new.lower()
    assert all(n.isdigit() == o.isdigit() for o, n in zip(name.split(b"."), new.split(b"."), strict=True))


def test_names_that_belong_together() -> None:
    full, short, shout = NAMES.name(b"db7.corp.example"), NAMES.name(b"db7"), NAMES.name(b"DB7.Corp.Example")
    assert full.split(b".")[0] == short != b"db7"
    assert shout.lower() == full
    assert NAMES.owner(b"17@db7.corp.example") == b"17@" + full
    address = NAMES.address(ip_address("10.77.0.21").packed)
    assert NAMES.name(b"10.77.0.21").decode() == str(ip_address(address))
    assert NAMES.universal(b"10.77.0.21.3.197").decode() == f"{ip_address(address)}.3.197"
    assert NAMES.owner(b"0@10.77.0.21").decode() == f"0@{ip_address(address)}"
    assert NAMES.universal(b"::.0.111") == b"::.0.111"
    assert NAMES.universal(b"") == b""
    six = NAMES.address(ip_address("fd77::22").packed)
    assert NAMES.name(b"fd77::22").decode() == str(ip_address(six))


def test_handles_may_be_filled_up_with_zeros() -> None:
    handle = bytes(range(1, 17))
    assert NAMES.handle(handle + bytes(16)) == NAMES.handle(handle) + bytes(16)
    assert NAMES.handle(bytes(32)) == bytes(32)


def test_names_of_dns_and_their_pointers() -> None:
    address = NAMES.address(ip_address("10.77.0.21").packed)
    turned = [b"%d" % number for number in reversed(address)]
    assert NAMES.domain([b"21", b"0", b"77", b"10", b"in-addr", b"arpa"]) == [*turned, b"in-addr", b"arpa"]
    assert b".".join(NAMES.domain([b"db7", b"corp", b"example"])) == NAMES.name(b"db7.corp.example")


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yacryptopan", None)
    with pytest.raises(UsageError, match=r"pip install 'nlmdissect\[anonymize\]'"):
        Pseudonyms(b"k" * 32)


def test_users_and_cards() -> None:
    assert (NAMES.user(0), NAMES.user(2**32 - 1)) == (0, 2**32 - 1)
    assert len({NAMES.user(n) for n in range(1000)}) == 1000
    netapp = bytes.fromhex("00a098123456")
    assert NAMES.mac(netapp)[:3] == netapp[:3] != NAMES.mac(netapp)[3:]
    assert NAMES.mac(b"\xff" * 6) == b"\xff" * 6
    docker = bytes.fromhex("02420a4d0015")  # with 10.77.0.21 in it
    assert NAMES.mac(docker)[2:] != docker[2:]
