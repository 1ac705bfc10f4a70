"""The program that the commands belong to."""

from __future__ import annotations

from typing import Annotated

import typer

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


@app.callback(invoke_without_command=True)
def common(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    if version:
        from nlmdissect import __version__

        print(f"nlmdissect {__version__}")
        raise typer.Exit
