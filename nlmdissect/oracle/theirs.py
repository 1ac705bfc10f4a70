"""tshark's reading of a packet, one record a message, from what pyshark makes of its PDML.

pyshark keeps the fields of a layer by name, without the boxes in which they stand; where a box matters (a holder, a
credential), its fields are those that lie within its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from nlmdissect.oracle.fields import CLOSED, IGNORED, LINKS, NUMBERS, TEXTS
from nlmdissect.oracle.record import KEPT, Message

if TYPE_CHECKING:
    from pyshark.packet.fields import LayerField
    from pyshark.packet.layers.xml_layer import XmlLayer
    from pyshark.packet.packet import Packet

BODIES = frozenset({"nlm", "stat", "statnotify", "portmap"})
BOOLS = {"True": 1, "False": 0}  # newer than 4.0
GIDS = "Auxiliary GIDs"
NAMES: dict[tuple[str, str], str] = {}  # (layer, what pyshark calls a field) -> what tshark does


class Box(NamedTuple):
    """Bytes whose fields have a name of their own."""

    prefix: str
    start: int
    end: int


def messages(packet: Packet) -> Iterator[Message]:
    """The messages of portmap, NLM, NSM and MOUNT in a packet, in order.

    Marks:  "quoted": inside of an ICMP error; "undecoded": tshark gave up on the body; "malformed": it ran into the
            end; "fragmented": of a record of several fragments.
    """
    return (message for message in _all(packet) if message.program in KEPT)


def _all(packet: Packet) -> Iterator[Message]:
    frame, quoted, message = int(packet.number), False, None
    src = dst = ""
    sport, dport, tcp, size = 0, 0, False, 0
    for layer in packet.layers:
        name = layer.layer_name
        if name in ("ip", "ipv6"):
            src, dst = _show(layer, f"{name}.src"), _show(layer, f"{name}.dst")
        elif name in ("icmp", "icmpv6"):
            quoted = True
        elif name in ("udp", "tcp"):
            sport, dport = int(_show(layer, f"{name}.srcport")), int(_show(layer, f"{name}.dstport"))
            tcp = name == "tcp"
            size = 0 if tcp else int(_show(layer, "udp.length")) - 8
        elif name == "rpc":
            fields = list(_fields(layer))
            shown = {field.name: field.show for field in reversed(fields)}  # the first of each name
            if shown.get("rpc.msgtyp") and shown.get("rpc.xid"):
                if message is not None:
                    yield message
                kind, xid = int(shown["rpc.msgtyp"]), int(shown["rpc.xid"], 16)
                message = Message(frame, kind, xid, src, sport, dst, dport, tcp)
                message.program = int(shown.get("rpc.program") or -1)
                message.version = int(shown.get("rpc.programversion") or -1)
                message.procedure = int(shown.get("rpc.procedure") or -1)
                lengths = (int(field.show) for field in fields if field.name == "rpc.fraglen")
                message.add("length", size or sum(lengths))
                if quoted:
                    message.marks.add("quoted")
                _leaves(fields, message)
        elif name in BODIES and message is not None:
            _leaves(list(_fields(layer)), message)
        elif name == "_ws.malformed" and message is not None:
            message.marks.add("malformed")
    if message is not None:
        yield message


def _fields(layer: XmlLayer) -> Iterator[LayerField]:
    """All fields of a layer; those of one name in their order."""
    for short in layer.field_names:
        key = layer.layer_name, short
        fields = layer.get_field(NAMES.get(key, short)).all_fields
        NAMES.setdefault(key, fields[0].name)
        yield from fields


def _leaves(fields: list[LayerField], message: Message) -> None:
    boxes = [box for field in fields if (box := _box(field)) is not None]
    for field in fields:
        name = field.name
        if name in CLOSED:
            message.marks.add(CLOSED[name])
        elif not name.startswith("_ws."):
            _leaf(field, message, _prefix(field, boxes))


def _box(field: LayerField) -> Box | None:
    show = field.show or ""
    if field.name == "nlm.holder":
        prefix = "holder."
    elif not field.name and show == "Credentials":
        prefix = "cred."
    elif not field.name and show == "Verifier":
        prefix = "verf."
    elif not field.name and show.startswith(GIDS):
        prefix = "cred.s"  # the field inside is called gid, as the one outside is
    else:
        return None
    return Box(prefix, int(field.pos), int(field.pos) + int(field.size))


def _prefix(field: LayerField, boxes: list[Box]) -> str:
    """Of the innermost box that has the field in it."""
    if not boxes or field.pos is None:
        return ""
    start, end = int(field.pos), int(field.pos) + int(field.size)
    around = [box for box in boxes if box.start <= start and end <= box.end]
    return min(around, key=lambda box: box.end - box.start).prefix if around else ""


def _leaf(field: LayerField, message: Message, prefix: str) -> None:
    name = field.name
    if name in LINKS:
        message.links[LINKS[name]] = int(field.show)
    elif name in TEXTS:
        message.add(prefix + TEXTS[name], bytes.fromhex(field.raw_value or ""))
    elif name in NUMBERS:
        ours = "cred.gids" if prefix == "cred.s" else prefix + NUMBERS[name]
        message.add(ours, BOOLS[field.show] if field.show in BOOLS else int(field.show, 0))
    elif name == "filtered":
        if field.raw_value not in CLOSED:
            message.add(f"box {field.raw_value} was not unfolded", b"")
    elif name and name not in IGNORED:
        message.add(name, bytes.fromhex(field.raw_value or ""))


def _show(layer: XmlLayer, name: str) -> str:
    found = layer.get_field(name)
    return "" if found is None else str(found.show)
