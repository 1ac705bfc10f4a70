"""The door to Plotly: pictures as figures, for Jupyter and for files.

What is drawn comes from ``report/pictures``; here it only gets its shapes. ``figure.write_image`` needs Kaleido, which
``pip install 'nlmdissect[images]'`` brings.
"""

from __future__ import annotations

from collections.abc import Sequence

from plotly.graph_objects import Figure

from nlmdissect.analysis import Analysis
from nlmdissect.report.pictures import file as files
from nlmdissect.report.pictures import ladder as ladders
from nlmdissect.report.pictures import monitors as graphs
from nlmdissect.report.pictures import timeline
from nlmdissect.report.pictures import times as srt
from nlmdissect.report.plots import chart, distribution, graph, rungs


def recovery(
    analysis: Analysis, boot: int | None, hosts: Sequence[str], start: int | None, end: int | None, lanes: int
) -> Figure:
    return chart.draw(timeline.timeline(analysis, boot, hosts, start, end, lanes))


def file(analysis: Analysis, name: str | None, start: int | None, end: int | None, lanes: int) -> Figure:
    return chart.draw(files.file(analysis, name, start, end, lanes))


def ladder(
    analysis: Analysis, finding: int | str | None, hosts: Sequence[str], start: int | None, end: int | None, most: int
) -> Figure:
    return rungs.draw(ladders.ladder(analysis, finding, hosts, start, end, most), analysis.history)


def times(analysis: Analysis, most: int) -> Figure:
    return distribution.draw(srt.times(analysis, most), analysis.history)


def monitors(analysis: Analysis, most: int) -> Figure:
    return graph.draw(graphs.monitors(analysis, most))
