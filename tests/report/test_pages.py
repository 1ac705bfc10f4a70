"""The pages of rules, as a person reads them in a terminal."""

from __future__ import annotations

import re

import pytest

from nlmdissect.errors import UsageError
from nlmdissect.report.pages import catalogue, explain, page
from nlmdissect.rules import RULES

COLOURS = re.compile(r"\x1b\[\d+m")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
@pytest.mark.parametrize("width", [80, 100])
def test_a_page_fits_the_terminal_and_tears_no_command(rule, width: int) -> None:
    text = page(rule, width)
    assert max(map(len, text.splitlines())) <= width
    assert text.startswith(f"{rule.code} {rule.name} (")
    assert [line.partition(":")[0] for line in text.split("\n\n")[2:]] == [
        "Why it matters", "How it is seen", "What it cannot see", "What to do",
    ]  # fmt: skip
    assert " ".join(text.split()) == " ".join(f"{text.splitlines()[0]} {rule.doc}".split())
    for line in text.splitlines():
        assert line.count("`") % 2 == 0, line


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_in_colour_it_says_the_same(rule) -> None:
    text = page(rule, 80, colour=True)
    assert "`" not in text
    assert COLOURS.sub("", text) == page(rule, 80).replace("`", "")
    assert text.count("\x1b[1m") == 5


def test_a_family_is_a_list() -> None:
    listed = explain("nsm", 200)
    assert listed == catalogue([rule for rule in RULES if rule.code.startswith("NSM")])
    assert {line[:3] for line in listed.splitlines()} == {"NSM"}
    narrow = explain("NSM", 80)
    assert max(map(len, narrow.splitlines())) <= 80
    assert narrow.split() == listed.split()


def test_a_name_is_as_good_as_a_code() -> None:
    assert explain("refused-reclaim") == explain("NLM001") == explain("nlm001")


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("NLM1", "Did you mean NLM001?"),
        ("nlm0001", "Did you mean NLM001?"),
        ("NML001", "NLM001"),
        ("refused-reclam", "Did you mean refused-reclaim"),
        ("xyz", "See 'nlmdissect rules'"),
        ("", "See 'nlmdissect rules'"),
    ],
)
def test_a_wrong_one(wrong: str, meant: str) -> None:
    with pytest.raises(UsageError, match="there is no rule") as complaint:
        explain(wrong)
    assert meant in complaint.value.hint
