"""The monitor graph with Plotly: servers left, clients right, an arrow from who watches to who is watched."""

from __future__ import annotations

from plotly.graph_objects import Figure

from nlmdissect.report.pictures.chart import Tone
from nlmdissect.report.pictures.monitors import SAYS, Edge, Monitors
from nlmdissect.report.pictures.palette import LOOKS
from nlmdissect.report.plots.paint import RED, TEXT, frame, hover, safe, write

ROW = 44  # px
SIDE = 210  # px for names
DASHES = {Tone.PLAIN: "dot", Tone.HELD: "solid", Tone.UNSURE: "dot", Tone.NOTICE: "solid", Tone.BAD: "dash"}


def draw(monitors: Monitors) -> Figure:
    """The graph as a figure; hover over the middle of an edge tells frames."""
    figure = Figure()
    counts = [max((n.place + 1 for n in monitors.nodes if n.side == side), default=0) for side in (0, 1)]
    height = ROW * max(*counts, 2)
    ys = [height * (node.place + 0.5) / max(counts[node.side], 1) for node in monitors.nodes]
    for tone in SAYS:
        edges = [edge for edge in monitors.edges if edge.tone is tone]
        if edges:
            _edges(figure, monitors, ys, tone, edges)
    for node, y in zip(monitors.nodes, ys, strict=True):
        colour = RED if node.bad else TEXT
        write(figure, node.side, y, f"<b>{safe(node.name)}</b>", colour, xanchor="left" if node.side else "right",
              xshift=12 if node.side else -12)  # fmt: skip
    figure.add_scatter(
        x=[node.side for node in monitors.nodes],
        y=ys,
        mode="markers",
        marker={"size": 11, "color": [RED if node.bad else TEXT for node in monitors.nodes]},
        hoverinfo="skip",
        showlegend=False,
    )
    title = "Who watches whom" if monitors.edges else "Nobody watches anybody in this recording"
    frame(figure, title, monitors.notes, height, left=SIDE, foot=70)
    figure.update_layout(margin_r=SIDE, legend={"orientation": "h", "y": -14 / height, "yanchor": "top", "x": -0.2})
    figure.update_xaxes(range=[-0.01, 1.01], visible=False, fixedrange=True)
    figure.update_yaxes(range=[height, 0], visible=False)
    return figure


def _edges(figure: Figure, monitors: Monitors, ys: list[float], tone: Tone, edges: list[Edge]) -> None:
    xs: list[float | None] = []
    heights: list[float | None] = []
    for edge in edges:
        a, b = monitors.nodes[edge.watcher], monitors.nodes[edge.watched]
        off = 5 if a.side else -5  # the two directions of a pair stand beside each other
        xs += [a.side, b.side, None]
        heights += [ys[edge.watcher] + off, ys[edge.watched] + off, None]
    colour = LOOKS[tone].colour
    marker = {
        "symbol": ["circle", "arrow", "circle"] * len(edges), "angleref": "previous", "color": colour, "opacity": 1,
        "size": [1, 12, 1] * len(edges), "standoff": [0, 6, 0] * len(edges),
    }  # fmt: skip
    line = {"color": colour, "dash": DASHES[tone], "width": 2.4 if tone is Tone.BAD else 1.4}
    figure.add_scatter(
        x=xs, y=heights, mode="lines+markers", line=line, marker=marker, name=SAYS[tone], hoverinfo="skip"
    )
    spots = [_spot(monitors, ys, edge, 0.3 + 0.1 * (number % 5)) for number, edge in enumerate(edges)]
    figure.add_scatter(
        x=[x for x, _ in spots],
        y=[y for _, y in spots],
        mode="markers",
        marker={"size": 9, "color": colour, "symbol": LOOKS[tone].shape.value, "line": {"color": "white", "width": 1}},
        customdata=[hover(edge.words) for edge in edges],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
    )


def _spot(monitors: Monitors, ys: list[float], edge: Edge, share: float) -> tuple[float, float]:
    """Where to hover: at another share of each edge, since the middles of a fan lie on each other."""
    a, b = monitors.nodes[edge.watcher], monitors.nodes[edge.watched]
    y = ys[edge.watcher] + (ys[edge.watched] - ys[edge.watcher]) * share
    return a.side + (b.side - a.side) * share, y + (5 if a.side else -5)
