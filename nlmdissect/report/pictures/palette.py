"""Colours, shapes and words of the tones. The colours are those of Okabe and Ito, which colour-blind people tell apart
("Color Universal Design", 2008); nothing is said by colour alone.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from nlmdissect.report.pictures.chart import Tone

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE, GREY = (
    "#1a1a1a", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#8a8a8a"
)  # fmt: skip


class Shape(StrEnum):
    """How a mark looks."""

    CIRCLE = "circle"
    CROSS = "x"
    DIAMOND = "diamond"


class Look(NamedTuple):
    """``words`` are those of the legend; ``dark`` is the colour on a dark ground, where it differs."""

    colour: str
    shape: Shape
    words: str
    dark: str = ""


LOOKS: dict[Tone, Look] = {
    Tone.GRACE: Look(YELLOW, Shape.CIRCLE, "grace period"),
    Tone.GRACE_MAYBE: Look(YELLOW, Shape.CIRCLE, "may be in its grace period"),
    Tone.DOWN: Look(GREY, Shape.CIRCLE, "restarted somewhere in this time"),
    Tone.BOOT: Look(BLACK, Shape.DIAMOND, "restart", "#f2f2f2"),
    Tone.HELD: Look(BLUE, Shape.CIRCLE, "lock held", "#3a9bdc"),
    Tone.WAITING: Look(SKY, Shape.CIRCLE, "waits (BLOCKED)"),
    Tone.ORPHANED: Look(ORANGE, Shape.CIRCLE, "not reclaimed yet"),
    Tone.NOTICE: Look(BLACK, Shape.CIRCLE, "SM_NOTIFY, answered", "#f2f2f2"),
    Tone.PLAIN: Look(GREY, Shape.CIRCLE, "message"),
    Tone.GOOD: Look(GREEN, Shape.CIRCLE, "granted"),
    Tone.UNSURE: Look(GREY, Shape.CIRCLE, "cannot tell"),
    Tone.STALE: Look(PURPLE, Shape.CROSS, "left behind: only the server holds it"),
    Tone.LOST: Look(VERMILLION, Shape.CROSS, "lock lost: only the client believes in it"),
    Tone.BAD: Look(VERMILLION, Shape.CROSS, "where the chain broke"),
}
