"""The README shows what the program does today, and its commands are those that are run."""

from __future__ import annotations

from support.readme import README, ROOT, fill, output, rules

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
