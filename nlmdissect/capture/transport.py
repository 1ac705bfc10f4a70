"""UDP datagrams and TCP segments of the hot loop: the simple cases become messages, the rest rows for the slow road.

Written in the subset that numba compiles; see ``scan.py`` for how the two roads share the tables.
"""

from __future__ import annotations

from .dns import PORT, is_answer
from .follow import MASK, count_other, follow, hand_over, wants
from .probe import CUT, HEADER, NOTHING, OTHER, REPLY, WINDOW, be16, be32, classify, is_reply, plausible, sane_flavor
from .rows import CALLS, CLOSED, DEFECT, DNS, MESSAGE, SEGMENT, SIGNAL, TOO_MANY_CONNECTIONS, put
from .tables import LOST, PATIENCE, SLOW, SYNC, UNSEEN, Ints, Tables, flow
from .verifiers import asked_nfs, take_answer

OLD = 1 << 22
"""A repeat lies at most so many bytes behind; anything older is another life of the connection."""

FIN, SYN, RST, ACK = 1, 2, 4, 16


def datagram(
    t: Tables, i: int, buf: bytes, src: int, dst: int, l4: int, have: int, length: int,
    lane: int, now: int, frame: int, ident: int, keep: int, out: Ints, k: int,
) -> int:  # fmt: skip
    """A UDP datagram is RPC or it is not. Only those that are have a flow: DNS must not fill the table."""
    at = l4 + 8
    got = min(have - at, length)
    if be16(buf, l4) == PORT and is_answer(buf, at, got, length):
        return put(out, k, DNS, i, src, dst, at, got, 0, 0, 0, 0)
    what = classify(buf, at, got, keep)
    if what in (NOTHING, CUT):
        return k
    if what == REPLY:
        if not is_reply(buf, at, got, length):
            return k
    elif what == OTHER and (got < 32 or not sane_flavor(be32(buf, at + 24)) or be32(buf, at + 28) > 400):
        return k
    f = flow(t, src, dst, be16(buf, l4), be16(buf, l4 + 2), lane)
    if f < 0:
        return put(out, k, DEFECT, i, TOO_MANY_CONNECTIONS, 0, 0, 0, 0, 0, 0, 0)
    account(t, f, length, now, frame, 0)
    if what == OTHER:
        asked_nfs(t, f, buf, at, got)
        return count_other(t, i, f, be32(buf, at + 12), be32(buf, at + 16), out, k)
    if wants(t, f, buf, at, what):
        return put(out, k, MESSAGE, i, f, at, got, length, what, ident, t.conn_flags[f >> 1], 0)
    t.flow_replies[f] += 1
    return take_answer(t, i, f, buf, at, got, length, now, frame, out, k)


def first_fragment(t: Tables, buf: bytes, src: int, dst: int, l4: int, have: int, lane: int) -> None:
    """Remember a WRITE that comes in fragments before they are joined: its answer may be looked at before that."""
    got = have - l4 - 8
    if got >= HEADER and classify(buf, l4 + 8, got, 0) == OTHER:
        f = flow(t, src, dst, be16(buf, l4), be16(buf, l4 + 2), lane)
        if f >= 0:
            asked_nfs(t, f, buf, l4 + 8, got)


def account(t: Tables, f: int, size: int, now: int, frame: int, reset: int) -> None:
    """Count a packet of a flow. A RST is no sign of life: a host sends it that knows nothing of the connection."""
    if t.flow_packets[f] == 0:
        t.flow_first[f] = now
        t.flow_first_frame[f] = frame
    t.flow_packets[f] += 1
    t.flow_bytes[f] += size
    if t.flow_packets[f] == 1 or not reset:
        t.flow_last[f] = now
        t.flow_last_frame[f] = frame


def segment(
    t: Tables, i: int, buf: bytes, src: int, dst: int, l4: int, head: int, have: int, size: int,
    lane: int, now: int, frame: int, ident: int, keep: int, out: Ints, k: int,
) -> int:  # fmt: skip
    """A TCP segment with ``size`` bytes of payload: the simple cases here, the rest to the slow road."""
    f = flow(t, src, dst, be16(buf, l4), be16(buf, l4 + 2), lane)
    if f < 0:
        return put(out, k, DEFECT, i, TOO_MANY_CONNECTIONS, 0, 0, 0, 0, 0, 0, 0)
    c = f >> 1
    seq = be32(buf, l4 + 4)
    ack = be32(buf, l4 + 8)
    flags = buf[l4 + 13]
    pay = l4 + head
    got = min(max(have - pay, 0), size)
    slow = t.conn_mode[c] == SLOW
    fresh = 0  # 1: a SYN that begins a new life; 2: the SYN of a life whose first data came before it
    if flags & (SYN | FIN | RST):
        if flags & RST:
            t.flow_reset[f] = 1
            t.flow_reset[f ^ 1] = 1
        elif flags & SYN and (t.flow_isn[f] != seq or t.flow_reset[f]):
            fresh = 1
            if t.flow_packets[f]:
                if slow and t.flow_isn[f] < 0 and (t.flow_next[f] - seq) & MASK < 0x10000:
                    fresh = 2
                else:
                    k = close(t, i, f, out, k)
            t.flow_isn[f] = seq
            t.flow_reset[f] = 0
        k = put(out, k, SIGNAL, i, f, seq, ack, flags, ident, fresh, 0, 0)
    account(t, f, size, now, frame, flags & RST)
    if slow:
        t.used[PATIENCE] -= 1
        return put(out, k, SEGMENT, i, f, seq, ack, flags, pay, got, size, fresh)
    if flags & RST:
        return k
    if flags & SYN:
        if fresh:
            t.flow_state[f] = SYNC
            t.flow_next[f] = (seq + 1) & MASK
            t.flow_left[f] = 0
            t.flow_more[f] = 0
        return hand_over(t, i, f, seq + 1, ack, flags & ~SYN, pay, got, size, out, k) if size else k

    state = t.flow_state[f]
    off = (seq - t.flow_next[f]) & MASK
    if state == SYNC and off >= 0x80000000 and size > 1 and t.flow_next[f] == (t.flow_isn[f] + 1) & MASK:
        state = t.flow_state[f] = LOST  # data from before the first byte: the SYN's number was not what it seems
    if state == LOST:
        if size:
            seems = plausible(buf, pay, min(got, WINDOW))
            if seems == 1 or (seems == -1 and got < size and got >= 16):
                t.flow_state[f] = SYNC
                t.flow_left[f] = 0
                t.flow_more[f] = 0
                k = follow(t, i, f, buf, seq, ack, flags, pay, got, size, keep, out, k)
                if t.conn_mode[c] != SLOW and flags & FIN:
                    t.flow_next[f] = (seq + size + 1) & MASK
        return k
    if state != SYNC:
        t.flow_next[f] = seq
        return hand_over(t, i, f, seq, ack, flags, pay, got, size, out, k)
    peer = t.flow_state[f ^ 1]
    ahead = (ack - t.flow_next[f ^ 1]) & MASK
    if flags & ACK and (peer == UNSEEN or (peer == SYNC and 0 < ahead < 0x80000000)):
        return hand_over(t, i, f, seq, ack, flags, pay, got, size, out, k)
    if off == 0:
        if size:
            k = follow(t, i, f, buf, seq, ack, flags, pay, got, size, keep, out, k)
        if flags & FIN and t.conn_mode[c] != SLOW:
            t.flow_next[f] = (seq + size + 1) & MASK
        return k
    behind = (t.flow_next[f] - seq - size) & MASK
    if off >= 0x80000000 and behind < OLD:
        return k  # a repeat, a keep-alive, or the second copy of a frame: every byte is known
    return hand_over(t, i, f, seq, ack, flags, pay, got, size, out, k)


def close(t: Tables, i: int, f: int, out: Ints, k: int) -> int:
    """Report the counters of a life of a flow, and start anew."""
    if t.flow_calls[f]:
        k = put(out, k, CALLS, i, f, t.flow_prog[f], t.flow_vers[f], t.flow_calls[f], 0, 0, 0, 0)
        t.flow_calls[f] = 0
    k = put(
        out, k, CLOSED, i, f, t.flow_packets[f], t.flow_bytes[f], t.flow_first[f], t.flow_last[f],
        t.flow_first_frame[f], t.flow_last_frame[f], t.flow_replies[f],
    )  # fmt: skip
    t.flow_packets[f] = 0
    t.flow_bytes[f] = 0
    t.flow_replies[f] = 0
    return k
