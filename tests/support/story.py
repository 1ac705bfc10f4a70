"""Stories: an incident report as text, written as a real capture, read back by the whole program.

    1        client1 > server   NLM_LOCK fh=A oh=1 range=0-99
    2        server  > client1  NLM4_GRANTED
    3  +30s  server  > client1  SM_NOTIFY mon_name=server state=5
    lost     client1 > server   NLM_UNLOCK fh=A oh=1

Each line is one frame with its number, or ``lost``: sent, but not in the capture. A line comes one second after the one
before it, ``+30s`` after it, or ``@120`` seconds after the beginning. Lines like ``host filer 10.0.0.9 10.1.0.9
name=filer.example.com mac=02:00:00:00:00:01`` come first; client1, client2, ..., server and server2 need none.
``server/2 > client1`` sends from the second address. A host that speaks of another NSM state has begun a new life,
with new xids, unless the line says ``alive``.

Calls      NLM_LOCK fh= oh= svid= range=0-99|0-EOF shared block reclaim state= cookie= caller= v1|v3|v4; NLM_TEST,
           NLM_CANCEL, NLM_UNLOCK, NLM_GRANTED, NLM_SHARE, NLM_UNSHARE, NM_LOCK, NLM_FREE_ALL, and the _MSG forms;
           SM_NOTIFY mon_name= state=; GETPORT statd|lockd nlm=; MNT; NFS v2|v3|v4, WRITE, COMMIT (over TCP, but ``udp``).
           On lo: SM_MON mon_name= my_name=, SM_UNMON, NLM_SM_NOTIFY mon_name= state= (statd's callback),
           SET statd|lockd.
           Any of them: xid= port= sport= tcp krb5p
           POLL n: frame n with a new xid. AGAIN n: frame n with its xid (``tcp``: over TCP). COPY n: the very frame n.
Answers    NLM4_GRANTED and the other statuses, STAT_SUCC, STAT_FAIL, OK (nothing in it), port 4045, SYSTEM_ERR,
           PROG_UNAVAIL, ...: to the latest call of the other side that has none, or ``to=n``.
           OK verf=a [stable], OK error=5: of a WRITE or COMMIT.
           NLM_GRANTED_RES NLM4_GRANTED: answers a _MSG.
           short=4: the last 4 bytes are missing.
TCP        SYN, SYNACK, FIN, RST, DATA; then nlm, nfs or ssh. A SYN begins a connection; ``tcp`` calls use the latest.
Others     ARP (client1 > server: who has server?), ARP reply, ICMP host|port|prohibited client1 (what cannot be reached)
           port=: of the datagram that is quoted
           DNS name=filer.example.com address=10.0.0.1,10.0.0.2 [alias=a.example.com]: an answer, to whom it was given;
           without address= there is no such name; DNS pointer=10.0.0.1 name=filer
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from support import packets
from support.messages import (
    CALLS,
    LOCAL,
    NSM,
    PORTMAP,
    PORTS,
    PRIVACY,
    RPC_ERRORS,
    STATD,
    STATUSES,
    Sent,
    answer,
    body_of,
    dns_of,
)

LINE = re.compile(r"(\d+|lost)\s+(?:([+@][\d.]+)s?\s+)?(\S+)\s+>\s+(\S+)\s+(\S+)\s*(.*)")


class StoryError(ValueError):
    """A line that cannot be told."""


@dataclass(slots=True)
class Host:
    addresses: list[str]
    name: str
    number: int
    mac: str
    calls: int = 0
    state: int = 0
    lives: int = 0


@dataclass(slots=True)
class Connection:
    """One TCP connection; ``next`` is the next sequence number of each (address, port)."""

    ends: tuple[tuple[str, int], tuple[str, int]]
    next: dict[tuple[str, int], int]

    def segment(self, address: str, flags: str, payload: bytes = b"") -> bytes:
        """The next segment from one end; the other end has seen all before it."""
        source, target = self.ends if self.ends[0][0] == address else self.ends[::-1]
        seq, ack = self.next[source], 0 if flags == "S" else self.next[target]
        self.next[source] += len(payload) + ("S" in flags or "F" in flags)
        return packets.tcp(source[1], target[1], payload, seq=seq, ack=ack, flags=flags)


@dataclass(slots=True)
class _Line:
    source: Host
    target: Host
    ends: tuple[str, str]  # addresses
    verb: str
    words: list[str]
    given: dict[str, str]


@dataclass(slots=True)
class Story:
    """What is told so far. ``frames`` are (seconds, data); ``sent`` are the calls, oldest first."""

    hosts: dict[str, Host] = field(default_factory=dict)
    frames: list[tuple[float, bytes]] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    connections: dict[tuple[str, str, str], Connection] = field(default_factory=dict)
    xids: dict[tuple[str, ...], int] = field(default_factory=dict)
    clock: float = -1.0
    marks: int = 0

    def tell(self, text: str) -> None:
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.strip().startswith("#"):
                continue
            try:
                self._line(line.strip())
            except (AttributeError, KeyError, ValueError, IndexError) as error:
                raise StoryError(f"line {number}: {line.strip()!r}: {error!r}") from error

    def host(self, name: str) -> Host:
        if name not in self.hosts:
            kind, number = re.fullmatch(r"(client|server)(\d*)", name).groups()  # type: ignore[union-attr]
            last = int(number or 1) + (20 if kind == "client" else 0)
            self.hosts[name] = Host([f"10.0.0.{last}"], name, last, f"02:00:00:00:00:{last:02x}")
        return self.hosts[name]

    def _line(self, line: str) -> None:
        if line.startswith("host "):
            _, name, *words = line.split()
            given = _given(words)
            number = 100 + len(self.hosts)
            addresses = [w for w in words if "=" not in w]
            mac = given.get("mac", f"02:00:00:00:00:{number:02x}")
            self.hosts[name] = Host(addresses, given.get("name", name), number, mac)
            return
        match = LINE.fullmatch(line)
        if match is None:
            raise ValueError("not: NUMBER [+SECONDS] HOST > HOST WORDS")
        number, when, source, target, verb, rest = match.groups()
        lost = number == "lost"
        if not lost and int(number) != len(self.frames) + 1:
            raise ValueError(f"this is frame {len(self.frames) + 1}")
        self.clock = float(when[1:]) + (self.clock if when[0] == "+" else 0) if when else self.clock + 1
        (a, source_at), (b, target_at) = self._end(source), self._end(target)
        words = rest.split()
        one = _Line(a, b, (source_at, target_at), verb, [w for w in words if "=" not in w], _given(words))
        self.marks += 1
        frame = self._frame(one, 0 if lost else int(number))
        if not lost:
            self.frames.append((self.clock, frame))

    def _end(self, word: str) -> tuple[Host, str]:
        name, _, which = word.partition("/")
        host = self.host(name)
        return host, host.addresses[int(which or 1) - 1]

    def _frame(self, line: _Line, number: int) -> bytes:
        match line.verb:
            case "COPY":
                return self.frames[int(line.words[0]) - 1][1]
            case "ARP":
                return packets.ethernet(packets.arp(2 if "reply" in line.words else 1, *line.ends), kind=0x806)
            case "ICMP":
                code = {"host": 1, "port": 3, "prohibited": 13}[line.words[0]]
                quoted = packets.udp(700, int(line.given.get("port", 4045)), bytes(8))
                about = packets.ip(line.ends[1], self.host(line.words[1]).addresses[0], packets.UDP, quoted)
                return self._packet(line.ends, packets.ICMP, packets.unreachable(about, code))
            case "DNS":
                return self._packet(line.ends, packets.UDP, packets.udp(53, 40053, dns_of(line.given)))
            case "SYN" | "SYNACK" | "FIN" | "RST" | "DATA":
                return self._segment(line)
            case "AGAIN" | "POLL":
                return self._again(line, number)
            case verb if verb in CALLS:
                return self._call(line, number)
            case _:
                return self._answer(line)

    def _call(self, line: _Line, number: int) -> bytes:
        source, given = line.source, line.given
        source.calls += 1
        if line.verb in ("NLM_GRANTED", "NLM_GRANTED_MSG"):  # the owner in it is the waiter
            given.setdefault("owner", line.target.name)
        if line.verb in ("NLM_LOCK", "NLM_LOCK_MSG") and "reclaim" not in line.words:
            given.setdefault("state", str(source.state or 3))
        asked = self._open(line, "result") if line.verb.endswith("_RES") else None
        count = source.number * 256 + source.calls
        program, version, procedure, args = body_of(line.verb, line.words, given, source.name, count, asked)
        xid = self._xid(line, CALLS[line.verb][0])
        auth = (
            {}
            if program in (PORTMAP, NSM) or line.verb in LOCAL
            else {"machinename": given.get("machine", source.name)}
        )
        if "krb5p" in line.words:
            auth, args = {"cred": PRIVACY}, packets.opaque(bytes(b ^ 0xA5 for b in args))  # type: ignore[dict-item]
        message = packets.rpc_call(xid, program, version, procedure, args, **auth)  # type: ignore[arg-type]
        service = CALLS[line.verb][0]
        tcp = "tcp" in line.words or (service == "nfs" and "udp" not in line.words)
        dport = int(given.get("port", PORTS[service]))
        sport = int(given.get("sport", 700 + source.number)) if service != "portmap" else 40000 + source.number
        sent = Sent(number, line.ends, (sport, dport), tcp, service, xid, message, line.verb, version, line.given)
        self.sent.append(sent)
        return self._send(sent)

    def _xid(self, line: _Line, service: str) -> int:
        """As a Linux kernel numbers its calls: one by one, in the byte order of its processor; anew in every life.

        A new life shows by another NSM state, unless the line says ``alive``.
        """
        state = int(line.given.get("state", 0))
        if state and line.source.state != state:
            if (line.source.state or line.verb == "SM_NOTIFY") and "alive" not in line.words:
                line.source.lives += 1
            line.source.state = state
        flow = (*line.ends, service, str(line.source.lives))
        self.xids[flow] = self.xids.get(flow, (line.source.number << 16) + line.source.lives * 0x1030_5070) + 1
        return int(line.given.get("xid", int.from_bytes((self.xids[flow] % 2**32).to_bytes(4, "little"), "big")))

    def _send(self, sent: Sent) -> bytes:
        if not sent.tcp:
            return self._packet(sent.ends, packets.UDP, packets.udp(*sent.ports, sent.message))
        connection = self._connection(sent.ends, sent.service, sent.ports)
        sent.ports = (connection.ends[0][1], connection.ends[1][1])
        segment = connection.segment(sent.ends[0], "PA", packets.record_mark(sent.message))
        return self._packet(sent.ends, packets.TCP, segment)

    def _again(self, line: _Line, number: int) -> bytes:
        old = next(s for s in self.sent if s.number == int(line.words[0]))
        message, xid = old.message, old.xid
        if line.verb == "POLL":
            xid = self._xid(line, old.service)
            message = xid.to_bytes(4, "big") + message[4:]
        sport = int(line.given.get("sport", old.ports[0]))
        ports = (sport, int(line.given.get("port", old.ports[1])))
        tcp = "tcp" in line.words or (old.tcp and "udp" not in line.words)
        sent = Sent(number, line.ends, ports, tcp, old.service, xid, message, old.verb, old.version, old.given)
        self.sent.append(sent)
        return self._send(sent)

    def _answer(self, line: _Line) -> bytes:
        if line.verb not in STATUSES | STATD | RPC_ERRORS.keys() | {"OK", "port"}:
            raise ValueError(f"{line.verb}: no such call or answer")
        asked = self._open(line, "reply" if line.verb in STATUSES | {"port"} else "empty")
        message = answer(asked, line.verb, line.words, line.given)
        message = message[: len(message) - int(line.given.get("short", 0))]
        if not asked.tcp:
            return self._packet(line.ends, packets.UDP, packets.udp(*asked.ports[::-1], message))
        connection = self._connection(asked.ends, asked.service, asked.ports)
        return self._packet(
            line.ends, packets.TCP, connection.segment(line.ends[0], "PA", packets.record_mark(message))
        )

    def _open(self, line: _Line, kind: str) -> Sent:
        """The call that is answered. Only a _MSG has a result, and it and the result have but empty replies."""
        to = line.given.get("to")
        for sent in reversed(self.sent):
            fits = kind == "empty" or sent.asynchronous == (kind == "result")
            if sent.ends != line.ends[::-1] or not fits or (kind == "reply" and sent.verb.endswith("_RES")):
                continue
            done = "result" if kind == "result" else "reply"
            if sent.number == int(to) if to else done not in sent.answers:
                sent.answers.add(done)
                return sent
        raise ValueError("there is no call to answer")

    def _segment(self, line: _Line) -> bytes:
        service = line.words[0]
        flags = {"SYN": "S", "SYNACK": "SA", "FIN": "FA", "RST": "RA", "DATA": "PA"}[line.verb]
        if line.verb == "SYN":
            self.connections.pop((*sorted(line.ends), service), None)  # type: ignore[arg-type]
        sport = int(line.given.get("sport", 700 + line.source.number))
        connection = self._connection(line.ends, service, (sport, PORTS[service]))
        data = b"." * 20 if line.verb == "DATA" else b""
        return self._packet(line.ends, packets.TCP, connection.segment(line.ends[0], flags, data))

    def _connection(self, ends: tuple[str, str], service: str, ports: tuple[int, int]) -> Connection:
        key = (*sorted(ends), service)
        if key not in self.connections:
            both = ((ends[0], ports[0]), (ends[1], ports[1]))
            first = {end: 1000 * (self.marks * 7919 + i) for i, end in enumerate(both)}
            self.connections[key] = Connection(both, first)  # type: ignore[index]
        return self.connections[key]  # type: ignore[index]

    def _packet(self, ends: tuple[str, str], protocol: int, payload: bytes) -> bytes:
        source, target = (next(h.mac for h in self.hosts.values() if end in h.addresses) for end in ends)
        return packets.ethernet(packets.ip(*ends, protocol, payload, ident=self.marks), src=source, dst=target)


def _given(words: list[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in words if "=" in word)


def capture_of(text: str, snaplen: int = 65535) -> tuple[bytes, dict[str, Host]]:
    """A story as a pcap file, and who is in it."""
    story = Story()
    story.tell(text)
    return packets.pcap(story.frames, snaplen=snaplen), story.hosts
