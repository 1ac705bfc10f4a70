"""Other IP addresses, prefix by prefix: the door to yacryptopan, which computes Crypto-PAn.

Two addresses that share their first n bits get addresses that share their first n bits (Xu, Fan, Ammar, Moon 2002).
What an address is for must stay: loopback, link-local, multicast and "none" are told apart by their first bits. So
Crypto-PAn is followed by an exchange of whole prefixes, which brings each of these back to its own place; the only
prefixes that do not survive are those shorter than the exchanged ones.
"""

from __future__ import annotations

from nlmdissect.errors import UsageError
from nlmdissect.evidence.anonymise.keyed import Keyed

Kept = tuple[tuple[int, int], ...]  # (prefix, its bits), the shortest first

KEPT: dict[int, Kept] = {4: ((0b111, 3), (127, 8), (0, 8)), 16: ((0xFF, 8), (0, 8), (0xFE80 >> 6, 10))}
SOLICITED = bytes.fromhex("ff0200000000000000000001ff")  # and the last 24 bits of the address that is asked for
MAPPED = bytes(10) + b"\xff\xff"
TRANSLATED = bytes.fromhex("0064ff9b") + bytes(8)  # RFC 6052


class Addresses:
    """``key`` has 32 bytes, as Crypto-PAn has it. Errors: UsageError where yacryptopan is not installed."""

    def __init__(self, key: bytes, keyed: Keyed) -> None:
        try:
            from yacryptopan import CryptoPAn
        except ImportError:
            raise UsageError(
                "to anonymise takes the package yacryptopan", "Install it: pip install 'nlmdissect[anonymize]'"
            ) from None
        self._of = CryptoPAn(key).anonymize_bin
        self._keyed = keyed
        self._known: dict[bytes, bytes] = {}
        self._exchanges: dict[int, list[tuple[int, int, int]]] = {4: [], 16: []}  # (prefix, prefix, how far right)
        for size, kept in KEPT.items():
            for prefix, bits in kept:
                right = size * 8 - bits
                self._exchanges[size].append((self._mixed(size, prefix << right) >> right, prefix, right))

    def __getitem__(self, address: bytes) -> bytes:
        """The other address of one of 4 or 16 bytes."""
        if address not in self._known:
            self._known[address] = self._four(address) if len(address) == 4 else self._six(address)
        return self._known[address]

    def _four(self, address: bytes) -> bytes:
        if address[0] in (0, 127) or address[0] >= 224:
            return address
        return self._mixed(4, int.from_bytes(address, "big")).to_bytes(4, "big")

    def _six(self, address: bytes) -> bytes:
        if address[:13] == SOLICITED:
            return SOLICITED + self._keyed.permute(b"solicited", address[13:])
        if address[0] == 0xFF:
            group = int.from_bytes(address[2:], "big") < 1 << 32
            return address if group else address[:2] + self._keyed.permute(b"group", address[2:])
        if address[:12] in (MAPPED, TRANSLATED) or (address[:12] == bytes(12) and address[12:15] != bytes(3)):
            return address[:12] + self[address[12:]]
        if address[0] == 0:
            return address if address[:15] == bytes(15) else address[:1] + self._keyed.permute(b"low", address[1:])
        if address[0] == 0xFE and address[1] & 0xC0 == 0x80:
            return address[:8] + self._keyed.permute(b"link-local", address[8:])
        return self._mixed(16, int.from_bytes(address, "big")).to_bytes(16, "big")

    def _mixed(self, size: int, number: int) -> int:
        found: int = self._of(number, 4 if size == 4 else 6)
        for one, other, right in self._exchanges[size]:
            prefix = found >> right
            if prefix in (one, other):
                found ^= (one ^ other) << right
        return found
