"""Which implementation a host is, as far as its packets show it, and what in them does.

Locks tell first: owners, cookies and procedures of a client, callbacks of a server; of several signs the more frequent
one counts. Where no lock tells, sm-notify or the network card may. Look-ups of lockd tell nothing: they follow the RPC
library and the mount. A host without a sign is UNKNOWN, and the slowest values are assumed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from nlmdissect.capture.endpoints import Endpoints
from nlmdissect.findings import At
from nlmdissect.groups import groups, mixed
from nlmdissect.hosts.implementations import (
    FREEBSD,
    GANESHA,
    ILLUMOS,
    LINUX,
    MACOS,
    NETAPP,
    UNKNOWN,
    Implementation,
)  # fmt: skip
from nlmdissect.protocols import NSM, PORTMAP
from nlmdissect.rpc.calls import Calls, Texts
from nlmdissect.rpc.requests import Op, Request, Requests

_OWNER = re.compile(rb"(\d+)@")
NETAPP_CARDS = (bytes.fromhex("00a098"), bytes.fromhex("02a098"), bytes.fromhex("d039ea"))
SM_NOTIFY = 6
CLIENTS = frozenset({Op.LOCK, Op.UNLOCK, Op.CANCEL, Op.TEST})
ONE_PORT = "its sm-notify asks and tells from one port, with xids that count up"
NOTHING = "nothing that it sent tells which, so the slowest is assumed"

Sign = tuple[int, Implementation, str, At, int]  # host, what it seems to be, by what, first where, how often


@dataclass(frozen=True, slots=True)
class Guess:
    """``why`` are the signs, the most frequent one first, each a phrase like ``its oh has 2 bytes (3 times, first in
    frame 7)``.
    """

    kind: Implementation
    why: tuple[str, ...]


NO_GUESS = Guess(UNKNOWN, (NOTHING,))


def guesses(requests: Requests, calls: Calls, texts: Texts, endpoints: Endpoints) -> dict[int, Guess]:
    """One for each host that shows something."""
    found = _count(_notifiers(calls), _cards(requests, endpoints))
    found.update(_count(_clients(requests, texts), _servers(requests, texts)))
    return found


def _count(*signs: Iterable[Sign]) -> dict[int, Guess]:
    by_host: dict[int, dict[tuple[Implementation, str], tuple[int, At]]] = defaultdict(dict)
    for of in signs:
        for host, kind, why, at, times in of:
            count, first = by_host[host].get((kind, why), (0, at))
            by_host[host][kind, why] = count + times, min(first, at)
    found = {}
    for host, seen in by_host.items():
        votes: dict[Implementation, int] = defaultdict(int)
        for (kind, _), (count, _) in seen.items():
            votes[kind] += count
        most = max(votes, key=lambda k: votes[k])
        mine = sorted((-count, why, first) for (kind, why), (count, first) in seen.items() if kind is most)
        found[host] = Guess(most, tuple(_phrase(why, -count, first) for count, why, first in mine))
    return found


def _phrase(why: str, count: int, at: At) -> str:
    times = f"{count} times, first in " if count > 1 else ""
    return f"{why} ({times}frame {at.frame})" if at.frame else why


def _clients(requests: Requests, texts: Texts) -> Iterator[Sign]:
    asked = requests.is_a(*CLIENTS).nonzero()[0]
    said = requests.said.take(asked)
    word = texts.words()[said.cookie]
    small, length = (word >= 0) & (word < 1 << 16), texts.lengths()[said.cookie]
    first, which = groups(
        said.client, said.oh, said.svid, said.asynchronous, said.reclaim, said.state == 0, length, small
    )
    for r, times in zip(requests.take(asked[first]), np.bincount(which).tolist(), strict=True):
        guess = _client(r, texts)
        if guess is not None:
            yield r.client, *guess, r.at, times


def _client(r: Request, texts: Texts) -> tuple[Implementation, str] | None:
    oh, cookie = texts[r.oh], texts[r.cookie]
    if r.asynchronous:
        return (MACOS, f"it asks by _MSG, with an oh of {len(oh)} bytes") if len(oh) in (8, 16) else None
    owner = _OWNER.match(oh)
    if owner and int(owner[1]) == r.svid and len(cookie) == 4:
        # Linux numbers its owners from 0; FreeBSD's are process ids, and its reclaims carry the local state
        if r.reclaim:
            return (
                (LINUX, "its oh is svid@name, and its reclaims have state 0")
                if r.state == 0
                else (FREEBSD, "its oh is svid@name, and its reclaims have its state")
            )
        if cookie[2:] == b"\0\0":
            return LINUX, "its oh is svid@name, and its cookies are small little-endian numbers"
        if r.svid < 300:
            return LINUX, "its oh is svid@name, and its svids are small numbers"
        return FREEBSD, "its oh is svid@name, and its svids look like process ids"
    return (ILLUMOS, "its oh has 2 bytes") if len(oh) == 2 else None


def _servers(requests: Requests, texts: Texts) -> Iterator[Sign]:
    """What callbacks tell of who sends them."""
    said, callback = requests.said, requests.is_a(Op.GRANTED)
    if not callback.any():
        return
    names = np.stack([said.client, said.caller_name], 1)[~callback]
    own = set(map(tuple, names[groups(*names.T)[0]].tolist()))
    about_file = mixed(said.server, said.client, said.fh)
    served = np.isin(about_file, about_file[callback])
    blocking = requests.where(requests.is_a(Op.LOCK) & said.block & served)
    cookies = {(r.server, r.client, r.fh, r.cookie) for r in blocking}
    waits = {(r.server, r.client, r.fh) for r in blocking}
    waits -= {(r.server, r.client, r.fh) for r in blocking if r.asynchronous}
    for r in requests.where(callback):
        size, named = len(texts[r.cookie]), (r.client, r.caller_name) in own
        about = r.server, r.client, r.fh
        if size == 24:
            yield r.server, GANESHA, "cookies of its callbacks have 24 bytes", r.at, 1
        elif r.asynchronous and size == 4 and not named:
            yield r.server, LINUX, "its callbacks carry its own name", r.at, 1
        elif named and (*about, r.cookie) in cookies:
            yield r.server, ILLUMOS, "its callbacks carry the cookie of the LOCK", r.at, 1
        elif named and size == 8 and about in waits:
            if r.asynchronous:
                yield r.server, FREEBSD, "it answers a LOCK by GRANTED_MSG with a cookie of 8 bytes", r.at, 1
            else:
                yield r.server, MACOS, "it answers a LOCK by GRANTED with a cookie of 8 bytes", r.at, 1


def _notifiers(calls: Calls) -> Iterator[Sign]:
    """sm-notify of Linux sends look-ups and notices from one port, and counts its xids up over all of them."""
    notify = (calls.program == NSM) & (calls.procedure == SM_NOTIFY)
    lookup = (calls.program == PORTMAP) & (calls.asked_program == NSM)
    last: dict[tuple[int, int], int] = {}
    for row in ((notify | lookup) & (calls.frame != 0) & (calls.tcp == 0)).nonzero()[0].tolist():
        port = int(calls.src[row]), int(calls.sport[row])
        xid = int(calls.xid[row])
        if notify[row] and last.get(port) == xid - 1:
            yield port[0], LINUX, ONE_PORT, calls.at(row), 1
        last[port] = xid


def _cards(requests: Requests, endpoints: Endpoints) -> Iterator[Sign]:
    """The maker of a server's network card, if no router stands before it."""
    for host in np.unique(requests.said.server).tolist():
        for mac in endpoints.macs[host]:
            if mac[:3] in NETAPP_CARDS and not endpoints.is_router(mac):
                yield host, NETAPP, f"its network card {mac.hex(':')} is made by NetApp", At(0, 0, 0), 1
