"""The analysis as JSON: a contract. Keys are never renamed and never left out; what is absent is ``null``.

Times are UTC with nanoseconds; hosts are addresses; ``end`` is inclusive, ``null`` for "to the end of the file".
Everything outside of ASCII is escaped, so that no text from a packet can act on a terminal.
"""

from __future__ import annotations

import json
from typing import Any

from nlmdissect.analysis import Analysis, display_filters, fingerprint, reason
from nlmdissect.capture.block import Source
from nlmdissect.findings import At, Evidence, Finding, LockRef, RuleResult
from nlmdissect.history.history import History
from nlmdissect.history.recovery import Recovery
from nlmdissect.hosts.boot import Boot
from nlmdissect.protocols.nlm import END
from nlmdissect.report.times import iso

SCHEMA = "nlmdissect.analysis/1"

Object = dict[str, Any]


def render(analysis: Analysis, version: str) -> str:
    """The document, with a line end."""
    return (
        json.dumps(document(analysis, version), indent=1, ensure_ascii=True, allow_nan=False).replace("\x7f", "\\u007f")
        + "\n"
    )


def document(analysis: Analysis, version: str) -> Object:
    """The document as plain lists and dicts."""
    history = analysis.history
    return {
        "schema": SCHEMA,
        "version": version,
        "captures": [_capture(source) for source in history.sources],
        "messages": analysis.messages(),
        "coverage": _coverage(history),
        "hosts": [_host(history, host) for host in analysis.hosts()],
        "boots": [_boot(history, boot) for boot in history.boots],
        "recoveries": [_recovery(history, row) for row in history.recoveries],
        "locks_held_at_end": _held(history),
        "findings": [_finding(history, finding) for finding in analysis.findings],
        "rules": [_rule(result) for result in analysis.results],
        "defects": [
            {"capture": d.capture, "frame": d.frame, "layer": d.layer, "reason": d.reason, "count": d.count}
            for d in history.defects
        ],
        "errors": [{"code": r.rule.code, "error": r.error} for r in analysis.results if r.error],
    }


def _capture(source: Source) -> Object:
    return {
        "path": source.path,
        "format": source.format,
        "link_types": list(source.link_types),
        "frames": source.frames,
        "bytes": source.bytes,
        "first": _time(source.first),
        "last": _time(source.last),
        "truncated": source.truncated,
        "dropped": source.dropped,
    }


def _coverage(history: History) -> list[Object]:
    return [
        {
            "condition": sight.condition.value,
            "hosts": [history.names.address(host) for host in sight.hosts],
            "from": iso(sight.start),
            "to": iso(sight.end),
            "holds": sight.holds,
            "why": sight.why,
        }
        for sight in history.visibility.asked.values()
    ]


def _host(history: History, host: int) -> Object:
    address = history.names.address(host)
    return {
        "id": address,
        "addresses": [address],
        "names": list(history.names.claimed.get(host, ())),
        "roles": sorted(history.names.roles.get(host, ())),
        "implementation": history.kind(host).name,
        "implementation_why": list(history.guess(host).why),
        "resolved": history.names.in_dns(host),
    }


def _boot(history: History, boot: Boot) -> Object:
    return {
        "host": history.names.address(boot.host),
        "not_before": _moment(boot.not_before),
        "not_after": iso(boot.not_after.time),
        "state_before": boot.state_before,
        "state_after": boot.state_after,
        "grace_end_not_before": _moment(boot.in_grace),
        "grace_end_not_after": _moment(boot.grace_over),
        "evidence": [_evidence(evidence) for evidence in boot.evidence],
    }


def _recovery(history: History, row: Recovery) -> Object:
    counts = row.counts()
    return {
        "boot": row.boot.number,
        "peer": history.names.address(row.peer),
        "role": row.role,
        "notify": row.notify.value,
        "held": sum(counts.values()),
        **{word: counts[word] for word in ("reclaimed", "refused", "missing", "stolen", "released", "unknown")},
    }


def _held(history: History) -> list[Object]:
    texts, names = history.texts, history.names
    return [
        {
            "server": names.address(file.server),
            "client": names.address(owner.client),
            "fh": texts[file.fh].hex(),
            **called(history, file.server, texts[file.fh], piece.granted),
            "caller_name": names.caller(*owner),
            "svid": owner.svid,
            "oh": texts[owner.oh].hex(),
            "start": piece.start,
            "end": None if piece.end == END else piece.end,
            "exclusive": piece.exclusive,
            "server_holds": piece.truth.server_holds,
            "client_believes": piece.truth.client_believes,
            "capture": piece.granted.capture,
            "frame": piece.granted.frame,
        }
        for file, owner, piece in history.walked.table.of()
        if piece.truth != ("no", "no")
    ]


def _finding(history: History, finding: Finding) -> Object:
    severity = finding.severity
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": severity.name.lower() if severity is not None else "info",
        "confidence": finding.confidence.name.lower(),
        "title": finding.title,
        "server": _address(history, finding.server),
        "client": _address(history, finding.client),
        "other": _address(history, finding.other),
        "caused_by": finding.caused_by,
        "fingerprint": fingerprint(history, finding),
        "locks": [_lock(history, lock) for lock in finding.locks],
        "evidence": [_evidence(evidence) for evidence in finding.evidence],
        "display_filters": [{"capture": capture, "filter": text} for capture, text in display_filters(finding)],
        "consequence": finding.consequence,
        "remedy": finding.remedy,
    }


def _lock(history: History, lock: LockRef) -> Object:
    return {
        "fh": lock.fh.hex(),
        **called(history, lock.server, lock.fh, lock.at),
        "caller_name": lock.caller_name,
        "svid": lock.svid,
        "oh": lock.oh.hex(),
        "start": lock.start,
        "end": lock.end,
        "exclusive": lock.exclusive,
        "capture": lock.at.capture,
        "frame": lock.at.frame,
    }


def called(history: History, server: int, fh: bytes, at: At) -> Object:
    """What a file was called at a moment, and the frame that says so; ``fileid`` if attributes told it."""
    found = history.paths.path(server, fh, at)
    return {
        "path": None if found is None else found.text,
        "named": None if found is None else {"capture": found.at.capture, "frame": found.at.frame},
        "fileid": history.paths.fileid(server, fh),
    }


def _evidence(evidence: Evidence) -> Object:
    at = evidence.at
    return {"capture": at.capture, "frame": at.frame, "time": iso(at.time), "what": evidence.what}


def _rule(result: RuleResult) -> Object:
    return {
        "code": result.rule.code,
        "outcome": result.outcome.value,
        "judged": result.judged,
        "reason": reason(result),
    }


def _address(history: History, host: int | None) -> str | None:
    return None if host is None else history.names.address(host)


def _moment(at: At | None) -> str | None:
    return None if at is None else iso(at.time)


def _time(time: int | None) -> str | None:
    return None if time is None else iso(time)
