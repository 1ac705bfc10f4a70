"""What things are called in an anonymised capture.

What an analysis can see of two names stays to be seen of their other names: that they are equal, that they differ in
case alone, that one is the other cut at a dot, that one is the text of an address that stands elsewhere.
"""

from __future__ import annotations

import re
from hashlib import sha256
from ipaddress import IPv6Address, ip_address

from nlmdissect.evidence.anonymise.addresses import Addresses
from nlmdissect.evidence.anonymise.keyed import Keyed

COUNTER = 8  # bytes; a longer cookie is no counter: it may hold anything
NOBODY = (0, 2**32 - 1)  # root, and "leave it as it is"
VENDOR = 3  # bytes of a MAC that name its maker
OWNER = re.compile(rb"(\d+@)(.+)", re.S)
OWNERS = (b"", b"superuser", b"unknown")  # of a service, as rpcbind names them
TOP = b"in-addr", b"ip6", b"arpa"


class Pseudonyms:
    """``key`` is a secret of at least 32 bytes. Errors: UsageError, as ``Addresses``."""

    def __init__(self, key: bytes) -> None:
        self._keyed = Keyed(sha256(b"names:" + key).digest())
        self._addresses = Addresses(sha256(b"addresses:" + key).digest(), self._keyed)

    def address(self, address: bytes) -> bytes:
        """Of 4 or 16 bytes; anything else becomes zeros."""
        return self._addresses[address] if len(address) in (4, 16) else bytes(len(address))

    def mac(self, mac: bytes) -> bytes:
        """The maker's part stays, and so does what is no address of one card."""
        if len(mac) != 6:
            return bytes(len(mac))
        if mac[:3] == b"\x33\x33\xff":  # the group of an address, see ``addresses.SOLICITED``
            return mac[:3] + self._keyed.permute(b"solicited", mac[3:])
        if mac[0] & 1 or not any(mac):
            return mac
        own = mac[0] & 2 and mac[1:3] != b"\xa0\x98"  # given by software: there is no maker
        keep = 1 if own else VENDOR
        return mac[:keep] + self._keyed.permute(b"mac", mac[keep:])

    def name(self, name: bytes) -> bytes:
        """Of a host. The text of an address becomes that of its other address, and may change its length."""
        return self.text_address(name) or b".".join(self.label(label) for label in name.split(b"."))

    def label(self, label: bytes) -> bytes:
        """One part of a host's name; its capitals stay capitals."""
        small = self._keyed.word(b"label", label.lower())
        return bytes(new - 32 if 65 <= old <= 90 and new >= 97 else new for old, new in zip(label, small, strict=True))

    def text_address(self, text: bytes) -> bytes | None:
        """The text of an address; None for any other text."""
        if not text[:1].isdigit() and b":" not in text:
            return None
        try:
            found = ip_address(text.decode("ascii"))
        except ValueError:
            return None
        scope = found.scope_id if isinstance(found, IPv6Address) else None
        new = str(ip_address(self.address(found.packed)))
        return f"{new}%{scope}".encode() if scope else new.encode()

    def universal(self, text: bytes) -> bytes:
        """An address with a port, as rpcbind writes it (RFC 1833); a path of a local one."""
        address, *port = text.rsplit(b".", 2)
        new = self.text_address(address) if len(port) == 2 else None
        return b".".join((new, *port)) if new else self.path(text)

    def path(self, path: bytes) -> bytes:
        return b"/".join(self.component(name) for name in path.split(b"/"))

    def component(self, name: bytes) -> bytes:
        """One name in a path."""
        return name if name in (b".", b"..") else self._keyed.word(b"component", name)

    def handle(self, handle: bytes) -> bytes:
        """Zeros at its end stay: versions 1 and 2 fill short handles up with them."""
        core = handle.rstrip(b"\0")
        return self._keyed.permute(b"handle", core) + bytes(len(handle) - len(core))

    def owner(self, oh: bytes) -> bytes:
        """Of a lock: Linux and FreeBSD write ``svid@name``."""
        named = OWNER.fullmatch(oh)
        return named[1] + self.name(named[2]) if named else self._keyed.permute(b"oh", oh)

    def service_owner(self, name: bytes) -> bytes:
        return name if name in OWNERS or name.isdigit() else self.label(name)

    def cookie(self, cookie: bytes) -> bytes:
        return cookie if len(cookie) <= COUNTER else self._keyed.permute(b"cookie", cookie)

    def private(self, data: bytes) -> bytes:
        """What lockd gives to statd, and gets back."""
        return self._keyed.permute(b"priv", data) if any(data) else data

    def user(self, number: int) -> int:
        """A uid or gid."""
        while number not in NOBODY:
            number = int.from_bytes(self._keyed.permute(b"user", number.to_bytes(4, "big")), "big")
            if number not in NOBODY:
                break
        return number

    def domain(self, labels: list[bytes]) -> list[bytes]:
        """A name in DNS, which may be that of an address turned round."""
        folded = [label.lower() for label in labels]
        if folded[-2:] in ([b"in-addr", b"arpa"], [b"ip6", b"arpa"]):
            return self._reverse(folded[:-2], folded[-2] == b"ip6") + labels[-2:]
        return self.name(b".".join(labels)).split(b".") if labels else labels

    def _reverse(self, digits: list[bytes], six: bool) -> list[bytes]:
        try:
            if six:
                packed = bytes.fromhex(b"".join(digits[::-1]).decode("ascii"))
                whole = len(digits) == 32 and len(packed) == 16
                return [digit.encode() for digit in reversed(self.address(packed).hex())] if whole else []
            packed = bytes(int(number) for number in reversed(digits))
            return [b"%d" % number for number in reversed(self.address(packed))] if len(packed) == 4 else []
        except ValueError:
            return []
