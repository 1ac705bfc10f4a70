"""Frames that are damaged: their checksums say so. Only frames that give rows are looked at.

A receiver throws such a frame away; if it was the capture that damaged it, nobody knows what it said. But a wrong
checksum alone says little. A host that leaves it to its network card shows a wrong one in all that it sends in
its own capture, commonly the sum of the pseudo-header, or zero; a receiver that joins segments shows that of one of
them; and files are edited. So wrong are those only that are none of this, and damaged are those of a sender whose
others are right. Where nothing can be told (a part is missing, no checksum) a frame is taken for what it says.

The sum of 16-bit words with end-around carry (RFC 1071) is the number that all bytes make together, modulo 65535.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlmdissect.groups import groups, mixed

from .block import Block
from .messages import I64, Bools
from .rows import DNS, FRAGMENT, ICMP, MESSAGE, SEGMENT, SIGNAL, STRANGE
from .walks import add
from .words import WORD

TOLD = np.isin(np.arange(16), (MESSAGE, SEGMENT, SIGNAL, FRAGMENT, ICMP, DNS, STRANGE))
"""Which kinds of rows are what a frame says."""

JOINED = 1500
"""A longer TCP packet may be several that a card or a kernel joined, with the checksum of one."""

PADDING = 46
"""More bytes behind a packet are no padding: packets were joined, and the header is that of the first."""

RARE = 16
"""Of so many checksums of one sender at most one is wrong by damage, or one in all."""

TAGS = 0x8100, 0x88A8, 0x9100
MAX_TAGS = 16
ICMP_4, TCP, UDP, ICMP_6 = 1, 6, 17, 58
SUM_AT = {TCP: 16, UDP: 6, ICMP_4: 2, ICMP_6: 2}
"""Where the checksum stands, by IP protocol."""

HEADS, TYPES = np.zeros(512, np.int64), np.full(512, -1)
"""By LINKTYPE: how long the header is, and where its EtherType stands."""
for _link, _head, _type in ((1, 14, 12), (113, 16, 14), (276, 20, 0), (0, 4, -1), (108, 4, -1)):
    HEADS[_link], TYPES[_link] = _head, _type


class Sums:
    """Remembers how the checksums of each sender were."""

    def __init__(self) -> None:
        self._told: dict[int, int] = {}
        self._right: dict[int, int] = {}
        self._wrong: dict[int, int] = {}

    def damaged(self, block: Block, rows: I64) -> I64:
        """The frames of a block (indices, in order) that are damaged, of those whose ``rows`` these are."""
        told: I64 = rows[TOLD[rows[:, 0]], 1]
        frames: I64 = told[np.diff(told, prepend=-1) > 0]
        if not len(frames):
            return frames
        found = packets(block, frames)
        first, which = groups(found.sender)
        known = found.sender[first].tolist()
        every = np.ones(len(frames), np.bool_)
        for verdict, counts in ((every, self._told), (found.right, self._right), (found.wrong, self._wrong)):
            for sender, count in zip(known, np.bincount(which[verdict], minlength=len(known)).tolist(), strict=True):
                if count:
                    counts[sender] = counts.get(sender, 0) + count
        if not found.wrong.any():
            return frames[:0]
        seldom = np.array([self._seldom(sender) for sender in known])
        damaged: I64 = frames[found.wrong & seldom[which]]
        return damaged

    def vouch(self, address: bytes) -> bool | None:
        """Whether nearly all that a host said has a right checksum, so that it is what the host said; None for a host
        that said nothing.
        """
        sender = int(_senders(address, np.zeros(1, np.int64), np.array([len(address) == 16]))[0])
        if sender not in self._told:
            return None
        right = self._right.get(sender, 0)
        return right > 0 and (self._told[sender] - right - 1) * RARE <= right

    def _seldom(self, sender: int) -> bool:
        right, wrong = self._right.get(sender, 0), self._wrong.get(sender, 0)
        if not right and wrong == 1:  # its address may be what is damaged: then it never says anything else
            right, wrong = sum(self._right.values()), sum(self._wrong.values())
        return right > 0 and (wrong - 1) * RARE <= right


class Packets(NamedTuple):
    """What the checksums of some frames are like: one row a frame.

    ``sender`` is a number for its address; ``right`` is what is whole and has a right checksum, ``wrong`` what has one
    that no habit explains.
    """

    sender: NDArray[np.uint64]
    right: Bools
    wrong: Bools


def packets(block: Block, frames: I64) -> Packets:
    """The checksums of some frames that gave rows, so that their headers are there."""
    buf = block.buf
    byte = np.frombuffer(buf, np.uint8)
    word = np.ndarray((len(buf) - 1,), ">u2", buf, strides=(1,))  # at any position
    at, end = block.at[frames], (block.at + block.captured)[frames]
    begin, found = _internet(word, at, end, block.link[frames])
    four, six = found & (byte[begin] >> 4 == 4), found & (byte[begin] >> 4 == 6)
    head = np.where(four, (byte[begin] & 15).astype(np.int64) * 4, 40)
    payload, addresses = begin + head, begin + np.where(four, 12, 8)
    told = np.where(four, word[begin + 2] - head, word[begin + 4].astype(np.int64))
    size = np.where(np.where(four, told + head, told) == 0, block.wire[frames] - (payload - at), told)
    protocol = byte[begin + np.where(four, 9, 6)]
    behind = at + block.wire[frames] - payload - size
    plain = six | four & (head == 20) & (word[begin + 6] & 0x3FFF == 0)  # no options, no fragment
    whole = plain & (payload + size <= end) & (behind <= PADDING)

    right, wrong = np.zeros(len(frames), np.bool_), np.zeros(len(frames), np.bool_)
    stated = four & (head >= 20) & (payload <= end) & (word[begin + 10] != 0)
    wrong[stated] = add(buf, begin[stated], payload[stated]) != 0
    for number, place in SUM_AT.items():
        of = (whole & (protocol == number) & (size >= place + 2)).nonzero()[0]
        of = of[word[payload[of] + place] != 0]
        if not len(of):
            continue
        pseudo = np.zeros(len(of), np.int64) if number == ICMP_4 else number + size[of]
        start = (payload if number == ICMP_4 else addresses)[of]
        fits = (add(buf, start, payload[of] + size[of]) + pseudo) % WORD == 0
        right[of[fits]] = True
        of, pseudo = of[~fits], pseudo[~fits]
        beside = (word[payload[of] + place] - add(buf, addresses[of], payload[of])) % WORD
        offloaded = (beside == pseudo % WORD) | (beside == number)  # the second: the card cuts it, and knows its length
        wrong[of[~offloaded & ~((number == TCP) & (size[of] > JOINED))]] = True
    return Packets(_senders(buf, addresses, six), right & ~wrong, wrong)


def _senders(buf: bytes, at: I64, six: Bools) -> NDArray[np.uint64]:
    """A number for each address: an IPv4 address is one."""
    quad = np.ndarray((len(buf) - 3,), ">u4", buf, strides=(1,))
    found = quad[np.minimum(at, len(quad) - 1)].astype(np.uint64)  # of what is no packet, any
    if six.any():
        found[six] = mixed(*(quad[at[six] + step] for step in range(0, 16, 4)))
    return found


def _internet(word: NDArray[np.uint16], at: I64, end: I64, link: I64) -> tuple[I64, Bools]:
    """Where the IP packets of frames begin, see ``scan``; and whether they do: nobody needs more than ``MAX_TAGS``."""
    begin = at + HEADS[link]
    named = TYPES[link] >= 0
    kind = np.where(named, word[at + np.maximum(TYPES[link], 0)], 0).astype(np.int64)
    for _ in range(MAX_TAGS):
        if not (tagged := _tagged(kind) & (begin + 4 <= end)).any():
            break
        begin[tagged] += 4
        kind[tagged] = word[begin[tagged] - 2]
    begin[named & (kind <= 1500)] += 8  # IEEE 802.3 with SNAP
    return begin, ~_tagged(kind)


def _tagged(kind: I64) -> Bools:
    found: Bools = (kind == TAGS[0]) | (kind == TAGS[1]) | (kind == TAGS[2])
    return found
