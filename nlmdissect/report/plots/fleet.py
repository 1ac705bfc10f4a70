"""Pictures of many recordings with Plotly: the matrix of recordings and rules, and what became of servers' locks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plotly.graph_objects import Figure

from nlmdissect.findings import Outcome
from nlmdissect.report.pictures.palette import GREY, ORANGE, PURPLE, SKY, VERMILLION
from nlmdissect.report.plots.paint import DIM, GRID, frame, hover, safe, write

ROW = 22  # px
LEFT = 330
SHADES = {
    Outcome.FOUND: (VERMILLION, "X", "found"),
    Outcome.SUSPECTED: (ORANGE, "?", "suspected"),
    Outcome.NOT_ASSESSED: (SKY, "-", "not assessed"),
    Outcome.CLEAN: ("#eef1f4", "", "clean"),
}
FATES = {"missing": ORANGE, "refused": VERMILLION, "stolen": PURPLE, "unknown": GREY}


def matrix(
    names: Sequence[str], codes: Sequence[str], cells: Sequence[Sequence[Outcome | None]],
    words: Sequence[Sequence[str]], notes: Sequence[str],
) -> Figure:  # fmt: skip
    """One row a name, one column a code. ``words`` are shown over a cell."""
    figure = Figure()
    rows = [safe(name) for name in names]
    for outcome, (colour, letter, word) in SHADES.items():
        at = [(x, y) for y, row in enumerate(cells) for x, cell in enumerate(row) if cell is outcome]
        figure.add_scatter(
            x=[codes[x] for x, _ in at],
            y=[rows[y] for _, y in at],
            mode="markers+text",
            marker={"symbol": "square", "size": 19, "color": colour},
            text=[letter for _ in at],
            textfont={"size": 11, "color": "white"},
            customdata=[hover(words[y][x]) for x, y in at],
            hovertemplate="%{customdata}<extra></extra>",
            name=word,
        )
    title = "Recordings and rules, worst first" if names else "Nothing was found in any recording"
    height = ROW * max(len(rows), 3)
    frame(figure, title, notes, height, left=LEFT, foot=130)
    figure.update_xaxes(categoryarray=list(codes), tickangle=-90, tickfont={"size": 10}, showgrid=False)
    figure.update_yaxes(categoryarray=rows, autorange="reversed", gridcolor=GRID)
    figure.update_layout(legend={"orientation": "h", "y": -74 / height, "yanchor": "top", "x": 0})
    return figure


def fates(
    names: Sequence[str], counts: Mapping[str, Sequence[int]], said: Sequence[str], notes: Sequence[str]
) -> Figure:
    """A bar for each name: ``counts`` of locks by their fate, the words of FATES; ``said`` is written behind it."""
    figure = Figure()
    rows = [safe(name) for name in names]
    for fate, colour in FATES.items():
        figure.add_bar(
            orientation="h",
            y=rows,
            x=list(counts[fate]),
            name=fate,
            marker_color=colour,
            hovertemplate=f"%{{y}}<br>%{{x}} {fate}<extra></extra>",
        )
    total = [sum(counts[fate][place] for fate in FATES) for place in range(len(rows))]
    for name, x, text in zip(rows, total, said, strict=True):
        write(figure, x, name, f" {safe(text)}", DIM, xanchor="left", font_size=11)  # type: ignore[arg-type]
    title = "Locks that were not seen to be recovered when servers restarted" if names else "Every lock was recovered"
    height = 30 * max(len(rows), 3)
    frame(figure, title, notes, height, left=LEFT, foot=100)
    legend = {"orientation": "h", "y": -52 / height, "yanchor": "top", "x": 0, "traceorder": "normal"}
    figure.update_layout(barmode="stack", legend=legend)
    figure.update_xaxes(title="locks", gridcolor=GRID, rangemode="tozero", range=[0, max(total, default=1) * 1.25])
    figure.update_yaxes(autorange="reversed")
    return figure
