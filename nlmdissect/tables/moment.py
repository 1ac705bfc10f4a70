"""The tables of a moment as rows of plain values, in the order of their columns. Times are ns, None for none."""

from __future__ import annotations

from collections.abc import Callable

from nlmdissect.history.moment import Moment
from nlmdissect.tables.rows import Rows, lock_cells, request_cells


def locks(found: Moment) -> Rows:
    for lock in found.locks:
        piece = lock.piece
        cells = lock_cells(found.history, lock.file, lock.owner, piece.start, piece.end, piece.exclusive, found.at)
        yield (
            piece.hold, *cells, piece.state.value, lock.truth.server_holds, lock.truth.client_believes, lock.why,
            None if lock.since is None else lock.since.time, len(lock.waits), lock.proof.capture, lock.proof.frame,
        )  # fmt: skip


def waits(found: Moment) -> Rows:
    for wait in found.waits:
        behind = [str(place) for place, lock in enumerate(found.locks) if any(wait is other for other in lock.waits)]
        yield (
            *request_cells(found.history, wait.request, found.at), wait.since.time, wait.polls,
            None if wait.last is None else wait.last.time, None if wait.called is None else wait.called.time,
            ", ".join(behind), wait.since.capture, wait.since.frame,
        )  # fmt: skip


def under_way(found: Moment) -> Rows:
    for r, state in found.under_way:
        at = r.at
        yield *request_cells(found.history, r, found.at), r.reclaim, state.value, at.time, at.capture, at.frame


def monitors(found: Moment) -> Rows:
    address = found.history.names.address
    for edge in found.edges:
        at = edge.since
        if at is not None:
            watcher, watched = address(edge.watcher), address(edge.watched)
            yield watcher, watched, edge.state.value, at.time, at.capture, at.frame


def unknown(found: Moment) -> Rows:
    for what in found.unknown:
        at = what.at
        place = (at.capture, at.frame) if at is not None else (0, None)
        yield found.history.names.address(what.server), what.what, *place


TABLES: dict[str, Callable[[Moment], Rows]] = {f.__name__: f for f in (locks, waits, under_way, monitors, unknown)}
