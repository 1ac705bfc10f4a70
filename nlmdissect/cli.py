"""The command line: options, and the calls that they stand for. What is done is done elsewhere."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import typer

from nlmdissect.errors import NlmdissectError, UsageError

USAGE, FAILED = 2, 3

app = typer.Typer(
    name="nlmdissect",
    help="Find lost NFSv3 locks in packet captures: what happened, who lost what, which packet is missing.",
    epilog="Exit status: 0 nothing found; 1 findings; 2 wrong arguments, or nothing readable; 3 the program failed.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only the verdict, and no progress.")]


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
    quiet: Quiet = False,
) -> None:
    """Tell what happened, who lost what, and which packet is missing."""
    from nlmdissect import api
    from nlmdissect.findings import Severity
    from nlmdissect.report import output as out
    from nlmdissect.report.progress import Bar

    out.refuse_overwriting(output, captures)
    whose = _whose(loopback, output)
    api.asked(_codes(select), _codes(ignore), since, until)  # complain before a long reading
    with Bar(not quiet) as bar:
        capture = api.read(
            captures, select=_codes(select), ignore=_codes(ignore), since=since, until=until,
            loopback=whose, progress=bar,
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

        parts = [render(analysis, *_terminal(output), quiet=quiet)]
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
    programs, whose = lines.programs(_codes(program)), _whose(loopback, output)
    with Bar(not quiet) as bar:
        capture = api.read(captures, loopback=whose, progress=bar)
    history, rows = capture.history, None if where is None else capture.rows(where)
    chosen = lines.Chosen(programs, lines.hosts(history, _codes(host)), rows)
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
    output: Output = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Show the lock table of every server at a moment: who holds what, and who waits for it."""
    from nlmdissect import api
    from nlmdissect.report import lines
    from nlmdissect.report import output as out
    from nlmdissect.report.progress import Bar

    out.refuse_overwriting(output, captures)
    whose = _whose(loopback, output)
    with Bar(not quiet) as bar:
        capture = api.read(captures, loopback=whose, progress=bar)
    found = capture.at(at).moment.about(lines.hosts(capture.history, _codes(host)))
    if form is Form.json:
        from nlmdissect import __version__
        from nlmdissect.report.moment_json import render as render_json

        out.write([render_json(found, __version__)], output)
    else:
        from nlmdissect.report.moment_text import render

        out.write([render(found, *_terminal(output))], output)


@app.command()
def explain(
    code: Annotated[str, typer.Argument(help="A rule: NLM001 or refused-reclaim; or a family: NSM.")],
    output: Output = None,
) -> None:
    """Show a rule's page: why it matters, how it is seen, what it cannot see, what to do."""
    from nlmdissect.report import output as out
    from nlmdissect.report import pages

    out.write([pages.explain(code, *_terminal(output))], output)


@app.command()
def rules(output: Output = None) -> None:
    """List the rules."""
    from nlmdissect.report import output as out
    from nlmdissect.report.pages import catalogue

    width, terminal = _terminal(output)
    out.write([catalogue(width=width if terminal else None)], output)


@app.callback(invoke_without_command=True)
def common(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    if version:
        from nlmdissect import __version__

        print(f"nlmdissect {__version__}")
        raise typer.Exit


def main() -> None:
    """The command. Ends the process with its exit status."""
    try:
        app()
    except SystemExit as end:
        _leave(end.code if isinstance(end.code, int) else FAILED)
    except NlmdissectError as error:
        from nlmdissect.escape import show as printable

        hint = error.hint or "Give a pcap or pcapng file (.gz, .zst and .xz too), or - for standard input."
        print(f"nlmdissect: {printable(error.message)}", file=sys.stderr)
        for line in hint.split("\n"):
            print(f"  {printable(line)}", file=sys.stderr)
        sys.exit(USAGE)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        print(f"nlmdissect: the program failed; please report this:\n{traceback.format_exc()}", file=sys.stderr)
        sys.exit(FAILED)


def _leave(status: int) -> None:
    """End at once: to give millions of records back one by one takes longer than to make some of them."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(status)
    os._exit(status)


def _codes(given: list[str] | None) -> list[str]:
    """``--select A,B --select C`` as a list."""
    return [code for text in given or [] for code in text.split(",") if code.strip()]


def _whose(given: list[str] | None, output: str | None) -> dict[str, list[str]]:
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


def _terminal(output: str | None) -> tuple[int, bool]:
    """How wide to write, and whether in colour."""
    import shutil

    terminal = output in (None, "-") and sys.stdout.isatty()
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return shutil.get_terminal_size((100, 24)).columns, terminal and not plain
