"""The hot loop: frames of a block become rows (``rows.py``).

Theory of operation
-------------------
Two roads. The fast road is this file, ``transport.py`` and ``follow.py``: link layer, IP, UDP, and TCP that arrives in
order. The slow road is Python objects: ``fragments.py`` for IP fragments, ``streams.py`` for everything about TCP that
is not in order. They share ``tables.Tables``, and a connection belongs to one road at a time:

* FAST: the hot loop owns the flow columns of both directions. Each flow knows the sequence number of its next byte
  and how many bytes of a skipped record are still to come.
* The first segment that is not simple (a gap, an unexpected ACK, a stream without a beginning, a split record) makes
  the connection SLOW. From then on each of its segments, of both directions and also without data, is a SEGMENT row.
  The hot loop does not touch the columns ``flow_state``, ``flow_next``, ``flow_left`` and ``flow_more`` of a SLOW
  connection, so streams.py finds in them the state of the moment of the hand-over.
* Now and then streams.py gives back each connection that has nothing waiting: it writes those columns and makes the
  connection FAST.

Rows are in frame order and both roads feed one consumer, so a reply is never judged before its call.

The loop stops early when a table must grow, when the rows are full, and when it is time to look which connections can
come back; the caller makes room and calls again from there.

Written in the subset that numba compiles: integers and flat arrays, no objects, every read of the buffer behind a
test against ``end``. Lengths are of two kinds: what was on the wire, and what was captured of it. The headers tell the
first, so that a cut capture can still be followed. Checksums are looked at later, of what gave rows (``sums.py``).
"""

from __future__ import annotations

from .probe import be16, be32
from .rows import (
    ACTIVE,
    ARP,
    DEFECT,
    FRAGMENT,
    FRAME_TOO_SHORT,
    ICMP,
    IP_BAD_LENGTH,
    IP_BAD_VERSION,
    IP_HEADER_CUT,
    MAC,
    TCP_BAD_HEADER,
    TCP_HEADER_CUT,
    TOO_MANY_ENDPOINTS,
    UDP_BAD_LENGTH,
    UDP_HEADER_CUT,
    WIDTH,
    put,
)  # fmt: skip
from .tables import GROW, PATIENCE, Ints, Tables, endpoint, pair
from .transport import datagram, first_fragment, segment

SILENCE = 5 * 10**9
"""A pair that is silent for longer (ns) begins a new span of activity."""


def scan(
    buf: bytes, at: Ints, captured: Ints, wire: Ints, time: Ints, link: Ints,
    t: Tables, lane: int, scope: int, base: int, keep: int, begin: int, out: Ints,
) -> tuple[int, int]:  # fmt: skip
    """Walk the frames of a block from index ``begin``; return the first one not done, and how much of ``out`` is used.

    ``lane`` separates connections of captures that overlap in time; ``scope`` is that of loopback addresses; ``base +
    i`` is ``capture << 40 | frame`` of frame i; ``keep`` is as in ``probe.classify``; ``out`` is WIDTH numbers a row.
    """
    k = 0
    room = len(out) - 16 * WIDTH
    used = t.used
    for i in range(begin, len(at)):
        if k > room or used[GROW] or used[PATIENCE] <= 0:
            return i, k
        o = at[i]
        end = o + captured[i]
        far = max(end, o + wire[i])
        kind = link[i]
        mac = 0
        ethertype = 0
        l3 = o
        if kind == 1:
            l3 = o + 14
            if l3 <= end:
                ethertype = be16(buf, o + 12)
                mac = be16(buf, o + 6) << 32 | be32(buf, o + 8)
        elif kind == 113:
            l3 = o + 16
            if l3 <= end:
                ethertype = be16(buf, o + 14)
                if be16(buf, o + 4) == 6:
                    mac = be16(buf, o + 6) << 32 | be32(buf, o + 8)
        elif kind == 276:
            l3 = o + 20
            if l3 <= end:
                ethertype = be16(buf, o)
                if buf[o + 11] == 6:
                    mac = be16(buf, o + 12) << 32 | be32(buf, o + 14)
        elif kind == 0 or kind == 108:
            l3 = o + 4
            if l3 <= end:  # written in the byte order of the capturing host, or of the network
                family = be16(buf, o + 2) if be16(buf, o) == 0 else buf[o] + buf[o + 1] * 256
                ethertype = 0x800 if family == 2 else 0x86DD if family in (10, 24, 28, 30) else 0
        elif kind == 101 or kind == 12 or kind == 14 or kind == 228 or kind == 229:
            if l3 < end:
                ethertype = 0x800 if buf[l3] >> 4 == 4 else 0x86DD if buf[l3] >> 4 == 6 else 0
        else:
            continue
        while (ethertype == 0x8100 or ethertype == 0x88A8 or ethertype == 0x9100) and l3 + 4 <= end:
            ethertype = be16(buf, l3 + 2)
            l3 += 4
        if 0 < ethertype <= 1500 and l3 + 8 <= end and be32(buf, l3) == 0xAAAA0300 and be16(buf, l3 + 4) == 0:
            ethertype = be16(buf, l3 + 6)  # IEEE 802.3 with SNAP
            l3 += 8
        if l3 > end or (ethertype == 0 and l3 == end):
            k = put(out, k, DEFECT, i, FRAME_TOO_SHORT, 0, 0, 0, 0, 0, 0, 0)
            continue

        if ethertype == 0x800:
            if l3 + 20 > end:
                k = put(out, k, DEFECT, i, IP_HEADER_CUT, 0, 0, 0, 0, 0, 0, 0)
                continue
            head = (buf[l3] & 15) * 4
            total = be16(buf, l3 + 2)
            if total == 0:  # segmentation offload: the length did not fit, or was not filled in yet
                total = far - l3
            if buf[l3] >> 4 != 4 or head < 20:
                k = put(out, k, DEFECT, i, IP_BAD_VERSION, 0, 0, 0, 0, 0, 0, 0)
                continue
            if total < head:
                k = put(out, k, DEFECT, i, IP_BAD_LENGTH, 0, 0, 0, 0, 0, 0, 0)
                continue
            v6 = 0
            proto = buf[l3 + 9]
            ident = be16(buf, l3 + 4)
            part = be16(buf, l3 + 6)
            part = (part & 0x1FFF) << 4 | (part >> 13 & 1)  # offset * 2 + more
            l4 = l3 + head
            w = be32(buf, l3 + 12)
            src = endpoint(t, scope * 2 if w >> 24 == 127 else 0, w, 0, 0, 0)
            w = be32(buf, l3 + 16)
            dst = endpoint(t, scope * 2 if w >> 24 == 127 else 0, w, 0, 0, 0)
        elif ethertype == 0x86DD:
            if l3 + 40 > end:
                k = put(out, k, DEFECT, i, IP_HEADER_CUT, 0, 0, 0, 0, 0, 0, 0)
                continue
            if buf[l3] >> 4 != 6:
                k = put(out, k, DEFECT, i, IP_BAD_VERSION, 0, 0, 0, 0, 0, 0, 0)
                continue
            v6 = 1
            proto = buf[l3 + 6]
            ident = -2
            part = 0
            total = be16(buf, l3 + 4) + 40
            if total == 40 and proto != 59:
                total = far - l3
            l4 = l3 + 40
            stop = min(end, l3 + total)
            while proto == 0 or proto == 43 or proto == 60 or proto == 51 or proto == 44 or proto == 135:
                if l4 + 8 > stop or part:
                    break
                if proto == 44:
                    part = be16(buf, l4 + 2)
                    part = (part & 0xFFF8) << 1 | (part & 1)
                    ident = be32(buf, l4 + 4)
                    proto = buf[l4]
                    l4 += 8
                    if part:
                        break
                elif proto == 51:
                    proto = buf[l4]
                    l4 += buf[l4 + 1] * 4 + 8
                else:
                    proto = buf[l4]
                    l4 += buf[l4 + 1] * 8 + 8
            w0 = be32(buf, l3 + 8)
            w1 = be32(buf, l3 + 12)
            w2 = be32(buf, l3 + 16)
            w3 = be32(buf, l3 + 20)
            local = w0 >> 22 == 0x3FA or (w0 == 0 and w1 == 0 and w2 == 0 and w3 == 1)
            src = endpoint(t, scope * 2 + 1 if local else 1, w0, w1, w2, w3)
            w0 = be32(buf, l3 + 24)
            w1 = be32(buf, l3 + 28)
            w2 = be32(buf, l3 + 32)
            w3 = be32(buf, l3 + 36)
            local = w0 >> 22 == 0x3FA or (w0 == 0 and w1 == 0 and w2 == 0 and w3 == 1)
            dst = endpoint(t, scope * 2 + 1 if local else 1, w0, w1, w2, w3)
        else:
            if ethertype == 0x806:
                k = put(out, k, ARP, i, l3, end - l3, 0, 0, 0, 0, 0, 0)
            continue
        if src < 0 or dst < 0:
            k = put(out, k, DEFECT, i, TOO_MANY_ENDPOINTS, 0, 0, 0, 0, 0, 0, 0)
            continue

        if mac and t.ep_mac[src] != mac:
            t.ep_mac[src] = mac
            k = put(out, k, MAC, i, src, mac, 0, 0, 0, 0, 0, 0)
        now = time[i]
        p = pair(t, src, dst)
        if p >= 0:
            if t.pair_packets[p] == 0:
                t.pair_first[p] = now
            elif now > t.pair_last[p] + SILENCE or now < t.pair_first[p] - SILENCE:
                first, last = t.pair_first[p], t.pair_last[p]
                k = put(out, k, ACTIVE, i, t.pair_key[p], first, last, t.pair_packets[p], 0, 0, 0, 0)
                t.pair_packets[p] = 0
                t.pair_first[p] = now
            t.pair_last[p] = now
            t.pair_packets[p] += 1

        have = min(end, l3 + total)  # what lies behind is padding
        size = l3 + total - l4  # of the IP payload, on the wire
        if size < 0:
            k = put(out, k, DEFECT, i, IP_BAD_LENGTH, 0, 0, 0, 0, 0, 0, 0)
            continue
        if part:
            if part == 1 and proto == 17:
                first_fragment(t, buf, src, dst, l4, have, lane * 2)
            k = put(out, k, FRAGMENT, i, src, dst, l4, max(have - l4, 0), size, part, ident, proto * 2 + v6)
            continue

        if proto == 6:
            if l4 + 20 > have:
                k = put(out, k, DEFECT, i, TCP_HEADER_CUT, 0, 0, 0, 0, 0, 0, 0)
                continue
            head = buf[l4 + 12] // 16 * 4
            size -= head
            if head < 20 or size < 0:
                k = put(out, k, DEFECT, i, TCP_BAD_HEADER, 0, 0, 0, 0, 0, 0, 0)
                continue
            k = segment(t, i, buf, src, dst, l4, head, have, size, lane * 2 + 1, now, base + i, ident, keep, out, k)
        elif proto == 17:
            if l4 + 8 > have:
                k = put(out, k, DEFECT, i, UDP_HEADER_CUT, 0, 0, 0, 0, 0, 0, 0)
                continue
            told = be16(buf, l4 + 4)
            if 0 < told < 8:
                k = put(out, k, DEFECT, i, UDP_BAD_LENGTH, 0, 0, 0, 0, 0, 0, 0)
                continue
            if told:
                size = min(size, told)
            k = datagram(t, i, buf, src, dst, l4, have, size - 8, lane * 2, now, base + i, ident, keep, out, k)
        elif proto == 1 or proto == 58:
            k = put(out, k, ICMP, i, src, dst, l4, max(have - l4, 0), v6, ident, 0, 0)
    return len(at), k
