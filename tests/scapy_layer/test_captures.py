"""Real messages: what Scapy dissects and builds again has the bytes of the wire, and the session finds what our reader finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.packet import Packet, Raw
from scapy.sendrecv import sniff
from scapy.utils import rdpcap
from support.captures import OWN, SHARED, recordings

from nlmdissect.capture.files import open_recording
from nlmdissect.capture.messages import join
from nlmdissect.capture.reader import MessageReader
from nlmdissect.errors import CaptureError
from nlmdissect.protocols import MOUNT, NLM, NSM, PORTMAP, find
from nlmdissect.scapy_layer import PROCEDURES, RpcCall, RpcReply, RpcSession
from nlmdissect.scapy_layer.rpc import SUCCESS, in_clear
from nlmdissect.xdr.codec import XdrError, decode

KEPT = (PORTMAP, NLM, NSM, MOUNT)  # of NFS our reader leaves most out
MALFORMED = {0xBEA26512}  # the TEST_RES of Linux 6.1 (S12, frame 79)
FOLLOWED = [
    *(OWN / f"{name}.pcap" for name in ("P01-nfsv2-nlm1-udp", "S08-reclaim-after-grace", "S16-ipv6")),
    *(SHARED / f"{name}.pcap" for name in ("S12-share-freeall-scripted-client", "S13-loopback.lo.nfs-server.boot1", "T11-ganesha-baseline-tcp")),
]  # fmt: skip


def messages(path: Path) -> Iterator[tuple[int, bytes, RpcCall | None]]:
    """Frame and bytes of every message that is all there; of an answer its call, of a call itself."""
    m = join([batch.messages for batch in MessageReader(open_recording([path]))])
    calls: dict[tuple[int, ...], RpcCall] = {}
    for i in range(len(m)):
        data = bytes(m.body(i))
        here, there = (int(m.src[i]), int(m.sport[i])), (int(m.dst[i]), int(m.dport[i]))
        if m.length[i] == len(data):
            if not is_reply(data):
                calls[*here, *there, int.from_bytes(data[:4])] = RpcCall(data)
                yield int(m.frame[i]), data, calls[*here, *there, int.from_bytes(data[:4])]
            else:
                yield int(m.frame[i]), data, calls.get((*there, *here, int.from_bytes(data[:4])))


def is_reply(data: bytes) -> bool:
    return data[4:8] == b"\0\0\0\1"


def rebuilt(packet: Packet) -> bytes:
    """The bytes that its fields make, without those that Scapy remembers."""
    packet = packet.copy()
    layer = packet
    while layer:
        forget(layer)
        layer = layer.payload
    return bytes(packet)


def forget(packet: Packet) -> None:
    packet.raw_packet_cache = None
    for field in packet.fields.values():
        for inner in field if isinstance(field, list) else [field]:
            if isinstance(inner, Packet):
                forget(inner)


@pytest.mark.parametrize("path", recordings(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_built_again(path: Path) -> None:
    counts: Counter[str] = Counter()
    try:
        found = list(messages(path))
    except CaptureError:
        pytest.skip("no capture that we read")
    for frame, data, call in found:
        packet = RpcReply(data) if is_reply(data) else call
        if is_reply(data) and call is not None:
            packet.results_of(call)
        assert rebuilt(packet) == data, f"frame {frame}"
        counts["messages"] += 1
        known = call and find(call.prog, call.vers, call.proc)
        if known and in_clear(call) and packet.fields.get("accept_stat", SUCCESS) == SUCCESS and packet.payload:
            t, cls = (known.res, 1) if is_reply(data) else (known.args, 0)
            try:
                decode(t, bytes(packet.payload))
            except XdrError:
                counts["malformed"] += 1
            else:
                assert type(packet.payload) is PROCEDURES[call.prog, call.vers, call.proc][cls], f"frame {frame}"
                counts["bodies"] += 1
    print(dict(counts))


@pytest.mark.parametrize("path", FOLLOWED, ids=lambda path: path.name)
def test_session(path: Path) -> None:
    if not path.exists():
        pytest.skip("the recording is not here")
    read = [(data, call) for _, data, call in messages(path) if call and call.prog in KEPT]
    calls = {call.xid for _, call in read}
    for packets in (sniff(offline=str(path), session=RpcSession), RpcSession.follow(rdpcap(str(path)))):
        found = [message for packet in packets for kind in (RpcCall, RpcReply) if (message := packet.getlayer(kind))]
        ours = [message for message in found if message.xid in calls]
        assert Counter(map(bytes, ours)) == Counter(data for data, _ in read)
        opaque = [message for message in ours if isinstance(message.payload, Raw)]
        assert [message.summary() for message in opaque if message.xid not in MALFORMED] == []
