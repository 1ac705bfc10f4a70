"""The door to Jinja: the analysis as one HTML file that needs nothing else, opened anywhere, mailed to anybody.

Names in packets are hostile text. Everything that is shown goes through the template's autoescape; scripts and styles
are our own files, and nothing of a packet is ever written into them.
"""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nlmdissect.analysis import Analysis
from nlmdissect.escape import show
from nlmdissect.report.page import page
from nlmdissect.report.pictures.arrange import Arranged, Size, arrange
from nlmdissect.report.pictures.palette import LOOKS
from nlmdissect.report.pictures.ticks import ticks
from nlmdissect.report.pictures.timeline import timeline

LANES = 14  # of the timeline
# one drawing for each width of a screen, of which one is shown; text has the same size in all of them
SIZES = {"wide": Size(1120, 150), "middle": Size(720, 126), "narrow": Size(340, 0)}
TICK = 96  # px between two
MANY = 40  # rows: a longer section is folded at first


def render(analysis: Analysis, version: str) -> str:
    """The whole file."""
    chart = timeline(analysis, lanes=LANES)
    return fill(
        "report.html.j2",
        page=page(analysis),
        version=version,
        chart=chart,
        plans={name: arrange(chart, size) for name, size in SIZES.items()},
        ticks=_ticks,
        looks=LOOKS,
        many=MANY,
        tones=chart.tones(),
    )


def fill(template: str, **values: object) -> str:
    """One of our templates with these values in it, all of them escaped."""
    return _environment().get_template(template).render(**values)


def _environment() -> Environment:
    env = Environment(
        loader=PackageLoader("nlmdissect.report", "templates"),
        autoescape=True,
        finalize=_printable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    assert env.loader is not None
    for name in ("report.css", "report.js", "audit.css", "audit.js"):
        env.globals[name.replace(".", "_")] = Markup(env.loader.get_source(env, name)[0])  # ours, and nobody else's
    return env


def _printable(value: object) -> object:
    """Every expression of the template goes through this, and then through autoescape."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return "\n".join(map(show, value.split("\n")))
    return value


def _ticks(plan: Arranged) -> list[tuple[float, str]]:
    chart, room = plan.chart, plan.size.width - plan.size.left
    return [(plan.x(at), name) for at, name in ticks(chart.start, chart.end, max(room // TICK, 2))]
