"""Rules, files and tests: the same list."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.captures import OWN

import nlmdissect.rules
from nlmdissect.errors import UsageError
from nlmdissect.findings import Finding, Outcome, Rule, RuleResult, Severity, rule
from nlmdissect.history.history import read_history
from nlmdissect.rules import BY_CODE, RULES, find_rule, run

RULE_FILES = sorted(path.stem for path in Path(nlmdissect.rules.__file__).parent.glob("[a-z]*[0-9]_*.py"))
TEST_FILES = {path.stem for path in Path(__file__).parent.glob("test_*.py")}


def file_of(one: Rule) -> str:
    return f"{one.code.lower()}_{one.name.replace('-', '_')}"


def test_every_file_is_a_rule_in_the_list():
    assert sorted(file_of(one) for one in RULES) == RULE_FILES
    assert len(BY_CODE) == len(RULES)


def test_every_rule_has_stories():
    told = {one.code for one in RULES if f"test_{file_of(one)}" in TEST_FILES or one.code.startswith("CAP")}
    assert {one.code for one in RULES} == told


@pytest.mark.parametrize("one", RULES, ids=lambda one: one.code)
def test_every_page_says_the_same_things(one):
    first, *_ = one.doc.splitlines()
    assert first.endswith(".")
    at = [one.doc.index(part) for part in ("Why it matters:", "How it is seen:", "What it cannot see:", "What to do:")]
    assert at == sorted(at)
    assert one.source


def test_codes_are_found_whatever_their_case():
    assert find_rule("nsm001") is BY_CODE["NSM001"]
    with pytest.raises(UsageError, match="there is no rule NSM999"):
        find_rule("NSM999")


def test_a_rule_that_crashes_does_not_stop_the_others(monkeypatch):
    @rule("XXX001", "broken", Severity.ERROR, source="here")
    def broken(history):
        yield Finding("never proven", (), "", "")

    monkeypatch.setattr(nlmdissect.rules, "RULES", (broken,))
    findings, results = run(read_history([OWN / "S01-baseline-udp.pcap"]))
    assert findings == []
    assert "names at least one frame" in results[0].error
    assert results[0].outcome is Outcome.NOT_ASSESSED


def test_outcomes():
    result = RuleResult(BY_CODE["NSM001"])
    assert result.outcome is Outcome.CLEAN
    result.reasons.append("too short")
    assert result.outcome is Outcome.NOT_ASSESSED
