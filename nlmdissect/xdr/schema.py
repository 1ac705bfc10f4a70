"""XDR types as plain data (RFC 4506). No bytes are touched here.

Three readers interpret these values: ``codec`` (the reference: one value, exact error position), ``columns`` (numpy:
one field of all messages at a time) and ``scapy_layer`` (interactive). A type that is added here is added to all three.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

UNLIMITED = 2**32 - 1  # ``opaque x<>``: the length word itself is the only limit


@dataclass(frozen=True, slots=True)
class Number:
    """A number; ``dtype`` is numpy's name for its form on the wire, so its itemsize is the XDR size."""

    name: str
    dtype: str


Int = Number("int", ">i4")
UInt = Number("unsigned int", ">u4")
Hyper = Number("hyper", ">i8")
UHyper = Number("unsigned hyper", ">u8")
Bool = Number("bool", ">u4")  # anything but 0 and 1 is kept as the number it is: a finding, not an error


# eq=False: compared and hashed by identity, because a mapping has no hash and readers keep a table by type.
@dataclass(frozen=True, slots=True, eq=False)
class Enum:
    """A signed number with names. A number without a name is legal data: new servers send new statuses."""

    name: str
    members: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Opaque:
    """``opaque x<max>``: length word, bytes, zero bytes up to a multiple of four."""

    max: int


@dataclass(frozen=True, slots=True)
class String:
    """``string x<max>``: the same bytes as ``Opaque``, meant to be shown as text."""

    max: int


@dataclass(frozen=True, slots=True)
class FixedOpaque:
    """``opaque x[size]``: no length word."""

    size: int


@dataclass(frozen=True, slots=True)
class Array:
    """``element x<max>`` of numbers: a count, then so many numbers."""

    element: Number
    max: int


@dataclass(frozen=True, slots=True)
class List:
    """A linked list: { bool 1, element } repeated, then bool 0."""

    element: Struct


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Struct:
    """Named fields, one after the other; the order is the order on the wire."""

    name: str
    fields: Mapping[str, Xdr]

    # Positional only, so that a protocol may call a field ``name``.
    def __init__(self, name: str, /, **fields: Xdr) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "fields", fields)


@dataclass(frozen=True, slots=True, eq=False)
class Union:
    """An enum ``on``, then the arm that it selects: by member name, or else ``default``."""

    name: str
    on: Enum
    arms: Mapping[str, Struct]
    default: Struct


Void = Struct("void")

Xdr = Number | Enum | Opaque | String | FixedOpaque | Array | List | Struct | Union
