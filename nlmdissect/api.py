"""The door for programs: ``read`` a recording, look at its tables, ask what a rule means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nlmdissect.analysis import Analysis, Asked, analyse, check
from nlmdissect.capture.unpack import EXPANSION
from nlmdissect.history.history import History, read_history
from nlmdissect.history.moment import moment
from nlmdissect.report import lines, pages
from nlmdissect.report.progress import Bar, in_notebook
from nlmdissect.report.times import parse, parse_at, parse_in
from nlmdissect.state import State

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from plotly.graph_objects import Figure

Progress = Callable[[int, "int | None"], None]
Paths = str | Path | Sequence[str | Path]
Time = datetime | str | None


class Capture:
    """One recording, read and judged. Tables are made when they are first asked for, and kept.

    ``analysis`` has the findings as objects, ``history`` everything that they rest on; the tables are pandas
    DataFrames whose columns ``nlmdissect.tables.TABLES`` and docs/tables.md describe.
    """

    def __init__(self, history: History, asked: Asked | None = None) -> None:
        self.history = history
        self._asked = asked
        self._tables: dict[str, pd.DataFrame] = {}

    def __repr__(self) -> str:
        files = ", ".join(source.path for source in self.history.sources)
        messages = sum(self.analysis.messages().values())
        return f"<Capture {files}: {messages} messages, {len(self.analysis.findings)} findings>"

    def _repr_html_(self) -> str:
        from nlmdissect.report import cards

        return cards.capture(self.analysis)

    @cached_property
    def analysis(self) -> Analysis:
        """What the rules say, as objects."""
        return analyse(self.history, self._asked)

    def table(self, name: str) -> pd.DataFrame:
        """A table by its name. Raises KeyError for one that does not exist."""
        if name not in self._tables:
            from nlmdissect.tables.frames import build

            self._tables[name] = build(name, self.analysis)
        return self._tables[name]

    def to_parquet(self, folder: str | Path) -> None:
        """Write all tables to a folder, each as a Parquet file; ``read_tables`` reads them back. It may exist.

        Raises UsageError without pyarrow, or for a place that cannot be written.
        """
        from nlmdissect import __version__
        from nlmdissect.tables import TABLES, parquet

        about = {"version": __version__, "captures": [source.path for source in self.history.sources]}
        parquet.write(folder, {name: self.table(name) for name in TABLES}, about)

    def at(self, time: Time = None) -> State:
        """Who held what at a moment: a datetime (naive: UTC) or what ``--at`` takes; None: the end.

        Raises UsageError for a time that cannot be read, or is not in the recording.
        """
        asked = self._time(time)
        return State(moment(self.history, self.history.extent.last if asked is None else asked))

    def where(self, expression: str) -> pd.DataFrame:
        """The calls of which an expression is true, as ``show --where`` takes it: ``client == "client-a" and reclaim``.

        Like ``calls.query``, and it knows the names of hosts, moments as ``at`` takes them, and says what is wrong with
        a word that means nothing. Raises UsageError.
        """
        return self.calls[self.rows(expression)]

    def rows(self, expression: str) -> NDArray[np.bool_]:
        """Of which rows of ``calls`` an expression is true. Raises UsageError."""
        from nlmdissect.tables.fields import chosen

        extent = self.history.extent
        return chosen(
            self.history,
            expression,
            lambda name: lines.hosts(self.history, [name]) or frozenset(),
            lambda text: parse_in(text, extent.first, extent.last),
        )

    def plot_recovery(self, boot: int | None = None, *, hosts: Sequence[str] = (), start: Time = None, end: Time = None,
                      lanes: int = 24) -> Figure:  # fmt: skip
        """The timeline of a recovery: hosts as lanes, restarts, grace period, notices, reclaims by answer, lost locks.

        ``boot`` is a number in ``boots`` (None: the restart that did most harm), ``hosts`` are addresses or names
        (none: the worst ones, at most ``lanes`` of them; the rest is one lane), ``start`` and ``end`` as in ``at``.
        Raises UsageError for what the recording does not show.
        """
        from nlmdissect.report import plots

        return plots.recovery(self.analysis, boot, hosts, self._time(start), self._time(end), lanes)

    def plot_file(self, file: str | None = None, *, start: Time = None, end: Time = None, lanes: int = 24) -> Figure:
        """The lock history of a file: owners as lanes, what they held and waited for, conflicts.

        ``file`` is its handle in hex, or the end of it (None: the file of the worst finding, or the busiest one).
        Raises UsageError for a file that the recording does not show.
        """
        from nlmdissect.report import plots

        return plots.file(self.analysis, file, self._time(start), self._time(end), lanes)

    def plot_ladder(self, finding: int | str | None = None, *, hosts: Sequence[str] = (), start: Time = None,
                    end: Time = None, most: int = 60) -> Figure:  # fmt: skip
        """The ladder of a conversation: who sent what to whom, at most ``most`` messages.

        ``finding`` is a row of ``findings``, or a code (the first of it): its evidence and what was said around it.
        None: what ``hosts`` said from ``start`` to ``end``. Raises UsageError for what the recording does not show.
        """
        from nlmdissect.report import plots

        return plots.ladder(self.analysis, finding, hosts, self._time(start), self._time(end), most)

    def plot_times(self, *, most: int = 40) -> Figure:
        """How long answers took, for every procedure and server, and how long lock requests waited; slowest first."""
        from nlmdissect.report import plots

        return plots.times(self.analysis, most)

    def plot_monitors(self, *, most: int = 40) -> Figure:
        """Who watches whom, and which of these edges a notice used, or should have; at most ``most`` hosts a side."""
        from nlmdissect.report import plots

        return plots.monitors(self.analysis, most)

    def _time(self, time: Time) -> int | None:
        """A moment of the recording (ns). Raises UsageError."""
        if time is None:
            return None
        text = time.isoformat() if isinstance(time, datetime) else time
        return parse_at(text, self.history.extent.first, self.history.extent.last)

    @property
    def messages(self) -> pd.DataFrame:
        """One row an RPC message."""
        return self.table("messages")

    @property
    def calls(self) -> pd.DataFrame:
        """One row an RPC call with its answer, and one an answer whose call is not in the capture.

        ``query`` wants times with their zone: ``time > '2026-01-31 11:30:20+00:00'``; ``where`` reads others too.
        """
        return self.table("calls")

    @property
    def hosts(self) -> pd.DataFrame:
        """One row an endpoint that takes part."""
        return self.table("hosts")

    @property
    def boots(self) -> pd.DataFrame:
        """One row a restart."""
        return self.table("boots")

    @property
    def monitors(self) -> pd.DataFrame:
        """One row a pair of hosts, one of which watches the other."""
        return self.table("monitors")

    @property
    def locks(self) -> pd.DataFrame:
        """One row a hold, from the request to its end."""
        return self.table("locks")

    @property
    def waits(self) -> pd.DataFrame:
        """One row a lock request that was answered BLOCKED."""
        return self.table("waits")

    @property
    def recoveries(self) -> pd.DataFrame:
        """One row a restart and a host that had to do with it."""
        return self.table("recoveries")

    @property
    def reclaims(self) -> pd.DataFrame:
        """One row a reclaim and its answer."""
        return self.table("reclaims")

    @property
    def steps(self) -> pd.DataFrame:
        """One row a step of a state machine."""
        return self.table("steps")

    @property
    def findings(self) -> pd.DataFrame:
        """One row a finding; ``analysis.findings`` has them as objects, with all their evidence."""
        return self.table("findings")

    @property
    def defects(self) -> pd.DataFrame:
        """One row a thing that the bytes got wrong."""
        return self.table("defects")

    @property
    def coverage(self) -> pd.DataFrame:
        """One row a visibility condition that a rule asked for."""
        return self.table("coverage")


def read(
    paths: Paths,
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    since: Time = None,
    until: Time = None,
    loopback: Mapping[str, Paths] | None = None,
    progress: Progress | bool | None = None,
    max_expansion: int | None = None,
) -> Capture:
    """Read a capture, or several files that are one recording; "-" is standard input.

    ``select`` and ``ignore`` are rule codes. ``since`` and ``until`` leave out findings whose first evidence lies
    outside of them; naive times are UTC. ``loopback`` says which host (address or name) a loopback capture belongs to,
    where its SM_MON calls do not say it. ``progress(done, total)`` is called with bytes while reading; True is a bar
    for what takes longer than a moment, False is none, and None is a bar in a notebook alone. Errors: CaptureError for
    a path that is no capture, or for files that are not one recording; UsageError for a code or a time that means
    nothing. ``max_expansion`` is how many bytes a byte of a packed file may become before reading stops there (None:
    1000).
    """
    wanted = asked(select, ignore, since, until)
    whose = {host: _several(files) for host, files in (loopback or {}).items()}
    most = EXPANSION if max_expansion is None else max_expansion
    if callable(progress):
        return Capture(read_history(_several(paths), progress, whose, most), wanted)
    with Bar(in_notebook() if progress is None else progress) as bar:
        return Capture(read_history(_several(paths), bar, whose, most), wanted)


def read_tables(folder: str | Path) -> dict[str, pd.DataFrame]:
    """The tables that ``Capture.to_parquet`` wrote, by name, as they were.

    Raises UsageError without pyarrow, and for a folder that has no tables, not all, or those of a newer version.
    """
    from nlmdissect.tables import parquet

    return parquet.read(folder)


def asked(
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    since: Time = None,
    until: Time = None,
) -> Asked:
    """What is to be judged and shown. Raises UsageError for a code or a time that means nothing."""
    return check(Asked(tuple(select), tuple(ignore), _time(since), _time(until)))


def explain(what: str, width: int = 80) -> str:
    """The page of a rule by its code or name, or the list of a family: ``NSM``. Raises UsageError for what is
    neither.
    """
    return pages.explain(what, width)


def _several(paths: Paths) -> list[str | Path]:
    return [paths] if isinstance(paths, str | Path) else list(paths)


def _time(moment: Time) -> int | None:
    if moment is None:
        return None
    return parse(moment.isoformat() if isinstance(moment, datetime) else moment)
