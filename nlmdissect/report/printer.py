"""Where the text report is printed, and how it writes frames and times."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from nlmdissect.analysis import Analysis
from nlmdissect.findings import At
from nlmdissect.report.times import clock, day


class Printer:
    """One report on its way to a console. Everything from packets goes through ``show`` before it comes here."""

    def __init__(self, analysis: Analysis, console: Console) -> None:
        self.analysis, self.history, self.console = analysis, analysis.history, console
        self.date = day(self.history.extent.first)

    def heading(self, text: str) -> None:
        self.print()
        self.print(Text(text, "bold"))

    def frame(self, at: At) -> str:
        """The number of a frame, behind that of its file where there are several."""
        return str(at.frame) if len(self.history.sources) == 1 else f"{at.capture}:{at.frame}"

    def time(self, time: int) -> str:
        """The time of day; the date before it where it is not that of the first frame."""
        return clock(time) if day(time) == self.date else f"{day(time)} {clock(time)}"

    def print(self, what: RenderableType = "", indent: int = 0) -> None:
        self.console.print(Padding(what, (0, 0, 0, indent)) if indent else what)
