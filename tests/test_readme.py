"""The README shows what the program does today, and its commands are those that are run."""

from __future__ import annotations

from support.readme import README, ROOT, fill, output, rules


def test_table_of_findings_is_the_list_of_rules() -> None:
    text = README.read_text()
    assert fill(text, "rules", rules()) == text


def test_output_is_real() -> None:
    text = README.read_text()
    assert fill(text, "output", output()) == text


def test_ci_runs_the_test_command_of_the_readme() -> None:
    commands = [line for line in README.read_text().splitlines() if line.startswith("python3 -m venv .venv && ")]
    assert [("nlmdissect analyze" in c, "pytest" in c) for c in commands] == [(True, False), (False, True)]
    assert r"sed -n 's/^\(python3 -m venv \.venv && .*pytest.*\)$/\1/p' README.md" in (ROOT / ".ci" / "run").read_text()
