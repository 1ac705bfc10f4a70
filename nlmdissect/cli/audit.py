"""The command about many recordings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import click

from nlmdissect.cli.app import app
from nlmdissect.cli.options import (
    FailOn,
    codes,
    fail_on,
    form,
    max_expansion,
    output,
    quiet,
    several,
    strict,
    terminal,
)
from nlmdissect.errors import UsageError

if TYPE_CHECKING:
    from nlmdissect.audit.summary import Summary
    from nlmdissect.audit.trend import Trend
    from nlmdissect.findings import Severity

DATASET = "nlmdissect-audit"
FAILED, INTERRUPTED = 3, 130  # exit status
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


class Format(StrEnum):
    text = "text"
    json = "json"
    csv = "csv"
    html = "html"
    junit = "junit"


@app.command(short_help="Audit many captures.")
@click.argument("paths", metavar="PATH...", nargs=-1)
@click.option("--dataset", metavar="DIR", default=DATASET, help="Where results are kept, as Parquet.")
@click.option("--open", "opened", metavar="DIR", help="Read nothing: report the latest run of this dataset.")
@click.option("--baseline", metavar="DIR", help="Compare with an earlier run: a dataset, or one run in it.")
@form(Format, "How to report.")
@output
@several("--group", metavar="PATTERN", text="Files that match are one recording; none: each other file is alone.")
@several("--select", metavar="CODES", text="Show only these rules: NLM001,NSM.")
@several("--ignore", metavar="CODES", text="Leave these rules out.")
@fail_on
@strict
@click.option("--run", metavar="NAME", help="Name of the run, and of the run to go on with. [default: its time]")
@click.option(
    "--scheduler", metavar="URL", help="Work on this Dask cluster: tcp://host:8786. Its workers read the files."
)
@click.option(
    "--jobs", "-j", metavar="N", type=click.IntRange(min=1), help="Recordings at a time. [default: all cores]"
)
@click.option(
    "--memory-limit", metavar="SIZE", help="For all processes together: 4G. [default: 3/4 of what there is]"
)
@max_expansion
@quiet("Only the totals, and no progress.")
def audit(
    paths: Sequence[str],
    dataset: str,
    opened: str | None,
    baseline: str | None,
    form: Format,
    output: str | None,
    group: Sequence[str],
    select: Sequence[str],
    ignore: Sequence[str],
    fail_on: FailOn,
    strict: bool,
    run: str | None,
    scheduler: str | None,
    jobs: int | None,
    memory_limit: str | None,
    max_expansion: int | None,
    quiet: bool,
) -> int:
    """Audit many captures: which lock recovery failed, where, and was enough seen to know?

    PATH... are files, folders, patterns, and URLs: s3://bucket/nfs/

    Rotated files of one recording are judged as one. Results are kept as soon as they are there: a run that was stopped
    goes on where it was, and what did not change is not read again.
    """
    from nlmdissect.analysis import Asked, check
    from nlmdissect.audit.dataset import find_run
    from nlmdissect.audit.summary import Summary
    from nlmdissect.audit.trend import trend
    from nlmdissect.findings import Severity
    from nlmdissect.report import output as out

    asked = check(Asked(tuple(codes(select)), tuple(codes(ignore))))
    if bool(paths) == bool(opened):
        raise UsageError("nothing to audit" if not paths else "PATH and --open exclude each other",
                         "Give files or folders; or --open DIR for what was found before.")  # fmt: skip
    severity = None if fail_on is FailOn.never else Severity[fail_on.upper()]
    before = Summary(find_run(baseline, finished=True), asked) if baseline else None
    if opened:
        done = find_run(opened)
    else:
        from nlmdissect.audit import inputs
        from nlmdissect.audit.engine import LostError
        from nlmdissect.audit.run import audit as audit_files
        from nlmdissect.capture.unpack import EXPANSION

        size, where = None if memory_limit is None else _size(memory_limit), dataset
        if output is not None:
            out.refuse_overwriting(output, inputs.files(paths or []))
        try:
            done = audit_files(paths or [], where, run=run, group=codes(group), scheduler=scheduler, jobs=jobs,
                               memory=size, max_expansion=max_expansion or EXPANSION, progress=not quiet)  # fmt: skip
        except KeyboardInterrupt:
            _stopped("interrupted", where)
            return INTERRUPTED
        except LostError as error:
            _stopped(error.message, where)
            return FAILED
    now = Summary(done, asked)
    _report(now, None if before is None else trend(now, before), form, output, severity, strict, quiet)
    for one in now.recordings:
        if one.failed:
            print(f"nlmdissect: {one.name}: {one.error}", file=sys.stderr)
    if not opened and now.broken:
        print(f"nlmdissect: {len(now.broken)} of {len(now.recordings)} recordings could not be read", file=sys.stderr)
    return now.status(severity, strict)


def _stopped(why: str, dataset: str) -> None:
    print(f"nlmdissect: {why}\n  What is done is kept in {dataset}: the same command goes on.", file=sys.stderr)


def _report(now: Summary, changes: Trend | None, form: Format, output: str | None, severity: Severity | None,
            strict: bool, quiet: bool) -> None:  # fmt: skip
    from nlmdissect import __version__
    from nlmdissect.report import output as out

    match form:
        case Format.json:
            from nlmdissect.audit.data import render_json

            text = render_json(now, changes, __version__)
        case Format.csv:
            from nlmdissect.audit.data import render_csv

            text = render_csv(now)
        case Format.junit:
            from nlmdissect.audit.junit import render as render_junit

            text = render_junit(now, severity, strict)
        case Format.html:
            from nlmdissect.audit.html import render as render_html

            text = render_html(now, changes, __version__)
        case Format.text:
            from nlmdissect.audit.text import render

            text = render(now, changes, *terminal(output), quiet=quiet)
    out.write([text], output)


def _size(text: str) -> int:
    """Bytes of ``4G``, ``500 MB``, ``2GiB``. Raises UsageError."""
    number = text.strip().lower().removesuffix("b").removesuffix("i").strip()
    unit = number[-1:] if number[-1:] in UNITS else ""
    try:
        return int(float(number.removesuffix(unit)) * UNITS[unit])
    except (ValueError, OverflowError):
        raise UsageError(f"--memory-limit {text} is no size", "Write it as 4G or 500M.") from None
