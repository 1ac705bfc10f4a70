"""Slices: the frames of findings, untouched, with which the findings come out the same; what Wireshark shows of them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from support.captures import SHARED, block, epb, idb, option, shb
from support.damage import load, save

from nlmdissect.analysis import Analysis, analyse, fingerprint
from nlmdissect.capture import files
from nlmdissect.cli import app
from nlmdissect.errors import UsageError
from nlmdissect.evidence import slice as slices
from nlmdissect.evidence.comments import commented
from nlmdissect.evidence.cut import cut
from nlmdissect.history.history import read_history

CAPTURES = Path(__file__).parents[2] / "captures"
COMMAND = [sys.executable, "-m", "nlmdissect", "slice"]
LATE = CAPTURES / "S08-reclaim-after-grace.pcap"
MANY = tuple(f"T14-loopback-upcall-dropped{part}.pcap" for part in
             ("", ".lo.app01.boot1", ".lo.db7.boot1", ".lo.filer1.boot1", ".lo.filer1.boot2", ".lo.render-03.boot1"))  # fmt: skip
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared recordings")
END = bytes(4)


def sliced(*arguments: object, output: Path | str) -> str:
    """Make a slice; what was said of it."""
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()) as printed:
        app(["slice", *map(str, arguments), "--output", str(output)], standalone_mode=False)
    assert printed.getvalue() == ""
    return said.getvalue()


def gist(analysis: Analysis) -> list[tuple[object, ...]]:
    return sorted((f.code, fingerprint(analysis.history, f), f.severity, f.confidence) for f in analysis.findings)


def tshark(path: Path, *arguments: str) -> list[str]:
    done = subprocess.run(["tshark", "-r", str(path), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def frames(path: Path) -> dict[int, bytes]:
    return {r.frame: r.packet for r in files.records(files.open_recording([path]).sources[0]) if r.frame}


def comments(path: Path) -> dict[int, list[str]]:
    """Those of every frame, as tshark tells them."""
    shown = tshark(path, "-T", "json", "-j", "frame", "-e", "frame.number", "-e", "frame.comment")
    fields = [packet["_source"]["layers"] for packet in json.loads("\n".join(shown))]
    return {int(of["frame.number"][0]): of.get("frame.comment", []) for of in fields}


def recordings() -> list[tuple[Path, ...]]:
    mine = sorted(CAPTURES.glob("*.pcap*"))
    shared = [path for path in sorted(SHARED.glob("*.pcap*")) if path.name not in {p.name for p in mine}]
    return [*((path,) for path in (*mine, *shared)), *([tuple(SHARED / name for name in MANY)] if SHARED.is_dir() else [])]


@pytest.mark.parametrize("paths", recordings(), ids=lambda paths: paths[0].name if len(paths) == 1 else f"{paths[0].name}+")
def test_a_slice_leads_to_the_same_findings(paths: tuple[Path, ...], tmp_path: Path) -> None:
    analysis = analyse(read_history(paths))
    if not analysis.findings:
        return
    found = slices.of_findings(analysis, {})
    new = []
    for capture in range(len(paths)):
        path = tmp_path / f"{capture}.pcapng"
        path.write_bytes(b"".join(record.block for record in found.records(capture)))
        new.append(path)
    assert gist(analyse(read_history(new))) == gist(analysis)
    for f in analysis.findings:
        for evidence in f.evidence:
            assert found.rings is not None
            assert found.rings[evidence.at.capture][evidence.at.frame - 1] <= found.ring


def test_frames_are_untouched_and_know_their_old_numbers(tmp_path: Path) -> None:
    said = sliced(LATE, output=tmp_path / "x.pcapng")
    old, new, told = frames(LATE), frames(tmp_path / "x.pcapng"), comments(tmp_path / "x.pcapng")
    assert said == f"{len(new)} of 299 frames, which lead to the same findings (2)\n"
    assert len(new) < 100
    for number, packet in new.items():
        (comment,) = told[number]
        assert old[int(comment.removeprefix("nlmdissect: frame "))] == packet
    assert tshark(tmp_path / "x.pcapng", "-Y", "tcp.analysis.lost_segment || tcp.analysis.ack_lost_segment") == []


def test_findings_are_comments(tmp_path: Path) -> None:
    sliced(LATE, "--annotate", output=tmp_path / "x.pcapng")
    told = comments(tmp_path / "x.pcapng")
    (refused,) = [of for of in told.values() if of[0] == "nlmdissect: frame 279"]
    title, _, what = refused[1].partition("\\n" if "\\n" in refused[1] else "\n")
    assert title.startswith("NLM003 late-reclaim (error, confirmed): client-a (10.77.0.21) lost its write lock 0-99")
    assert what == "reclaim answered DENIED_GRACE_PERIOD"
    evidence = {of[0].split()[-1] for of in told.values() if any("NLM003" in text for text in of[1:])}
    assert evidence == {"279", "277", "188", "223", "227", "228"}
    info = subprocess.run(["capinfos", "-k", tmp_path / "x.pcapng"], capture_output=True, text=True, check=True).stdout
    assert "of 299 frames" in info
    for code in ("1. NLM003", "2. NLM004"):
        assert code in info


def test_a_whole_capture_with_comments_is_the_same_capture(tmp_path: Path) -> None:
    assert sliced(LATE, "--whole", "--annotate", output=tmp_path / "x.pcapng") == "all 299 frames\n"
    assert frames(tmp_path / "x.pcapng") == frames(LATE)
    columns = ("-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "_ws.col.Info")
    assert tshark(tmp_path / "x.pcapng", *columns) == tshark(LATE, *columns)
    told = comments(tmp_path / "x.pcapng")
    assert sorted(number for number, of in told.items() if of) == [188, 223, 227, 228, 277, 279, 293, 295]
    assert all(text.startswith("NLM00") for of in told.values() for text in of)


def test_everything_else_of_a_pcapng_stays(tmp_path: Path) -> None:
    """Interfaces, units, drops, other options, names, secrets and unknown blocks; only comments come in front."""
    recording = load(LATE)
    assert recording is not None
    resolution = option(2, b"eth7") + option(9, b"\x09") + option(14, struct.pack("<q", 5)) + END
    section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, 9999) + option(3, b"Linux") + END
    names, secrets = option(1, b"\x0a\x4d\0\x0aserver\0") + END, struct.pack("<II", 0x544C534B, 4) + b"abc\n"
    before = [block(0x0A0D0D0A, section), idb(options=resolution), block(4, names), block(10, secrets)]
    before.append(block(0x0BAD, struct.pack("<I", 32473)))
    extra = option(1, b"seen by a person") + option(4, struct.pack("<Q", 3)) + option(2988, b"pen!") + END
    packets = [epb(f.data, f.time - 5 * 10**9, wire=f.wire, options=extra) for f in recording.frames]
    after = [block(5, struct.pack("<III", 0, 1, 2) + option(5, struct.pack("<Q", 900)) + END), block(0x77, b"unknown")]
    (tmp_path / "old.pcapng").write_bytes(b"".join([*before, *packets, *after]))
    sliced(tmp_path / "old.pcapng", "--whole", "--annotate", output=tmp_path / "new.pcapng")
    old, new = (list(files.records(files.open_recording([tmp_path / name]).sources[0])) for name in ("old.pcapng", "new.pcapng"))
    assert [r[:2] + r[3:7] for r in old] == [r[:2] + r[3:7] for r in new]
    changed = [number for number, (a, b) in enumerate(zip(old, new, strict=True)) if a.block != b.block]
    evidence = {188, 223, 227, 228, 277, 279, 293, 295}
    assert {new[number].frame for number in changed} == {0, *(frame + 1 for frame in evidence)}  # a custom block has a number
    for number in changed[1:]:
        assert new[number].block[:-4].endswith(extra)
    assert (b"Linux" in new[0].block, new[0].block[16:24]) == (True, b"\xff" * 8)
    assert comments(tmp_path / "new.pcapng")[2][-1:] == ["seen by a person"]
    source = files.open_recording([tmp_path / "new.pcapng"])
    list(source.blocks())
    assert source.sources[0].dropped == 900


def test_drops_that_left_frames_told_are_told_again(tmp_path: Path) -> None:
    drop = option(4, struct.pack(">Q", 2), ">") + END
    data = shb(">") + idb(">") + epb(b"a", 1, ">", options=drop) + epb(b"b", 2, ">", options=drop) + epb(b"c", 3, ">")
    path = tmp_path / "x"
    path.write_bytes(data)
    source = files.open_recording([path]).sources[0]
    path.write_bytes(b"".join(r.block for r in cut(list(files.records(source)), b"\1\0\1")))
    recording = files.open_recording([path])
    blocks = list(recording.blocks())
    assert ([int(b.time[0]) for b in blocks], recording.sources[0].dropped) == ([2000], 4)


def test_a_packet_without_room_for_comments_keeps_its_block(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(shb() + idb() + block(3, struct.pack("<I", 3) + b"abc"))
    simple = list(files.records(files.open_recording([path]).sources[0]))[-1]
    assert commented(simple, ["text"]) == simple.block


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("options", [b"", option(4, bytes(8)), option(4, bytes(8)) + END])
def test_comments_stand_before_other_options(order: str, options: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    if order == ">":
        options = b"" if not options else option(4, bytes(8), ">") + options[12:]
    path.write_bytes(shb(order) + idb(order) + epb(b"abc", 1, order, options=options))
    blocks = list(files.records(files.open_recording([path]).sources[0]))
    path.write_bytes(b"".join([*(r.block for r in blocks[:2]), commented(blocks[2], ["one", "two\nlines", "dr\u00f6\u00df"])]))
    assert comments(path) == {1: ["one", "two\nlines", "dr\u00f6\u00df"]}
    assert frames(path) == {1: b"abc"}


FORMATS = {"T10-healthy-g-bigendian.pcap": "frame.len", "T10-healthy-g-nsec.pcap": "frame.len",
           "T10-healthy-g.pcap.gz": "frame.len", "T10-healthy-g-two-interfaces.pcapng": "frame.interface_id"}  # fmt: skip


@needs_shared
@pytest.mark.parametrize("name", FORMATS)
def test_times_and_interfaces_go_through(name: str, tmp_path: Path) -> None:
    sliced(SHARED / name, "--host", "192.168.48.31", output=tmp_path / "x.pcapng")
    columns = ("-T", "fields", "-e", "frame.number", "-e", "frame.time_epoch", "-e", FORMATS[name])
    rows = dict(line.split("\t", 1) for line in tshark(SHARED / name, *columns))
    old = [of[0].split()[-1] for of in comments(tmp_path / "x.pcapng").values()]
    assert [line.split("\t", 1)[1] for line in tshark(tmp_path / "x.pcapng", *columns)] == [rows[number] for number in old]


@needs_shared
def test_files_that_follow_each_other_become_one(tmp_path: Path) -> None:
    pieces = sorted(SHARED.glob("T10-healthy-g-ring-?.pcap"))
    sliced(*pieces, "--whole", output=tmp_path / "x.pcapng")
    whole = analyse(read_history([tmp_path / "x.pcapng"]))
    apart = analyse(read_history(pieces))
    assert len(frames(tmp_path / "x.pcapng")) == sum(source.frames for source in apart.history.sources)
    assert (whole.messages(), gist(whole)) == (apart.messages(), gist(apart))
    sliced(*pieces, "--host", "192.168.48.31", output=tmp_path / "y.pcapng")
    assert {of[0].split(" of ")[1] for of in comments(tmp_path / "y.pcapng").values()} == {p.name for p in pieces}


@needs_shared
def test_files_of_one_time_stay_apart(tmp_path: Path) -> None:
    paths = [SHARED / name for name in MANY]
    with pytest.raises(UsageError, match="Give --output a folder"):
        sliced(*paths, output=tmp_path / "x.pcapng")
    assert not list(tmp_path.iterdir())
    sliced(*paths, "--annotate", "--anonymize", output=f"{tmp_path / 'out'}{os.sep}")
    new = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in new] == [f"capture-{n}.pcapng" for n in range(1, 7)]
    before, after = analyse(read_history(paths)), analyse(read_history(new))
    assert [(f.code, f.confidence) for f in after.findings] == [(f.code, f.confidence) for f in before.findings]
    told = [text for path in new for of in comments(path).values() for text in of[1:]]
    assert any(text.startswith("NSM012 lost-upcall (error, confirmed)") for text in told)
    words = [b"app01", b"db7", b"filer1", b"render-03", b"corp.example", b"192.168.48.", b"T14"]
    assert not [word for word in words for path in new if word in path.read_bytes()]


def test_other_names_in_comments_too(tmp_path: Path) -> None:
    key = tmp_path / "key"
    sliced(LATE, "--annotate", "--anonymize", "--key", key, output=tmp_path / "x.pcapng")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    told = comments(tmp_path / "x.pcapng")
    (refused,) = [of for of in told.values() if of[0] == "nlmdissect: frame 279"]
    assert "lost its write lock 0-99 of svid 0" in refused[1]
    data = (tmp_path / "x.pcapng").read_bytes()
    assert not [word for word in (b"client-a", b"nfs-server", b"10.77.0.", b"S08", b"/data") if word in data]
    sliced(LATE, "--annotate", "--anonymize", "--key", key, output=tmp_path / "y.pcapng")
    assert (tmp_path / "y.pcapng").read_bytes() == data
    sliced(LATE, "--annotate", "--anonymize", output=tmp_path / "z.pcapng")
    assert (tmp_path / "z.pcapng").read_bytes() != data


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--where", "reclaim"], "nlm.reclaim == 1 && rpc.msgtyp == 0"),
        (["--host", "client-b"], "nlm && ip.addr == 10.77.0.22"),
        (["--fh", "4d00000011000000e7ed7420"], "nlm && rpc.msgtyp == 0 && ip.addr == 10.77.0.21"),
        (["--since", "11:30:03", "--until", "11:30:04"], 'frame.time_epoch >= 1795347003 && frame.time_epoch <= 1795347004'),
        (["--select", "NLM004"], "frame.number in {188, 223, 227, 228, 293, 295}"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_was_asked_for_is_there(options: list[str], expected: str, tmp_path: Path) -> None:
    """Everything that tshark finds by the same question, with its answers."""
    sliced(LATE, *options, output=tmp_path / "x.pcapng")
    kept = {int(of[0].split()[-1]) for of in comments(tmp_path / "x.pcapng").values()}
    asked = tshark(LATE, "-Y", expected, "-T", "fields", "-e", "frame.number", "-e", "rpc.repframe")
    wanted = {int(number) for line in asked for number in line.replace(",", "\t").split("\t") if number}
    assert wanted
    assert wanted <= kept
    assert len(kept) < 150


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-"], "Save it to a file first"),
        ([LATE, "--whole", "--host", "client-a"], "Leave out --where"),
        ([LATE, "--select", "NLM", "--fh", "4d"], "Give one of them"),
        ([LATE, "--key", "x"], "Give both, or none"),
        ([LATE, "--host", "nobody"], "It shows client-a"),
        ([LATE, "--fh", "4g"], "written in hex"),
        ([LATE, "--where", "svid == 12345"], "no call is like that"),
        ([LATE, "--since", "11:31", "--until", "11:30"], "Exchange"),
        ([CAPTURES / "S01-baseline-udp.pcap"], "Choose by traffic"),
        ([LATE, "--anonymize", "--key", os.devnull], "too few for a key"),
        ([LATE, "--anonymize", "--key", CAPTURES], "Give --key a file"),
        ([LATE, "/nowhere/x"], "Make it"),
        ([LATE, LATE], "another name"),
    ],
    ids=lambda value: str(value[-1]) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_said(arguments: list[object], words: str, tmp_path: Path) -> None:
    *arguments, output = arguments if "/nowhere/x" in arguments or arguments[1:] == [LATE] else (*arguments, tmp_path / "x")
    with pytest.raises(UsageError, match=words):
        sliced(*arguments, output=Path(str(output)))
    assert not list(tmp_path.iterdir())


def test_a_pipe_may_close(tmp_path: Path) -> None:
    command = [*COMMAND, str(LATE), "--whole", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"\n\r\r\n"
        process.stdout.close()
        assert process.stderr is not None
        assert (process.stderr.read(), process.wait()) == (b"", 0)


@pytest.mark.parametrize("name", ["x.pcap", "app01.pcap"])
def test_hostile_names_stay_text(name: str, tmp_path: Path) -> None:
    recording = load(LATE)
    assert recording is not None
    changed = [f._replace(data=f.data.replace(b"client-a", b"\x1b[31mRED")) for f in recording.frames]
    save(changed, tmp_path / name)
    sliced(tmp_path / name, "--annotate", output=tmp_path / "x.pcapng")
    told = [text for of in comments(tmp_path / "x.pcapng").values() for text in of]
    assert any("\\x1b[31mRED" in text for text in told)
    assert not [text for text in told if "\x1b" in text]

