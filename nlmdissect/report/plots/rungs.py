"""The ladder of a conversation with Plotly: hosts side by side, time downwards, one message a row."""

from __future__ import annotations

from plotly.graph_objects import Figure

from nlmdissect.history.history import History
from nlmdissect.report.pictures.chart import Tone
from nlmdissect.report.pictures.ladder import Ladder, Rung
from nlmdissect.report.pictures.palette import LOOKS
from nlmdissect.report.plots.paint import DIM, GRID, RED, TEXT, WIDTH, frame, hover, moment, safe, write
from nlmdissect.report.voice import Voice

ROW = 30  # px
LEFT = 190  # px for frames and times
LETTER = 6.6  # px
NAMES = {
    "proof": "evidence of the finding",
    "missing": "missing",
    "silent": "no answer in the capture",
    "good": LOOKS[Tone.GOOD].words,
    "plain": "message",
}


def draw(ladder: Ladder, history: History) -> Figure:
    """The ladder as a figure; hover tells all of a message."""
    figure, voice = Figure(), Voice(history)
    height = ROW * (len(ladder.rungs) + 1)
    gap = (WIDTH - LEFT - 40) / max(len(ladder.hosts) - 1, 1)
    for column, name in enumerate(ladder.hosts):
        figure.add_shape(type="line", x0=column, x1=column, y0=ROW * 0.8, y1=height, line={"color": GRID, "width": 2})
        write(figure, column, ROW * 0.4, f"<b>{safe(name)}</b>", TEXT, xanchor="center")
    shown: set[str] = set()
    for number, rung in enumerate(ladder.rungs):
        _rung(figure, rung, ROW * (number + 1.6), gap, shown)
        label = f"<b>{voice.frame(rung.at)}</b>  {moment(rung.at.time):%H:%M:%S.%f}" if rung.at.frame else ""
        skipped = f"<br><span style='font-size:10px'>({rung.skipped} before it left out)</span>" if rung.skipped else ""
        if label:
            write(figure, 0, ROW * (number + 1.6), label + skipped, TEXT if rung.proof else DIM, xref="paper",
                  xanchor="left", xshift=-LEFT + 4, font_size=11, align="left")  # fmt: skip
    frame(figure, ladder.title, ladder.notes, height, left=LEFT, foot=56)
    last = max(len(ladder.hosts) - 1, 1)
    figure.update_xaxes(range=[0, last], visible=False, fixedrange=True)
    figure.update_layout(margin_r=54, legend={"orientation": "h", "y": 0, "yanchor": "top", "x": 0})
    figure.update_yaxes(range=[height, 0], visible=False)
    return figure


def _rung(figure: Figure, rung: Rung, y: float, gap: float, shown: set[str]) -> None:
    right = rung.target > rung.source
    kind = (
        "missing" if rung.tone is Tone.BAD and rung.broken else "silent" if rung.broken
        else "proof" if rung.proof else "good" if rung.tone is Tone.GOOD else "plain"
    )  # fmt: skip
    colour = {"missing": LOOKS[Tone.BAD].colour, "silent": DIM, "proof": LOOKS[Tone.HELD].colour,
              "good": LOOKS[Tone.GOOD].colour, "plain": "#8a8a8a"}[kind]  # fmt: skip
    end = (rung.source + rung.target) / 2 if rung.broken else rung.target
    head = "x-thin" if rung.broken else "triangle-right" if right else "triangle-left"
    figure.add_scatter(
        x=[rung.source, end],
        y=[y, y],
        mode="lines+markers",
        line={"color": colour, "width": 2.4 if rung.proof else 1.3, "dash": "dash" if rung.broken else "solid"},
        marker={"symbol": ["circle", head], "size": [3, 11], "color": colour, "opacity": 1,
                "line": {"color": colour, "width": [0, 3 if rung.broken else 0]}},
        customdata=[hover(rung.words)] * 2,
        hovertemplate="%{customdata}<extra></extra>",
        cliponaxis=False,
        name=NAMES[kind],
        legendgroup=kind,
        showlegend=kind not in shown,
    )  # fmt: skip
    shown.add(kind)
    room = abs(rung.target - rung.source) * gap
    most = max(int(room / LETTER) - 2, 12)
    text = safe(rung.text if len(rung.text) <= most else rung.text[: most - 2] + "..")
    colour = RED if kind == "missing" else TEXT if rung.proof else DIM
    above, ground = (13, None) if rung.broken else (9, "rgba(255,255,255,.8)")  # a cross is not covered
    write(figure, (rung.source + rung.target) / 2, y - above, f"<b>{text}</b>" if rung.proof else text, colour,
          xanchor="center", font_size=11, bgcolor=ground)  # fmt: skip
