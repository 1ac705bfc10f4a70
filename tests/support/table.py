"""Messages by hand, as the capture path would hand them on: for tests of pairing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from support import packets
from support.messages import body_of, status_number

from nlmdissect.capture.messages import Messages

CLIENT, CLIENT2, SERVER = 1, 2, 0
SECOND = 10**9


@dataclass(frozen=True)
class Row:
    """One message. Times in seconds; ``frame`` numbers the rows of all batches."""

    frame: int
    src: int
    dst: int
    data: bytes
    sport: int = 700
    dport: int = 4045
    tcp: bool = False
    time: float | None = None
    duplicate: bool = False
    missing: int = 0


def call(frame, words="NLM_LOCK fh=A oh=1", *, xid=1, src=CLIENT, dst=SERVER, **where):
    """A call in the words of a story."""
    verb, *rest = words.split()
    given = dict(word.split("=", 1) for word in rest if "=" in word)
    program, version, procedure, args = body_of(verb, [w for w in rest if "=" not in w], given, f"host{src}", 7, None)
    data = packets.rpc_call(xid, program, version, procedure, args, machinename=f"host{src}")
    return Row(frame, src, dst, data, **where)


def answer(frame, status="NLM4_GRANTED", *, xid=1, src=SERVER, dst=CLIENT, cookie=bytes(4), **where):
    """A nlm4_res with the ports of the call that it answers turned round."""
    body = packets.opaque(cookie) + status_number(status).to_bytes(4, "big")
    ports = {"sport": where.pop("sport", 4045), "dport": where.pop("dport", 700)}
    return Row(frame, src, dst, packets.rpc_reply(xid, body), **ports, **where)


def error(frame, accept, *, xid=1, src=SERVER, dst=CLIENT, body=b""):
    return Row(frame, src, dst, packets.rpc_reply(xid, body, accept=accept), sport=4045, dport=700)


def messages(*rows: Row) -> Messages:
    """One batch."""
    ends = np.cumsum([len(row.data) for row in rows]).astype(np.int64)
    at = ends - np.array([len(row.data) for row in rows], np.int64)
    column = {
        name: np.array([getattr(row, name) for row in rows]) for name in Row.__dataclass_fields__ if name != "data"
    }
    times = [row.frame if row.time is None else row.time for row in rows]
    return Messages(
        arena=b"".join(row.data for row in rows),
        at=at,
        end=ends,
        length=ends - at + column["missing"].astype(np.int64),
        time=np.array([round(t * SECOND) for t in times], np.int64),
        capture=np.zeros(len(rows), np.int32),
        frame=column["frame"].astype(np.int64),
        src=column["src"].astype(np.int32),
        dst=column["dst"].astype(np.int32),
        sport=column["sport"].astype(np.int32),
        dport=column["dport"].astype(np.int32),
        tcp=column["tcp"].astype(np.bool_),
        stream=np.zeros(len(rows), np.int32),
        duplicate=column["duplicate"].astype(np.bool_),
    )
