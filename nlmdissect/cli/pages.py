"""The commands about the rules."""

from __future__ import annotations

import click

from nlmdissect.cli.app import app
from nlmdissect.cli.options import output, terminal


@app.command(short_help="Show a rule's page.")
@click.argument("code", metavar="CODE")
@output
def explain(code: str, output: str | None) -> None:
    """Show a rule's page: why it matters, how it is seen, what it cannot see, what to do.

    CODE is a rule, NLM001 or refused-reclaim, or a family, NSM.
    """
    from nlmdissect.report import output as out
    from nlmdissect.report import pages

    out.write([pages.explain(code, *terminal(output))], output)


@app.command()
@output
def rules(output: str | None) -> None:
    """List the rules."""
    from nlmdissect.report import output as out
    from nlmdissect.report.pages import catalogue

    width, shown = terminal(output)
    out.write([catalogue(width=width if shown else None)], output)
