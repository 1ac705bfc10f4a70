"""The catalogue of rules as text."""

from __future__ import annotations

from nlmdissect.rules import RULES


def catalogue() -> str:
    """One line a rule: code, name, severity, what is wrong."""
    width = max(len(rule.name) for rule in RULES)
    return "".join(
        f"{rule.code:8}{rule.name:{width + 2}}{rule.severity.name.lower():9}{summary(rule.doc)}\n" for rule in RULES
    )


def summary(doc: str) -> str:
    """The first paragraph of a rule's page, on one line."""
    return " ".join(doc.partition("\n\n")[0].split())
