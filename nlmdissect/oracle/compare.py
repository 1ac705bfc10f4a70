"""One capture, both readings, message for message and field for field."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from dataclasses import field as made

from nlmdissect.oracle.ours import Ours
from nlmdissect.oracle.record import Message, keyed
from nlmdissect.protocols import MOUNT

HEADER = frozenset({"length", "rpcvers", "reply_stat", "accept_stat", "reject_stat", "auth_stat", "low", "high"})


@dataclass(frozen=True, slots=True)
class Difference:
    """``field`` is "message" where one side does not see it at all."""

    frame: int
    field: str
    ours: object
    theirs: object
    our_message: Message | None = None
    their_message: Message | None = None
    context: Context = made(default_factory=lambda: Context(), repr=False)

    def __str__(self) -> str:
        which = self.our_message or self.their_message
        return f"frame {self.frame} {which}: {self.field} is {self.ours!r} for us, {self.theirs!r} for tshark"


@dataclass(slots=True)
class Context:
    """All messages of a capture, for predicates that must look around."""

    ours: list[Message] = made(default_factory=list)
    theirs: list[Message] = made(default_factory=list)


@dataclass(slots=True)
class Result:
    """``context``: both readings. ``counts``: messages, fields, links, and in "table" the fields that are in our table
    of calls. ``compared``: how often each field was, by program. ``torn``: where table and codec, both ours, differ.
    """

    context: Context = made(default_factory=Context)
    counts: Counter[str] = made(default_factory=Counter)
    compared: Counter[tuple[int, str]] = made(default_factory=Counter)
    differences: list[Difference] = made(default_factory=list)
    torn: list[str] = made(default_factory=list)


def compare(own: Ours, theirs: list[Message]) -> Result:
    """Compare our reading with tshark's."""
    context = Context(own.messages, theirs)
    result = Result(context, torn=own.torn)
    left, right = dict(keyed(own.messages)), dict(keyed(theirs))
    for key in sorted({*left, *right}, key=str):
        a, b = left.get(key), right.get(key)
        if a is None or b is None:
            seen, unseen = "seen", None
            difference = Difference(key[0], "message", seen if a else unseen, seen if b else unseen, a, b, context)
            result.differences.append(difference)
        else:
            _message(result, a, b, context)
    both = left.keys() & right.keys()
    if [k for k in left if k in both] != [k for k in right if k in both]:
        result.differences.append(Difference(0, "order", None, None, context=context))
    return result


def _message(result: Result, a: Message, b: Message, context: Context) -> None:
    compared = values(a, b)
    result.counts["messages"] += 1
    result.counts["links"] += len(a.links.keys() | b.links.keys())
    result.counts["fields"] += len(compared)
    result.counts["table"] += sum(mark.startswith("table ") for mark in a.marks)
    for name, (x, y) in sorted(compared.items()):
        result.compared[a.program, name] += 1
        if x != y:
            result.differences.append(Difference(a.frame, name, x, y, a, b, context))


def values(a: Message, b: Message) -> dict[str, tuple[object, object]]:
    """What is compared of a message, by name: (ours, tshark's), None where one has it not. A list is a tuple."""
    found: dict[str, tuple[object, object]] = {}
    for name in ("tcp", "program", "version", "procedure"):
        found[name] = getattr(a, name), getattr(b, name)
    for name in [*a.links, *(name for name in b.links if name not in a.links)]:
        found[name] = a.links.get(name), b.links.get(name)
    for name in [*a.fields, *(name for name in b.fields if name not in a.fields)]:
        if a.program != MOUNT or name in HEADER or name.startswith(("cred.", "verf.")):
            found[name] = _one(a.fields.get(name)), _one(b.fields.get(name))
    return found


def _one(value: object) -> object:
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value
