"""The state of everything at one moment, for programs and notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlmdissect.history.moment import Moment
from nlmdissect.report.times import iso

if TYPE_CHECKING:
    import pandas as pd


class State:
    """The state of everything at one moment of a recording. ``moment`` has it as objects; the tables are pandas
    DataFrames whose columns ``nlmdissect.tables.MOMENT`` describes.
    """

    def __init__(self, moment: Moment) -> None:
        self.moment = moment
        self._tables: dict[str, pd.DataFrame] = {}

    def __repr__(self) -> str:
        return f"<State at {iso(self.moment.time)}: {len(self.moment.locks)} locks, {len(self.moment.waits)} waits>"

    def _repr_html_(self) -> str:
        from nlmdissect.report import cards

        return cards.moment(self.moment)

    def table(self, name: str) -> pd.DataFrame:
        """A table by its name. Raises KeyError for one that does not exist."""
        if name not in self._tables:
            from nlmdissect.tables.frames import build_at

            self._tables[name] = build_at(name, self.moment)
        return self._tables[name]

    @property
    def locks(self) -> pd.DataFrame:
        """One row a piece of a file that a server holds, or that a client believes to have."""
        return self.table("locks")

    @property
    def waits(self) -> pd.DataFrame:
        """One row a lock request that was answered BLOCKED and waits."""
        return self.table("waits")

    @property
    def under_way(self) -> pd.DataFrame:
        """One row a lock request that was sent and not decided yet."""
        return self.table("under_way")

    @property
    def monitors(self) -> pd.DataFrame:
        """One row a pair of hosts, one of which watches the other."""
        return self.table("monitors")

    @property
    def unknown(self) -> pd.DataFrame:
        """One row a thing that the recording does not show of a server's table."""
        return self.table("unknown")
