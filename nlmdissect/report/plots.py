"""The door to Plotly: pictures as figures, for Jupyter and for files.

What is drawn comes from ``report/pictures``; here it only gets its shapes. ``figure.write_image`` needs Kaleido, which
``pip install 'nlmdissect[images]'`` brings.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from plotly import graph_objects as go
from plotly.graph_objects import Figure

from nlmdissect.analysis import Analysis
from nlmdissect.report.escape import show
from nlmdissect.report.pictures.arrange import BAR, Arranged, Line, Size, arrange
from nlmdissect.report.pictures.chart import Chart, Tone
from nlmdissect.report.pictures.palette import LOOKS
from nlmdissect.report.pictures.timeline import timeline

WIDTH, NAMES = 1160, 170
TEXT, DIM, RED, LINE = "#16191d", "#59636e", "#b83c00", "#d9dde3"
HATCHED = {Tone.ORPHANED: "/", Tone.STALE: "\\", Tone.UNSURE: ".", Tone.DOWN: "."}
FONT = {"family": "system-ui, 'DejaVu Sans', sans-serif", "size": 12, "color": TEXT}


def recovery(
    analysis: Analysis, boot: int | None, hosts: Sequence[str], start: int | None, end: int | None, lanes: int
) -> Figure:
    return _chart(timeline(analysis, boot, hosts, start, end, lanes))


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


def _chart(chart: Chart) -> Figure:
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
        ground = "#fdeee6" if lane.bad else "#f6f7f9" if number % 2 else "#ffffff"
        where = {"xref": "paper", "x0": -NAMES / (WIDTH - NAMES), "x1": 1, "layer": "below", "line_width": 0}
        figure.add_shape(type="rect", y0=box.top, y1=box.bottom, fillcolor=ground, **where)
        colour = RED if lane.bad else TEXT
        note = f"<br><span style='font-size:11px;color:{RED if lane.bad else DIM}'>{_safe(lane.note)}</span>"
        _write(figure, 0, box.top, f"<b>{_safe(lane.name)}</b>{note}", colour, xref="paper", xanchor="left",
               yanchor="top", xshift=8 - NAMES, align="left", borderpad=4)  # fmt: skip
    for ground in plan.grounds:
        figure.add_vrect(
            x0=_moment(ground.band.start),
            x1=_moment(ground.band.end),
            fillcolor=LOOKS[ground.band.tone].colour,
            opacity=0.3 if ground.band.tone is Tone.GRACE else 0.18,
            line_width=0,
            layer="below",
        )
    for label in plan.labels:
        bad = label.tone in (Tone.BAD, Tone.LOST)
        words = _safe(label.text)
        _write(figure, _moment(plan.time(label.x)), label.y, f"<b>{words}</b>" if bad or label.tone is Tone.BOOT else words,
               RED if bad else TEXT if label.tone is Tone.BOOT else DIM, xanchor="right" if label.end else "left",
               yanchor="middle", font_size=11, bgcolor="rgba(255,255,255,.7)")  # fmt: skip
    _axes(figure, plan)
    return figure


def _axes(figure: Figure, plan: Arranged) -> None:
    chart = plan.chart
    note = "<br>".join(_safe(note) for note in chart.notes)
    below = f"<br><span style='font-size:12px;color:{DIM}'>{note}</span>" if note else ""
    figure.update_layout(
        title={"text": f"<b>{_safe(chart.title)}</b>{below}", "x": 0.01, "y": 0.985, "yanchor": "top"},
        font=FONT,
        width=WIDTH,
        height=plan.height + 190,
        margin={"l": NAMES, "r": 14, "t": 70 + 16 * len(chart.notes), "b": 96},
        plot_bgcolor="white",
        paper_bgcolor="white",
        barmode="overlay",
        bargap=0,
        hoverlabel={"align": "left", "bgcolor": "white", "font": {"color": TEXT}},
        legend={"orientation": "h", "y": -40 / max(plan.height, 1), "yanchor": "top", "x": -NAMES / (WIDTH - NAMES)},
    )
    figure.update_xaxes(
        type="date",
        range=[_moment(chart.start), _moment(chart.end)],
        tickformatstops=[
            {"dtickrange": [None, 1000], "value": "%H:%M:%S.%L"},
            {"dtickrange": [1000, 86400000], "value": "%H:%M:%S"},
            {"dtickrange": [86400000, None], "value": "%Y-%m-%d"},
        ],
        gridcolor=LINE,
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
        base=[_moment(bar.span.start) for bar in of],
        x=[max(bar.span.end - bar.span.start, (plan.chart.end - plan.chart.start) // 700) / 1e6 for bar in of],
        y=[bar.y + BAR / 2 for bar in of],
        width=BAR,
        marker={
            "color": LOOKS[tone].colour if tone not in HATCHED else "white",
            "line_width": 0,
            "pattern": {"shape": HATCHED.get(tone, ""), "fgcolor": LOOKS[tone].colour, "size": 6, "solidity": 0.5},
        },
        customdata=[_hover(bar.span.words) for bar in of],
        hovertemplate="%{customdata}<extra></extra>",
        name=LOOKS[tone].words,
    )


def _lines(figure: Figure, plan: Arranged, of: Sequence[Line], tone: Tone, more: str) -> None:
    """One trace for all arrows of a kind; the head, or the cross of a broken one, is the marker of the second point."""
    if not of:
        return
    heads = ["x-thin" if line.broken else "triangle-down" if line.to > line.y else "triangle-up" for line in of]
    times = [_moment(plan.time(line.x)) for line in of]
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
            "line": {"color": colour, "width": [w for line in of for w in (0, 3 if line.broken else 0, 0)]},
        },
        customdata=[words for line in of for words in (_hover(line.words),) * 3],
        hovertemplate="%{customdata}<extra></extra>",
        name=LOOKS[tone].words + (more if tone is not Tone.BAD or not more else ": missing or unanswered"),
    )


def _points(figure: Figure, plan: Arranged, tone: Tone) -> None:
    of = [point for point in plan.points if point.tone is tone]
    if of:
        shape = LOOKS[tone].shape.value
        figure.add_scatter(
            x=[_moment(plan.time(point.x)) for point in of],
            y=[point.y for point in of],
            mode="markers",
            marker={"symbol": shape, "size": 12, "color": LOOKS[tone].colour, "line": {"color": "white", "width": 1.5}},
            customdata=[_hover(point.words) for point in of],
            hovertemplate="%{customdata}<extra></extra>",
            name=LOOKS[tone].words,
            showlegend=not any(bar.span.tone is tone for bar in plan.bars),
        )


def _write(figure: Figure, x: object, y: float, text: str, colour: str, **how: object) -> None:
    figure.add_annotation(x=x, y=y, text=text, showarrow=False, font_color=colour, **how)


def _moment(time: int) -> datetime:
    """ns since 1970, as Plotly takes it; hover texts have the nanoseconds."""
    return datetime.fromtimestamp(time / 1e9, UTC).replace(tzinfo=None)


def _safe(text: str) -> str:
    """Plotly reads a few tags in every text."""
    return html.escape(show(text), quote=False)


def _hover(words: str) -> str:
    lines: Iterable[str] = words.split("\n")
    return "<br>".join(_fold(_safe(line)) for line in lines)


def _fold(text: str, width: int = 90) -> str:
    """Break long lines at spaces."""
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + len(word) > width:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
    return "<br>".join([*lines, line])
