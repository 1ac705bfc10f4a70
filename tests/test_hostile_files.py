"""Names out of the zoo, in packets and as names of files, in what an audit and a slice write. None of them acts."""

from __future__ import annotations

import csv
import io
import json
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from fuzz.results import assert_printable, assert_tame
from support import zoo
from support.audits import audited
from test_hostile_text import assert_json, recording

from nlmdissect.audit import parquet
from nlmdissect.audit.api import Audit
from nlmdissect.audit.data import render_csv, render_json
from nlmdissect.audit.html import render as render_html
from nlmdissect.audit.junit import render as render_junit
from nlmdissect.audit.text import render as render_text
from nlmdissect.cli import app
from nlmdissect.findings import Severity

FORMULA = tuple("=+-@\t\r")
"""What a spreadsheet begins to calculate at."""

SECTION, PACKET, COMMENT = 0x0A0D0D0A, 6, 1


def of_file(name: bytes) -> bytes:
    """The name as that of a file, as far as a file system has such names, and no hidden one."""
    return name.replace(b"/", b"_").replace(b"\0", b"_").replace(b"..", b"_")[:80] + b".pcap"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("zoo")
    for name in zoo.NAMES:
        path = os.path.join(os.fsencode(where), of_file(name))
        with open(path, "wb") as file:
            file.write(recording(name))
    (where / "Zq\x1b[31m\r\nbroken.pcap").write_bytes(b"Zq no capture")
    return where


@pytest.fixture(scope="module")
def audit(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return audited(folder, tmp_path_factory.mktemp("dataset"))


def assert_no_formula(written: str) -> None:
    assert "'=cmd|" in written
    for row in csv.reader(io.StringIO(written, newline="")):
        for cell in row:
            assert not cell.startswith(FORMULA), row
            assert_printable(cell)


def assert_xml(written: str) -> None:
    root = ET.fromstring(written.encode())
    assert {e.tag for e in root.iter()} <= {"testsuites", "testsuite", "testcase", "failure", "error", "skipped", "system-out"}
    for element in root.iter():
        for text in (*element.attrib.values(), element.text or ""):
            assert_printable(text.strip())


AUDIT_WRITERS: dict[str, tuple[Callable[[Audit], str], Callable[[str], None]]] = {
    "screen": (lambda a: render_text(a.summary, a.trend(a), 100), assert_printable),
    "narrow screen": (lambda a: render_text(a.summary, None, 40), assert_printable),
    "json": (lambda a: render_json(a.summary, a.trend(a), "0"), assert_json),
    "csv": (lambda a: render_csv(a.summary), assert_no_formula),
    "html": (lambda a: render_html(a.summary, a.trend(a), "0"), assert_tame),
    "junit": (lambda a: render_junit(a.summary, Severity.INFO, True), assert_xml),
    "notebook": (lambda a: a._repr_html_(), assert_tame),
    "repr": (repr, assert_printable),
    "folders": (lambda a: "\n".join(a.run.recordings()), lambda text: None),
}


@pytest.mark.parametrize("writer", AUDIT_WRITERS)
def test_an_audit(audit: Audit, writer: str) -> None:
    write, check = AUDIT_WRITERS[writer]
    written = write(audit)
    check(written)
    assert "Zq" in written or writer == "repr"


def test_folders_of_the_dataset_have_tame_names(audit: Audit) -> None:
    """They are paths, and values of a column for Spark and DuckDB, which would undo escapes in them."""
    names = list(audit.run.recordings())
    assert len(names) == len(zoo.NAMES) + 1
    for name in names:
        assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"), name
        assert name[0].isalnum()
    for name in names:
        for table in ("captures", "findings", "hosts"):
            parquet.frame(table, [("r", name, audit.run.file(name, table))])


def test_plots_of_an_audit(audit: Audit) -> None:
    from test_hostile_text import assert_plotly, words

    figures = [audit.plot_matrix(), audit.plot_servers()]
    assert_plotly(json.dumps([words(json.loads(figure.to_json())) for figure in figures]))


def comments(data: bytes) -> Iterator[str]:
    """The comments of a pcapng file in little-endian order, by its specification."""
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        body = data[at + 8 : at + length - 4]
        if kind in (SECTION, PACKET):
            captured = struct.unpack_from("<I", body, 12)[0] if kind == PACKET else 0
            here = 20 + (captured + 3 & ~3) if kind == PACKET else 16
            while here + 4 <= len(body):
                code, size = struct.unpack_from("<HH", body, here)
                if code == COMMENT:
                    yield body[here + 4 : here + 4 + size].decode()
                here += 4 + (size + 3 & ~3)
        at += length


@pytest.mark.parametrize("name", [*zoo.NAMES, b"Zqplain"], ids=lambda name: repr(name[:24]))
def test_a_slice(name: bytes, tmp_path: Path) -> None:
    """Its comments, its name in a folder, and what is said on the way."""
    old = os.path.join(os.fsencode(tmp_path), of_file(name))
    with open(old, "wb") as file:
        file.write(recording(name))
    (tmp_path / "new").mkdir()
    new = tmp_path / "new" / "x.pcapng"
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        app(["slice", os.fsdecode(old), "--annotate", "-o", str(new)], standalone_mode=False)
        app(["slice", os.fsdecode(old), "--whole", "-o", f"{tmp_path}/new/"], standalone_mode=False)
    assert_printable(out.getvalue())
    assert_printable(err.getvalue())
    said = list(comments(new.read_bytes()))
    assert any("NLM" in text for text in said)
    for text in said:
        assert_printable(text)
    if name == b"Zqplain":
        assert any("Zqplain" in text for text in said)
    assert len(list((tmp_path / "new").iterdir())) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"new", os.path.basename(os.fsdecode(old))}


def test_messages_of_a_slice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nlmdissect.cli import main

    arguments: list[list[Any]] = [
        ["slice", str(tmp_path / "Zq\x1b[31m.pcap"), "-o", str(tmp_path / "x")],
        ["slice", str(tmp_path), "-o", str(tmp_path / "no\x1b]0;x\x07folder" / "x.pcapng")],
    ]
    with pytest.MonkeyPatch.context() as patch:
        for given in arguments:
            patch.setattr("sys.argv", ["nlmdissect", *given])
            with pytest.raises(SystemExit):
                main()
            said = capsys.readouterr().err
            assert "Traceback" not in said
            assert_printable(said)
