"""Charts along a time axis with Plotly: the timeline of a recovery, the lock history of a file."""

from __future__ import annotations

from collections.abc import Sequence

from plotly.graph_objects import Figure

from nlmdissect.report.pictures.arrange import BAR, URGENT, Arranged, Line, Size, arrange
from nlmdissect.report.pictures.chart import Chart, Tone
from nlmdissect.report.pictures.palette import LOOKS
from nlmdissect.report.plots.paint import DIM, GRID, RED, TEXT, WIDTH, frame, hover, moment, safe, write

NAMES = 170  # px for the names of the lanes
HATCHED = {Tone.ORPHANED: "/", Tone.STALE: "\\", Tone.UNSURE: ".", Tone.DOWN: "."}


def draw(chart: Chart) -> Figure:
    """The chart as a figure that can be zoomed; hover tells frames."""
    plan = arrange(chart, Size(WIDTH, NAMES))
    figure = Figure()
    for tone in reversed(chart.tones()):
        _bars(figure, plan, tone)
    for tone in chart.tones():
        lines = [line for line in plan.lines if line.tone is tone]
        _lines(figure, plan, [line for line in lines if not line.broken], tone, "")
        _lines(figure, plan, [line for line in lines if line.broken], tone, ": missing or unanswered")
        _points(figure, plan, tone)
    for number, box in enumerate(plan.boxes):
        lane = chart.lanes[number]
        fill = "#fdeee6" if lane.bad else "#f6f7f9" if number % 2 else "#ffffff"
        where: dict[str, object] = {
            "xref": "paper",
            "x0": -NAMES / (WIDTH - NAMES),
            "x1": 1,
            "layer": "below",
            "line_width": 0,
        }
        figure.add_shape(type="rect", y0=box.top, y1=box.bottom, fillcolor=fill, **where)
        colour = RED if lane.bad else TEXT
        note = f"<br><span style='font-size:11px;color:{RED if lane.bad else DIM}'>{safe(lane.note)}</span>"
        write(figure, 0, box.top, f"<b>{safe(lane.name)}</b>{note}", colour, xref="paper", xanchor="left",
               yanchor="top", xshift=8 - NAMES, align="left", borderpad=4)  # fmt: skip
    for tone in dict.fromkeys(ground.band.tone for ground in plan.grounds):
        square = {"symbol": "square", "size": 12, "color": LOOKS[tone].colour, "opacity": 0.5}
        figure.add_scatter(x=[None], y=[None], mode="markers", marker=square, name=LOOKS[tone].words)
    for ground in plan.grounds:
        figure.add_vrect(
            x0=moment(ground.band.start),
            x1=moment(ground.band.end),
            fillcolor=LOOKS[ground.band.tone].colour,
            opacity=0.3 if ground.band.tone is Tone.GRACE else 0.18,
            line_width=0,
            layer="below",
        )
    for label in plan.labels:
        bold = label.tone in URGENT
        words = f"<b>{safe(label.text)}</b>" if bold else safe(label.text)
        colour = RED if label.tone in (Tone.BAD, Tone.LOST) else TEXT if bold else DIM
        write(figure, moment(plan.time(label.x)), label.y, words, colour, xanchor="right" if label.end else "left",
              yanchor="middle", font_size=11, bgcolor="rgba(255,255,255,.7)")  # fmt: skip
    _axes(figure, plan)
    return figure


def _axes(figure: Figure, plan: Arranged) -> None:
    chart = plan.chart
    frame(figure, chart.title, chart.notes, plan.height, left=NAMES)
    figure.update_layout(
        barmode="overlay",
        bargap=0,
        legend={"orientation": "h", "y": -40 / max(plan.height, 1), "yanchor": "top", "x": -NAMES / (WIDTH - NAMES)},
    )
    over = (chart.end - chart.start) // 40  # a mark at the end is seen whole
    figure.update_xaxes(
        type="date",
        range=[moment(chart.start), moment(chart.end + over)],
        tickformatstops=[
            {"dtickrange": [None, 1000], "value": "%H:%M:%S.%L"},
            {"dtickrange": [1000, 86400000], "value": "%H:%M:%S"},
            {"dtickrange": [86400000, None], "value": "%Y-%m-%d"},
        ],
        gridcolor=GRID,
        griddash="dot",
        zeroline=False,
    )
    figure.update_yaxes(range=[plan.height, 0], visible=False, fixedrange=True)


def _bars(figure: Figure, plan: Arranged, tone: Tone) -> None:
    of = [bar for bar in plan.bars if bar.span.tone is tone]
    if not of:
        return
    figure.add_bar(
        orientation="h",
        base=[moment(bar.span.start) for bar in of],
        x=[max(bar.span.end - bar.span.start, (plan.chart.end - plan.chart.start) // 700) / 1e6 for bar in of],
        y=[bar.y + BAR / 2 for bar in of],
        width=BAR,
        marker={
            "color": LOOKS[tone].colour if tone not in HATCHED else "white",
            "line_width": 0,
            "pattern": {"shape": HATCHED.get(tone, ""), "fgcolor": LOOKS[tone].colour, "size": 6, "solidity": 0.5},
        },
        customdata=[hover(bar.span.words) for bar in of],
        hovertemplate="%{customdata}<extra></extra>",
        name=LOOKS[tone].words,
    )


def _lines(figure: Figure, plan: Arranged, of: Sequence[Line], tone: Tone, more: str) -> None:
    """One trace for all arrows of a kind; the head, or the cross of a broken one, is the marker of the second point."""
    if not of:
        return
    heads = ["x-thin" if line.broken else "triangle-down" if line.to > line.y else "triangle-up" for line in of]
    times = [moment(plan.time(line.x)) for line in of]
    colour = LOOKS[tone].colour
    figure.add_scatter(
        x=[at for time in times for at in (time, time, None)],
        y=[y for line in of for y in (line.y, line.to, None)],
        mode="lines+markers",
        line={"color": colour, "width": 2.2 if tone is Tone.BAD else 1.4, "dash": "dash" if more else "solid"},
        marker={
            "symbol": [symbol for head in heads for symbol in ("circle", head, "circle")],
            "size": [size for _ in of for size in (1, 10, 1)],
            "color": colour,
            "opacity": 1,
            "line": {"color": colour, "width": [w for line in of for w in (0, 3 if line.broken else 0, 0)]},
        },
        customdata=[words for line in of for words in (hover(line.words),) * 3],
        hovertemplate="%{customdata}<extra></extra>",
        name=LOOKS[tone].words + more,
    )


def _points(figure: Figure, plan: Arranged, tone: Tone) -> None:
    of = [point for point in plan.points if point.tone is tone]
    if of:
        shape = LOOKS[tone].shape.value
        figure.add_scatter(
            x=[moment(plan.time(point.x)) for point in of],
            y=[point.y for point in of],
            mode="markers",
            marker={"symbol": shape, "size": 12, "color": LOOKS[tone].colour, "line": {"color": "white", "width": 1.5}},
            customdata=[hover(point.words) for point in of],
            hovertemplate="%{customdata}<extra></extra>",
            name=LOOKS[tone].words,
            showlegend=not any(bar.span.tone is tone for bar in plan.bars),
        )
