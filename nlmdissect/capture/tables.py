"""What the hot loop remembers between frames: endpoints, directed pairs of them, connections and their two flows.

Flat lists of integers, found through open-addressed hash tables. The whole key is compared, never the hash alone. All
products in the hashes stay below 2**62, so that Python's big integers and 64-bit machine integers agree.

A connection has two flows: ``2 * connection`` and ``2 * connection + 1``; the other direction is always ``flow ^ 1``.
"""

from __future__ import annotations

from typing import NamedTuple

MAX_ENDPOINTS = 1 << 17
MAX_PAIRS = 1 << 18
MAX_CONNECTIONS = 1 << 17
ASKED = 1 << 20
PROBES = 1024
"""Slots that are looked at for one key. A quarter of the slots is in use at most, so only keys that were made to
collide need more: there is no room for those.
"""

ENDPOINTS, PAIRS, CONNECTIONS, GROW, PATIENCE = 0, 1, 2, 3, 4
"""Places in ``Tables.used``: three counts, "a table must grow before the next frame", and how many more rows for the
slow road there may be until somebody looks which connections can come back."""

FAST, SLOW = 0, 1
"""Who follows a connection: the hot loop, or streams.py."""

UNSEEN, SYNC, LOST, SILENT = 0, 1, 2, 3
"""A flow: nothing known; position and record boundary known; boundary unknown (each segment's start is tried);
never seen although its peer acknowledges it."""

NFS_PORT, OTHER_CALLS, WANTED_CALLS = 1, 2, 4
"""Bits of ``conn_flags``."""

WANTED, WRITE, COMMIT = 1, 2, 4
"""Bits of ``asked``."""

Ints = list[int]


class Tables(NamedTuple):
    """Parallel lists; a named tuple, because that is the one record that numba takes apart at no cost."""

    used: Ints
    ep_slot: Ints
    ep_kind: Ints  # scope * 2 + (1 for IPv6)
    ep_w0: Ints
    ep_w1: Ints
    ep_w2: Ints
    ep_w3: Ints
    ep_mac: Ints  # last link-layer source address seen, -1 for none
    pair_slot: Ints
    pair_key: Ints
    pair_first: Ints
    pair_last: Ints
    pair_packets: Ints
    conn_slot: Ints
    conn_ends: Ints
    conn_ports: Ints
    conn_lane: Ints  # lane * 2 + (1 for TCP)
    conn_mode: Ints
    conn_flags: Ints
    flow_state: Ints
    flow_next: Ints  # sequence number of the next byte
    flow_left: Ints  # bytes left of a record fragment that is being skipped
    flow_more: Ints  # 1: the next record mark continues a skipped record
    flow_isn: Ints  # -1 unknown
    flow_reset: Ints  # 1: a RST was seen since the last SYN
    flow_packets: Ints
    flow_bytes: Ints
    flow_first: Ints  # ns
    flow_last: Ints
    flow_first_frame: Ints  # capture << 40 | frame
    flow_last_frame: Ints
    flow_prog: Ints  # program and version of the skipped calls counted in flow_calls
    flow_vers: Ints
    flow_calls: Ints
    flow_replies: Ints
    flow_verf_high: Ints  # the write verifier of the last answer to a WRITE or COMMIT
    flow_verf_low: Ints
    flow_verf_loose: Ints  # 1: the server answered with it that data is not on stable storage yet, or a COMMIT
    flow_verf_error: Ints  # ns of the last WRITE or COMMIT that failed, 0 none
    flow_verf_first: Ints  # ns, and capture << 40 | frame, of the first and the last answer with it
    flow_verf_last: Ints
    flow_verf_first_frame: Ints
    flow_verf_last_frame: Ints  # 0: none yet
    flow_verf_changes: Ints
    asked: bytearray  # by hash of (flow, xid): which calls may have been seen whose answers are to be looked at


def new_tables(size: int = 256) -> Tables:
    """Empty tables. ``size`` is a power of two; they grow by doubling."""

    def column(n: int, value: int = 0) -> Ints:
        return [value] * n

    def width(name: str) -> int:
        return 4 * size if name.endswith("_slot") else 2 * size if name.startswith("flow_") else size

    columns = {name: column(width(name)) for name in Tables._fields if name not in ("used", "ep_mac", "asked")}
    return Tables(used=[0] * 5, ep_mac=column(size, -1), asked=bytearray(ASKED), **columns)


def endpoint(t: Tables, kind: int, w0: int, w1: int, w2: int, w3: int) -> int:
    """Number of an address, made on first sight; -1 when there is no room."""
    h = w0 * 0x2C9277B5 ^ w1 * 0x1B873593 ^ w2 * 0x165667B1 ^ w3 * 0x27D4EB2F ^ kind
    h ^= h >> 31
    h ^= h >> 15
    slots = t.ep_slot
    mask = len(slots) - 1
    h &= mask
    probes = 0
    while slots[h]:
        e = slots[h] - 1
        if t.ep_w0[e] == w0 and t.ep_w3[e] == w3 and t.ep_kind[e] == kind and t.ep_w1[e] == w1 and t.ep_w2[e] == w2:
            return e
        h = (h + 1) & mask
        probes += 1
        if probes > PROBES:
            return -1
    e = t.used[ENDPOINTS]
    if e >= len(t.ep_w0):
        return -1
    slots[h] = e + 1
    t.used[ENDPOINTS] = e + 1
    if e + 3 > len(t.ep_w0):
        t.used[GROW] = 1
    t.ep_kind[e] = kind
    t.ep_w0[e] = w0
    t.ep_w1[e] = w1
    t.ep_w2[e] = w2
    t.ep_w3[e] = w3
    return e


def pair(t: Tables, src: int, dst: int) -> int:
    """Number of a directed pair of endpoints, made on first sight; -1 when there is no room."""
    key = src << 20 | dst
    h = src * 0x2C9277B5 ^ dst * 0x1B873593
    h ^= h >> 15
    slots = t.pair_slot
    mask = len(slots) - 1
    h &= mask
    probes = 0
    while slots[h]:
        p = slots[h] - 1
        if t.pair_key[p] == key:
            return p
        h = (h + 1) & mask
        probes += 1
        if probes > PROBES:
            return -1
    p = t.used[PAIRS]
    if p >= len(t.pair_key):
        return -1
    slots[h] = p + 1
    t.used[PAIRS] = p + 1
    if p + 2 > len(t.pair_key):
        t.used[GROW] = 1
    t.pair_key[p] = key
    t.pair_packets[p] = 0
    return p


def connection_hash(ends: int, ports: int, lane: int) -> int:
    """Mix all bits of a connection's key. ``ends`` < 2**40, ``ports`` < 2**32."""
    h = (ends & 0xFFFFF) * 0x2C9277B5 ^ (ends >> 20) * 0x165667B1 ^ ports * 0x1B873593 ^ lane * 0x27D4EB2F
    h ^= h >> 31
    return h ^ h >> 15


def flow(t: Tables, src: int, dst: int, sport: int, dport: int, lane: int) -> int:
    """Number of a directed flow, made on first sight with its reverse; -1 when there is no room."""
    turned = 0
    if src > dst or (src == dst and sport > dport):
        turned = 1
        src, dst = dst, src
        sport, dport = dport, sport
    ends = src << 20 | dst
    ports = sport << 16 | dport
    slots = t.conn_slot
    mask = len(slots) - 1
    h = connection_hash(ends, ports, lane) & mask
    probes = 0
    while slots[h]:
        c = slots[h] - 1
        if t.conn_ends[c] == ends and t.conn_ports[c] == ports and t.conn_lane[c] == lane:
            return 2 * c + turned
        h = (h + 1) & mask
        probes += 1
        if probes > PROBES:
            return -1
    c = t.used[CONNECTIONS]
    if c >= len(t.conn_ends):
        return -1
    slots[h] = c + 1
    t.used[CONNECTIONS] = c + 1
    if c + 2 > len(t.conn_ends):
        t.used[GROW] = 1
    t.conn_ends[c] = ends
    t.conn_ports[c] = ports
    t.conn_lane[c] = lane
    t.conn_flags[c] = NFS_PORT if sport == 2049 or dport == 2049 else 0
    t.flow_isn[2 * c] = -1
    t.flow_isn[2 * c + 1] = -1
    return 2 * c + turned


def asked_slot(flow_number: int, xid: int) -> int:
    """Where ``asked`` remembers that a wanted call with this xid went along this flow."""
    h = xid * 0x2C9277B5 ^ flow_number * 0x1B873593
    h ^= h >> 31
    h ^= h >> 15
    return h & (ASKED - 1)


def grow(t: Tables) -> bool:
    """Double each table that is nearly full, in place; False when one of them may not grow any more."""
    t.used[GROW] = 0
    full = False
    fields = Tables._fields
    first_of_flow = fields.index("flow_state")
    groups = (
        (ENDPOINTS, MAX_ENDPOINTS, t.ep_slot, t[fields.index("ep_kind") : fields.index("ep_mac")]),
        (PAIRS, MAX_PAIRS, t.pair_slot, t[fields.index("pair_key") : fields.index("conn_slot")]),
        (CONNECTIONS, MAX_CONNECTIONS, t.conn_slot, t[fields.index("conn_ends") : first_of_flow]),
    )
    for which, limit, slots, columns in groups:
        size = len(columns[0])
        if t.used[which] + 3 <= size:
            continue
        if size >= limit:
            full = True
            continue
        for column in columns:
            column.extend([0] * size)
        if which == ENDPOINTS:
            t.ep_mac.extend([-1] * size)
        if which == CONNECTIONS:
            for column in t[first_of_flow : fields.index("asked")]:
                column.extend([0] * (2 * size))
        count = t.used[which]
        t.used[which] = 0
        slots[:] = [0] * (8 * size)
        _rehash(t, which, count)
    return not full


def rehash(t: Tables) -> None:
    """Find slots for everything known: they are empty, and of another length than they were."""
    for which in (ENDPOINTS, PAIRS, CONNECTIONS):
        count, t.used[which] = t.used[which], 0
        _rehash(t, which, count)


def _rehash(t: Tables, which: int, count: int) -> None:
    """Find new slots for everything known, in the old order, so that numbers stay what they are.

    In more slots nothing is farther from its place than it was, so there is room for all.
    """
    for n in range(count):
        if which == ENDPOINTS:
            endpoint(t, t.ep_kind[n], t.ep_w0[n], t.ep_w1[n], t.ep_w2[n], t.ep_w3[n])
        elif which == PAIRS:
            packets = t.pair_packets[n]
            pair(t, t.pair_key[n] >> 20, t.pair_key[n] & 0xFFFFF)
            t.pair_packets[n] = packets
        else:
            ends, ports = t.conn_ends[n], t.conn_ports[n]
            flags, isn, back = t.conn_flags[n], t.flow_isn[2 * n], t.flow_isn[2 * n + 1]
            flow(t, ends >> 20, ends & 0xFFFFF, ports >> 16, ports & 0xFFFF, t.conn_lane[n])
            t.conn_flags[n] = flags
            t.flow_isn[2 * n], t.flow_isn[2 * n + 1] = isn, back
