"""The ring of every frame of a capture: one pass over them."""

from __future__ import annotations

from collections.abc import Iterable

from nlmdissect.capture.block import Block
from nlmdissect.capture.formats import SUPPORTED
from nlmdissect.capture.probe import be16
from nlmdissect.evidence.choose import FIRST, LAST, Ring, Wanted, flow
from nlmdissect.evidence.packet import TCP, UDP, Ip, ip, network

ENOUGH = 256  # bytes of a frame in which its headers are
FRAGMENTS = 1 << 16  # packets in fragments of which something is remembered

Key = tuple[bytes, bytes, int, int]


def rings(wanted: Wanted, blocks: Iterable[Block], capture: int) -> bytearray:
    """One byte a frame, in the order of frames: its ``Ring``. The first and the last in time are CLOSE: they say from
    when to when the capture could see.
    """
    found = bytearray()
    first, last = (LAST, 0), (FIRST, 0)
    passes = _Passes(wanted)
    start, end = wanted.between
    for block in blocks:
        columns = (block.at, block.captured, block.wire, block.time, block.link)
        for at, captured, wire, time, link in zip(*(column.tolist() for column in columns), strict=True):
            place = len(found)
            ring = wanted.frames.get((capture, place + 1), Ring.ALL)
            if start <= time <= end:
                ring = Ring.CLOSE
            if ring and link in SUPPORTED:
                ring = min(ring, passes.ring(link, block.buf[at : at + min(captured, ENOUGH)], wire, time))
            found.append(ring)
            passes.note(place, ring, found)
            first, last = min(first, (time, place)), max(last, (time, place))
    for _, place in (first, last):
        if found:
            found[place] = Ring.CLOSE
    return found


class _Passes:
    """Tells the ring of a frame from its headers. Conversations that were seen before are known by a few bytes."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._known: dict[bytes, Ring | None] = {}
        self._fragments: dict[Key, tuple[list[int], list[Ring]]] = {}
        self._fragment: Key | None = None

    def ring(self, link: int, data: bytes, wire: int, time: int) -> Ring:
        # most frames are Ethernet and IPv4 without options or fragments
        usual = link == 1 and data[12:15] == b"\x08\0\x45" and len(data) >= 38 and not data[20] & 0x3F and not data[21]
        key = data[23:24] + data[26:38] if usual else b""
        if key not in self._known:
            kind, at = network(link, data)
            packet = ip(data, at, wire, kind)
            if packet is None:
                return Ring.ALL
            if packet.fragment:
                self._fragment = packet.source, packet.target, packet.protocol, packet.ident
            self._known[key] = _of_conversation(self._wanted, data, packet)
        found = self._known[key] if usual else self._known.pop(key)
        if found is None:  # NFS
            return Ring.AROUND if any(start <= time <= end for start, end in self._wanted.spans) else Ring.HOSTS
        return found

    def note(self, place: int, ring: Ring, found: bytearray) -> None:
        """Bring the fragments of one packet into one ring, if the latest frame is one."""
        if self._fragment is None:
            return
        key, self._fragment = self._fragment, None
        if key not in self._fragments and len(self._fragments) >= FRAGMENTS:
            del self._fragments[next(iter(self._fragments))]
        places, best = self._fragments.setdefault(key, ([], [Ring.ALL]))
        places.append(place)
        if ring < best[0]:
            best[0] = ring
            for one in places:
                found[one] = min(found[one], ring)
        found[place] = min(found[place], best[0])


def _of_conversation(wanted: Wanted, data: bytes, packet: Ip) -> Ring | None:
    """The ring of all packets like this one; None for NFS, where it depends on the time."""
    least = Ring.HOSTS if packet.source in wanted.hosts and packet.target in wanted.hosts else Ring.ALL
    if packet.protocol not in (TCP, UDP) or packet.offset or packet.payload + 4 > packet.end:
        return least
    ports = be16(data, packet.payload), be16(data, packet.payload + 2)
    of = flow(packet.source, ports[0], packet.target, ports[1], packet.protocol == TCP)
    return None if of in wanted.nfs and of not in wanted.flows else min(least, wanted.flows.get(of, Ring.ALL))
