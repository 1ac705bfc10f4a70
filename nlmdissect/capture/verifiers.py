"""Write verifiers: eight bytes in the answers to NFSv3 WRITE and COMMIT that a server changes when it restarts.

Source: RFC 1813, sections 3.3.7 and 3.3.21. A filer answers millions of WRITEs, so no answer is kept: each flow
remembers the last verifier, and a row tells of it when another one takes its place, or the recording ends.

Written in the subset that numba compiles. The slow road calls the same functions.
"""

from __future__ import annotations

from .probe import NFS, be32, sane_flavor
from .rows import VERIFIER, put
from .tables import COMMIT, WANTED, WRITE, Ints, Tables, asked_slot

MAX_CHANGES = 64
"""Rows of one flow: a server that changes its verifier more often tells nothing of restarts by it."""

LONGEST = 560
"""Bytes of the longest answer: RPC header with the longest verifier, and two sets of attributes."""


def asked_nfs(t: Tables, f: int, b: bytes, at: int, have: int) -> None:
    """Remember of a skipped call whether it was WRITE or COMMIT; another one takes the place of a forgotten one."""
    if have >= 24 and be32(b, at + 12) == NFS and be32(b, at + 16) == 3:
        proc = be32(b, at + 20)
        slot = asked_slot(f, be32(b, at))
        t.asked[slot] = (t.asked[slot] & WANTED) | (WRITE if proc == 7 else COMMIT if proc == 21 else 0)


def take_answer(
    t: Tables, i: int, f: int, b: bytes, at: int, have: int, length: int, now: int, frame: int, out: Ints, k: int
) -> int:
    """Take the verifier from a reply along ``f`` of ``length`` bytes, if it answers a WRITE or COMMIT and is all here.

    The grammar is checked to the last byte: ``asked`` is a guess. An answer is taken once.
    """
    if length > LONGEST or have < length or length < 36:
        return k
    slot = asked_slot(f ^ 1, be32(b, at))
    was = t.asked[slot]
    if was <= WANTED:
        return k
    t.asked[slot] = was & WANTED
    if be32(b, at + 4) != 1 or be32(b, at + 8) != 0 or not sane_flavor(be32(b, at + 12)):
        return k
    size = be32(b, at + 16)
    p = at + 28 + size  # behind nfsstat3
    end = at + length
    if size > 400 or size & 3 or p + 8 > end or be32(b, p - 8) != 0:
        return k
    status = be32(b, p - 4)
    before = be32(b, p)
    p += 28 if before == 1 else 4
    if before > 1 or p + 4 > end:
        return k
    after = be32(b, p)
    p += 88 if after == 1 else 4
    if after > 1 or p > end:
        return k
    if status:
        if p == end:
            t.flow_verf_error[f] = now
        return k
    loose = 1
    if was & WRITE:
        if p + 16 != end or be32(b, p + 4) > 2:
            return k
        loose = 1 if be32(b, p + 4) == 0 else 0
        p += 8
    if p + 8 != end:
        return k
    high = be32(b, p)
    low = be32(b, p + 4)
    if t.flow_verf_last_frame[f] == 0 or t.flow_verf_high[f] != high or t.flow_verf_low[f] != low:
        k = end_of_verifier(t, i, f, out, k)
        t.flow_verf_high[f] = high
        t.flow_verf_low[f] = low
        t.flow_verf_loose[f] = 0
        t.flow_verf_first[f] = now
        t.flow_verf_first_frame[f] = frame
    t.flow_verf_loose[f] |= loose
    t.flow_verf_last[f] = now
    t.flow_verf_last_frame[f] = frame
    return k


def end_of_verifier(t: Tables, i: int, f: int, out: Ints, k: int) -> int:
    """Tell of the last verifier of a flow, or of a failure before the first."""
    nothing = t.flow_verf_last_frame[f] == 0 and t.flow_verf_error[f] == 0
    if nothing or t.flow_verf_changes[f] >= MAX_CHANGES:
        return k
    t.flow_verf_changes[f] += 1
    return put(
        out, k, VERIFIER, i, f * 2 + t.flow_verf_loose[f], t.flow_verf_high[f], t.flow_verf_low[f],
        t.flow_verf_first[f], t.flow_verf_last[f], t.flow_verf_first_frame[f], t.flow_verf_last_frame[f],
        t.flow_verf_error[f],
    )  # fmt: skip
