"""Frame by frame against tshark: number, time, lengths."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from support.captures import SHARED, block, epb, idb, option, pcap, shb

from nlmdissect.capture.files import open_recording
from nlmdissect.errors import CaptureError

TSHARK = shutil.which("tshark")
EDITCAP = shutil.which("editcap")
pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")

RECORDED = sorted(path for path in SHARED.rglob("*") if ".pcap" in path.suffixes or ".pcapng" in path.suffixes)
# Agreed differences. tshark opens these, and they are refused here for their link type (SLIP).
REFUSED = {"the-tcpdump-group+tcpdump__tests_heapoverflow-sl_if_print.pcap"}

Row = tuple[str, str, str, str]


def ours(path: Path) -> list[Row]:
    rows = []
    for b in open_recording([path]).blocks():
        for i, time in enumerate(b.time):
            seconds, rest = divmod(time, 10**9)
            rows.append((str(b.first_frame + i), f"{seconds}.{rest:09d}", str(b.captured[i]), str(b.wire[i])))
    return rows


def theirs(path: Path) -> list[Row] | None:
    """None when tshark cannot read the file to its end."""
    assert TSHARK
    fields = [part for name in ("number", "time_epoch", "cap_len", "len") for part in ("-e", f"frame.{name}")]
    # Nothing above the frame is wanted, and dissecting hostile packets takes long.
    command = [TSHARK, "-n", "-r", str(path), "-T", "fields", *fields, "--disable-protocol", "ip"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    rows = []
    for line in done.stdout.splitlines():
        number, time, captured, wire = line.split("\t")
        rows.append((number, time, captured, wire))
    return rows


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_recorded_files(path: Path) -> None:
    expected = theirs(path)
    try:
        found = ours(path)
    except CaptureError:
        assert expected is None or path.name in REFUSED
        return
    if expected is None and path.suffix == ".xz":
        pytest.skip("this tshark does not unpack xz")
    if expected is None:
        assert any(source.truncated for source in _sources(path))
    else:
        assert found == expected


def _sources(path: Path):  # type: ignore[no-untyped-def]
    recording = open_recording([path])
    for _ in recording.blocks():
        pass
    return recording.sources


# 2**-20 s: tshark's own unit arithmetic, on stamps that both can say exactly
BINARY = option(9, bytes([0x80 | 20])) + struct.pack("<HH", 0, 0)
NANO = option(9, b"\x09") + option(14, struct.pack("<q", 1000)) + struct.pack("<HH", 0, 0)
MADE = {
    "fcs": pcap([(1, 2, bytes(60))], link=0x24000001),
    "kuznetsov": pcap(magic=0xA1B2CD34) + (struct.pack("<IIIIIHBB", 1, 2, 60, 60, 7, 8, 0, 0) + bytes(60)) * 4,
    "old": pcap(version=(2, 2)) + struct.pack("<IIII", 1, 0, 90, 60) + bytes(60),
    "late": pcap([(4_294_967_295, 999_999, bytes(60))], order=">"),
    "units": shb() + idb(options=BINARY) + idb(options=NANO) + epb(bytes(60), 3 << 18) + epb(bytes(60), 7, interface=1),
    "sections": shb() + idb() + epb(bytes(60), 5) + shb(">") + idb(">", link=113) + epb(bytes(61), 6, ">", wire=99),
    "unknown blocks": shb()
    + block(0x7777, bytes(5))
    + idb()
    + epb(bytes(60), 5)
    + block(4, bytes(4))
    + epb(bytes(60), 6),
}


@pytest.mark.parametrize("name", MADE)
def test_made_files(name: str, tmp_path: Path) -> None:
    path = tmp_path / "made"
    path.write_bytes(MADE[name])
    assert ours(path) == theirs(path)


@pytest.mark.parametrize("kind", [9, 0xBAD, 0x40000BAD])
def test_records_that_are_no_packets_take_a_number(kind: int, tmp_path: Path) -> None:
    """A systemd journal entry or a custom block takes a number, so the packets behind it keep Wireshark's."""
    path = tmp_path / "made.pcapng"
    body = b"__REALTIME_TIMESTAMP=1\n" if kind == 9 else struct.pack("<I", 32473) + bytes(8)
    path.write_bytes(shb() + idb() + epb(bytes(60), 5) + block(kind, body) + epb(bytes(60), 6))
    expected = theirs(path)
    assert expected is not None
    assert [row[0] for row in ours(path)] == [row[0] for row in expected]
    assert ours(path)[-1] == expected[-1]


@pytest.mark.skipif(EDITCAP is None, reason="editcap is not installed")
@pytest.mark.parametrize("form", ["pcap", "nsecpcap", "pcapng", "modpcap"])
def test_converted_files(form: str, tmp_path: Path) -> None:
    source = SHARED / "S01-baseline-udp.pcap"
    if not source.exists():
        pytest.skip("the recorded files are not here")
    path = tmp_path / "converted"
    assert EDITCAP
    subprocess.run([EDITCAP, "-F", form, "-s", "100", source, path], check=True, capture_output=True)
    assert ours(path) == theirs(path)
