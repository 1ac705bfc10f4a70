"""Which finding follows from which. Rules do not see each other; this table links their findings afterwards.

A row says: a finding of code ``consequence`` follows from one of the codes ``roots``, the first that fits, if both
are about the same of ``key``. A value that one of the two does not name fits every other. ``other>client`` compares
the consequence's other with the root's client; both must be named.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

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


Key = tuple[object, ...]
By = dict[tuple[str, tuple[str, ...]], dict[Key, int]]  # (code, what is compared) -> values -> the first such finding


def link(findings: list[Finding]) -> list[Finding]:
    """The same findings, with ``caused_by`` as an index into the list."""
    by: By = {}
    kept = {(root, key) for _, roots, key in CAUSES for root in roots}
    for number, finding in enumerate(findings):
        for code, key in kept if finding.severity is not Severity.INFO else ():
            if code == finding.code:
                values = (getattr(finding, name.rpartition(">")[2]) for name in key)
                by.setdefault((code, key), {}).setdefault(tuple(values), number)
    return [replace(finding, caused_by=_root(by, finding)) for finding in findings]


def _root(by: By, finding: Finding) -> int | None:
    for consequence, roots, key in CAUSES:
        if finding.code != consequence:
            continue
        mine = tuple(getattr(finding, name.partition(">")[0]) for name in key)
        for root in roots:
            found = _first(by.get((root, key), {}), key, mine)
            if found is not None:
                return found
    return None


def _first(known: dict[Key, int], key: tuple[str, ...], mine: Key) -> int | None:
    """The first finding that names the same, or does not say."""
    if any(value is None and ">" in name for name, value in zip(key, mine, strict=True)):
        return None
    if None in mine:  # fits every value
        fits = [n for values, n in known.items() if all(_same(*three) for three in zip(key, mine, values, strict=True))]
    else:
        choices = [(value,) if ">" in name else (value, None) for name, value in zip(key, mine, strict=True)]
        fits = [known[values] for values in product(*choices) if values in known]
    return min(fits, default=None)


def _same(name: str, left: object, right: object) -> bool:
    return left == right or (">" not in name and (left is None or right is None))
