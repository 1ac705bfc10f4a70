"""What of a body goes to which column, where that is not plain from its name. Bytes from the specifications."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from support import packets

from nlmdissect.history.history import read_history
from nlmdissect.rpc.calls import NONE, Calls, Texts

NLM, NSM, PORTMAP = 100021, 100024, 100000


def table(folder: Path, call: bytes, reply: bytes = b"", port: int = 111) -> tuple[Calls, Texts]:
    """The table of one call over UDP, and its answer."""
    frames = [packets.ethernet(packets.ip("10.0.0.1", "10.0.0.7", packets.UDP, packets.udp(700, port, call)))]
    if reply:
        frames.append(packets.ethernet(packets.ip("10.0.0.7", "10.0.0.1", packets.UDP, packets.udp(port, 700, reply))))
    path = folder / "one.pcap"
    path.write_bytes(packets.pcap((n * 0.01, frame) for n, frame in enumerate(frames)))
    history = read_history([path])
    return history.calls, history.texts


@pytest.mark.parametrize("version", [3, 4])
def test_the_address_in_a_look_up_is_no_answer(tmp_path: Path, version: int) -> None:
    """RFC 1833: r_addr of GETADDR is where the client reached rpcbind, not where the service is."""
    wanted = struct.pack(">II", NSM, 1) + b"".join(
        packets.opaque(text) for text in ("udp", "10.0.0.7.0.111", "client1")
    )
    call = packets.rpc_call(1, PORTMAP, version, 3, wanted)
    calls, _ = table(tmp_path, call)
    assert (calls.uaddr[0], calls.port[0]) == (NONE, NONE)
    calls, texts = table(tmp_path, call, packets.rpc_reply(1, packets.opaque("10.0.0.7.3.197")))
    assert (texts[calls.uaddr[0]], calls.port[0]) == (b"10.0.0.7.3.197", 965)


def test_the_answer_inside_an_answer(tmp_path: Path) -> None:
    """SM_STAT by way of portmap: the state that statd returns is no argument."""
    inner = struct.pack(">III", NSM, 1, 1) + packets.opaque(packets.opaque("client1"))
    result = struct.pack(">I", 662) + packets.opaque(struct.pack(">II", 0, 5))
    calls, texts = table(tmp_path, packets.rpc_call(1, PORTMAP, 2, 5, inner), packets.rpc_reply(1, result))
    assert texts[calls.mon_name[0]] == b"client1"
    assert (calls.status[0], calls.res_state[0], calls.state[0]) == (0, 5, NONE)


def test_a_status_of_minus_one_is_a_status(tmp_path: Path) -> None:
    arguments = packets.opaque(b"c") + struct.pack(">I", 1)
    arguments += (
        packets.opaque("client1") + packets.opaque(b"fh") + packets.opaque(b"oh") + struct.pack(">IQQ", 1, 0, 0)
    )
    reply = packets.rpc_reply(1, packets.opaque(b"c") + struct.pack(">i", -1))
    calls, _ = table(tmp_path, packets.rpc_call(1, NLM, 4, 1, arguments), reply, 4045)
    assert calls.status[0] == 2**32 - 1
