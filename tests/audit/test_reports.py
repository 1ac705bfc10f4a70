"""What an audit says: matrix, formats, exit status, trend."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from support import fleet, packets
from support.audits import audited
from support.incidents import LOST, NO_LOCKS, RECOVERED, STOLEN, UNTOLD, WELL, write

from nlmdissect import rules
from nlmdissect.audit.api import Audit
from nlmdissect.audit.data import document, render_csv, render_json
from nlmdissect.audit.html import render as render_html
from nlmdissect.audit.junit import render as render_junit
from nlmdissect.audit.summary import Summary
from nlmdissect.audit.text import render
from nlmdissect.errors import UsageError
from nlmdissect.findings import Finding, Judged, Outcome, Severity
from nlmdissect.history.history import History
from nlmdissect.report.verdict import Word
from nlmdissect.rules import BY_CODE, RULES

HOSTILE = b"=<b>\x1b[2J&'\"--"
BOTH_HAVE_IT = """
    1        client2 > server   NLM_LOCK fh=C oh=2
    2        server  > client2  NLM4_GRANTED
    3        client1 > server   NLM_LOCK fh=A oh=1
    4        server  > client1  NLM4_GRANTED
    5        client2 > server   NLM_LOCK fh=A oh=2 range=50-149
    6        server  > client2  NLM4_GRANTED
"""
SCHEMA = xmlschema.XMLSchema(str(Path(__file__).with_name("junit.xsd")))


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder = tmp_path_factory.mktemp("captures")
    write(folder / "lost.pcap", LOST, client1=HOSTILE)
    write(folder / "well.pcap", WELL)
    write(folder / "=1+1.pcap", RECOVERED)
    (folder / "b").mkdir()
    write(folder / "b" / "stolen.pcap", STOLEN)
    (folder / "b" / "empty.pcap").touch()
    return audited(folder, tmp_path_factory.mktemp("dataset"))


def by_name(summary: Summary) -> dict[str, Any]:
    return {summary.called(one): one for one in summary.recordings}


def test_the_matrix_worst_first(audit: Audit) -> None:
    summary = audit.summary
    found = by_name(summary)
    assert {name for name, one in found.items() if one.word in (Word.WRONG, Word.SUSPECTED)} == {"lost.pcap", "b/stolen.pcap"}
    assert [summary.called(one) for one in summary.recordings[:2]] == ["lost.pcap", "b/stolen.pcap"]
    assert found["lost.pcap"].cells["NLM001"] is Outcome.FOUND
    assert found["b/stolen.pcap"].cells["NLM001"] is Outcome.SUSPECTED
    assert len(found["well.pcap"].cells) == len(RULES)
    assert found["b/empty.pcap"].cells == {}
    assert found["b/empty.pcap"].error.endswith("is empty")
    assert audit.matrix.loc[found["lost.pcap"].id, "NLM001"] == "found"


def test_on_the_screen(audit: Audit) -> None:
    lines = render(audit.summary, None, 100).splitlines()
    assert lines[0].startswith(" WRONG  locks were lost, or two may believe to have one, in 1 of 5; suspected in 1")
    assert "5 recordings of 5 files, 34 frames" in lines
    (row,) = [line for line in lines if line.startswith("lost.pcap")]
    assert row.split() == ["lost.pcap", "X", ".", "1", "0", "47", "0"]
    assert "b/empty.pcap: is empty" in lines
    assert "\x1b" not in "".join(lines)
    assert max(map(len, lines)) <= 100
    assert "NLM001" not in render(audit.summary, None, 100, quiet=True)


def test_json(audit: Audit) -> None:
    text = render_json(audit.summary, None, "1.2.3")
    assert text.isascii()
    assert "\x1b" not in text
    said = json.loads(text)
    assert said["schema"] == "nlmdissect.audit/1"
    assert said["totals"]["answers"] == {"wrong": 1, "suspected": 1, "warning": 0, "cannot_tell": 1, "healthy": 2}
    first = said["recordings"][0]
    assert first["outcomes"]["NLM001"] == "found"
    assert first["captures"][0]["first"] == "2023-11-14T22:13:20.000000Z"
    assert {f["code"] for f in said["findings"]} == {"NLM001", "NLM004"}
    assert [f["evidence"][0]["frame"] for f in said["findings"] if f["recording"] == first["recording"]] == [10]
    assert said["trend"] is None


def test_csv_is_no_formula(audit: Audit) -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(audit.summary))))
    assert [row["name"] for row in rows if row["NLM001"] == "found"] == ["lost.pcap"]
    assert "'=1+1.pcap" in {row["name"] for row in rows}
    assert set(rows[0]) >= set(BY_CODE)
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize("fail_on", [None, Severity.ERROR, Severity.INFO])
def test_junit_fits_its_schema(audit: Audit, fail_on: Severity | None) -> None:
    text = render_junit(audit.summary, fail_on)
    SCHEMA.validate(text)
    root = ET.fromstring(text)
    failed = [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None]
    assert failed == ([] if fail_on is None else ["NLM001 refused-reclaim"])
    assert root.get("failures") == str(len(failed))
    assert root.get("errors") == "1"  # the file that is empty
    assert root.get("tests") == str(4 * len(RULES) + 1)
    assert "\x1b" not in text


def test_what_was_not_assessed_is_skipped(tmp_path: Path) -> None:
    story = "\n".join(UNTOLD.splitlines()[:9])  # it ends before the grace period did
    write(tmp_path / "early.pcap", story)
    summary = audited(tmp_path, tmp_path / "set").summary
    cells = {code for one in summary.recordings for code, cell in one.cells.items() if cell is Outcome.NOT_ASSESSED}
    assert "NSM001" in cells
    text = render_junit(summary, Severity.ERROR, strict=True)
    SCHEMA.validate(text)
    assert {case.get("name", "").split()[0] for case in ET.fromstring(text).iter("testcase") if case.find("skipped") is not None} == cells


def test_strict_fails_for_what_is_suspected(audit: Audit) -> None:
    root = ET.fromstring(render_junit(audit.summary, Severity.ERROR, strict=True))
    assert root.get("failures") == "3"


def test_html_opens_a_finding_from_its_cell(audit: Audit) -> None:
    page = render_html(audit.summary, None, "1.2.3")
    links, ids = set(re.findall(r'href="#([^"]+)"', page)), re.findall(r'id="([^"]+)"', page)
    assert {link for link in links if not link.startswith("r-")} <= set(ids)
    assert len(set(ids)) == len(ids)
    assert len([link for link in links if link.startswith("f-")]) == 3
    assert "<b>\\x1b" not in page
    assert "&lt;b&gt;\\x1b[2J" in page


def test_the_exit_status(audit: Audit, tmp_path: Path) -> None:
    assert audit.summary.status(Severity.ERROR) == 1
    assert audit.summary.status(None) == 0
    (tmp_path / "a").mkdir()
    write(tmp_path / "a" / "s.pcap", STOLEN)
    suspected = audited(tmp_path / "a", tmp_path / "s1").summary
    assert suspected.status(Severity.ERROR) == 0
    assert suspected.status(Severity.ERROR, strict=True) == 1
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "x.pcap").touch()
    assert audited(tmp_path / "e", tmp_path / "s2").summary.status(Severity.ERROR) == 2


def test_a_rule_that_crashes_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(history: History) -> Iterator[Finding | Judged]:
        yield Judged()
        raise RuntimeError("boom \x1b[2J")

    monkeypatch.setattr(rules, "RULES", tuple(replace(r, check=crash) if r.code == "NLM002" else r for r in rules.RULES))
    write(tmp_path / "lost.pcap", LOST)
    summary = audited(tmp_path, tmp_path / "set").summary
    assert summary.recordings[0].cells["NLM001"] is Outcome.FOUND
    assert [row["code"] for row in summary.recordings[0].crashed] == ["NLM002"]
    assert summary.status(Severity.ERROR) == 3
    text = render(summary, None, 200)
    assert "rule NLM002 failed: RuntimeError: boom \\x1b[2J" in text
    assert document(summary, None, "1")["errors"][0]["code"] == "NLM002"
    root = ET.fromstring(render_junit(summary, Severity.ERROR))
    assert root.get("errors") == "1"


def test_recordings_of_the_same_server_are_named_and_not_merged(tmp_path: Path) -> None:
    write(tmp_path / "client.pcap", LOST)
    write(tmp_path / "server.pcap", LOST)
    other = packets.pcap(fleet.frames(LOST, 1))
    (tmp_path / "other.pcap").write_bytes(other)
    later = packets.pcap(fleet.frames(LOST, 1), start=packets.START + 10**6)
    (tmp_path / "later.pcap").write_bytes(later)
    summary = audited(tmp_path, tmp_path / "set").summary
    names = {one.id: summary.called(one) for one in summary.recordings}
    assert [(s.server, {names[one] for one in s.recordings}) for s in summary.shared] == [
        ("10.0.0.1", {"client.pcap", "server.pcap"})
    ]
    assert "10.0.0.1" in render(summary, None, 100).partition("Servers that several recordings")[2]


def test_trend_looks_at_what_happened_and_not_at_files(tmp_path: Path) -> None:
    """The same incident, captured again: other names, other frames, a later start."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    again = fleet.frames(BOTH_HAVE_IT, 1)
    (first / "a.pcap").write_bytes(packets.pcap(again))
    (second / "b.pcap").write_bytes(packets.pcap(again[2:], start=packets.START - 5))
    (first / "mended.pcap").write_bytes(packets.pcap(fleet.frames(LOST, 2)))
    (second / "mended.pcap").write_bytes(packets.pcap(fleet.frames(RECOVERED, 2)))
    (first / "away.pcap").write_bytes(packets.pcap(fleet.frames(LOST, 3)))
    (second / "fresh.pcap").write_bytes(packets.pcap(fleet.frames(LOST, 4)))
    before, now = audited(first, tmp_path / "one"), audited(second, tmp_path / "two")
    found = {(c.server, c.client): c for c in now.trend(before).changes}
    words = {pair: [w for w in ("new", "persisting", "gone", "unseen") if getattr(c, w)] for pair, c in found.items()}
    assert words == {
        ("10.100.1.1", "10.100.1.21"): ["persisting"],
        ("10.100.2.1", "10.100.2.21"): ["gone"],
        ("10.100.3.1", "10.100.3.21"): ["unseen"],
        ("10.100.4.1", "10.100.4.21"): ["new"],
    }
    said = document(now.summary, now.trend(before), "1")["trend"]
    assert (said["new"], said["persisting"], said["gone"], said["unseen"]) == (1, 1, 1, 1)
    assert "1 new, 1 persisting, 1 gone, 1 not looked at" in render(now.summary, now.trend(before), 100)
    assert "not looked at" in render_html(now.summary, now.trend(before), "1")


def test_what_is_not_selected_is_not_there(tmp_path: Path, audit: Audit) -> None:
    from nlmdissect.analysis import Asked

    summary = Summary(audit.run, Asked(select=("NSM",)))
    assert summary.status(Severity.ERROR) == 0
    assert all(set(one.cells) <= {code for code in BY_CODE if code.startswith("NSM")} for one in summary.recordings)
    with pytest.raises(UsageError):
        Summary(audit.run, Asked(select=("NLM999",)))


def test_an_audit_is_opened_again(audit: Audit, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nlmdissect", "audit", "--open", str(audit.run.folder.parent), "--format", "csv"]
    done = subprocess.run([*command, "--output", str(tmp_path / "x.csv")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert not done.stdout
    assert (tmp_path / "x.csv").read_text() == render_csv(audit.summary).replace("\r\n", "\n")


def test_a_report_does_not_overwrite_a_capture(tmp_path: Path) -> None:
    path = write(tmp_path / "well.pcap", WELL)
    before = path.read_bytes()
    command = [sys.executable, "-m", "nlmdissect", "audit", str(tmp_path), "--dataset", str(tmp_path / "set")]
    done = subprocess.run([*command, "--output", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "is a capture that is to be read" in done.stderr
    assert path.read_bytes() == before


def test_in_a_notebook(audit: Audit) -> None:
    assert "&lt;b&gt;" in audit._repr_html_()
    assert "5 recordings" in repr(audit)


def test_nothing_wrong(tmp_path: Path) -> None:
    write(tmp_path / "well.pcap", NO_LOCKS)
    summary = audited(tmp_path, tmp_path / "set").summary
    assert summary.status(Severity.INFO, strict=True) == 0
    assert render(summary, None).startswith(" HEALTHY  healthy 1 of 1")
    assert summary.recordings[0].word is Word.HEALTHY
