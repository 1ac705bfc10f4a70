"""Anonymised captures: nothing of the old names is left, and an analysis sees the same."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest
from support.captures import SHARED, block, epb, idb, option, shb
from support.damage import damages, load, save
from support.renamed import anonymised, left, view

from nlmdissect.capture import files
from nlmdissect.evidence.anonymise.anonymiser import Anonymiser
from nlmdissect.evidence.anonymise.pseudonyms import Pseudonyms
from nlmdissect.history.history import read_history

OWN = sorted((Path(__file__).parents[2] / "captures").glob("*.pcap*"))
KEY = b"a key of a test, as good as another 3"
END = bytes(4)
CHECKSUMS = ("ip", "tcp", "udp", "icmp", "icmpv6")


def recordings() -> list[tuple[Path, ...]]:
    """Our own ones, and those that are shared: each file, and those that belong together."""
    mine = {path.name for path in OWN}
    found = [(path,) for path in OWN]
    found += [(path,) for path in sorted(SHARED.glob("*.pcap*")) if path.name not in mine]
    for path in sorted(SHARED.glob("*.expect.json")):
        together = json.loads(path.read_text())["capture"]
        if isinstance(together, list) and len(together) > 1:
            found.append(tuple(SHARED / name for name in together))
    return found


def check(paths: list[Path], folder: Path) -> None:
    old = read_history(paths)
    new = anonymised(paths, folder / "new", KEY)
    before, after = view(old, Pseudonyms(KEY)), view(read_history(new))
    for what, seen in before.items():
        assert after[what] == seen, what
    assert not left(old, paths, new)


@pytest.mark.parametrize("paths", recordings(), ids=lambda paths: paths[0].name if len(paths) == 1 else f"{paths[0].name}+")
def test_an_analysis_sees_the_same_and_no_name_is_left(paths: tuple[Path, ...], tmp_path: Path) -> None:
    check(list(paths), tmp_path)


@pytest.mark.parametrize("path", [p for p in OWN if p.name[:3] in ("P01", "S08", "S16")], ids=lambda path: path.name)
def test_of_damaged_recordings_too(path: Path, tmp_path: Path) -> None:
    recording = load(path)
    assert recording is not None
    for number, (_, frames) in enumerate(list(damages(recording))[::23]):
        folder = tmp_path / str(number)
        folder.mkdir()
        save(frames, folder / "damaged.pcap")
        check([folder / "damaged.pcap"], folder)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared recordings")
@pytest.mark.parametrize(
    "name",
    ["S13-loopback.lo.nfs-server.boot1", "S16-ipv6", "T08-lockd-icmp-prohibited-tcp", "T10-healthy-g-qinq"],
)
def test_tshark_sees_whole_streams_and_right_checksums(name: str, tmp_path: Path) -> None:
    old = SHARED / f"{name}.pcap"
    (new,) = anonymised([old], tmp_path / "new", KEY)
    if name.startswith("S13"):  # names that are addresses got another length
        assert {r.frame: r.wire for r in records(old)} != {r.frame: r.wire for r in records(new)}
    options = [word for layer in ("ip", "tcp", "udp") for word in ("-o", f"{layer}.check_checksum:TRUE")]
    bad = " || ".join(f"{layer}.checksum.status == 0" for layer in CHECKSUMS)
    assert tshark(new, *options, "-Y", bad) == []
    odd = "_ws.malformed || tcp.analysis.lost_segment || tcp.analysis.ack_lost_segment || tcp.analysis.retransmission"
    shown = ("-Y", odd, "-T", "fields", "-e", "frame.number")
    assert tshark(new, *shown) == tshark(old, *shown)


def test_one_key_gives_one_result_and_another_another(tmp_path: Path) -> None:
    path = [p for p in OWN if p.name.startswith("S08")]
    one, same = (anonymised(path, tmp_path / name, KEY)[0].read_bytes() for name in ("one", "same"))
    other = anonymised(path, tmp_path / "other", KEY + b"!")[0].read_bytes()
    assert one == same != other


def test_a_file_says_nothing_beside_its_packets(tmp_path: Path) -> None:
    """Names, comments, secrets and what nobody knows go; what tells how to read times and losses stays."""
    unit, named = option(9, b"\x09") + option(14, bytes(8)), option(2, b"eth7-secret") + option(4, b"\x0a\x4d\0\x0a" * 2)
    drops = option(4, (3).to_bytes(8, "little"))
    old = b"".join([
        block(0x0A0D0D0A, shb()[8:24] + option(4, b"secret program") + END),
        idb(options=named + unit + END), block(4, option(1, b"\x0a\x4d\0\x0asecret\0") + END), block(10, b"secret" + bytes(2)),
        block(0x0BAD, b"\1\2\3\4secret"), block(0x77, b"secret"),
        epb(b"secret frame", 5, options=option(1, b"secret comment") + drops + END), block(3, b"\6\0\0\0secret"),
        block(5, bytes(12) + option(1, b"secret") + option(5, (9).to_bytes(8, "little")) + END), block(9, b"secret journal"),
    ])  # fmt: skip
    (tmp_path / "old").write_bytes(old)
    (new,) = anonymised([tmp_path / "old"], tmp_path / "new", KEY)
    assert b"secr" not in new.read_bytes()
    assert b"\x0a\x4d\0\x0a" not in new.read_bytes()
    assert [(r.frame, r.time, r.captured) for r in records(new)] == [(r.frame, r.time, r.captured) for r in kept(records(tmp_path / "old"))]
    assert [r.packet for r in records(new) if r.at] == [bytes(12), bytes(6)]
    recording = files.open_recording([new])
    list(recording.blocks())
    assert recording.sources[0].dropped == 9


def kept(blocks: list[files.whole.Record]) -> list[files.whole.Record]:
    return [r for r in blocks if r.frame or r.kind in (0x0A0D0D0A, 1, 5)]


def test_no_bytes_stop_it() -> None:
    names, chance = Pseudonyms(KEY), random.Random(7)
    for path in [p for p in OWN if p.name[:3] in ("S08", "S16", "T01")]:
        whole = list(records(path))
        for _ in range(8):
            broken = []
            for record in whole:
                if record.at and chance.random() < 0.2:
                    data = bytearray(record.block)
                    for _ in range(3):
                        data[chance.randrange(record.at, record.at + record.captured)] = chance.choice([0, 255, 7])
                    record = record._replace(block=bytes(data), captured=chance.randrange(record.captured + 1))
                broken += [record] * chance.choice([0, 1, 1, 1, 1, 1, 2])
            new = list(Anonymiser(names).run(broken))
            assert [r.frame for r in new if r.frame] == [r.frame for r in broken if r.frame]


def records(path: Path) -> list[files.whole.Record]:
    return list(files.records(files.open_recording([path]).sources[0]))


def tshark(path: Path, *arguments: str) -> list[str]:
    done = subprocess.run(["tshark", "-r", str(path), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()
