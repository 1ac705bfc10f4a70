"""The door to Plotly: pictures as figures, for Jupyter and for files."""

from __future__ import annotations

from collections.abc import Sequence

from plotly.graph_objects import Figure

from nlmdissect.analysis import Analysis


def recovery(
    analysis: Analysis, boot: int | None, hosts: Sequence[str], start: int | None, end: int | None, lanes: int
) -> Figure:
    return Figure()


def file(analysis: Analysis, file: str | None, start: int | None, end: int | None, lanes: int) -> Figure:
    return Figure()


def ladder(
    analysis: Analysis, finding: int | str | None, hosts: Sequence[str], start: int | None, end: int | None, most: int
) -> Figure:
    return Figure()


def times(analysis: Analysis, most: int) -> Figure:
    return Figure()


def monitors(analysis: Analysis, most: int) -> Figure:
    return Figure()
