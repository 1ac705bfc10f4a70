"""Record marks of a TCP flow that arrives in order (RFC 5531 section 11): the fast road of the hot loop.

Written in the subset that numba compiles. A flow is followed from mark to mark. Bulk data is skipped by length and
never looked at. What is not simple is handed to streams.py *from the record mark at which it begins*: a wanted record
that does not end in this segment or has several fragments, a header that is split between segments, bytes that are no
record. From then on the connection is SLOW and every segment of both directions is a row, until streams.py is done.
"""

from __future__ import annotations

from .probe import CALL, CUT, MAX_RECORD, MIN_RECORD, NFS, NOTHING, OTHER, REPLY, be32, classify
from .rows import CALLS, DEFECT, MESSAGE, RPC_HEADER_CUT, SEGMENT, STRANGE, WIDTH, put
from .tables import LOST, NFS_PORT, OTHER_CALLS, PATIENCE, SLOW, WANTED, WANTED_CALLS, Ints, Tables, asked_slot
from .verifiers import asked_nfs, take_answer

MASK = 0xFFFFFFFF
LAST = 0x80000000


def count_other(t: Tables, i: int, f: int, prog: int, vers: int, out: Ints, k: int) -> int:
    """Count a skipped call; calls of one kind in a row are reported together. Where NFS is not expected, or anything
    else but NFS is said, it may have been a lock call once: its frame is to be looked at.
    """
    if prog != NFS or t.conn_flags[f >> 1] & (WANTED_CALLS | NFS_PORT) == WANTED_CALLS:
        k = put(out, k, STRANGE, i, f, 0, 0, 0, 0, 0, 0, 0)
    if t.flow_prog[f] != prog or t.flow_vers[f] != vers:
        if t.flow_calls[f]:
            k = put(out, k, CALLS, i, f, t.flow_prog[f], t.flow_vers[f], t.flow_calls[f], 0, 0, 0, 0)
        t.flow_prog[f] = prog
        t.flow_vers[f] = vers
        t.flow_calls[f] = 0
    t.flow_calls[f] += 1
    t.conn_flags[f >> 1] |= OTHER_CALLS
    return k


def wants(t: Tables, f: int, b: bytes, at: int, what: int) -> bool:
    """Is this call or reply to be kept? A reply is when its call was, or when nothing speaks against an orphan.

    The answer may be a mistaken yes: who takes the row knows the calls exactly.
    """
    c = f >> 1
    if what == CALL:
        t.conn_flags[c] |= WANTED_CALLS
        t.asked[asked_slot(f, be32(b, at))] = WANTED
        return True
    return bool(t.asked[asked_slot(f ^ 1, be32(b, at))] & WANTED) or not t.conn_flags[c] & (NFS_PORT | OTHER_CALLS)


def hand_over(
    t: Tables, i: int, f: int, seq: int, ack: int, flags: int, at: int, got: int, wire: int, out: Ints, k: int
) -> int:
    """Put a connection on the slow road, beginning with these bytes of one of its flows."""
    t.conn_mode[f >> 1] = SLOW
    t.used[PATIENCE] -= 1
    return put(out, k, SEGMENT, i, f, seq & MASK, ack, flags, at, got, wire, 0)


def follow(
    t: Tables, i: int, f: int, b: bytes, seq: int, ack: int, flags: int,
    pay: int, got: int, wire: int, keep: int, out: Ints, k: int,
) -> int:  # fmt: skip
    """Walk the record marks of one in-order segment of ``wire`` bytes, ``got`` of them at ``b[pay]``."""
    left = t.flow_left[f]
    t.flow_next[f] = (seq + wire) & MASK
    if left >= wire:
        t.flow_left[f] = left - wire
        return k
    t.flow_left[f] = 0
    more = t.flow_more[f]
    room = len(out) - 4 * WIDTH
    p = left
    while p < wire:
        at = pay + p + 4
        have = got - p - 4
        if have < 0 and got < wire:  # cut by the capture's snaplen: where the next record begins is not known
            t.flow_state[f] = LOST
            t.flow_more[f] = 0
            return k
        slow = have < 0 or k > room
        length = 0
        continued = 0
        what = NOTHING
        if not slow:
            mark = be32(b, at - 4)
            length = mark & 0x7FFFFFFF
            continued = 0 if mark & LAST else 1
            if more:
                what = OTHER
                slow = length > MAX_RECORD or (length == 0 and continued == 1)
            elif length < MIN_RECORD or length > MAX_RECORD:
                slow = True
            else:
                what = classify(b, at, min(have, length), keep)
                slow = what == NOTHING or (what == CUT and got == wire)
        if not slow and not more:
            if what == OTHER:
                slow = min(have, length) < 20 and got == wire
                if not slow and have >= 20:
                    asked_nfs(t, f, b, at, have)
                    k = count_other(t, i, f, be32(b, at + 12), be32(b, at + 16), out, k)
            elif what == CUT:
                k = put(out, k, DEFECT, i, RPC_HEADER_CUT, 0, 0, 0, 0, 0, 0, 0)
            elif wants(t, f, b, at, what):
                slow = continued == 1 or p + 4 + length > wire
                if not slow:
                    k = put(out, k, MESSAGE, i, f, at, min(have, length), length, what, -1, t.conn_flags[f >> 1], 0)
            elif what == REPLY:
                t.flow_replies[f] += 1
                now, frame = t.flow_last[f], t.flow_last_frame[f]
                k = take_answer(t, i, f, b, at, min(have, length), length, now, frame, out, k)
        if slow:
            t.flow_next[f] = (seq + p) & MASK
            t.flow_more[f] = more
            return hand_over(t, i, f, seq + p, ack, flags, at - 4, max(got - p, 0), wire - p, out, k)
        more = continued
        p += 4 + length
    t.flow_left[f] = p - wire
    t.flow_more[f] = more
    return k
