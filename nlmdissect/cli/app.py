"""The program that the commands belong to."""

from __future__ import annotations

import click

SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True}
EPILOG = "Exit status: 0 nothing found; 1 findings; 2 wrong arguments, or nothing readable; 3 the program failed."


class InOrder(click.Group):
    """Lists its commands as they were made."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands]


@click.group(name="nlmdissect", cls=InOrder, context_settings=SETTINGS, epilog=EPILOG, no_args_is_help=True)
@click.version_option(package_name="nlmdissect", message="nlmdissect %(version)s")
def app() -> None:
    """Find lost NFSv3 locks in packet captures: what happened, who lost what, which packet is missing."""
