"""Write verifiers: read from well-formed answers alone, the same on both roads, and a row only where one changes."""

from __future__ import annotations

import lzma
import shutil
import struct
import subprocess
from itertools import groupby
from pathlib import Path

import pytest
from support.captures import SHARED
from support.messages import written
from support.packets import TCP, UDP, ethernet, ipv4, record_mark, rpc_call, rpc_reply, tcp, udp
from support.reading import Reading, read_files, read_frames

from nlmdissect.capture import verifiers

CLIENT, SERVER, NFS = "10.0.0.1", "10.0.0.2", 100003
GETATTR, WRITE, COMMIT = 1, 7, 21
TSHARK = shutil.which("tshark")

Turn = tuple[int, bytes]  # a procedure, and the results of its answer


def ok(verf: str = "a", write: bool = True, stable: bool = False) -> bytes:
    return written(write, 0, verf, stable)


def over_udp(turns: list[Turn], snaplen: int = 1 << 30) -> Reading:
    frames = []
    for xid, (procedure, results) in enumerate(turns, 1):
        call = udp(700, 2049, rpc_call(xid, NFS, 3, procedure, bytes(60), machinename="c"))
        frames.append((2.0 * xid, ethernet(ipv4(CLIENT, SERVER, UDP, call, ident=xid))))
        frames.append(
            (2.0 * xid + 1, ethernet(ipv4(SERVER, CLIENT, UDP, udp(2049, 700, rpc_reply(xid, results)), ident=xid)))
        )
    return read_frames(frames, snaplen=snaplen)


def over_tcp(turns: list[Turn], *, begin: bool = True, snaplen: int = 1 << 30) -> Reading:
    """Without its SYNs a connection takes the slow road for its first segments."""
    frames, here, there = [], 1, 1
    if begin:
        frames.append((0.0, ethernet(ipv4(CLIENT, SERVER, TCP, tcp(700, 2049, seq=0, flags="S")))))
        frames.append((0.1, ethernet(ipv4(SERVER, CLIENT, TCP, tcp(2049, 700, seq=0, ack=1, flags="SA")))))
    for xid, (procedure, results) in enumerate(turns, 1):
        call = record_mark(rpc_call(xid, NFS, 3, procedure, bytes(60), machinename="c"))
        reply = record_mark(rpc_reply(xid, results))
        frames.append((2.0 * xid, ethernet(ipv4(CLIENT, SERVER, TCP, tcp(700, 2049, call, seq=here, ack=there)))))
        here += len(call)
        frames.append((2.0 * xid + 1, ethernet(ipv4(SERVER, CLIENT, TCP, tcp(2049, 700, reply, seq=there, ack=here)))))
        there += len(reply)
    return read_frames(frames, snaplen=snaplen)


ROADS = pytest.mark.parametrize(
    ("road", "first"),
    [(over_udp, 2), (over_tcp, 4), (lambda turns: over_tcp(turns, begin=False), 2)],
    ids=["UDP", "TCP", "slow road"],
)


def told(reading: Reading) -> list[tuple[str, int, int]]:
    """Each verifier without its filling, and the frames of the first and last answer with it."""
    return [(v.value.decode().rstrip("."), v.first.frame, v.last.frame) for v in reading.traffic.verifiers]


@ROADS
def test_one_row_for_each_change(road, first):
    reading = road([(WRITE, ok("a"))] * 3 + [(COMMIT, ok("a", write=False)), (WRITE, ok("b"))] + [(WRITE, ok("c"))] * 2)
    at = [first + 2 * n for n in range(7)]
    assert told(reading) == [("a", at[0], at[3]), ("b", at[4], at[4]), ("c", at[5], at[6])]
    assert not reading.messages
    text = reading.traffic.endpoints.text
    assert {(text(v.server), text(v.client)) for v in reading.traffic.verifiers} == {(SERVER, CLIENT)}


@ROADS
def test_another_answer_is_no_verifier(road, first):
    """As long as that of a COMMIT, byte by byte the same: only the call tells."""
    reading = road([(GETATTR, ok("a", write=False)), (WRITE, ok("a", write=False)), (COMMIT, ok("a"))])
    assert told(reading) == []


@ROADS
@pytest.mark.parametrize(
    "wrong",
    [ok()[:-4], ok() + bytes(4), ok().replace(struct.pack(">II", 4, 0), struct.pack(">II", 4, 3)), ok()[:4] + ok()[8:],
     struct.pack(">I", 0), struct.pack(">II", 0, 2) + ok()[8:]],
    ids=["short", "long", "no such stability", "shifted", "nothing", "no boolean"],
)  # fmt: skip
def test_malformed(road, first, wrong):
    assert told(road([(WRITE, wrong), (WRITE, ok("b"))])) == [("b", first + 2, first + 2)]


@ROADS
def test_without_attributes(road, first):
    bare = struct.pack(">IIIII", 0, 0, 0, 4, 2) + b"bare...."
    assert told(road([(WRITE, bare)])) == [("bare", first, first)]


@ROADS
def test_stability_and_errors(road, first):
    reading = road([(WRITE, ok("a", stable=True)), (WRITE, written(True, 28, "", False)), (WRITE, ok("b"))])
    stable, loose = reading.traffic.verifiers
    assert (stable.loose, loose.loose) == (False, True)
    ((_, error), *_) = reading.traffic.failed_writes
    assert stable.last.time < error < loose.first.time


@ROADS
def test_a_server_that_changes_it_all_the_time(road, first):
    reading = road([(WRITE, ok(str(n))) for n in range(verifiers.MAX_CHANGES + 9)])
    assert len(reading.traffic.verifiers) == verifiers.MAX_CHANGES
    assert reading.defects == {"too_many_verifiers": 1}


def test_cut_answers_have_none():
    assert told(over_tcp([(WRITE, ok())], snaplen=200)) == []
    assert told(over_tcp([(WRITE, ok())], snaplen=260)) == [("a", 4, 4)]


def test_a_write_that_came_in_fragments():
    """Its answer is looked at before the fragments are joined."""
    call = udp(700, 2049, rpc_call(9, NFS, 3, WRITE, bytes(4000), machinename="c"))
    parts = [(0, True), (1480, True), (2960, False)]
    frames = [
        (n / 1000, ethernet(ipv4(CLIENT, SERVER, UDP, call[at : at + 1480], offset=at, more=more)))
        for n, (at, more) in enumerate(parts)
    ]
    answer = ethernet(ipv4(SERVER, CLIENT, UDP, udp(2049, 700, rpc_reply(9, ok()))))
    assert told(read_frames([*frames, (1.0, answer)])) == [("a", 4, 4)]


RECORDED = [
    "N01-nolock.pcap", "S04-notify-never-sent.pcap", "T13-failover-sm-notify-v.pcap",
    "public/OISF+suricata-verify__nfs3-01_input.pcap", "public/epam+nfstrace__eth-ipv4-udp-nfsv3-reply-first.pcap",
    "public/seladb+PcapPlusPlus__no-ip-frag-all.pcap", "public/zeek+zeek__nfs_write.pcap",
    "public/epam+nfstrace__2sessions-tcp-wsize32k-tcp-wsize512k.pcap.xz",
]  # fmt: skip


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
@pytest.mark.parametrize("name", RECORDED)
def test_tshark_reads_the_same(name: str, tmp_path: Path) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip("the recorded files are not here")
    if path.suffix == ".xz":
        plain = tmp_path / path.stem
        plain.write_bytes(lzma.decompress(path.read_bytes()))
        path = plain
    wanted = "nfs.verifier && rpc.msgtyp == 1 && (nfs.procedure_v3 == 7 || nfs.procedure_v3 == 21)"
    names = ("nfs.verifier", "frame.number", "tcp.stream", "udp.stream")
    command = [str(TSHARK), "-n", "-r", str(path), "-Y", wanted, "-T", "fields"]
    done = subprocess.run([*command, *(f"-e{name}" for name in names)], capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    expected = []
    for _, flow in groupby(sorted(rows, key=lambda row: (row[2:], int(row[1]))), key=lambda row: row[2:]):
        for value, of in groupby(flow, key=lambda row: row[0].partition(",")[0]):
            frames = [int(row[1]) for row in of]
            expected.append((value, frames[0], frames[-1]))
    found = [(v.value.hex(), v.first.frame, v.last.frame) for v in read_files(path).traffic.verifiers]
    assert expected
    assert found == sorted(expected, key=lambda row: row[1])
