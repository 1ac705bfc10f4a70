"""From a capture file to the lost NFSv3 lock: rebuilds NLM, NSM and portmap state, and names the packet that is
missing.

    >>> import nlmdissect
    >>> capture = nlmdissect.read("incident.pcap")
    >>> capture.findings[["code", "title"]]

Nothing is imported until it is used, so that ``import nlmdissect`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlmdissect.api import Capture, explain, read, read_tables
    from nlmdissect.audit.api import Audit, open_audit, run_audit
    from nlmdissect.errors import CaptureError, NlmdissectError, UsageError
    from nlmdissect.findings import Confidence, Finding, Severity
    from nlmdissect.rules import RULES

    __version__: str

__all__ = [
    "RULES",
    "Audit",
    "Capture",
    "CaptureError",
    "Confidence",
    "Finding",
    "NlmdissectError",
    "Severity",
    "UsageError",
    "__version__",
    "explain",
    "open_audit",
    "read",
    "read_tables",
    "run_audit",
]

_WHERE = {
    "Audit": "audit.api", "open_audit": "audit.api", "run_audit": "audit.api",
    "Capture": "api", "explain": "api", "read": "api", "read_tables": "api", "CaptureError": "errors",
    "NlmdissectError": "errors", "UsageError": "errors", "Confidence": "findings", "Finding": "findings",
    "Severity": "findings", "RULES": "rules",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _WHERE:
        value = getattr(import_module(f"nlmdissect.{_WHERE[name]}"), name)
    else:
        raise AttributeError(f"module 'nlmdissect' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("nlmdissect")
    except PackageNotFoundError:  # run from a checkout
        return "0+unknown"
