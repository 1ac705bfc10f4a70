"""The rows that the hot loop hands to Python: ten numbers each, the first says which kind, the second which frame.

The frame is an index in the block. Positions are positions in the block's buffer.
"""

from __future__ import annotations

WIDTH = 10

MESSAGE, SEGMENT, SIGNAL, FRAGMENT, ICMP, ARP, MAC, ACTIVE, CALLS, CLOSED, DEFECT, VERIFIER, DNS, STRANGE = range(14)
"""
MESSAGE   flow, at, bytes captured, bytes on the wire, CALL or REPLY, IP id (-1: TCP), bits of conn_flags
SEGMENT   flow, seq, ack, TCP flags, payload at, bytes captured, bytes on the wire, fresh (see scan)
SIGNAL    flow, seq, ack, TCP flags, IP id
FRAGMENT  src, dst, payload at, bytes captured, bytes on the wire, offset * 2 + more, IP id, protocol * 2 + IPv6
ICMP      src, dst, header at, bytes captured, 1 for IPv6, IP id
ARP       header at, bytes captured
MAC       endpoint, MAC
ACTIVE    pair key, first (ns), last (ns), packets
CALLS     flow, program, version, count
CLOSED    flow, packets, bytes, first (ns), last (ns), first frame, last frame, replies
DEFECT    reason
VERIFIER  flow * 2 + loose, high word, low word, first (ns), last (ns), first frame, last frame, last error (ns)
DNS       src, dst, payload at, bytes
STRANGE   flow (a call that is not expected there: only damage, if anything, makes it worth a row)
"""

REASONS = (
    ("link", "frame_too_short"),
    ("ip", "header_cut"),
    ("ip", "bad_version"),
    ("ip", "bad_length"),
    ("ip", "udp_header_cut"),
    ("ip", "bad_udp_length"),
    ("tcp", "header_cut"),
    ("tcp", "bad_header_length"),
    ("ip", "too_many_endpoints"),
    ("tcp", "too_many_connections"),
    ("rpc", "header_cut"),
)
(
    FRAME_TOO_SHORT, IP_HEADER_CUT, IP_BAD_VERSION, IP_BAD_LENGTH, UDP_HEADER_CUT, UDP_BAD_LENGTH, TCP_HEADER_CUT,
    TCP_BAD_HEADER, TOO_MANY_ENDPOINTS, TOO_MANY_CONNECTIONS, RPC_HEADER_CUT,
) = range(len(REASONS))  # fmt: skip


def put(
    out: list[int], k: int, kind: int, frame: int, a: int, b: int, c: int, d: int, e: int, f: int, g: int, h: int
) -> int:
    """Write a row at ``out[k]``; where the next one goes."""
    out[k] = kind
    out[k + 1] = frame
    out[k + 2] = a
    out[k + 3] = b
    out[k + 4] = c
    out[k + 5] = d
    out[k + 6] = e
    out[k + 7] = f
    out[k + 8] = g
    out[k + 9] = h
    return k + WIDTH
