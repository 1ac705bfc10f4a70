"""The lock tables at a moment for people: server by server, file by file; then who waits, and what is not known."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import groupby

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nlmdissect.escape import show
from nlmdissect.history.fates import File
from nlmdissect.history.moment import Lock, Moment, Server
from nlmdissect.history.waits import Wait
from nlmdissect.machines.request import R
from nlmdissect.report.text import NARROW, WIDE
from nlmdissect.report.times import SECOND, clock, day
from nlmdissect.report.voice import Voice, kind, span
from nlmdissect.rpc.requests import Request

MANY = 1000  # locks; JSON has all
UNKNOWN = 12  # of one server


def render(moment: Moment, width: int = 100, colour: bool = False) -> str:
    """The tables as text of this width."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=max(NARROW, min(width, WIDE)),
        force_terminal=colour,
        force_jupyter=False,  # in a notebook too it writes there, and shows nothing by itself
        color_system="standard" if colour else None,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
    )
    for what, indent in _Report(moment).lines():
        console.print(Padding(what, (0, 0, 0, indent)) if indent else what)
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


class _Report:
    def __init__(self, moment: Moment) -> None:
        self.moment, self.history = moment, moment.history
        self.voice = Voice(self.history, day(moment.time))

    def lines(self) -> Iterator[tuple[RenderableType, int]]:
        """What to print, and how far to indent it."""
        moment = self.moment
        since = (moment.time - self.history.extent.first) / SECOND
        counts = f"{len(moment.locks)} locks, {len(moment.waits)} waiting"
        head = f"{day(moment.time)} {clock(moment.time)} UTC (+{since:.6f} s): {counts}"
        yield Text(head, "bold"), 0
        if not moment.servers:
            yield Text("no NLM message is in this recording", "dim"), 0
        for server in moment.servers:
            yield "", 0
            yield self._server(server), 0
            yield from self._locks(server)
            yield from self._open(server)
            yield from self._unknown(server)

    def _server(self, server: Server) -> Text:
        words = {True: ", in its grace period", False: "", None: ", perhaps in its grace period"}
        life = ""
        if server.boot is not None:
            life = f"  restarted by {self.voice.time(server.boot.not_after.time)}{words[server.in_grace]}"
        return Text.assemble((self.voice.host(server.host), "bold"), (life, "dim"))

    def _locks(self, server: Server) -> Iterator[tuple[RenderableType, int]]:
        of = [lock for lock in self.moment.locks if lock.file.server == server.host]
        if not of:
            yield Text("no lock that this recording shows", "dim"), 2
        rows = [(lock, self._cells(lock)) for lock in of[:MANY]]
        widths = [max(len(cells[column]) for _, cells in rows) for column in range(5)] if rows else []
        for file, some in groupby(rows, key=lambda row: row[0].file):
            yield Text(self._file(file)), 2
            grid = Table.grid(padding=(0, 2))
            for column in range(5):
                width = None if column == 2 else widths[column]
                grid.add_column(min_width=width, no_wrap=column != 2, overflow="fold", ratio=1 if column == 2 else None)
            for lock, cells in some:
                self._lock(grid, lock, cells)
            yield grid, 4
        if len(of) > MANY:
            yield Text(f"and {len(of) - MANY} more", "dim"), 2

    def _cells(self, lock: Lock) -> tuple[str, ...]:
        piece = lock.piece
        since = "before the capture" if lock.since is None else f"since {self.voice.time(lock.since.time)}"
        owner = self.voice.owner(lock.owner.client, lock.owner.svid, self.history.texts[lock.owner.oh])
        return (
            span(piece.start, piece.end),
            kind(piece.exclusive),
            owner,
            since,
            f"frame {self.voice.frame(lock.proof)}",
        )

    def _lock(self, grid: Table, lock: Lock, cells: tuple[str, ...]) -> None:
        truth = lock.truth
        grid.add_row(*(Text(cell, style) for cell, style in zip(cells, ("bold", "", "", "dim", "dim"), strict=True)))
        if truth != ("yes", "yes"):
            what = f"server holds it: {truth.server_holds}, client believes it: {truth.client_believes}: {lock.why}"
            grid.add_row("", "", Text(show(what), "yellow"), "", "")
        for wait in lock.waits:
            grid.add_row("", "", Text(f"in the way of {self._wait(wait)}"), "", "")

    def _open(self, server: Server) -> Iterator[tuple[RenderableType, int]]:
        """Waits that nothing known is in the way of, and requests under way."""
        known = {id(wait) for lock in self.moment.locks for wait in lock.waits}
        for wait in self.moment.waits:
            if wait.request.server == server.host and id(wait) not in known:
                file = self._file(File(server.host, wait.request.fh))
                yield Text(f"waits behind a lock that is not known, on {file}: {self._wait(wait)}"), 2
        for r, state in self.moment.under_way:
            if r.server == server.host:
                what = "held off in the grace period" if state is R.HELD_OFF else "not answered yet"
                what += f" (asked {self.voice.time(r.at.time)}, frame {self.voice.frame(r.at)})"
                kind = f"reclaim of {self._request(r)}" if r.reclaim else self._request(r)
                yield Text(f"under way on {self._file(File(server.host, r.fh))}: {kind}, {what}"), 2

    def _unknown(self, server: Server) -> Iterator[tuple[RenderableType, int]]:
        of = [unknown for unknown in self.moment.unknown if unknown.server == server.host]
        for unknown in of[:UNKNOWN]:
            where = f" (frame {self.voice.frame(unknown.at)})" if unknown.at is not None and unknown.at.frame else ""
            yield Text(f"not known: {show(unknown.what)}{where}", "dim"), 2
        if len(of) > UNKNOWN:
            yield Text(f"and {len(of) - UNKNOWN} more that is not known", "dim"), 2

    def _wait(self, wait: Wait) -> str:
        polls = f"asked {wait.polls} times" if wait.polls > 1 else "asked once"
        called = f", called in frame {self.voice.frame(wait.called)}" if wait.called else ""
        since = f"since {self.voice.time(wait.since.time)} (frame {self.voice.frame(wait.since)}, {polls}{called})"
        return f"{self._request(wait.request)}, {since}"

    def _request(self, r: Request) -> str:
        owner = self.voice.owner(r.client, r.svid, self.history.texts[r.oh])
        return f"{kind(r.exclusive)} {span(r.start, r.end)} of {owner}"

    def _file(self, file: File) -> str:
        return self.voice.file(*file, self.moment.at)
