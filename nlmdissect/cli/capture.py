"""The commands about one recording."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click

from nlmdissect.cli.app import app
from nlmdissect.cli.options import (
    FailOn,
    Form,
    Report,
    captures,
    codes,
    fail_on,
    form,
    loopback,
    max_expansion,
    output,
    owners,
    quiet,
    several,
    strict,
    terminal,
)


@app.command(short_help="Tell who lost what, and what is missing.")
@captures
@form(Report, "How to report.")
@output
@several("--select", metavar="CODES", text="Show only these findings: NLM001,NSM.")
@several("--ignore", metavar="CODES", text="Leave these findings out.")
@fail_on
@strict
@click.option("--since", metavar="T", help="Judge only what happened from then on (UTC).")
@click.option("--until", metavar="T", help="Judge only what happened until then (UTC).")
@loopback
@max_expansion
@quiet("Only the verdict, and no progress.")
def analyze(
    captures: Sequence[str],
    form: Report,
    output: str | None,
    select: Sequence[str],
    ignore: Sequence[str],
    fail_on: FailOn,
    strict: bool,
    since: str | None,
    until: str | None,
    loopback: Sequence[str],
    max_expansion: int | None,
    quiet: bool,
) -> int:
    """Tell what happened, who lost what, and which packet is missing.

    CAPTURE... are files that are one recording; - is standard input.
    """
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
    return analysis.status(None if fail_on is FailOn.never else Severity[fail_on.upper()], strict)


@app.command()
@captures
@click.option("--messages", is_flag=True, help="One line a message instead of one a call.")
@several("--program", metavar="NAMES", text="Only these programs: nlm,nsm,portmap,mount.")
@several("--host", metavar="HOSTS", text="Only calls from or to these: addresses or names.")
@click.option(
    "--where", metavar="EXPR", help='Only calls of which this is true: procedure == "LOCK" and status != "GRANTED".'
)
@loopback
@max_expansion
@output
@quiet()
def show(
    captures: Sequence[str],
    messages: bool,
    program: Sequence[str],
    host: Sequence[str],
    where: str | None,
    loopback: Sequence[str],
    max_expansion: int | None,
    output: str | None,
    quiet: bool,
) -> None:
    """Show the calls, or the messages, one a line.

    CAPTURE... are files that are one recording; - is standard input.

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


@app.command(short_help="Show who holds what, and who waits.")
@captures
@click.option("--at", metavar="TIME", help="ISO 8601, a time of day (UTC), epoch seconds, or +seconds; else the end.")
@several("--host", metavar="HOSTS", text="Only locks at or of these: addresses or names.")
@form(Form)
@loopback
@max_expansion
@output
@quiet()
def locks(
    captures: Sequence[str],
    at: str | None,
    host: Sequence[str],
    form: Form,
    loopback: Sequence[str],
    max_expansion: int | None,
    output: str | None,
    quiet: bool,
) -> None:
    """Show the lock table of every server at a moment: who holds what, and who waits for it.

    CAPTURE... are files that are one recording; - is standard input.
    """
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
