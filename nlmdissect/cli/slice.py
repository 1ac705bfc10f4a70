"""The command that makes captures."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from nlmdissect.cli.app import app
from nlmdissect.cli.options import captures, codes, loopback, max_expansion, owners, quiet, several
from nlmdissect.errors import UsageError


@app.command(name="slice", short_help="Cut the evidence out of a capture.")
@captures
@click.option("--output", "-o", metavar="FILE", help="Write there; a folder for a file each. Else to a pipe.")
@several("--select", metavar="CODES", text="Only the evidence of these findings: NLM001,NSM.")
@click.option("--where", metavar="EXPR", help="The calls of which this is true, as in 'show --where'.")
@several("--host", metavar="HOSTS", text="The calls from or to these: addresses or names.")
@click.option("--fh", metavar="HEX", help="The calls about this file: its handle, or a part of it.")
@click.option("--since", metavar="T", help="What happened from then on (UTC).")
@click.option("--until", metavar="T", help="What happened until then (UTC).")
@click.option("--whole", is_flag=True, help="All frames.")
@click.option("--annotate", is_flag=True, help="Write the findings as comments.")
@click.option("--anonymize", is_flag=True, help="Other names and addresses; what is not understood becomes zeros.")
@click.option("--key", metavar="FILE", help="The same names for the same FILE, which is made if it is not there.")
@loopback
@max_expansion
@quiet()
def slice_(
    captures: Sequence[str],
    output: str | None,
    select: Sequence[str],
    where: str | None,
    host: Sequence[str],
    fh: str | None,
    since: str | None,
    until: str | None,
    whole: bool,
    annotate: bool,
    anonymize: bool,
    key: str | None,
    loopback: Sequence[str],
    max_expansion: int | None,
    quiet: bool,
) -> None:
    """Cut the evidence out of a capture, as pcapng: the frames of the findings, with what makes them readable.

    CAPTURE... are files that are one recording.

    Calls have their answers with them, connections all their segments, hosts their look-ups and SM_NOTIFYs, and the
    slice of findings leads to the same ones again. Each frame has its old number as a comment; --annotate adds what it
    proves. --where, --host, --fh, --since and --until choose by traffic instead; --whole keeps everything.
    """
    from nlmdissect import __version__, api
    from nlmdissect.evidence import choose, target
    from nlmdissect.evidence import slice as slices
    from nlmdissect.report import lines
    from nlmdissect.report import output as out
    from nlmdissect.report.progress import Bar
    from nlmdissect.report.times import parse_in

    traffic = bool(where or host or fh or ((since or until) and not select))
    if select and traffic:
        raise UsageError("--select chooses findings, --where, --host and --fh choose traffic", "Give one of them.")
    if whole and traffic:
        raise UsageError("--whole keeps all frames", "Leave out --where, --host, --fh, --since, --until, or --whole.")
    if key and not anonymize:
        raise UsageError("--key is for --anonymize", "Give both, or none.")
    target.check(captures, output)
    whose, names = owners(loopback, output), target.pseudonyms(key) if anonymize else None
    bounds = (None, None) if traffic else (since, until)
    with Bar(not quiet) as bar:
        capture = api.read(
            captures, select=codes(select), since=bounds[0], until=bounds[1], loopback=whose, progress=bar,
            max_expansion=max_expansion,
        )  # fmt: skip
    history = capture.history
    to = target.paths(output, history.sources, hide_names=anonymize)
    for path in to.values():
        out.refuse_overwriting(path, [source.path for source in history.sources])
    if traffic:
        rows = None if where is None else capture.rows(where)
        span = [None if t is None else parse_in(t, history.extent.first, history.extent.last) for t in (since, until)]
        wanted = choose.of_traffic(history, rows, lines.hosts(history, codes(host)), fh, *span)
        found = slices.choose(capture.analysis, wanted, whose)
    else:
        found = slices.Slice(capture.analysis, whose) if whole else slices.of_findings(capture.analysis, whose)
    target.write(slices.parts(found, __version__, annotate=annotate, names=names), to, out.binary)
    if not quiet:
        print(found.told(), file=sys.stderr)
