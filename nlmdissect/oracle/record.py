"""One RPC message as either side reads it: what is compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from nlmdissect.protocols import MOUNT, NLM, NSM, PORTMAP

CALL, REPLY = 0, 1
KEPT = (PORTMAP, NSM, NLM, MOUNT)  # of MOUNT the headers only

Value = int | bytes

# frame, kind, xid, src, sport, dst, dport, number: a message, so named that both sides mean the same one
Key = tuple[int, int, int, str, int, str, int, int]


@dataclass(slots=True)
class Message:
    """``program``, ``version`` and ``procedure`` of a reply are its call's; -1 where nobody can say.

    ``fields`` has every leaf under the specification's name (``fields.py``), all its values in the order of the wire;
    the frames that a message is linked with are in ``links``.
    """

    frame: int
    kind: int
    xid: int
    src: str
    sport: int
    dst: str
    dport: int
    tcp: bool
    program: int = -1
    version: int = -1
    procedure: int = -1
    fields: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    links: dict[str, int] = field(default_factory=dict)
    marks: set[str] = field(
        default_factory=set
    )  # what one side alone can say of a message: see ``tshark`` and ``ours``

    def add(self, name: str, value: Value) -> None:
        self.fields[name] = (*self.fields.get(name, ()), value)

    def __str__(self) -> str:
        what = "call" if self.kind == CALL else "reply"
        ends = f"{self.src}:{self.sport} > {self.dst}:{self.dport}"
        return f"{what} {self.program}.{self.version}.{self.procedure} xid {self.xid:#x} {ends}"


def keyed(messages: list[Message]) -> Iterator[tuple[Key, Message]]:
    """Each message with its key; the last number tells copies in one frame apart."""
    seen: dict[tuple[object, ...], int] = {}
    for m in messages:
        key = (m.frame, m.kind, m.xid, m.src, m.sport, m.dst, m.dport)
        seen[key] = seen.get(key, -1) + 1
        yield (*key, seen[key]), m
