"""The small tables as rows of plain values, in the order of their columns. Times are ns, None where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nlmdissect.analysis import Analysis, fingerprint
from nlmdissect.findings import At
from nlmdissect.history.fates import File, Owner
from nlmdissect.history.history import History
from nlmdissect.protocols.nlm import END
from nlmdissect.rpc.requests import Request

Rows = Iterator[tuple[Any, ...]]
SECOND = 10**9


def hosts(analysis: Analysis) -> Rows:
    history = analysis.history
    names = history.names
    first: dict[int, At] = {}
    for stream in history.traffic.streams:
        at = At(stream.first_time, stream.capture, stream.first_frame)
        for host in (stream.src, stream.dst):
            first[host] = min(first.get(host, at), at)
    for host in analysis.hosts():
        at = first.get(host, At(history.extent.first, 0, 0))
        claimed, roles = ", ".join(names.claimed.get(host, ())), ", ".join(sorted(names.roles.get(host, ())))
        yield (
            names.address(host), names.endpoints.scopes[host], claimed, ", ".join(names.in_dns(host)), roles,
            history.kind(host).name, "; ".join(history.guess(host).why),
            at.time, at.capture, at.frame,
        )  # fmt: skip


def boots(analysis: Analysis) -> Rows:
    for boot in analysis.history.boots:
        yield (
            boot.number, analysis.history.names.address(boot.host), _time(boot.not_before), boot.not_after.time,
            boot.state_before, boot.state_after, _time(boot.in_grace), _time(boot.grace_over), _time(boot.told),
            boot.strength, boot.lived_on, boot.not_after.capture, boot.not_after.frame,
        )  # fmt: skip


def monitors(analysis: Analysis) -> Rows:
    names = analysis.history.names
    for edge in analysis.history.walked.edges.values():
        at = edge.since or At(analysis.history.extent.first, 0, 0)
        yield (
            names.address(edge.watcher),
            names.address(edge.watched),
            edge.state.value,
            _time(edge.since),
            at.capture,
            at.frame,
        )


def locks(analysis: Analysis) -> Rows:
    history = analysis.history
    for row in history.walked.holds:
        yield (
            row.hold, *lock_cells(history, row.file, row.owner, row.start, row.end, row.exclusive, row.granted),
            row.asked.time, row.granted.time,
            _time(row.released), row.how or None, _seconds(row.asked, row.granted), _seconds(row.granted, row.released),
            row.granted.capture, row.granted.frame,
        )  # fmt: skip


def waits(analysis: Analysis) -> Rows:
    history = analysis.history
    for wait in history.walked.waits:
        yield (
            *request_cells(history, wait.request),
            wait.since.time, wait.polls, _time(wait.last), _time(wait.called), _time(wait.ended), wait.how or None,
            _seconds(wait.since, wait.ended), wait.since.capture, wait.since.frame,
        )  # fmt: skip


def recoveries(analysis: Analysis) -> Rows:
    names = analysis.history.names
    for row in analysis.history.recoveries:
        counts, boot = row.counts(), row.boot
        words = ("reclaimed", "refused", "missing", "stolen", "released", "unknown")
        yield (
            boot.number, names.address(boot.host), names.address(row.peer), row.role, row.notify.value,
            sum(counts.values()), *(counts[word] for word in words),
            row.why, boot.not_after.capture, boot.not_after.frame,
        )  # fmt: skip


def reclaims(analysis: Analysis) -> Rows:
    history = analysis.history
    for reclaim in history.walked.reclaims:
        answer = reclaim.answer
        at = answer.at if answer else reclaim.request.at
        yield (
            reclaim.boot, *request_cells(history, reclaim.request),
            reclaim.request.at.time, answer.at.time if answer else None, answer.status if answer else None,
            reclaim.in_grace, at.capture, at.frame,
        )  # fmt: skip


def steps(analysis: Analysis) -> Rows:
    for step in analysis.history.walked.steps:
        at = step.at
        yield (
            at.capture, at.frame, at.time, step.machine, step.thing, str(step.before), str(step.event), str(step.after),
            step.expected,
        )  # fmt: skip


def findings(analysis: Analysis) -> Rows:
    history = analysis.history
    for f in analysis.findings:
        at = f.evidence[0].at
        hosts = (None if host is None else history.names.address(host) for host in (f.server, f.client, f.other))
        severity = f.severity.name.lower() if f.severity is not None else "info"
        yield (
            f.code, f.name, severity, f.confidence.name.lower(), f.title, *hosts, f.boot, f.caused_by, len(f.locks),
            len(f.evidence), f.consequence, f.remedy, fingerprint(history, f), at.time, at.capture, at.frame,
        )  # fmt: skip


def defects(analysis: Analysis) -> Rows:
    for defect in analysis.history.defects:
        yield defect.capture, defect.frame, defect.layer, defect.reason, defect.count, defect.detail


def coverage(analysis: Analysis) -> Rows:
    address = analysis.history.names.address
    for sight in analysis.history.visibility.asked.values():
        host, other = sight.hosts
        yield (
            sight.condition.value,
            address(host),
            address(other),
            sight.start,
            sight.end,
            sight.holds,
            sight.why,
            0,
            None,
        )


SMALL: dict[str, Callable[[Analysis], Rows]] = {
    f.__name__: f
    for f in (hosts, boots, monitors, locks, waits, recoveries, reclaims, steps, findings, defects, coverage)
}


def lock_cells(
    history: History,
    file: File,
    owner: Owner,
    start: int,
    end: int,
    exclusive: bool,
    at: At,
    name: str | None = None,
) -> tuple[Any, ...]:
    """The columns ``LOCK``; the path is what it was ``at`` that moment."""
    texts, names = history.texts, history.names
    name = name or names.caller(*owner) or None
    return (
        names.address(file.server), names.address(owner.client), texts[file.fh].hex(), history.path(*file, at),
        history.paths.fileid(file.server, texts[file.fh]), name, owner.svid, texts[owner.oh].hex(), start,
        None if end == END else end, exclusive,
    )  # fmt: skip


def request_cells(history: History, r: Request, at: At | None = None) -> tuple[Any, ...]:
    name = history.texts[r.caller_name].decode("utf-8", "backslashreplace")
    file, owner = File(r.server, r.fh), Owner(r.client, r.oh, r.svid)
    return lock_cells(history, file, owner, r.start, r.end, r.exclusive, at or r.at, name)


def _time(at: At | None) -> int | None:
    return None if at is None else at.time


def _seconds(start: At, end: At | None) -> float | None:
    return None if end is None else (end.time - start.time) / SECOND
