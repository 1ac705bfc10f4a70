"""The public tables: what they are, and how they are made. Only ``frames`` and what it needs import pandas."""

from nlmdissect.tables.column import Column
from nlmdissect.tables.columns import TABLES
from nlmdissect.tables.moment_columns import MOMENT

__all__ = ["MOMENT", "TABLES", "Column"]
