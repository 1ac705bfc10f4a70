"""Which finding follows from which. Rules do not see each other; this table links their findings afterwards.

A row says: a finding of code ``consequence`` follows from one of the codes ``roots``, the first that fits, if both
are about the same of ``key``. A value that one of the two does not name fits every other. ``other>client`` compares
the consequence's other with the root's client; both must be named.
"""

from __future__ import annotations

from dataclasses import replace

from nlmdissect.findings import Finding, Severity

# fmt: off
NOT_TOLD = ("NSM012", "NSM008", "NSM010", "NSM004", "NSM006", "NSM003", "NSM005", "HOST001", "HOST002", "NSM001")
CAUSES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    # consequence  roots, the first that fits                       that have the same
    ("NLM003",     ("NLM016",),                                     ("server", "client", "boot")),
    ("NLM004",     ("NLM003", "NLM001", *NOT_TOLD, "NLM002"),       ("server", "client", "boot")),
    ("NLM004",     ("NSM009", "NLM006"),                            ("server", "client", "boot")),
    ("NLM003",     (*NOT_TOLD, "NSM009"),                           ("server", "client", "boot")),
    ("NLM001",     ("NSM009",),                                     ("server", "client", "boot")),
    ("NLM002",     NOT_TOLD,                                        ("server", "client", "boot")),
    ("NSM001",     ("HOST001",),                                    ("server", "client", "boot")),
    ("NSM002",     ("NLM021",),                                    ("server", "client")),
    ("NSM003",     ("NSM008",),                                     ("server", "client", "boot")),
    ("NLM005",     ("NSM002", "NSM008", "NSM004", "NSM003"),        ("server", "client")),
    ("NLM011",     ("NLM024", "NLM021"),                           ("server", "client", "other")),
    ("NLM006",     ("NSM009",),                                     ("server", "client")),
    ("NLM002",     ("PMAP002", "PMAP001"),                          ("server", "client", "boot")),
    ("NLM003",     ("PMAP002", "PMAP001"),                          ("server", "client", "boot")),
    ("NLM007",     ("PMAP001",),                                    ("server", "client")),
    ("NLM012",     ("PMAP001",),                                    ("server", "client")),
    ("NLM010",     ("NLM005", "NSM002", "NSM008", "NSM003"),                 ("server", "other>client")),
    ("NLM015",     ("PMAP001", "PMAP002", "NLM012"),                ("server", "client")),
    ("NLM004",     ("NLM016",),                                     ("server", "client", "boot")),
    ("NLM002",     ("NLM016",),                                     ("server", "client", "boot")),
)
# fmt: on


def link(findings: list[Finding]) -> list[Finding]:
    """The same findings, with ``caused_by`` as an index into the list."""
    return [replace(finding, caused_by=_root(findings, index)) for index, finding in enumerate(findings)]


def _root(findings: list[Finding], index: int) -> int | None:
    finding = findings[index]
    for consequence, roots, key in CAUSES:
        if finding.code != consequence:
            continue
        for root in roots:
            for number, other in enumerate(findings):
                told = other.code == root and other.severity is not Severity.INFO
                if told and all(_same(finding, other, k) for k in key):
                    return number
    return None


def _same(a: Finding, b: Finding, key: str) -> bool:
    mine, _, theirs = key.partition(">")
    left, right = getattr(a, mine), getattr(b, theirs or mine)
    if theirs:
        return left is not None and left == right
    return left is None or right is None or left == right
