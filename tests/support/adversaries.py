"""Recordings that somebody makes to keep us busy: each a function of how much of it there is."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from support.packets import (
    ICMP,
    TCP,
    UDP,
    arp,
    dns_answer,
    ethernet,
    ipv4,
    opaque,
    record_mark,
    rpc_call,
    rpc_reply,
    tcp,
    udp,
    unreachable,
)

NLM, NSM, PORTMAP = 100021, 100024, 100000
CLIENT, OTHER, SERVER = "10.0.0.21", "10.0.0.22", "10.0.0.10"
LOCK, CANCEL, UNLOCK, LOCK_MSG = 2, 3, 4, 7
GRANTED, DENIED, NOLOCKS, BLOCKED, GRACE = 0, 1, 2, 3, 4

Frames = list[tuple[float, bytes]]


def open_calls(n: int) -> Frames:
    """Calls that are never answered."""
    return [(i * 1e-4, datagram(CLIENT, SERVER, 700, 4045, call(i, LOCK, lock(start=10 * i)))) for i in range(n)]


def hosts(n: int) -> Frames:
    """Every lock is another host's."""
    return [f for i in range(n) for f in asked(i, lock(start=10 * i, size=5), client=address(i), time=i * 1e-4)]


def notices(n: int) -> Frames:
    """Every host says that it restarted."""
    said = (opaque(b"client-%d" % i) + struct.pack(">i", 2 * i + 1) for i in range(n))
    return [(i * 1e-3, datagram(address(i), SERVER, 700, 662, rpc_call(i, NSM, 1, 6, s))) for i, s in enumerate(said)]


def restarts(n: int) -> Frames:
    """One server restarts again and again, and its client reclaims."""
    frames: Frames = []
    for i in range(n):
        notice = rpc_call(2 * i, NSM, 1, 6, opaque(b"nfs-server") + struct.pack(">i", 2 * i + 1))
        frames += [(100.0 * i, datagram(SERVER, CLIENT, 700, 662, notice)), (100 * i + 0.1, datagram(CLIENT, SERVER, 662, 700, rpc_reply(2 * i)))]
        frames += asked(2 * i + 1, lock(reclaim=1), time=100 * i + 1.0)
    return frames


def names(n: int) -> Frames:
    """One address has another name in every call."""
    return [f for i in range(n) for f in asked(i, lock(caller=b"name-%d" % i), time=i * 1e-3)]


def split(n: int) -> Frames:
    """One lock, and unlocks that cut it into ever more pieces."""
    cuts = [f for i in range(n) for f in asked(i + 1, unlock(4 * i + 1, 1), UNLOCK, time=(i + 1) * 1e-3)]
    return asked(0, lock(size=0)) + cuts


def sharers(n: int) -> Frames:
    """Very many owners share one file."""
    return [f for i in range(n) for f in asked(i, lock(svid=i, exclusive=0), time=i * 1e-3)]


def rivals(n: int) -> Frames:
    """One range is granted to every owner at once."""
    return [f for i in range(n) for f in asked(i, lock(svid=i), time=i * 1e-3)]


def waiters(n: int) -> Frames:
    """Very many owners wait for one."""
    return asked(0, lock()) + [f for i in range(1, n) for f in asked(i, lock(svid=i, block=1), status=BLOCKED, time=i * 1e-3)]


def two_ends(n: int) -> Frames:
    """Very many owners hold something at both ends of a file, and others the middle."""
    frames: Frames = []
    for i in range(n):
        frames += asked(3 * i, lock(svid=i, start=20 * i), time=i * 1e-3)
        frames += asked(3 * i + 1, lock(svid=i, start=2**40 + 20 * i), time=i * 1e-3 + 1e-4)
        frames += asked(3 * i + 2, lock(svid=n + i, start=2**39 + 20 * i), time=i * 1e-3 + 2e-4)
    return frames


def rival_hosts(n: int) -> Frames:
    """One range is granted to very many hosts: each is a finding of its own."""
    return [f for i in range(n) for f in asked(i, lock(svid=i, caller=b"h%d" % i), client=address(i), time=i * 1e-3)]


def unanswered(n: int) -> Frames:
    """An owner of whose requests some are never answered, and the others granted."""
    frames = open_calls(n)
    for i in range(n):
        frames += asked(n + i, lock(start=20 * (n + i)), time=n * 1e-4 + i * 1e-3)
    return frames


def queue(n: int) -> Frames:
    """Very many owners wait, each for another range of one file, and get it."""
    frames = [f for i in range(n) for f in asked(i, lock(start=20 * i), time=i * 1e-3)]
    for i in range(n):
        frames += asked(n + i, lock(svid=2 + i, start=20 * i, block=1), status=BLOCKED, time=n * 1e-3 + i * 1e-3)
    for i in range(n):
        frames += asked(2 * n + i, unlock(20 * i, 10), UNLOCK, time=2e-3 * n + i * 1e-3)
    return frames


def servers(n: int) -> Frames:
    """Very many servers restart, and have all granted something to one client."""
    frames: Frames = []
    for i in range(n):
        at, notice = i * 1e-3, rpc_call(n + i, NSM, 1, 6, opaque(b"s-%d" % i) + struct.pack(">i", 3))
        frames.append((at, datagram(CLIENT, address(i), 700, 4045, call(i, LOCK, lock()))))
        frames.append((at + 1e-5, datagram(address(i), CLIENT, 4045, 700, rpc_reply(i, opaque(b"c") + bytes(4)))))
        frames.append((n * 1e-3 + 100 + i * 1e-2, datagram(address(i), CLIENT, 700, 662, notice)))
    return frames


def ports(n: int) -> Frames:
    """The port of a lockd is another one each time that somebody asks."""
    frames: Frames = []
    for i in range(n):
        asks = rpc_call(i, PORTMAP, 2, 3, struct.pack(">4I", NLM, 4, 17, 0))
        frames.append((i * 0.1, datagram(CLIENT, SERVER, 700, 111, asks)))
        frames.append((i * 0.1 + 1e-3, datagram(SERVER, CLIENT, 111, 700, rpc_reply(i, struct.pack(">I", 4045 + i % 2)))))
    return frames


def lost_unlocks(n: int) -> Frames:
    """UNLOCKs that are repeated and never answered."""
    frames = [f for i in range(n) for f in asked(i, lock(start=20 * i), time=i * 1e-3)]
    for again in (10.0, 30.0):
        for i in range(n):
            said = call(n + i, UNLOCK, unlock(20 * i, 10))
            frames.append((n * 1e-3 + again + i * 1e-3, datagram(CLIENT, SERVER, 700, 4045, said)))
    return [*sorted(frames, key=lambda frame: frame[0]), *asked(2 * n, lock(start=2**40), time=3600.0)]


def superseded(n: int) -> Frames:
    """Very many locks, and as many restarts of their server after which nobody reclaims."""
    frames = [f for i in range(n) for f in asked(i, lock(start=20 * i), time=i * 1e-3)]
    for i in range(n):
        notice = rpc_call(n + i, NSM, 1, 6, opaque(b"nfs-server") + struct.pack(">i", 2 * i + 3))
        frames.append((n * 1e-3 + 100 + 2000.0 * i, datagram(SERVER, CLIENT, 700, 662, notice)))
    return frames


def leftovers(n: int) -> Frames:
    """A client that restarts again and again, leaves one lock more on the same range each time, and keeps others out."""
    frames: Frames = []
    for i in range(n):
        frames += asked(2 * i, lock(svid=i, exclusive=0, state=2 * i + 1), time=100.0 * i)
        other = lock(svid=n + i, caller=b"client-b")
        frames += asked(2 * i + 1, other, client=OTHER, status=DENIED, time=100.0 * i + 50)
    return frames


def one_name(n: int) -> Frames:
    """Hosts that all have one name take locks and announce a restart."""
    frames = [f for i in range(n) for f in asked(i, lock(start=10 * i, size=5), client=address(i), time=i * 1e-3)]
    said = [rpc_call(n + i, NSM, 1, 6, opaque(b"client-a") + struct.pack(">i", 2 * i + 3)) for i in range(n)]
    return [*frames, *((n * 1e-3 + 10 + i * 1e-3, datagram(address(i), SERVER, 700, 662, said[i])) for i in range(n))]


def untold(n: int) -> Frames:
    """Servers that restart and tell another client than the one that had locks there, while strangers tell that one."""
    frames: Frames = []
    for i in range(n):
        frames += asked(i, lock(), server=address(i), time=i * 1e-3)
        frames += asked(n + i, lock(caller=b"client-b", start=20), client=OTHER, server=address(i), time=i * 1e-3 + 1e-4)
    for who, receiver, time in ((0, OTHER, 100.0), (n, CLIENT, 200.0)):
        for i in range(n):
            said = rpc_call(2 * n + who + i, NSM, 1, 6, opaque(b"s-%d" % (who + i)) + struct.pack(">i", 3))
            frames.append((n * 1e-2 + time + i * 1e-2, datagram(address(who + i), receiver, 700, 662, said)))
    return [*frames, *asked(9 * n, lock(start=2**40), client=OTHER, time=n * 1e-2 + 9000)]


def watchers(n: int) -> Frames:
    """A host's loopback: its lockd has each of very many clients watched, under a name that the host never uses."""
    frames: Frames = []
    for i in range(n):
        mon = opaque(b"client-%d" % i) + opaque(b"me") + struct.pack(">3I", NLM, 4, 16) + bytes(16)
        frames.append((i * 1e-3, datagram("127.0.0.1", "127.0.0.1", 700, 662, rpc_call(i, NSM, 1, 2, mon))))
        frames.append((i * 1e-3 + 1e-5, datagram("127.0.0.1", "127.0.0.1", 662, 700, rpc_reply(i, struct.pack(">2I", 0, 3)))))
    named = [(lock(caller=b"client-%d" % i, start=20 * i), address(i)) for i in range(n)]
    return frames + [f for i in range(n) for f in asked(n + i, named[i][0], client=named[i][1], time=1000 + i * 1e-3)]


def reclaims(n: int) -> Frames:
    """A restart, and a client that reclaims very many pieces of one file."""
    frames = [f for i in range(n) for f in asked(i, lock(start=10 * i, size=5), time=i * 1e-3)]
    notice = rpc_call(n, NSM, 1, 6, opaque(b"nfs-server") + struct.pack(">i", 9))
    frames += [(n * 1e-3 + 10, datagram(SERVER, CLIENT, 700, 662, notice))]
    for i in range(n):
        frames += asked(n + 1 + i, lock(start=10 * i, size=5, reclaim=1), time=n * 1e-3 + 11 + i * 1e-3)
    return frames


def backwards(n: int) -> Frames:
    """A clock that runs backwards."""
    return [f for i in range(n) for f in asked(i, lock(start=10 * i, size=5), time=(n - i) * 10.0)]


def jumps(n: int) -> Frames:
    """A clock that jumps by hours."""
    return [f for i in range(n) for f in asked(i, lock(start=10 * i, size=5), time=i * 7919 % n * 3600.0)]


def fragments_of_many(n: int) -> Frames:
    """Fragments whose packets never become whole."""
    parts = (ipv4(address(i % 5000), SERVER, UDP, bytes(64), ident=i & 0xFFFF, offset=64 * (i % 50), more=True) for i in range(n))
    return [(i * 1e-4, ethernet(part)) for i, part in enumerate(parts)]


def fragments_of_one(n: int) -> Frames:
    """Fragments of one packet, with holes between them."""
    parts = (ipv4(CLIENT, SERVER, UDP, bytes(8), ident=7, offset=16 * i % 65_000, more=True) for i in range(n))
    return [(i * 1e-4, ethernet(part)) for i, part in enumerate(parts)]


def reversed_stream(n: int) -> Frames:
    """A stream whose segments come last first, with holes."""
    return [segment(10 + 20 * (n - i), bytes(10), i * 1e-4) for i in range(n)]


def overlapping_garbage(n: int) -> Frames:
    """Segments that say different things of the same bytes."""
    chance = random.Random(1)
    return [segment(chance.randrange(60_000), chance.randbytes(100), i * 1e-4) for i in range(n)]


def shuffled_stream(n: int) -> Frames:
    """Segments in no order, none of which touches another."""
    order = list(range(n))
    random.Random(1).shuffle(order)
    return [segment(-1, b"", flags="S"), *(segment(20 + 20 * place, bytes(10), i * 1e-7) for i, place in enumerate(order))]


def marks_of_zero(n: int) -> Frames:
    """A stream of record marks that say 0."""
    return stream(bytes(40 * n))


def marks_of_2_gb(n: int) -> Frames:
    """A stream of record marks that say 2 GB."""
    return stream(b"\xff\xff\xff\xff" * (10 * n))


def endless_record(n: int) -> Frames:
    """A record of fragments of one byte that never ends."""
    return stream(b"".join(struct.pack(">IB", 1, byte) for byte in call(1, LOCK, lock())) + struct.pack(">IB", 1, 0) * (8 * n))


def dump(n: int) -> Frames:
    """A portmap DUMP of so many rows."""
    rows = struct.pack(">5I", 1, NLM, 4, 17, 4045) * n + bytes(4)
    asks, says = record_mark(rpc_call(1, PORTMAP, 2, 4)), record_mark(rpc_reply(1, rows))
    parts = [ethernet(ipv4(SERVER, CLIENT, TCP, tcp(111, 700, says[at : at + 1400], seq=1000 + at, ack=1000 + len(asks)))) for at in range(0, len(says), 1400)]
    first = [tcp(700, 111, seq=999, flags="S"), tcp(700, 111, asks, seq=1000, ack=1000)]
    frames = [ethernet(ipv4(CLIENT, SERVER, TCP, part)) for part in first]
    frames.insert(1, ethernet(ipv4(SERVER, CLIENT, TCP, tcp(111, 700, seq=999, ack=1000, flags="SA"))))
    return [(i * 1e-4, frame) for i, frame in enumerate(frames + parts)]


def connections(n: int) -> Frames:
    """Every frame is another connection's."""
    frames = (ipv4(address(i // 60_000), SERVER, TCP, tcp(i % 60_000 + 1000, 2049, seq=i, flags="S")) for i in range(n))
    return [(i * 1e-4, ethernet(frame)) for i, frame in enumerate(frames)]


def half_streams(n: int) -> Frames:
    """Connections of which only the middle is here, each of which waits for more."""
    frames = (ipv4(address(i // 60_000), SERVER, TCP, tcp(i % 60_000 + 1000, 4045, bytes(40), seq=5)) for i in range(n))
    return [(i * 1e-6, ethernet(frame)) for i, frame in enumerate(frames)]


def crowd(n: int) -> Frames:
    """``n`` owners that all share a file and all wait until they have it alone: everybody waits for everybody."""
    frames = [f for i in range(n) for f in asked(i, lock(svid=i, exclusive=0), time=i * 1e-3)]
    for i in range(n):
        frames += asked(n + i, lock(svid=i, block=1), status=BLOCKED, time=1 + i * 1e-3)
    return [*frames, *asked(2 * n, lock(start=2**40), time=3600.0)]


def everybody(n: int) -> Frames:
    """``n`` owners that each have a byte of their own and wait for those of all."""
    frames = [f for i in range(n) for f in asked(i, lock(svid=i, start=i, size=1), time=i * 1e-3)]
    for i in range(n):
        frames += asked(n + i, lock(svid=i, size=n, block=1), status=BLOCKED, time=n * 1e-3 + i * 1e-3)
    return [*frames, *asked(2 * n, lock(start=2**40), time=3600.0)]


def resolvers(n: int) -> Frames:
    """DNS tells of very many names, and as many notices have one of them."""
    frames: Frames = []
    for i in range(n):
        said = dns_answer(i, f"server-{i}.x", 1, [(f"server-{i}.x", 1, bytes([10, 0, 0, 10]))])
        frames.append((i * 1e-3, datagram("10.0.0.2", CLIENT, 53, 5353, said)))
        frames += asked(i, lock(caller=b"c", start=20 * i), client=address(i), time=n * 1e-3 + i * 1e-3)
    for i in range(n):
        who = OTHER if i % 2 else SERVER
        frames += notice(n + i, who, address(i), b"server-%d" % i, time=n * 1e-2 + 10 + i * 1e-3)
    return sorted([*frames, *asked(9 * n, lock(start=2**40), client=OTHER, time=n * 1e-2 + 7200)], key=lambda f: f[0])


def many_names(n: int) -> Frames:
    """A host under very many names calls others back."""
    frames: Frames = []
    for i in range(n):
        frames += asked(i, lock(caller=b"name-%d" % i, start=20 * i), client=SERVER, server=OTHER, time=i * 1e-3)
    for i in range(n):
        frames += callback(n + i, 20 * i, b"n%d" % i, time=n * 1e-3 + i * 1e-3)
    return frames


def told(n: int) -> Frames:
    """A server restarts and tells each client under another name; every other one reclaims."""
    frames: Frames = []
    for i in range(n):
        frames += asked(i, lock(caller=b"c%d" % i, start=20 * i), client=address(i), time=i * 1e-3)
        frames += notice(n + i, SERVER, address(i), b"name-%d" % i, time=n * 1e-3 + 10 + i * 1e-3)
    for i in range(0, n, 2):
        again = lock(caller=b"c%d" % i, start=20 * i, reclaim=1)
        frames += asked(2 * n + i, again, client=address(i), time=n * 1e-2 + 20 + i * 1e-3)
    return [*sorted(frames, key=lambda f: f[0]), *asked(9 * n, lock(start=2**40), client=OTHER, time=3600.0)]


def refused_callbacks(n: int) -> Frames:
    """One wait that is polled very often, and as many callbacks that its client refuses."""
    frames: Frames = []
    for i in range(n):
        frames += asked(2 * i, lock(block=1), status=BLOCKED, time=i * 1.0)
    for i in range(n):
        frames += callback(2 * i + 1, 0, b"nfs-server", b"%d" % i, status=DENIED, time=n * 1.0 + i)
    return frames


def two_behind(n: int) -> Frames:
    """Two hosts behind one address, whose locks of one file overlap."""
    frames: Frames = []
    for i in range(2 * n):
        name, cookie = (b"client-b", b"client-a")[i % 2], struct.pack(">I", 2 * n - i)
        body = opaque(cookie) + struct.pack(">II", 0, 1) + opaque(name) + opaque(b"F" * 28) + opaque(b"1@" + name)
        frames += asked(i, body + struct.pack(">IQQIi", 1, 5 * i, 10, 0, 0), time=i * 1e-3)
    return frames


def no_locks(n: int) -> Frames:
    """Every client is refused with DENIED_NOLOCKS."""
    return [
        f for i in range(n) for f in asked(i, lock(caller=b"c%d" % i), client=address(i), status=NOLOCKS, time=i * 1e-3)
    ]


def refused_reclaims(n: int) -> Frames:
    """A restart, and reclaims that are refused, of locks that others get."""
    frames = notice(1, SERVER, CLIENT, b"nfs-server")
    for i in range(n):
        mine, theirs = lock(start=20 * i, reclaim=1), lock(start=20 * i, caller=b"client-b")
        frames += asked(4 * i + 2, mine, status=DENIED if i % 2 else GRANTED, time=1 + i * 1e-3)
        frames += asked(4 * i + 3, lock(start=2**40 + 20 * i, state=3), time=100 + n * 1e-3 + i * 1e-3)
        frames += asked(4 * i + 4, theirs, client=OTHER, time=200 + n * 1e-2 + i * 1e-3)
    return sorted(frames, key=lambda f: f[0])


def unregistered(n: int) -> Frames:
    """A server restarts, and very many clients ask for its lockd, which is not there."""
    frames: Frames = []
    for i in range(n):
        frames += asked(i, lock(caller=b"c%d" % i, start=20 * i), client=address(i), time=i * 1e-3)
        looks = rpc_call(n + i, PORTMAP, 2, 3, struct.pack(">4I", NLM, 4, 17, 0))
        frames.append((n * 1e-3 + 11 + i * 1e-3, datagram(address(i), SERVER, 700, 111, looks)))
        none = datagram(SERVER, address(i), 111, 700, rpc_reply(n + i, bytes(4)))
        frames.append((n * 1e-3 + 11 + i * 1e-3 + 1e-5, none))
    frames += notice(9 * n, SERVER, CLIENT, b"nfs-server", time=n * 1e-3 + 10)
    return [*sorted(frames, key=lambda f: f[0]), *asked(9 * n + 1, lock(start=2**40), client=OTHER, time=3600.0)]


def misdirected(n: int) -> Frames:
    """A server restarts and tells very many clients, of whom each says that nobody listens."""
    frames: Frames = []
    for i in range(n):
        frames += asked(i, lock(caller=b"c%d" % i), client=address(i), time=i * 1e-3)
        at = n * 1e-3 + 10 + i * 1e-3
        frames += notice(n + i, SERVER, address(i), b"nfs-server", time=at)[:1]
        error = unreachable(ipv4(SERVER, address(i), UDP, udp(700, 662, bytes(8))))
        frames.append((at + 1e-4, ethernet(ipv4(address(i), SERVER, ICMP, error))))
    return [*sorted(frames, key=lambda f: f[0]), *asked(9 * n, lock(start=2**40), client=OTHER, time=3600.0)]


def stale(n: int) -> Frames:
    """A server that restarts again and again, and announces one state for ever."""
    frames: Frames = []
    for i in range(n):
        frames += notice(3 * i, SERVER, CLIENT, b"nfs-server", 3, time=1000.0 * i)
        frames += asked(3 * i + 1, lock(), status=GRACE, time=1000.0 * i + 2)
        frames += asked(3 * i + 2, lock(), time=1000.0 * i + 300)
    return frames


def copies(n: int) -> Frames:
    """One request under very many xids, each sent twice and answered twice."""
    frames: Frames = []
    for i in range(n):
        for time in (1.0 * i, i + 0.1):
            frames.append((time, datagram(CLIENT, SERVER, 700, 4045, call(i, LOCK, lock(block=1)))))
            waits = rpc_reply(i, opaque(b"c") + struct.pack(">I", BLOCKED))
            frames.append((time + 0.5, datagram(SERVER, CLIENT, 4045, 700, waits)))
    return sorted(frames, key=lambda f: f[0])


def cancels(n: int) -> Frames:
    """CANCELs of a client that takes DENIED for a lock, and as many locks of somebody else."""
    frames: Frames = []
    for i in range(n):
        head = opaque(b"abcd") + struct.pack(">II", 0, 1) + opaque(b"client-a") + opaque(b"F" * 28)
        gives_up = head + opaque(b"1000@client-a") + struct.pack(">IQQ", 1000, 20 * i, 10)
        frames += asked(2 * i, gives_up, CANCEL, status=DENIED, time=i * 1e-3)
        other = lock(caller=b"client-b", start=2**40 + 20 * i)
        frames += asked(2 * i + 1, other, client=OTHER, time=n * 1e-3 + 1 + i * 1e-3)
    return sorted(frames, key=lambda f: f[0])


def unlocks(n: int) -> Frames:
    """An owner of very many locks, who unlocks what it never had."""
    frames = [(0.0, datagram(CLIENT, SERVER, 700, 4045, call(0, LOCK, lock(start=2**40))))]
    for i in range(n):
        frames += asked(2 * i + 1, lock(start=20 * i), time=1 + i * 1e-3)
        frames += asked(2 * i + 2, unlock(2**41 + 20 * i, 10), UNLOCK, time=1 + n * 1e-3 + i * 1e-3)
    return sorted(frames, key=lambda f: f[0])


def dead(n: int) -> Frames:
    """Very many holders that ARP does not find, and one who is refused because of them."""
    frames: Frames = []
    for i in range(n):
        frames += asked(2 * i, lock(caller=b"c%d" % i, start=20 * i), client=address(i), time=i * 1e-3)
        other = lock(caller=b"client-b", start=20 * i)
        frames += asked(2 * i + 1, other, client=OTHER, status=DENIED, time=n * 1e-3 + 1 + i * 1e-3)
        frames += [(n * 1e-2 + 10 + k, ethernet(arp(1, SERVER, address(i)), kind=0x806)) for k in range(3)]
    return [*sorted(frames, key=lambda f: f[0]), *asked(9 * n, lock(start=2**40), client=OTHER, time=3600.0)]


def conflicts(n: int) -> Frames:
    """Signs of very many restarts, losses, and as many ranges that two hosts are granted."""
    frames: Frames = []
    for i in range(n):
        frames += notice(i, address(i), OTHER, b"s-%d" % i, time=i * 1e-3)[:1]
        xid = int.from_bytes(struct.pack("<I", 10 * n + 2 * i), "big")
        frames += asked(xid, lock(start=20 * i), time=n * 1e-3 + i * 1e-3)
        other = lock(start=20 * i, caller=b"h%d" % i)
        frames += asked(n + i, other, client=address(n + i), time=n * 1e-3 + i * 1e-3 + 1e-4)
    return sorted(frames, key=lambda f: f[0])


def lived_on(n: int) -> Frames:
    """A host with very many connections that announces as many restarts."""
    frames: Frames = []
    for i in range(n):
        frames.append((i * 1e-3, ethernet(ipv4(CLIENT, SERVER, TCP, tcp(1000 + i % 60_000, 2049, bytes(20), seq=5)))))
    for i in range(n):
        frames += notice(i, CLIENT, SERVER, b"client-a", 2 * i + 1, time=n * 1e-3 + 10 + 100.0 * i)[:1]
    return frames


def reset(n: int) -> Frames:
    """One pair of ports, whose connections begin and are reset again and again."""
    frames: Frames = []
    for i in range(n):
        at, data = 100.0 * i, record_mark(call(i, LOCK, lock(start=20 * i)))
        sides = ((CLIENT, SERVER, 700, 4045), (SERVER, CLIENT, 4045, 700))
        said = ((0, "S", b"", 0, 0), (1, "SA", b"", 0, 1), (0, "A", data, 1, 1), (1, "RA", b"", 1, 1 + len(data)))
        for step, (side, flags, body, seq, ack) in enumerate(said):
            src, dst, sport, dport = sides[side]
            part = tcp(sport, dport, body, seq=i * 100_000 + seq, ack=i * 100_000 + ack, flags=flags)
            frames.append((at + step * 0.1, ethernet(ipv4(src, dst, TCP, part))))
    return frames


def moved(n: int) -> Frames:
    """A server whose address moves to another network card again and again."""
    frames = asked(0, lock())
    for i in range(n):
        card = f"02:00:00:00:{i >> 8 & 255:02x}:{i & 255:02x}"
        frames.append((100.0 * i + 100, ethernet(arp(2, SERVER, SERVER, src=card), kind=0x806)))
        frames += notice(i + 1, SERVER, CLIENT, b"nfs-server", 2 * i + 1, time=100.0 * i + 101)
    return frames


def outlived(n: int) -> Frames:
    """Very many requests that are never answered, and as many restarts of their server."""
    frames = open_calls(n)
    for i in range(n):
        frames += notice(n + i, SERVER, CLIENT, b"nfs-server", 2 * i + 1, time=n * 1e-3 + 100 + 2000.0 * i)[:1]
    return frames


def two_names(n: int) -> Frames:
    """An address of two names that asks very often, and announces as many restarts."""
    frames: Frames = []
    for i in range(n):
        frames += asked(i, lock(caller=(b"client-a", b"client-b")[i % 2], start=20 * i), time=i * 1e-3)
    for i in range(n):
        frames += notice(n + i, CLIENT, SERVER, b"client-a", 2 * i + 1, time=n * 1e-3 + 100 + 2000.0 * i)[:1]
    return frames


ALL: tuple[Callable[[int], Frames], ...] = (
    open_calls, hosts, notices, names, split, sharers, waiters, reclaims, backwards, jumps, fragments_of_many,
    fragments_of_one, reversed_stream, overlapping_garbage, shuffled_stream, marks_of_zero, marks_of_2_gb,
    endless_record,
    dump, connections, half_streams, rivals, rival_hosts, two_ends, unanswered, queue, restarts, servers, ports,
    lost_unlocks, crowd, everybody, leftovers, one_name, untold, watchers, resolvers, many_names, told,
    refused_callbacks, two_behind, no_locks, refused_reclaims, unregistered, misdirected, stale, copies, cancels,
    unlocks, dead, conflicts, lived_on, reset, moved, outlived, two_names,
)  # fmt: skip
COSTLY = (  # several calls for each
    rivals, rival_hosts, two_ends, unanswered, queue, restarts, servers, lost_unlocks, crowd, everybody, leftovers,
    untold, watchers, resolvers, many_names, told, refused_callbacks, two_behind, no_locks, refused_reclaims,
    unregistered, misdirected, stale, copies, cancels, unlocks, dead, conflicts, lived_on, reset, moved, outlived,
    two_names,
)  # fmt: skip


def lock(
    *, caller: bytes = b"client-a", svid: int = 1, start: int = 0, size: int = 10, exclusive: int = 1, block: int = 0, reclaim: int = 0,
    state: int = 0,
) -> bytes:  # fmt: skip
    """Arguments of an NLM4 LOCK."""
    head = opaque(b"c") + struct.pack(">II", block, exclusive)
    return head + _range(caller, svid, start, size) + struct.pack(">Ii", reclaim, state)


def unlock(start: int, size: int) -> bytes:
    """Arguments of an NLM4 UNLOCK."""
    return opaque(b"c") + _range(b"client-a", 1, start, size)


def _range(caller: bytes, svid: int, start: int, size: int) -> bytes:
    return opaque(caller) + opaque(b"F" * 28) + opaque(b"%d@client-a" % svid) + struct.pack(">IQQ", svid, start, size)


def call(xid: int, procedure: int, body: bytes) -> bytes:
    return rpc_call(xid, NLM, 4, procedure, body, machinename="client-a")


def asked(
    xid: int, body: bytes, procedure: int = LOCK, *, status: int = GRANTED, client: str = CLIENT, server: str = SERVER,
    time: float = 0.0,
) -> Frames:  # fmt: skip
    """A call with its answer."""
    answer = rpc_reply(xid, opaque(b"c") + struct.pack(">I", status))
    return [
        (time, datagram(client, server, 700, 4045, call(xid, procedure, body))),
        (time + 1e-5, datagram(server, client, 4045, 700, answer)),
    ]


def callback(
    xid: int, start: int, caller: bytes, cookie: bytes = b"c", *, status: int = GRANTED, time: float = 0.0
) -> Frames:
    """A GRANTED with its answer."""
    body = opaque(cookie) + struct.pack(">I", 1) + _range(caller, 1, start, 10)
    answer = rpc_reply(xid, opaque(b"c") + struct.pack(">I", status))
    return [
        (time, datagram(SERVER, CLIENT, 701, 4045, rpc_call(xid, NLM, 4, 5, body))),
        (time + 1e-5, datagram(CLIENT, SERVER, 4045, 701, answer)),
    ]


def notice(xid: int, sender: str, receiver: str, name: bytes, state: int = 9, *, time: float = 0.0) -> Frames:
    """An SM_NOTIFY with its answer."""
    said = rpc_call(xid, NSM, 1, 6, opaque(name) + struct.pack(">i", state))
    return [
        (time, datagram(sender, receiver, 700, 662, said)),
        (time + 1e-5, datagram(receiver, sender, 662, 700, rpc_reply(xid))),
    ]


def datagram(src: str, dst: str, sport: int, dport: int, message: bytes) -> bytes:
    ident = int.from_bytes(message[2:4], "big")
    return ethernet(ipv4(src, dst, UDP, udp(sport, dport, message), ident=ident))


def segment(at: int, data: bytes, time: float = 0.0, flags: str = "A") -> tuple[float, bytes]:
    return time, ethernet(ipv4(CLIENT, SERVER, TCP, tcp(700, 4045, data, seq=1000 + at, flags=flags)))


def stream(data: bytes) -> Frames:
    """A connection that begins, and carries this."""
    parts = [segment(at, data[at : at + 1400], at * 1e-6) for at in range(0, len(data), 1400)]
    return [segment(-1, b"", flags="S"), *parts]


def address(n: int) -> str:
    return f"10.{1 + (n >> 16)}.{n >> 8 & 255}.{n & 255}"
