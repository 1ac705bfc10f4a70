"""The leaves of a message, one at a time: a message that is cut keeps what comes before the cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nlmdissect.oracle.record import CALL, Message, Value
from nlmdissect.protocols import PORTMAP, Procedure, find, rpc
from nlmdissect.xdr.codec import XdrError, decode
from nlmdissect.xdr.schema import Array, List, Number, Struct, Union, Xdr

RELAYED = ("args", "res", "results")
WORD = 0xFFFFFFFF
AUTH_SYS, GSS = rpc.auth_flavor.members["AUTH_SYS"], rpc.auth_flavor.members["RPCSEC_GSS"]
HEADER = frozenset({"xid", "mtype", "prog", "vers", "proc"})  # compared as attributes of the message


def header(data: bytes, call: bool) -> Iterator[tuple[str, Value]]:
    """The fields of an RPC header; what comes before the place where it is cut."""
    flavor = 0
    for name, value in _Walk(data, 0).leaves(rpc.call if call else rpc.reply):
        if name == "cred.body" and isinstance(value, bytes) and flavor in (AUTH_SYS, GSS):
            yield from ((f"cred.{leaf}", of) for leaf, of in _Walk(value, 0).leaves(rpc.CREDENTIALS[flavor]))
        elif name not in HEADER and not name.endswith(".body"):
            yield name, value
        if name == "cred.flavor":
            flavor = int(value)


def body(
    message: Message, procedure: Procedure, data: bytes, at: int, listed: set[str], asked: tuple[Value, ...]
) -> bool:
    """Add the leaves of arguments or results; say whether the body ended too early.

    ``listed`` gets the names inside of lists; ``asked`` is what portmap was asked to call, where this is the reply.
    """
    t = procedure.args if message.kind == CALL else procedure.res
    walk = _Walk(data, at)
    for name, value in walk.leaves(t):
        if name in RELAYED and isinstance(value, bytes):
            if name == "args":
                asked = (message.fields["prog"][0], message.fields["vers"][0], message.fields["proc"][0])
            inner = None if asked[0] == PORTMAP else find(*map(int, asked))
            listed |= _relayed(message, name, value, inner)
        else:
            message.add(name, value & WORD if isinstance(value, int) and value < 0 else value)
    listed |= walk.listed
    return walk.bad


def _relayed(message: Message, name: str, value: bytes, inner: Procedure | None) -> set[str]:
    """What portmap passes on: the arguments or results of a program that we know, or bytes."""
    if inner is None:
        message.add("args" if name == "args" else "results", value)
        return set()
    walk = _Walk(value, 0)
    for leaf, of in walk.leaves(inner.args if name == "args" else inner.res):
        message.add(leaf, of)
    return walk.listed


class _Walk:
    """The codec, one leaf at a time, so that a message that is cut keeps what comes before the cut."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        self.bad = False
        self.listed: set[str] = set()

    def leaves(self, t: Xdr) -> Iterator[tuple[str, Value]]:
        try:
            yield from self._walk(t, "", "", False)
        except XdrError:
            self.bad = True

    def _walk(self, t: Xdr, name: str, prefix: str, inside: bool) -> Iterator[tuple[str, Value]]:
        match t:
            case Struct(fields=fields):
                for leaf, of in fields.items():
                    yield from self._walk(of, leaf, f"{leaf}." if leaf in ("cred", "verf") else prefix, inside)
            case Union(on=on, arms=arms, default=default):
                tag = self._take(on)
                yield prefix + name, tag
                arm = next((arm for member, arm in arms.items() if on.members[member] == tag), default)
                yield from self._walk(arm, name, "holder." if name == "stat" else "", inside)
            case List(element=element):
                while self._take(Number("more", ">u4")):
                    yield from self._walk(element, name, prefix, True)
            case Array():
                yield from ((prefix + name, value) for value in self._take(t))
            case _:
                value = self._take(t)
                if inside:
                    self.listed.add(prefix + name)
                yield prefix + name, value

    def _take(self, t: Xdr) -> Any:
        value, self.at = decode(t, self.data, self.at)
        return value
