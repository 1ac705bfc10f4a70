"""Frames made by hand, layer by layer, from the specifications: nothing of the package under test is used here.

Checksums are left 0, as a capture on a sending host with offload has them.

    frame = ethernet(ip("10.0.0.1", "10.0.0.2", UDP, udp(700, 111, rpc_call(1, 100000, 2, 3, body))))
    Path("x.pcap").write_bytes(pcap([(0.0, frame)]))
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

ICMP, TCP, UDP, FRAGMENT, AH, ICMPV6, DSTOPTS = 1, 6, 17, 44, 51, 58, 60
FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32}
MAC_A, MAC_B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
START = 1_700_000_000
"""Second of the first frame, unless told otherwise."""


def mac(text: str) -> bytes:
    """A link-layer address."""
    return bytes.fromhex(text.replace(":", ""))


def ethertype(packet: bytes) -> int:
    """That of an IP packet, by its version."""
    return 0x86DD if packet[:1] and packet[0] >> 4 == 6 else 0x800


def ethernet(
    packet: bytes, *, src: str = MAC_A, dst: str = MAC_B, kind: int | None = None,
    vlans: Sequence[tuple[int, int]] = (), pad: int = 60,
) -> bytes:  # fmt: skip
    """An Ethernet frame, padded to 60 bytes. ``vlans`` are (tag protocol, VLAN id), outermost first."""
    head = mac(dst) + mac(src) + b"".join(struct.pack(">HH", tag, vlan) for tag, vlan in vlans)
    frame = head + struct.pack(">H", ethertype(packet) if kind is None else kind) + packet
    return frame + bytes(max(pad - len(frame), 0))


def sll(packet: bytes, *, src: str = MAC_A) -> bytes:
    """Linux cooked capture, version 1 (LINKTYPE 113)."""
    return struct.pack(">HHH6s2xH", 0, 1, 6, mac(src), ethertype(packet)) + packet


def sll2(packet: bytes, *, src: str = MAC_A) -> bytes:
    """Linux cooked capture, version 2 (LINKTYPE 276)."""
    return struct.pack(">HHIHBB6s2x", ethertype(packet), 0, 1, 1, 0, 6, mac(src)) + packet


def null(packet: bytes, family: int, order: str = "<") -> bytes:
    """BSD loopback (LINKTYPE 0, and 108 in network byte order)."""
    return struct.pack(order + "I", family) + packet


def ipv4(
    src: str, dst: str, protocol: int, payload: bytes, *, ident: int = 1, ttl: int = 64,
    offset: int = 0, more: bool = False, total: int | None = None, options: bytes = b"",
) -> bytes:  # fmt: skip
    """An IPv4 packet, or with ``offset`` (in bytes) or ``more`` a fragment of one."""
    size = 20 + len(options)
    length = size + len(payload) if total is None else total
    word = offset // 8 | (0x2000 if more else 0)
    head = struct.pack(">BBHHHBBH", 0x40 | size // 4, 0, length, ident, word, ttl, protocol, 0)
    return head + ip_address(src).packed + ip_address(dst).packed + options + payload


def ipv6(src: str, dst: str, protocol: int, payload: bytes, *, hops: int = 64, length: int | None = None) -> bytes:
    """An IPv6 packet. ``protocol`` is the first next header; extension headers are part of ``payload``."""
    head = struct.pack(">IHBB", 6 << 28, len(payload) if length is None else length, protocol, hops)
    return head + ip_address(src).packed + ip_address(dst).packed + payload


def ip(src: str, dst: str, protocol: int, payload: bytes, *, ident: int = 1) -> bytes:
    """IPv4 or IPv6, as the addresses say."""
    if ":" in src:
        return ipv6(src, dst, protocol, payload)
    return ipv4(src, dst, protocol, payload, ident=ident)


def extension(following: int, body: bytes = bytes(6)) -> bytes:
    """A hop-by-hop, routing or destination options header; ``body`` is 6 bytes, or 6 and a multiple of 8."""
    return bytes((following, (len(body) + 2) // 8 - 1)) + body


def fragment_header(following: int, offset: int, more: bool, ident: int) -> bytes:
    """The IPv6 fragment header."""
    return struct.pack(">BBHI", following, 0, offset | more, ident)


def udp(sport: int, dport: int, payload: bytes, *, length: int | None = None) -> bytes:
    """A UDP datagram."""
    return struct.pack(">HHHH", sport, dport, 8 + len(payload) if length is None else length, 0) + payload


def tcp(
    sport: int, dport: int, payload: bytes = b"", *, seq: int = 0, ack: int = 0, flags: str = "A", options: bytes = b""
) -> bytes:
    """A TCP segment; ``flags`` are letters of FSRPAU."""
    bits = sum(FLAGS[letter] for letter in flags)
    head = struct.pack(
        ">HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, (20 + len(options)) << 2, bits, 65535, 0, 0
    )
    return head + options + payload


def arp(op: int, sender: str, target: str, *, src: str = MAC_A) -> bytes:
    """An ARP packet: ``op`` 1 asks, 2 answers."""
    head = struct.pack(">HHBBH", 1, 0x800, 6, 4, op)
    return head + mac(src) + ip_address(sender).packed + bytes(6) + ip_address(target).packed


def unreachable(quoted: bytes, code: int = 3) -> bytes:
    """ICMP or ICMPv6 destination unreachable, quoting a packet. ICMP code 3: port; ICMPv6 code 4: port."""
    return struct.pack(">BBHI", 1 if quoted[0] >> 4 == 6 else 3, code, 0, 0) + quoted


def record_mark(message: bytes, *sizes: int) -> bytes:
    """A message as a record. ``sizes`` of all fragments but the last."""
    out, at = b"", 0
    for size in sizes:
        out += struct.pack(">I", size) + message[at : at + size]
        at += size
    return out + struct.pack(">I", 0x80000000 | len(message) - at) + message[at:]


def opaque(data: bytes | str) -> bytes:
    """Counted bytes, padded to a multiple of four (RFC 4506)."""
    data = data.encode() if isinstance(data, str) else data
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


def auth_sys(machinename: str, uid: int = 0, gid: int = 0, gids: Sequence[int] = (), stamp: int = 0) -> bytes:
    """A credential of AUTH_SYS (RFC 5531), with its flavor."""
    body = struct.pack(">I", stamp) + opaque(machinename) + struct.pack(f">III{len(gids)}I", uid, gid, len(gids), *gids)
    return struct.pack(">I", 1) + opaque(body)


def rpc_call(
    xid: int, prog: int, vers: int, proc: int, body: bytes = b"", *,
    machinename: str | None = None, cred: bytes | None = None, verf: bytes = bytes(8), rpcvers: int = 2,
) -> bytes:  # fmt: skip
    """An RPC call: AUTH_SYS with a machine name, AUTH_NONE without."""
    if cred is None:
        cred = bytes(8) if machinename is None else auth_sys(machinename)
    return struct.pack(">IIIIII", xid, 0, rpcvers, prog, vers, proc) + cred + verf + body


def rpc_reply(xid: int, body: bytes = b"", *, accept: int = 0, verf: bytes = bytes(8)) -> bytes:
    """An accepted RPC reply. ``accept`` 0: SUCCESS."""
    return struct.pack(">III", xid, 1, 0) + verf + struct.pack(">I", accept) + body


def rpc_denied(xid: int, *words: int) -> bytes:
    """A denied RPC reply: (0, low, high) for RPC_MISMATCH, (1, auth_stat) for AUTH_ERROR."""
    return struct.pack(f">III{len(words)}I", xid, 1, 1, *words)


def dns_name(name: str) -> bytes:
    """A domain name without compression (RFC 1035 section 3.1)."""
    labels = [label.encode() for label in name.split(".") if label]
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def dns_answer(
    ident: int, name: str, kind: int, records: Sequence[tuple[str, int, bytes]] = (), *, code: int = 0
) -> bytes:
    """A DNS answer to one question of class IN; ``records`` are (owner, type, data). Code 3: there is no such name."""
    head = struct.pack(">HHHHHH", ident, 0x8180 | code, 1, len(records), 0, 0)
    answers = (dns_name(o) + struct.pack(">HHIH", k, 1, 60, len(data)) + data for o, k, data in records)
    return head + dns_name(name) + struct.pack(">HH", kind, 1) + b"".join(answers)


def pcap(frames: Iterable[tuple[float, bytes]], *, link: int = 1, snaplen: int = 262144, start: int = START) -> bytes:
    """A pcap file of (seconds after ``start``, frame), with nanoseconds. Frames longer than ``snaplen`` are cut."""
    out = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, snaplen, link)]
    for seconds, frame in frames:
        time = start * 10**9 + round(seconds * 10**9)
        cut = frame[:snaplen]
        out.append(struct.pack("<IIII", time // 10**9, time % 10**9, len(cut), len(frame)) + cut)
    return b"".join(out)
