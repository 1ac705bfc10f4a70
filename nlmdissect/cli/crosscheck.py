"""The command that asks tshark."""

from __future__ import annotations

from collections.abc import Sequence

import click

from nlmdissect.cli.app import app
from nlmdissect.cli.options import Form, form, max_expansion, output, quiet


@app.command()
@click.argument("capture", metavar="CAPTURE")
@form(Form)
@click.option(
    "--frame", metavar="N", type=int, multiple=True, help="Show both readings of this frame, field by field."
)
@max_expansion
@output
@quiet()
def crosscheck(
    capture: str, form: Form, frame: Sequence[int], max_expansion: int | None, output: str | None, quiet: bool
) -> int:
    """Compare every field with what tshark reads.

    CAPTURE is a file; it is read twice.

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
    return 0 if found.clean else 1
