"""Response times with Plotly: a box for each server and procedure, on a logarithmic axis."""

from __future__ import annotations

from plotly.graph_objects import Figure

from nlmdissect.history.history import History
from nlmdissect.report.pictures import times as srt
from nlmdissect.report.pictures.palette import BLUE, ORANGE, VERMILLION
from nlmdissect.report.pictures.times import Times, in_words
from nlmdissect.report.plots.paint import DIM, GRID, frame, hover, safe, write
from nlmdissect.report.voice import Voice

ROW = 34  # px
LEFT = 330
LEAST = 1e-6  # s: what takes less than the clock of a capture can tell


def draw(times: Times, history: History) -> Figure:
    """The times as a figure."""
    figure, voice = Figure(), Voice(history)
    rows = times.rows
    names = [f"{safe(row.what)}, {safe(row.server)}" for row in rows]
    words = [hover("\n".join(srt.hover(voice, row))) for row in rows]
    figure.add_box(
        orientation="h",
        y=names,
        q1=[max(row.quarter, LEAST) for row in rows],
        median=[max(row.median, LEAST) for row in rows],
        q3=[max(row.three_quarters, LEAST) for row in rows],
        lowerfence=[max(row.minimum, LEAST) for row in rows],
        upperfence=[max(row.p95, LEAST) for row in rows],
        line={"color": BLUE, "width": 1.5},
        name="half of the answers in the box, 95 % before the whisker's end",
        hoverinfo="skip",
    )
    for name, of, symbol, colour in (
        ("median", [row.median for row in rows], "line-ns", BLUE),
        ("mean", [row.mean for row in rows], "diamond", ORANGE),
        ("slowest", [row.maximum for row in rows], "x", VERMILLION),
    ):
        figure.add_scatter(
            x=[max(value, LEAST) for value in of],
            y=names,
            mode="markers",
            marker={"symbol": symbol, "color": colour, "size": 9, "line": {"color": colour, "width": 1}},
            customdata=words,
            hovertemplate="%{customdata}<extra></extra>",
            name=name,
        )
    for name, row in zip(names, rows, strict=True):
        silent = f", {row.unanswered} not" if row.unanswered else ""
        write(figure, 1, name, f"{row.answered} answered{silent}", DIM, xref="paper", xanchor="left", font_size=11)  # type: ignore[arg-type]
    title = "Response times and waits" if rows else "No call in this recording was answered"
    frame(figure, title, times.notes, ROW * max(len(rows), 2), left=LEFT, foot=110)
    ticks = [10.0**n for n in range(-6, 6)]
    figure.update_xaxes(
        type="log", tickvals=ticks, ticktext=[in_words(t) for t in ticks], gridcolor=GRID, griddash="dot"
    )
    figure.update_yaxes(autorange="reversed", gridcolor=GRID)
    figure.update_layout(
        margin_r=150, legend={"orientation": "h", "y": -36 / (ROW * max(len(rows), 2)), "yanchor": "top", "x": 0}
    )
    return figure
