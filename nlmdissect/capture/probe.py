"""What the first words of an RPC message look like (RFC 5531), read straight from captured bytes.

Written in the subset that numba compiles: plain integers, one flat array of bytes, every read behind a length test.
(Bytes are multiplied, not shifted: numba makes a shifted byte unsigned, and unsigned with signed a float.)

RPC is found by content and never by port: lockd and statd ports are dynamic, some servers put every program on 2049,
and privileged client ports collide with the numbers of other protocols.
"""

from __future__ import annotations

PORTMAP = 100000
NFS = 100003
MOUNT = 100005
NLM = 100021
NSM = 100024

MAX_RECORD = 1 << 23
"""Longest believable record, in bytes. NFS transfers end at 4 MiB; anything longer is not a record mark."""

MIN_RECORD = 20
"""Shortest message: a denied reply (xid, REPLY, MSG_DENIED, AUTH_ERROR, auth_stat)."""

HEADER = 24
"""xid, message type, rpcvers, program, version and procedure: enough to tell whether a message is wanted."""

WINDOW = 36
"""Record mark, header, and the credential's flavor and length: what ``plausible`` looks at."""

NOTHING, CALL, OTHER, REPLY, CUT = 0, 1, 2, 3, 4
"""Not RPC; a call of a wanted program; another call; a reply; too few bytes to tell."""


def be16(b: bytes, i: int) -> int:
    """Two bytes as a number. The caller has tested that they are there."""
    return b[i] * 256 + b[i + 1]


def be32(b: bytes, i: int) -> int:
    """Four bytes as a number. The caller has tested that they are there."""
    return b[i] * 16777216 + b[i + 1] * 65536 + b[i + 2] * 256 + b[i + 3]


def classify(b: bytes, i: int, have: int, keep: int) -> int:
    """Say what the message at ``b[i]`` is, seeing ``have`` bytes of it.

    ``keep`` is a set of bits: NFSv3 procedure p is wanted when bit p is set, NFSv2 procedure p when bit 32 + p is.
    A known program is wanted whatever the version, the procedure or ``rpcvers``: RPC_MISMATCH is a story too.
    """
    if have < 12:
        return CUT
    kind = be32(b, i + 4)
    third = be32(b, i + 8)
    if kind == 1:
        return REPLY if third <= 1 else NOTHING
    if kind != 0:
        return NOTHING
    if have < 16:
        return CUT if third == 2 else NOTHING
    prog = be32(b, i + 12)
    if prog in (NLM, NSM, PORTMAP, MOUNT):
        return CALL
    if third != 2:
        return NOTHING
    if keep != 0 and prog == NFS and have >= HEADER:
        vers = be32(b, i + 16)
        proc = be32(b, i + 20)
        if proc < 30 and ((vers == 3 and keep >> proc & 1) or (vers == 2 and keep >> (proc + 32) & 1)):
            return CALL
    return OTHER


def sane_flavor(flavor: int) -> bool:
    """Is this a credential flavor somebody uses: AUTH_NONE to AUTH_TLS, or a pseudo flavor (3xxxxx)."""
    return flavor <= 8 or 300000 <= flavor < 400000


def plausible(b: bytes, i: int, have: int) -> int:
    """Could a record mark and an RPC header begin at ``b[i]``? 1 yes, 0 no, -1 yes as far as ``have`` bytes show.

    The answer 1 or 0 depends on the first ``WINDOW`` bytes only, so that it is the same however they were cut. A record
    whose first fragment is shorter than that is not recognised.
    Chance: two words of fixed content and three of small numbers, about 1 in 2**80 for random bytes.
    """
    if have < 12:
        return -1
    length = be32(b, i)
    kind = be32(b, i + 8)
    if length & 0x80000000:
        length &= 0x7FFFFFFF
    elif WINDOW - 4 <= length <= MAX_RECORD:
        length = MAX_RECORD  # more fragments follow: how long the record is cannot be told
    if length < MIN_RECORD or length > MAX_RECORD or kind > 1:
        return 0
    if have < 16:
        return -1
    third = be32(b, i + 12)
    if kind == 1:
        if third > 1:
            return 0
        if have < 24:
            return -1
        fourth = be32(b, i + 16)
        fifth = be32(b, i + 20)
        if third == 1:
            return 1 if fourth <= 1 and (length <= 24 or length == MAX_RECORD) else 0
        return 1 if sane_flavor(fourth) and fifth <= 400 and fifth & 3 == 0 and length >= 20 + fifth else 0
    if third != 2 or length < 40:
        return 0
    if have < 20:
        return -1
    prog = be32(b, i + 16)
    if not (100000 <= prog < 400000 or 0x20000000 <= prog < 0x60000000):
        return 0
    if have < WINDOW:
        return -1
    if be32(b, i + 20) > 0xFFFFFF or be32(b, i + 24) > 0xFFFFFF:
        return 0
    size = be32(b, i + 32)
    return 1 if sane_flavor(be32(b, i + 28)) and size <= 400 and length >= 40 + size else 0


def is_reply(b: bytes, i: int, have: int, length: int) -> bool:
    """Does a message of ``length`` bytes, ``have`` of them at ``b[i]``, fit the grammar of a reply to its end?

    Stricter than ``classify``: it is asked where no call vouches for the message. DNS answers come near (an answer
    count of 1 reads as REPLY), the flavor and the lengths tell them apart.
    """
    if have < 16 or length < 20 or length & 3 or be32(b, i + 4) != 1:
        return False
    stat = be32(b, i + 8)
    if have < 20:  # cut by the capture
        return have < length and be32(b, i + 12) <= 6
    if stat == 1:
        reject = be32(b, i + 12)
        return (reject == 0 and length == 24) or (reject == 1 and length == 20 and be32(b, i + 16) <= 14)
    if stat != 0 or not sane_flavor(be32(b, i + 12)):
        return False
    size = be32(b, i + 16)
    if size > 400 or size & 3 or length < 24 + size:
        return False
    return have < 24 + size or be32(b, i + 20 + size) <= 5
