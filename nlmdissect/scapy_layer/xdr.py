"""A Packet class for every XDR struct, made from the same schema as the other readers.

A field keeps its name, except where Packet has an attribute of that name (``name``, ``time``): it gets a ``_`` at its
end. A nested struct is a packet in a field, and may be given as a dict. A union is its discriminant, followed by one
field for each struct among its arms, named as that struct (``stat``, ``nlm4_holder``), behind the union's own name
where several unions have such an arm (``obj_attributes_fattr3``), and there only when the discriminant selects it.
Lists are lists of packets, arrays lists of numbers; text may be given for bytes. Bytes that end too early raise
``struct.error``: Scapy shows such a layer as Raw.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Set
from functools import cache
from typing import Any

from scapy.fields import (
    ConditionalField,
    Field,
    IntEnumField,
    IntField,
    LongField,
    PacketField,
    SignedIntEnumField,
    SignedIntField,
    SignedLongField,
)
from scapy.packet import Packet

from nlmdissect.xdr.schema import Array, Enum, FixedOpaque, List, Number, Opaque, String, Struct, Union, Xdr

NUMBER = {">u4": IntField, ">i4": SignedIntField, ">u8": LongField, ">i8": SignedLongField}


class OpaqueField(Field):  # type: ignore[misc]
    """``opaque<max>`` and ``string<max>``: length and padding belong to the wire, not to the user."""

    __slots__ = ("limit",)

    def __init__(self, name: str, limit: int) -> None:
        super().__init__(name, b"", "s")
        self.limit = limit

    def any2i(self, pkt: Packet, x: Any) -> Any:
        return x.encode() if isinstance(x, str) else x

    def addfield(self, pkt: Packet, s: bytes, val: bytes) -> bytes:
        return s + struct.pack("!I", len(val)) + val + bytes(-len(val) % 4)

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, bytes]:
        (size,) = struct.unpack_from("!I", s)
        if size > self.limit:
            raise struct.error(f"{self.name}: length {size} exceeds {self.limit}")
        return take(s[4:], size)

    def i2repr(self, pkt: Packet, x: bytes) -> str:
        return _shown(x)


class FixedOpaqueField(Field):  # type: ignore[misc]
    """``opaque[size]``: no length word."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name, bytes(size), f"{size}s")

    def addfield(self, pkt: Packet, s: bytes, val: bytes) -> bytes:
        return s + struct.pack(self.fmt, val) + bytes(-self.sz % 4)

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, bytes]:
        return take(s, self.sz)

    def i2repr(self, pkt: Packet, x: bytes) -> str:
        return _shown(x)


class ArrayField(Field):  # type: ignore[misc]
    """``element<max>``: a count, then so many numbers."""

    __slots__ = ("limit", "number")
    islist = 1

    def __init__(self, name: str, element: Number, limit: int) -> None:
        super().__init__(name, [], "I")
        self.number = NUMBER[element.dtype](name, 0)
        self.limit = limit

    def addfield(self, pkt: Packet, s: bytes, val: list[int]) -> bytes:
        s += struct.pack("!I", len(val))
        for number in val:
            s = self.number.addfield(pkt, s, number)
        return s

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, list[int]]:
        (count,) = struct.unpack_from("!I", s)
        if count > self.limit or count * self.number.sz > len(s) - 4:
            raise struct.error(f"{self.name}: {count} numbers do not fit")
        s, values = s[4:], []
        for _ in range(count):
            s, value = self.number.getfield(pkt, s)
            values.append(value)
        return s, values


class StructField(PacketField):  # type: ignore[misc]
    """A nested struct."""

    def any2i(self, pkt: Packet, x: Any) -> Any:
        return self.cls(**x) if isinstance(x, dict) else super().any2i(pkt, x)

    def m2i(self, pkt: Packet, m: bytes) -> Packet:
        return nested(self.cls, m)


class ListField(Field):  # type: ignore[misc]
    """{ bool 1, element } repeated, then bool 0."""

    __slots__ = ("element",)
    islist = 1
    holds_packets = 1

    def __init__(self, name: str, element: type[Packet]) -> None:
        super().__init__(name, [], "I")
        self.element = element

    def any2i(self, pkt: Packet, x: Any) -> Any:
        return [self.element(**item) if isinstance(item, dict) else item for item in x]

    def addfield(self, pkt: Packet, s: bytes, val: list[Packet]) -> bytes:
        return s + b"".join(b"\0\0\0\1" + bytes(item) for item in val) + bytes(4)

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, list[Packet]]:
        items: list[Packet] = []
        while True:
            (more,) = struct.unpack_from("!I", s)
            s = s[4:]
            if not more:
                return s, items
            item = nested(self.element, s)
            s = bytes(item.payload)
            item.remove_payload()
            items.append(item)


def _shown(x: bytes) -> str:
    """As bytes if they are text, else in hex."""
    return repr(x) if x.isascii() and x.decode("ascii").isprintable() else x.hex()


def nested(cls: type[Packet], s: bytes) -> Packet:
    if not s:
        raise struct.error("no bytes left")  # of nothing at all, Scapy would make a packet of default values
    return cls(s)


def take(s: bytes, size: int) -> tuple[bytes, bytes]:
    end = size + -size % 4
    if end > len(s):
        raise struct.error(f"{end} bytes announced, {len(s)} there")
    return s[end:], s[:size]


@cache
def layer(t: Struct) -> type[Packet]:
    """The Packet class of a struct: one class for each schema type, however often it is asked for."""
    arms = Counter(arm for part in t.fields.values() for arm in _arm_names(part))
    shared = {arm for arm, count in arms.items() if count > 1}
    fields = [field for name, part in t.fields.items() for field in _fields(name, part, shared)]
    return type(t.name, (XdrPacket,), {"name": t.name, "fields_desc": fields})


class XdrPacket(Packet):  # type: ignore[misc]
    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return b"", s  # what follows a nested struct is the next field


def _arm_names(t: Xdr) -> set[str]:
    return {arm.name for arm in (*t.arms.values(), t.default)} if isinstance(t, Union) else set()


def _fields(name: str, t: Xdr, shared: Set[str] = frozenset()) -> list[Any]:
    name = f"{name}_" if hasattr(Packet, name) else name
    match t:
        case Number(name="bool"):
            return [IntEnumField(name, 0, {0: "FALSE", 1: "TRUE"})]
        case Number(dtype=dtype):
            return [NUMBER[dtype](name, 0)]
        case Enum(members=members):
            return [SignedIntEnumField(name, 0, {number: member for member, number in members.items()})]
        case Opaque(max=limit) | String(max=limit):
            return [OpaqueField(name, limit)]
        case FixedOpaque(size=size):
            return [FixedOpaqueField(name, size)]
        case Array(element=element, max=limit):
            return [ArrayField(name, element, limit)]
        case List(element=struct_):
            return [ListField(name, layer(struct_))]
        case Struct():
            return [_packet(name, t)]
        case Union(on=on, arms=arms, default=default):
            by_arm: dict[Struct, set[int]] = {arm: set() for arm in (*arms.values(), default) if arm.fields}
            for member, arm in arms.items():
                if arm.fields:
                    by_arm[arm].add(on.members[member])
            named = {on.members[member] for member in arms}
            chosen = [
                _arm(name, f"{name}_{arm.name}" if arm.name in shared else arm.name, arm, tags,
                     named if arm is default else None)
                for arm, tags in by_arm.items()
            ]  # fmt: skip
            return [*_fields(name, on), *chosen]


def _packet(name: str, t: Struct) -> StructField:
    return StructField(name, layer(t)(), layer(t))


def _arm(discriminant: str, name: str, arm: Struct, tags: set[int], others: set[int] | None) -> ConditionalField:
    """The arm's field: for these tags; for the default arm also for all that are not ``others``' tags."""

    def selected(packet: Packet) -> bool:
        tag = packet.getfieldval(discriminant)
        return tag in tags or (others is not None and tag not in others)

    return ConditionalField(_packet(name, arm), selected)
