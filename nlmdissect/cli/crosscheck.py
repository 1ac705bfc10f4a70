"""The command that asks tshark."""

from __future__ import annotations

from typing import Annotated

import typer

from nlmdissect.cli.app import app
from nlmdissect.cli.options import Expansion, Form, Output


@app.command()
def crosscheck(
    capture: Annotated[str, typer.Argument(metavar="CAPTURE", help="A file; it is read twice.")],
    form: Annotated[Form, typer.Option("--format", "-f", help="How to show it.")] = Form.text,
    frame: Annotated[
        list[int] | None, typer.Option(metavar="N", help="Show both readings of this frame, field by field.")
    ] = None,
    max_expansion: Expansion = None,
    output: Output = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Compare every field with what tshark reads.

    Differences that are known are shown with their reasons. The exit status is 1 if any other is found. It needs
    tshark, and pyshark: pip install 'nlmdissect[crosscheck]'.
    """
    from nlmdissect.errors import UsageError
    from nlmdissect.oracle import crosscheck as compare
    from nlmdissect.oracle import told
    from nlmdissect.report import output as out
    from nlmdissect.report.progress import Bar

    if frame and form is Form.json:
        raise UsageError("--frame shows text", "Leave out --format json.")
    out.refuse_overwriting(output, [capture])
    with Bar(not quiet) as bar:
        found = compare(capture, bar, max_expansion=max_expansion)
    if form is Form.json:
        from nlmdissect import __version__

        out.write([told.json_text(found, __version__)], output)
    else:
        out.write([told.text(found, frame or ())], output)
    raise typer.Exit(0 if found.clean else 1)
