"""What all figures have in common: size, letters, colours, and how text gets into them."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from plotly.graph_objects import Figure

from nlmdissect.escape import shorten, show

WIDTH = 1160
TEXT, DIM, RED, GRID = "#16191d", "#59636e", "#b83c00", "#d9dde3"
FONT = {"family": "system-ui, 'DejaVu Sans', sans-serif", "size": 12, "color": TEXT}
HEAD, FOOT = 64, 120  # px above and below
LINE = 90  # letters of a line of a title or a hover text
TITLE = 3 * LINE


def frame(figure: Figure, title: str, notes: Sequence[str], height: int, left: int, foot: int = FOOT) -> None:
    """Title, notes below it, and margins around a picture of ``height`` px."""
    below = "".join(f"<br><span style='font-size:12px;color:{DIM}'>{safe(note)}</span>" for note in notes)
    lines = list(_fold(shorten(title, TITLE)))
    head = HEAD + 16 * len(notes) + 22 * (len(lines) - 1)
    top = 14 + 8 * (len(lines) + len(notes) - 1)
    figure.update_layout(
        title={"text": f"<b>{'<br>'.join(map(safe, lines))}</b>{below}", "x": 0.01, "yref": "container",
               "y": 1 - top / (height + head + foot), "yanchor": "top", "font_size": 17},
        font=FONT,
        width=WIDTH,
        height=height + head + foot,
        margin={"l": left, "r": 14, "t": head, "b": foot},
        plot_bgcolor="white",
        paper_bgcolor="white",
        hoverlabel={"align": "left", "bgcolor": "white", "font": {"color": TEXT}},
    )  # fmt: skip


def write(figure: Figure, x: object, y: float, text: str, colour: str, **how: object) -> None:
    """Text at a place. ``text`` is safe already."""
    figure.add_annotation(x=x, y=y, text=text, showarrow=False, font_color=colour, **how)


def moment(time: int) -> datetime:
    """ns since 1970, as Plotly takes it; hover texts have the nanoseconds."""
    return datetime.fromtimestamp(time / 1e9, UTC).replace(tzinfo=None)


def safe(text: str) -> str:
    """Plotly reads a few tags in every text."""
    return html.escape(show(text), quote=False)


def hover(words: str) -> str:
    """A hover text of several lines, none of them too long."""
    return "<br>".join(safe(line) for whole in words.split("\n") for line in _fold(whole))


def _fold(text: str) -> Iterable[str]:
    line = ""
    for word in text.split(" "):
        if line and len(line) + len(word) > LINE:
            yield line
            line = ""
        line = f"{line} {word}" if line else word
    yield line
