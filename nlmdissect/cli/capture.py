"""The commands about one recording."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from nlmdissect.cli.app import app
from nlmdissect.cli.options import (
    Captures,
    Expansion,
    FailOn,
    Form,
    Loopback,
    Output,
    Quiet,
    Report,
    codes,
    owners,
    terminal,
)  # fmt: skip


@app.command()
def analyze(
    captures: Captures,
    form: Annotated[Report, typer.Option("--format", "-f", help="How to report.")] = Report.text,
    output: Output = None,
    select: Annotated[
        list[str] | None, typer.Option(metavar="CODES", help="Show only these findings: NLM001,NSM.")
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(metavar="CODES", help="Leave these findings out.")] = None,
    fail_on: Annotated[
        FailOn, typer.Option(help="Exit with 1 for confirmed findings of this severity, or worse.")
    ] = FailOn.error,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for suspected findings too.")] = False,
    since: Annotated[str | None, typer.Option(metavar="T", help="Judge only what happened from then on (UTC).")] = None,
    until: Annotated[str | None, typer.Option(metavar="T", help="Judge only what happened until then (UTC).")] = None,
    loopback: Loopback = None,
    max_expansion: Expansion = None,
    quiet: Quiet = False,
) -> None:
    """Tell what happened, who lost what, and which packet is missing."""
    from nlmdissect import api
    from nlmdissect.findings import Severity
    from nlmdissect.report import output as out
    from nlmdissect.report.progress import Bar

    out.refuse_overwriting(output, captures)
    whose = owners(loopback, output)
    api.asked(codes(select), codes(ignore), since, until)  # complain before a long reading
    with Bar(not quiet) as bar:
        capture = api.read(
            captures, select=codes(select), ignore=codes(ignore), since=since, until=until,
            loopback=whose, progress=bar, max_expansion=max_expansion,
        )  # fmt: skip
        analysis = capture.analysis
    if form is Report.json:
        from nlmdissect import __version__
        from nlmdissect.report.json import render as render_json

        parts: Iterable[str] = [render_json(analysis, __version__)]
    elif form is Report.html:
        from nlmdissect import __version__
        from nlmdissect.report.html import render as render_html

        parts = [render_html(analysis, __version__)]
    else:
        from nlmdissect.report.text import render

        parts = [render(analysis, *terminal(output), quiet=quiet)]
    out.write(parts, output)
    for result in analysis.results:
        if result.error:
            print(f"nlmdissect: rule {result.rule.code} failed; please report this:\n{result.error}", file=sys.stderr)
    raise typer.Exit(analysis.status(None if fail_on is FailOn.never else Severity[fail_on.upper()], strict))


@app.command()
def show(
    captures: Captures,
    messages: Annotated[bool, typer.Option("--messages", help="One line a message instead of one a call.")] = False,
    program: Annotated[
        list[str] | None, typer.Option(metavar="NAMES", help="Only these programs: nlm,nsm,portmap,mount.")
    ] = None,
    host: Annotated[
        list[str] | None, typer.Option(metavar="HOSTS", help="Only calls from or to these: addresses or names.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            metavar="EXPR", help='Only calls of which this is true: procedure == "LOCK" and status != "GRANTED".'
        ),
    ] = None,
    loopback: Loopback = None,
    max_expansion: Expansion = None,
    output: Output = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Show the calls, or the messages, one a line.

    EXPR is written as in Python. Its names are the columns of the table of calls: frame, reply_frame, time, took,
    client, server, program, procedure, status, xid, cookie, caller_name, fh, oh, svid, start, end, exclusive, block,
    reclaim, state, mon_name, port and more. Hosts are addresses or names, times are "11:30:20" or +12.5 (seconds from
    the first frame), "4d00" in fh looks for a part of text, and reply_frame is None where no answer was seen.
    """
    from nlmdissect import api
    from nlmdissect.report import lines
    from nlmdissect.report import output as out
    from nlmdissect.report.progress import Bar

    out.refuse_overwriting(output, captures)
    programs, whose = lines.programs(codes(program)), owners(loopback, output)
    with Bar(not quiet) as bar:
        capture = api.read(captures, loopback=whose, progress=bar, max_expansion=max_expansion)
    history, rows = capture.history, None if where is None else capture.rows(where)
    chosen = lines.Chosen(programs, lines.hosts(history, codes(host)), rows)
    out.write(lines.of_messages(history, chosen) if messages else lines.of_calls(history, chosen), output)


@app.command()
def locks(
    captures: Captures,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="ISO 8601, a time of day (UTC), epoch seconds, or +seconds; else the end."),
    ] = None,
    host: Annotated[
        list[str] | None, typer.Option(metavar="HOSTS", help="Only locks at or of these: addresses or names.")
    ] = None,
    form: Annotated[Form, typer.Option("--format", "-f", help="How to show it.")] = Form.text,
    loopback: Loopback = None,
    max_expansion: Expansion = None,
    output: Output = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Show the lock table of every server at a moment: who holds what, and who waits for it."""
    from nlmdissect import api
    from nlmdissect.report import lines
    from nlmdissect.report import output as out
    from nlmdissect.report.progress import Bar

    out.refuse_overwriting(output, captures)
    whose = owners(loopback, output)
    with Bar(not quiet) as bar:
        capture = api.read(captures, loopback=whose, progress=bar, max_expansion=max_expansion)
    found = capture.at(at).moment.about(lines.hosts(capture.history, codes(host)))
    if form is Form.json:
        from nlmdissect import __version__
        from nlmdissect.report.moment_json import render as render_json

        out.write([render_json(found, __version__)], output)
    else:
        from nlmdissect.report.moment_text import render

        out.write([render(found, *terminal(output))], output)
