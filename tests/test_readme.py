"""The README shows what the program does today, and its commands are those that are run."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from support import fleet, packets
from support.audits import audited
from support.incidents import LOST, RECOVERED, UNTOLD, write
from support.readme import README, ROOT, audit, fill, output, rules

WHAT = ("nlmdissect analyze", "jupyter lab notebooks/", "pytest")  # what its commands for a fresh checkout do


def test_table_of_findings_is_the_list_of_rules() -> None:
    text = README.read_text()
    assert fill(text, "rules", rules()) == text


def test_output_is_real() -> None:
    text = README.read_text()
    assert fill(text, "output", output()) == text


def test_ci_runs_the_test_command_of_the_readme() -> None:
    commands = [line for line in README.read_text().splitlines() if line.startswith("python3 -m venv .venv && ")]
    assert [next(word for word in WHAT if word in command) for command in commands] == list(WHAT)
    assert r"sed -n 's/^\(python3 -m venv \.venv && .*pytest.*\)$/\1/p' README.md" in (ROOT / ".ci" / "run").read_text()


def test_matrix_is_real() -> None:
    text = README.read_text()
    assert fill(text, "audit", audit()) == text


def test_queries_of_the_dataset_give_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two nights: in the second one another server is wrong too, a file is empty, and one ends before anything is sure."""
    captures = tmp_path / "captures"
    captures.mkdir()
    (captures / "a.pcap").write_bytes(packets.pcap(fleet.frames(LOST, 1)))
    audited(captures, tmp_path / "nlmdissect-audit", "2026-01-01")
    (captures / "b.pcap").write_bytes(packets.pcap(fleet.frames(LOST, 2)))
    (captures / "c.pcap").write_bytes(packets.pcap(fleet.frames(RECOVERED, 3)))
    write(captures / "early.pcap", "\n".join(UNTOLD.splitlines()[:9]))
    (captures / "empty.pcap").touch()
    audited(captures, tmp_path / "nlmdissect-audit", "2026-01-02")
    monkeypatch.chdir(tmp_path)
    views, worst, nights, unseen = re.findall(r"```sql\n(.*?)```", README.read_text(), re.S)
    database = duckdb.connect()
    database.execute(views)
    assert database.execute(worst).fetchall() == [
        ("10.0.0.1", "server", 2, 1),  # as far as it was recorded
        ("10.100.1.1", "server", 2, 1),
        ("10.100.2.1", "server", 2, 1),
    ]
    found = [(*row[:3], row[3], str(row[4])[:10]) for row in database.execute(nights).fetchall()]
    assert found == [
        ("NLM001", "10.100.1.1", "10.100.1.21", 2, "2026-01-01"),
        ("NLM001", "10.100.2.1", "10.100.2.21", 1, "2026-01-02"),
    ]
    said = database.execute(unseen).fetchall()
    assert [(Path(path).name, why.split(":")[0]) for path, why in said if "empty" not in path] == [("early.pcap", "NSM001")]
    assert [why for path, why in said if "empty" in path] == [f"{captures}/empty.pcap: is empty"]
