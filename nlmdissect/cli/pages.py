"""The commands about the rules."""

from __future__ import annotations

from typing import Annotated

import typer

from nlmdissect.cli.app import app
from nlmdissect.cli.options import Output, terminal


@app.command()
def explain(
    code: Annotated[str, typer.Argument(help="A rule: NLM001 or refused-reclaim; or a family: NSM.")],
    output: Output = None,
) -> None:
    """Show a rule's page: why it matters, how it is seen, what it cannot see, what to do."""
    from nlmdissect.report import output as out
    from nlmdissect.report import pages

    out.write([pages.explain(code, *terminal(output))], output)


@app.command()
def rules(output: Output = None) -> None:
    """List the rules."""
    from nlmdissect.report import output as out
    from nlmdissect.report.pages import catalogue

    width, shown = terminal(output)
    out.write([catalogue(width=width if shown else None)], output)
