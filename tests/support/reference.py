"""docs/tables.md, made from the columns' own declarations: `python tests/support/reference.py` writes it anew."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

from nlmdissect.api import Capture
from nlmdissect.audit import columns as of_audit
from nlmdissect.audit.api import Audit
from nlmdissect.state import State
from nlmdissect.tables import MOMENT, TABLES, Column

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"
TYPES = {
    "time": "datetime64[ns, UTC]", "seconds": "float64", "category": "category (text)", "string": "string",
    "Int64": "Int64", "UInt64": "UInt64", "boolean": "boolean", "int64": "int64", "bool": "bool",
}  # fmt: skip
PLAIN = {  # of the dataset of an audit
    "time": "timestamp[us, UTC]", "category": "string", "string": "string", "Int64": "int64", "int64": "int64",
    "bool": "bool", "evidence": "list of struct",
}  # fmt: skip
HEAD = """# The tables

Every DataFrame of a recording, column by column. This page is made from `nlmdissect/tables/` (`python
tests/support/reference.py` writes it anew, a test compares; another holds the frames to it). An empty recording gives
empty tables with the same columns and types. `Int64`, `UInt64`, `boolean`, `category` and times may be missing.

Where a column says *derived*, no single field of a packet has it; what it rests on is at the row's `frame`. Else
*source* names the field and the document that defines it (XNFS: X/Open, Protocols for X/Open Interworking: XNFS;
RFC 1813, appendix II, for NLM 4), and *Wireshark* what to filter by there.

`capture.to_parquet("folder")` writes all tables of a recording, one Parquet file each, and
`nlmdissect.read_tables("folder")` reads them back as they were (`pip install 'nlmdissect[parquet]'`).
"""
AUDIT = """# Of an audit

`audit = nlmdissect.open_audit("DIR")`; the same tables are the Parquet files `DIR/run=*/recording=*/NAME.parquet`. Each has two more
columns, from the names of the folders: `run`, and `recording`, which is the same for the same files in every run. Times are in
microseconds, so that every reader of Parquet takes them; `frame` tells frames apart within one.
"""


def page() -> str:
    """The whole document."""
    parts = [HEAD, "# Of a recording\n\n`capture = nlmdissect.read(...)`\n"]
    parts += [_table(f"capture.{name}", _about(Capture, name), columns) for name, columns in TABLES.items()]
    parts.append("# Of a moment\n\n`state = capture.at(...)`\n")
    parts += [_table(f"state.{name}", _about(State, name), columns) for name, columns in MOMENT.items()]
    parts.append(AUDIT)
    parts += [_table(f"audit.{name}", _about(Audit, name), columns, PLAIN) for name, columns in of_audit.TABLES.items()]
    return "\n".join(parts)


def _about(owner: type, name: str) -> str:
    """What a row is: the property says it."""
    return inspect.cleandoc(getattr(owner, name).__doc__ or "")


def _table(title: str, about: str, columns: tuple[Column, ...], types: dict[str, str] = TYPES) -> str:
    return f"## {title}\n\n{about}\n\n" + "\n".join(_rows(columns, types)) + "\n"


def _rows(columns: tuple[Column, ...], types: dict[str, str]) -> Iterator[str]:
    yield "| column | type | unit | meaning | source | Wireshark |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for c in columns:
        fields = " ".join(f"`{field}`" for field in c.fields.split())
        yield f"| `{c.name}` | {types[c.dtype]} | {c.unit} | {c.meaning} | {c.source} | {fields} |"


if __name__ == "__main__":
    PAGE.write_text(page())
