"""XDR values with other names in them, byte for byte otherwise: a reader of ``xdr/schema.py`` that writes as it reads.

What has no rule here and is not a number becomes zeros of the same length, and so does everything from the place on
where the bytes end too early, or contradict the type: the new bytes are broken in the same place as the old ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from nlmdissect.evidence.anonymise.pseudonyms import Pseudonyms
from nlmdissect.xdr.schema import Array, Enum, FixedOpaque, List, Number, Opaque, String, Struct, Union, Xdr

Change = Callable[[Pseudonyms, bytes], bytes]

# By the leaf's own name; ``parent.leaf`` where one name means several things.
CHANGES: Mapping[str, Change] = {
    "caller_name": Pseudonyms.name, "mon_name": Pseudonyms.name, "my_name": Pseudonyms.name,
    "machinename": Pseudonyms.name, "nlm_notify.name": Pseudonyms.name, "hostname": Pseudonyms.name,
    "gr_name": Pseudonyms.name, "mountbody.directory": Pseudonyms.path,
    "fh": Pseudonyms.handle, "object": Pseudonyms.handle, "dir": Pseudonyms.handle, "file": Pseudonyms.handle,
    "handle": Pseudonyms.handle, "directory": Pseudonyms.handle, "fhandle": Pseudonyms.handle,
    "from_": Pseudonyms.handle,
    "oh": Pseudonyms.owner, "cookie": Pseudonyms.cookie, "priv": Pseudonyms.private,
    "addr": Pseudonyms.universal, "uaddr": Pseudonyms.universal, "maddr": Pseudonyms.universal,
    "owner": Pseudonyms.service_owner,
    "name": Pseudonyms.component, "dirpath": Pseudonyms.path, "to": Pseudonyms.path, "symlink_data": Pseudonyms.path,
    "netid": lambda _, text: text, "nc_netid": lambda _, text: text, "nc_protofmly": lambda _, text: text,
    "nc_proto": lambda _, text: text, "verf": lambda _, text: text,
}  # fmt: skip
USERS = frozenset({"uid", "gid", "gids", "uid.to", "gid.to"})
NOTHING = frozenset({"stamp", "fsid", "specdata1", "specdata2", "rdev"})


class Edit(NamedTuple):
    """From ``start`` to ``end`` of the old bytes, the new ones are ``by`` more (or fewer)."""

    start: int
    end: int
    by: int


class EndError(Exception):
    """The bytes end here, as far as their type goes."""


class Rewriter:
    """``inner`` rewrites a call within a call: given the numbers read before it, by name, and its bytes."""

    def __init__(self, names: Pseudonyms, data: bytes, inner: Inner | None = None) -> None:
        self.names = names
        self.data = data
        self.at = 0
        self.out = bytearray()
        self.edits: list[Edit] = []
        self.numbers: dict[str, int] = {}
        self._inner = inner

    def keep(self, count: int) -> bytes:
        """Pass ``count`` bytes on as they are, and return them. Errors: EndError if they are not there."""
        if self.at + count > len(self.data):
            raise EndError
        found = self.data[self.at : self.at + count]
        self.at += count
        self.out += found
        return found

    def number(self) -> int:
        return int.from_bytes(self.keep(4), "big")

    def blank(self, count: int) -> None:
        """Zeros instead of ``count`` bytes."""
        if self.at + count > len(self.data):
            raise EndError
        self.at += count
        self.out += bytes(count)

    def rest(self) -> None:
        """Zeros instead of all that is left."""
        self.blank(len(self.data) - self.at)

    def put(self, count: int, new: bytes) -> None:
        """``new`` instead of ``count`` bytes."""
        if self.at + count > len(self.data):
            raise EndError
        if len(new) != count:
            self.edits.append(Edit(self.at, self.at + count, len(new) - count))
        self.at += count
        self.out += new

    def opaque(self, limit: int, change: Callable[[bytes], bytes]) -> None:
        """A counted string of bytes."""
        size = self.number()
        if size > limit or self.at + size + -size % 4 > len(self.data):
            raise EndError
        new = change(self.data[self.at : self.at + size])
        self.out[-4:] = len(new).to_bytes(4, "big")
        self.put(size + -size % 4, new + bytes(-len(new) % 4))

    def all(self, t: Xdr) -> bytes:
        """One value, as far as the bytes have one, and zeros for the rest."""
        with suppress(EndError):
            self.value(t)
        self.rest()
        return bytes(self.out)

    def value(self, t: Xdr, name: str = "", parent: str = "") -> None:
        """Rewrite one value. Errors: EndError."""
        match t:
            case Number(dtype=dtype):
                self._number(int(dtype[2:]), name, parent)
            case Enum():
                self.numbers[name] = self.number()
            case Opaque(max=limit) | String(max=limit):
                self.opaque(limit, self._change(name, parent))
            case FixedOpaque(size=size):
                if self.at + size > len(self.data):
                    raise EndError
                self.put(size, self._change(name, parent)(self.data[self.at : self.at + size]))
                self.blank(-size % 4)
            case Array(element=element, max=limit):
                count, size = self.number(), int(element.dtype[2:])
                if count > limit or self.at + count * size > len(self.data):
                    raise EndError
                for _ in range(count):
                    self._number(size, name, parent)
            case List(element=element):
                while self.number():
                    self.value(element, name)
            case Struct(name=own, fields=fields):
                for field, part in fields.items():
                    self.value(part, field, name if name in ("uid", "gid") else own)
            case Union(on=on, arms=arms, default=default):
                tag = self.number()
                tag -= (tag & 1 << 31) << 1
                arm = next((arm for member, arm in arms.items() if on.members[member] == tag), default)
                self.value(arm, name)

    def _number(self, size: int, name: str, parent: str) -> None:
        if name in NOTHING:
            self.blank(size)
        elif name in USERS or f"{parent}.{name}" in USERS:
            if self.at + size > len(self.data):
                raise EndError
            old = int.from_bytes(self.data[self.at : self.at + size], "big")
            self.put(size, self.names.user(old).to_bytes(size, "big"))
        else:
            self.numbers[name] = int.from_bytes(self.keep(size), "big")

    def _change(self, name: str, parent: str) -> Callable[[bytes], bytes]:
        if self._inner is not None and name in ("args", "res", "results"):
            inner, numbers = self._inner, self.numbers
            return lambda data: inner(numbers, data)
        change = CHANGES.get(f"{parent}.{name}") or CHANGES.get(name)
        return (lambda data: bytes(len(data))) if change is None else (lambda data: change(self.names, data))


Inner = Callable[[Mapping[str, int], bytes], bytes]
