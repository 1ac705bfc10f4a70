"""``python -m nlmdissect``: the same as the command."""

from nlmdissect.cli import main

main()
