"""The catalogue of rules as text: the list, and each rule's page."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from nlmdissect.findings import Rule
from nlmdissect.rules import RULES, find_rule

NARROW, WIDE = 40, 100
CODE = re.compile(r"`+([^`]+)`+")
HEADING = re.compile(r"(?:Why it matters|How it is seen|What it cannot see|What to do):")
GLUE = "\x00"  # stands for the spaces of a command while lines are filled: it should not be torn in two
BOLD, CYAN, PLAIN = "\x1b[1m", "\x1b[36m", "\x1b[0m"


def catalogue(rules: Iterable[Rule] = RULES, width: int | None = None) -> str:
    """One line a rule: code, name, severity, what is wrong. With a width, long ones go on below themselves."""
    rules = list(rules)
    names = max(len(rule.name) for rule in RULES) + 2
    lines = []
    for rule in rules:
        head = f"{rule.code:9}{rule.name:{names}}{rule.severity.name.lower():9}"
        text = summary(rule.doc)
        room = None if width is None else min(width, 2 * WIDE) - len(head)
        lines += [head + text] if room is None or room < NARROW // 2 else _hang(head, text, room)
    return "".join(f"{line}\n" for line in lines)


def explain(what: str, width: int = 80, colour: bool = False) -> str:
    """The page of a rule by its code or its name, or the list of a family: ``NSM``. Raises UsageError."""
    family = [rule for rule in RULES if rule.code.rstrip("0123456789") == what.strip().upper()]
    return catalogue(family, width) if family else page(find_rule(what.strip()), width, colour)


def page(rule: Rule, width: int = 80, colour: bool = False) -> str:
    """A rule's page, its lines filled to a width. In colour, headings are bold and commands are not in backticks."""
    width = max(NARROW, min(width, WIDE))
    title = f"{rule.code} {rule.name} ({rule.severity.name.lower()})"
    parts = [_bold(title) if colour else title]
    parts += [_fill(paragraph, width, colour) for paragraph in rule.doc.split("\n\n")]
    return "\n\n".join(parts) + "\n"


def summary(doc: str) -> str:
    """The first paragraph of a rule's page, on one line."""
    return " ".join(doc.partition("\n\n")[0].split())


def _hang(head: str, text: str, room: int) -> list[str]:
    first, *rest = textwrap.wrap(text, room, break_on_hyphens=False)
    return [head + first, *(" " * len(head) + line for line in rest)]


def _fill(paragraph: str, width: int, colour: bool) -> str:
    text = " ".join(paragraph.split())
    text = CODE.sub(lambda code: code[0].replace(" ", GLUE) if len(code[0]) <= width else code[0], text)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    text = "\n".join(lines).replace(GLUE, " ")
    if not colour:
        return text
    text = CODE.sub(lambda code: f"{CYAN}{code[1]}{PLAIN}", text)
    return HEADING.sub(lambda heading: _bold(heading[0]), text, count=1) if HEADING.match(text) else text


def _bold(text: str) -> str:
    return f"{BOLD}{text}{PLAIN}"
