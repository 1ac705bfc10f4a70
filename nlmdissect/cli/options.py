"""What several commands are asked in the same words, and how that is understood."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from nlmdissect.errors import UsageError


class Form(StrEnum):
    text = "text"
    json = "json"


class Report(StrEnum):
    text = "text"
    json = "json"
    html = "html"


class FailOn(StrEnum):
    error = "error"
    warning = "warning"
    info = "info"
    never = "never"


Captures = Annotated[
    list[str], typer.Argument(metavar="CAPTURE...", help="Files that are one recording; - is standard input.")
]
Output = Annotated[
    str | None, typer.Option("--output", "-o", metavar="FILE", help="Write there instead of standard output.")
]
Loopback = Annotated[
    list[str] | None,
    typer.Option(metavar="HOST=FILE", help="FILE was captured on the loopback of HOST, an address or a name."),
]
Expansion = Annotated[
    int | None,
    typer.Option(
        "--max-expansion", metavar="N", min=1,
        help="Stop where a byte of a packed file has become more than N (else 1000), behind the first 256 MiB.",
    ),
]  # fmt: skip
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only the verdict, and no progress.")]


def codes(given: list[str] | None) -> list[str]:
    """``--select A,B --select C`` as a list."""
    return [code for text in given or [] for code in text.split(",") if code.strip()]


def owners(given: list[str] | None, output: str | None) -> dict[str, list[str]]:
    """``--loopback HOST=FILE`` as host -> files. Raises UsageError."""
    from nlmdissect.report import output as out

    found: dict[str, list[str]] = {}
    for text in given or []:
        host, equals, file = text.partition("=")
        if not (host and equals and file):
            raise UsageError(f"--loopback {text} means nothing", "Write --loopback HOST=FILE.")
        found.setdefault(host, []).append(file)
    out.refuse_overwriting(output, [file for files in found.values() for file in files])
    return found


def terminal(output: str | None) -> tuple[int, bool]:
    """How wide to write, and whether in colour."""
    import shutil

    shown = output in (None, "-") and sys.stdout.isatty()
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return shutil.get_terminal_size((100, 24)).columns, shown and not plain
