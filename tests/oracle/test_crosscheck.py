"""The comparison as users have it: a command, and a call in a program or a notebook."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from oracle.session import TSHARK
from support.captures import OWN

from nlmdissect.errors import CaptureError, UsageError
from nlmdissect.oracle import crosscheck, fields, ours, run, theirs, told
from nlmdissect.oracle.check import judged
from nlmdissect.oracle.compare import compare
from nlmdissect.protocols import NLM

LATE = OWN / "S08-reclaim-after-grace.pcap"
RECLAIM = 277  # the refused one, see README.md
pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")


def command(*arguments: str | Path, prelude: str = "", cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    code = f"{prelude}\nfrom nlmdissect.cli import main; main()"
    env = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env=env, check=False)


def test_the_command() -> None:
    done = command("crosscheck", LATE)
    assert (done.returncode, done.stderr) == (0, "")
    first, counted, *rest = done.stdout.splitlines()
    assert " agree" in first
    assert counted.startswith("compared 54 messages")
    assert any(line.split()[:4] == ["NLM", "svid", "nlm.lock.svid", "8"] for line in rest)


def test_the_commands_of_the_readme() -> None:
    lines = re.findall(r"^nlmdissect (crosscheck captures/.*?)(?:  .*)?$", (OWN.parent / "README.md").read_text(), re.M)
    assert len(lines) == 2
    for line in lines:
        done = command(*line.split(), cwd=OWN.parent)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout


def test_json_counts_every_comparison(tmp_path: Path) -> None:
    done = command("crosscheck", LATE, "-f", "json", "-o", tmp_path / "x.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = json.loads((tmp_path / "x.json").read_text())
    assert (found["schema"], found["clean"], found["complaint"]) == ("nlmdissect.crosscheck/1", True, None)
    assert sum(row["compared"] for row in found["fields"]) == found["counts"]["fields"]
    assert all(row["equal"] + row["agreed"] + row["surprises"] == row["compared"] for row in found["fields"])
    assert all(row["wireshark"] for row in found["fields"])
    assert (found["agreed"], found["surprises"], found["inconsistent"]) == ([], [], [])


def test_a_frame_side_by_side() -> None:
    done = command("crosscheck", LATE, "--frame", str(RECLAIM))
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["reclaim", "nlm.reclaim", "1", "="] in rows
    assert ["answered_in", "rpc.reqframe", "279", "="] in rows


def test_what_surprises() -> None:
    own = ours.read(LATE)
    others = [replace(m, fields=dict(m.fields)) for m in own.messages]
    wrong = next(m for m in others if m.frame == RECLAIM)
    wrong.fields |= {"svid": (7,), "caller_name": (b"\x1b[2Jx",)}
    lost = others.pop()
    checked = judged("x.pcap", "4.0.17", compare(own, others))
    assert [(d.frame, d.field, d.ours, d.theirs) for d in checked.surprises if d.frame == RECLAIM] == [
        (RECLAIM, "caller_name", b"client-a", b"\x1b[2Jx"),
        (RECLAIM, "svid", 0, 7),
    ]
    assert (lost.frame, "message") in {(d.frame, d.field) for d in checked.surprises}
    assert not checked.clean
    shown = told.text(checked) + told.text(checked, [RECLAIM])
    assert "differ in 3 places" in shown
    assert "\x1b" not in shown
    assert "svid: nlmdissect 0, tshark 7" in shown
    assert "NOT KNOWN" in shown
    found = told.document(checked, "1")
    assert {"program": "NLM", "field": "svid", "wireshark": ["nlm.lock.svid"], "compared": 8, "equal": 7, "agreed": 0, "surprises": 1} in found["fields"]
    assert {"frame": RECLAIM, "field": "svid", "ours": 0, "tshark": 7}.items() <= found["surprises"][1].items()
    json.loads(told.json_text(checked, "1"))


def test_what_is_known_has_its_reason(tmp_path: Path) -> None:
    own = ours.read(LATE)
    others = [replace(m, fields=dict(m.fields)) for m in own.messages]
    call = next(m for m in own.messages if m.frame == RECLAIM)
    call.fields["block"] = (2,)
    next(m for m in others if m.frame == RECLAIM).fields["block"] = (1,)
    checked = judged("x.pcap", "4.0.17", compare(own, others))
    assert checked.clean
    assert "1  block, exclusive, reclaim, holder.exclusive, result: a bool that is neither" in repr(checked)
    assert "known: a bool that is neither" in told.text(checked, [RECLAIM])


def test_the_users_own_preferences_do_not_matter(tmp_path: Path) -> None:
    profile = tmp_path / ".config" / "wireshark"
    profile.mkdir(parents=True)
    (profile / "preferences").write_text("rpc.max_tcp_pdu_size: 20\n")
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / ".config")}
    plain = subprocess.run([TSHARK or "", "-r", LATE, "-Y", "nlm"], capture_output=True, env={**os.environ, **home}, check=False)
    assert plain.stdout == b""
    done = command("crosscheck", LATE, **home)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_capture_that_ends_early(tmp_path: Path) -> None:
    short = tmp_path / "short.pcap"
    short.write_bytes(LATE.read_bytes()[:-20])
    checked = crosscheck(short)
    assert checked.clean
    assert "cut short" in checked.complaint
    assert "did not read the file to its end" in repr(checked)


def test_an_event_loop_that_runs() -> None:
    async def here() -> int:
        return crosscheck(LATE).result.counts["messages"]

    assert asyncio.run(here()) == crosscheck(LATE).result.counts["messages"] == 54


def test_a_notebook(tmp_path: Path) -> None:
    cell = nbformat.v4.new_code_cell(f"from nlmdissect.oracle import crosscheck\ncrosscheck({str(LATE)!r})")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert "agree\ncompared 54 messages" in notebook.cells[0].outputs[-1]["data"]["text/plain"]


NO_PYSHARK = "import sys; sys.modules['pyshark'] = None"


def test_what_is_missing(tmp_path: Path) -> None:
    done = command("crosscheck", LATE, prelude=NO_PYSHARK)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "nlmdissect: pyshark is not installed\n  Install it with: pip install 'nlmdissect[crosscheck]'\n"
    done = command("crosscheck", LATE, PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("nlmdissect: tshark is not installed\n  Debian, Ubuntu: apt install tshark")
    (tmp_path / "config.ini").write_text("[mine]\na = 1\n")
    done = command("crosscheck", LATE, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "config.ini" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["-"], ["missing.pcap"], [LATE, "--frame", "1"], [LATE, "--frame", "x"], [LATE, "--frame", "277", "-f", "json"], [__file__], []]
)
def test_what_a_caller_does_wrong(arguments: list[str | Path]) -> None:
    done = command("crosscheck", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_tshark_alone_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "packets", lambda path, take: "it is of a kind that is not known")
    with pytest.raises(CaptureError, match="not known"):
        crosscheck(LATE)


def test_nothing_is_loaded_that_is_not_used() -> None:
    code = "import sys, nlmdissect.cli, nlmdissect.oracle; print(sorted({'pyshark', 'lxml', 'scapy', 'rich'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_xz(tmp_path: Path) -> None:
    import lzma

    packed = tmp_path / "x.pcap.xz"
    with lzma.open(packed, "wb") as out, LATE.open("rb") as plain:
        shutil.copyfileobj(plain, out)
    assert crosscheck(packed).result.compared[NLM, "svid"] == 8
    packed.write_bytes(packed.read_bytes()[:-4000])
    checked = crosscheck(packed)
    assert checked.clean
    assert checked.result.counts["messages"] > 10


def test_progress_is_told() -> None:
    told_: list[tuple[int, int | None]] = []
    crosscheck(LATE, lambda done, total: told_.append((done, total)))
    assert told_[-1][1] == LATE.stat().st_size
    assert 0.9 * LATE.stat().st_size < told_[-1][0] <= LATE.stat().st_size


def test_standard_input_is_refused_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match="twice"):
        crosscheck("-")


def test_every_name_is_one_of_tsharks() -> None:
    """Those of releases that are not here stand in Wireshark's display filter reference: 1.0 or 2.2 to 4.4, and 4.6 for RPC."""
    said = subprocess.run([TSHARK or "", "-G", "fields"], capture_output=True, check=True).stdout.decode(errors="replace")
    known = {line.split("\t")[2] for line in said.splitlines()}
    assert {*fields.NUMBERS, *fields.TEXTS, *fields.LINKS} <= known
    assert set(run.PREFERENCES) == {"nlm.msg_res_matching"}


PDML = b"""<packet><proto name="geninfo" pos="0"><field name="num" show="7"/><field name="len" show="7"/>
<field name="caplen" show="7"/><field name="timestamp" show="0" value="0"/></proto><proto name="frame"/>
<proto name="ip"><field name="ip.src" show="10.0.0.1"/><field name="ip.dst" show="10.0.0.7"/></proto>
<proto name="udp"><field name="udp.srcport" show="700"/><field name="udp.dstport" show="4045"/><field name="udp.length" show="48"/></proto>
<proto name="rpc"><field name="rpc.xid" show="0x00000009" pos="0" size="4"/><field name="rpc.msgtyp" show="1" pos="4" size="4"/>
<field name="rpc.program" show="100021"/><field name="rpc.programversion" show="4"/><field name="rpc.procedure" show="1"/></proto>
<proto name="nlm"><field name="nlm.test_stat" show="" pos="20" size="40">
<field name="nlm.test_stat.stat" show="1" pos="20" size="4" value="00000001"/>
<field name="nlm.holder" show="" pos="24" size="36"><field name="nlm.exclusive" show="True" pos="24" size="4" value="00000001"/>
<field name="nlm.lock.svid" show="3" pos="28" size="4" value="00000003"/></field></field></proto></packet>"""


def test_how_newer_versions_write_a_bool() -> None:
    from pyshark.tshark.output_parser.tshark_xml import packet_from_xml_packet

    (message,) = theirs.messages(packet_from_xml_packet(PDML))
    assert message.fields == {"length": (40,), "stat": (1,), "holder.exclusive": (1,), "holder.svid": (3,)}
