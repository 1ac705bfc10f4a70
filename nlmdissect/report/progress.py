"""A progress bar: on standard error of a terminal or in the cell of a notebook, and only for what takes longer than a
moment.
"""

from __future__ import annotations

import sys
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 0.7  # seconds before anything is shown


class Drawn(Protocol):
    """A bar on some screen. Units: bytes; ``total`` is None for a pipe."""

    def update(self, what: str, done: int, total: int | None) -> None: ...
    def close(self) -> None: ...


class Bar:
    """Called as ``bar(done, total)`` with bytes; ``total`` is None for a pipe. ``what`` is being done."""

    def __init__(self, wanted: bool = True, what: str = "reading") -> None:
        self.what = what
        self._kind = _kind() if wanted else None
        self._began = monotonic()
        self._drawn: Drawn | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn is not None:
            self._drawn.close()

    def __call__(self, done: int, total: int | None) -> None:
        if self._kind is None or monotonic() - self._began < PATIENCE:
            return
        if self._drawn is None:
            self._drawn = self._kind()
        self._drawn.update(self.what, done, total)


def in_notebook() -> bool:
    """Whether this runs in a kernel of Jupyter. IPython is asked only where it runs already."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def _kind() -> type[OnTerminal] | type[InNotebook] | None:
    if in_notebook():
        return InNotebook
    return OnTerminal if sys.stderr.isatty() else None


class OnTerminal:
    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        words = TextColumn("{task.description}", markup=False)
        columns = (words, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._progress: Progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task: TaskID = self._progress.add_task("reading", total=None)
        self._progress.start()

    def update(self, what: str, done: int, total: int | None) -> None:
        self._progress.update(self._task, description=what, completed=done, total=total)

    def close(self) -> None:
        self._progress.stop()


class InNotebook:
    """HTML's own element: it needs no widgets, and looks right on a light and on a dark page."""

    OFTEN = 0.2  # seconds between two pictures

    def __init__(self) -> None:
        from IPython.display import HTML, display

        self._html = HTML
        self._shown: Any = display(HTML(""), display_id=True)
        self._next = 0.0

    def update(self, what: str, done: int, total: int | None) -> None:
        if monotonic() < self._next:
            return
        self._next = monotonic() + self.OFTEN
        part = f' value="{done}" max="{total}"' if total else ""
        size = f"{done / 1e6:.0f}{f' of {total / 1e6:.0f}' if total else ''} MB"
        self._shown.update(self._html(f"{what} <progress{part}></progress> {size}"))

    def close(self) -> None:
        self._shown.update(self._html(""))
