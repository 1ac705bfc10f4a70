"""docs/machines.md, drawn from the rows of the machines: `python tests/support/diagrams.py` writes it anew."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from types import ModuleType

from nlmdissect.machines import hold, monitor, request
from nlmdissect.machines.hold import TRUTHS
from nlmdissect.machines.machine import Machine

PAGE = Path(__file__).parents[2] / "docs" / "machines.md"
MEMBER = re.compile(r"    (\w+) = auto\(\)(?:  # (.*))?")
HEAD = """# The state machines

What happens to a lock, told as three machines that meet by events only. This page is drawn from their tables in
`nlmdissect/machines/` (`python tests/support/diagrams.py` writes it anew, a test compares). An event without an arrow
leaves the state as it is, is recorded as unexpected, and rules may ask why; all those pairs are in
`tests/machines/unexpected.txt`. The steps of a recording are a table: `nlmdissect.read(...).steps`.
"""


def page() -> str:
    """The whole document."""
    parts = [HEAD]
    for module, machine, states in (
        (request, request.REQUEST, request.R),
        (hold, hold.HOLD, hold.H),
        (monitor, monitor.MONITOR, monitor.M),
    ):
        parts.append(f"## {machine.name.capitalize()}\n\n{_about(module)}\n")
        parts.append("```mermaid\n" + "\n".join(_diagram(machine, states)) + "\n```\n")
        parts.append("\n".join(_table("state", module, states)) + "\n")
        parts.append("\n".join(_table("event", module, machine.events)) + "\n")
    return "\n".join(parts)


def _about(module: ModuleType) -> str:
    """The first paragraph of a machine's own account."""
    return inspect.cleandoc(module.__doc__ or "").partition("\n\n")[0]


def _diagram(machine: Machine[StrEnum, StrEnum], states: type[StrEnum]) -> Iterator[str]:
    yield "stateDiagram-v2"
    yield f"    [*] --> {machine.initial}"
    for before in states:
        for after in states:
            on = [event for event in machine.events if machine.to.get((before, event)) is after]
            if on:
                yield f"    {before} --> {after}: {', '.join(on)}"
        if all(state is not before for state, _ in machine.to):
            yield f"    {before} --> [*]"


def _table(kind: str, module: ModuleType, members: type[StrEnum]) -> Iterator[str]:
    """Names with the meaning that stands beside them in the source; of a hold's states, the two truths as well."""
    truths = members is hold.H
    meanings = dict(MEMBER.findall(inspect.getsource(members)))
    yield f"| {kind} | meaning |" + (" server holds it | client believes it |" if truths else "")
    yield "| --- | --- |" + (" --- | --- |" if truths else "")
    for member in members:
        row = f"| `{member}` | {meanings[member.name]} |"
        if truths:
            truth = TRUTHS[hold.H(member)]
            row += f" {truth.server_holds} | {truth.client_believes} |"
        yield row


if __name__ == "__main__":
    PAGE.write_text(page())
