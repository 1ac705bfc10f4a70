"""Audits for programs and notebooks: make one, open one, look at its tables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nlmdissect.audit import parquet
from nlmdissect.audit.dataset import Run, find_run
from nlmdissect.audit.summary import Summary
from nlmdissect.audit.text import render
from nlmdissect.audit.trend import Trend, trend
from nlmdissect.capture.unpack import EXPANSION
from nlmdissect.escape import in_html

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure


class Audit:
    """One run of an audit. Tables are read when they are first asked for, and kept; ``nlmdissect.audit.columns.TABLES``
    and docs/tables.md describe their columns. ``summary`` has the recordings as objects, worst first.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._tables: dict[str, pd.DataFrame] = {}

    def __repr__(self) -> str:
        return f"<Audit {self.run.name}: {len(self.summary.recordings)} recordings, {len(self.findings)} findings>"

    def _repr_html_(self) -> str:
        return f"<pre>{'<br>'.join(map(in_html, render(self.summary, None, 120).splitlines()))}</pre>"

    @cached_property
    def summary(self) -> Summary:
        """The matrix, and everything behind its cells."""
        return Summary(self.run)

    def table(self, name: str) -> pd.DataFrame:
        """A table by its name. Raises KeyError for one that does not exist."""
        if name not in self._tables:
            files = [(self.run.name, one, self.run.file(one, name)) for one in self.run.recordings()]
            self._tables[name] = parquet.frame(name, files)
        return self._tables[name]

    def trend(self, before: Audit | str | Path) -> Trend:
        """What changed since an earlier audit: another one, a dataset, or one run in it. Raises UsageError."""
        earlier = before if isinstance(before, Audit) else open_audit(before)
        return trend(self.summary, earlier.summary)

    def plot_matrix(self, *, most: int = 40) -> Figure:
        """Recordings in which something is wrong, at most ``most`` of them, and the rules that say so."""
        from nlmdissect.audit import pictures

        return pictures.matrix(self.summary, most)

    def plot_servers(self, *, most: int = 20) -> Figure:
        """What became of the locks that servers held when they restarted; those that lost most locks first."""
        from nlmdissect.audit import pictures

        return pictures.servers(self.summary, self.recoveries.to_dict("records"), most)

    @property
    def matrix(self) -> pd.DataFrame:
        """One row a recording, worst first; one column a rule, with its outcome."""
        wide = self.rules.pivot(index="recording", columns="code", values="outcome")
        return wide.reindex([one.id for one in self.summary.recordings])

    @property
    def captures(self) -> pd.DataFrame:
        """One row a file."""
        return self.table("captures")

    @property
    def rules(self) -> pd.DataFrame:
        """One row a recording and rule: the cells of the matrix."""
        return self.table("rules")

    @property
    def findings(self) -> pd.DataFrame:
        """One row a finding."""
        return self.table("findings")

    @property
    def recoveries(self) -> pd.DataFrame:
        """One row a restart and a host that had to do with it."""
        return self.table("recoveries")

    @property
    def coverage(self) -> pd.DataFrame:
        """One row a visibility condition that a rule asked for."""
        return self.table("coverage")

    @property
    def hosts(self) -> pd.DataFrame:
        """One row an endpoint that takes part."""
        return self.table("hosts")


def open_audit(folder: str | Path) -> Audit:
    """The latest run of a dataset, or the run whose folder this is. Raises UsageError."""
    return Audit(find_run(folder))


def run_audit(
    paths: Sequence[str | Path], dataset: str | Path, *, run: str | None = None, group: Sequence[str] = (),
    scheduler: str | None = None, jobs: int | None = None, memory: int | None = None,
    max_expansion: int | None = None, progress: bool = False,
) -> Audit:  # fmt: skip
    """Audit files, folders, patterns and URLs into a dataset, as ``nlmdissect audit`` does.

    A run that did not end goes on, if it was asked the same. ``group`` are patterns: files that match one are one
    recording; "none" takes every other file alone. ``scheduler`` is the address of a Dask cluster, else ``jobs``
    workers start here, which together use at most ``memory`` bytes; a script that does that has ``if __name__ ==
    "__main__":``, for workers import it. ``max_expansion`` is as in ``read``. Raises UsageError, and LostError without
    a scheduler.
    """
    from nlmdissect.audit.run import audit

    most = EXPANSION if max_expansion is None else max_expansion
    return Audit(audit(paths, dataset, run=run, group=group, scheduler=scheduler, jobs=jobs, memory=memory,
                       max_expansion=most, progress=progress))  # fmt: skip
