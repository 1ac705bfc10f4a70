"""What several commands are asked in the same words, and how that is understood."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

import click

from nlmdissect.errors import UsageError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


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


captures = click.argument("captures", metavar="CAPTURE...", nargs=-1, required=True)
"""Files that are one recording; - is standard input."""
output = click.option("--output", "-o", metavar="FILE", help="Write there instead of standard output.")
loopback = click.option(
    "--loopback", metavar="HOST=FILE", multiple=True,
    help="FILE was captured on the loopback of HOST, an address or a name.",
)  # fmt: skip
max_expansion = click.option(
    "--max-expansion", metavar="N", type=click.IntRange(min=1),
    help="Stop where a byte of a packed file has become more than N (else 1000), behind the first 256 MiB.",
)  # fmt: skip
fail_on = click.option(
    "--fail-on", type=click.Choice(FailOn), default=FailOn.error,
    help="Exit with 1 for confirmed findings of this severity, or worse.",
)  # fmt: skip
strict = click.option("--strict", is_flag=True, help="Exit with 1 for suspected findings too.")


def quiet(text: str = "No progress.") -> Decorator:
    return click.option("--quiet", "-q", is_flag=True, help=text)


def form(choices: type[StrEnum], text: str = "How to show it.") -> Decorator:
    return click.option("--format", "-f", "form", type=click.Choice(choices), default="text", help=text)


def several(*names: str, metavar: str, text: str) -> Decorator:
    """An option that may be given more than once, and each time with more than one, as ``codes`` takes them apart."""
    return click.option(*names, metavar=metavar, multiple=True, help=text)


def codes(given: Sequence[str]) -> list[str]:
    """``--select A,B --select C`` as a list."""
    return [code for text in given for code in text.split(",") if code.strip()]


def owners(given: Sequence[str], output: str | None) -> dict[str, list[str]]:
    """``--loopback HOST=FILE`` as host -> files. Raises UsageError."""
    from nlmdissect.report import output as out

    found: dict[str, list[str]] = {}
    for text in given:
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
