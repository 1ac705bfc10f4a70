"""The lock tables at a moment as JSON. As for the analysis: keys are never renamed and never left out."""

from __future__ import annotations

import json
from typing import Any

from nlmdissect.findings import At
from nlmdissect.history.moment import Lock, Moment
from nlmdissect.history.waits import Wait
from nlmdissect.protocols.nlm import END
from nlmdissect.report.json import called
from nlmdissect.report.times import iso
from nlmdissect.rpc.requests import Request

SCHEMA = "nlmdissect.locks/1"

Object = dict[str, Any]


def render(moment: Moment, version: str) -> str:
    """The document, with a line end."""
    text = json.dumps(document(moment, version), indent=1, ensure_ascii=True, allow_nan=False)
    return text.replace("\x7f", "\\u007f") + "\n"


def document(moment: Moment, version: str) -> Object:
    """The document as plain lists and dicts. ``waits`` of a lock and ``behind`` of a wait are positions in the other
    list.
    """
    names = moment.history.names
    places = {id(wait): place for place, wait in enumerate(moment.waits)}
    return {
        "schema": SCHEMA,
        "version": version,
        "at": iso(moment.time),
        "captures": [{"path": source.path} for source in moment.history.sources],
        "servers": [
            {
                "host": names.address(server.host),
                "names": list(names.claimed.get(server.host, ())),
                "restarted": None if server.boot is None else iso(server.boot.not_after.time),
                "in_grace": server.in_grace,
            }
            for server in moment.servers
        ],
        "locks": [_lock(moment, lock, places) for lock in moment.locks],
        "waits": [_wait(moment, wait) for wait in moment.waits],
        "under_way": [
            {**_request(moment, r), "reclaim": r.reclaim, "state": state.value, "asked": iso(r.at.time), **_place(r.at)}
            for r, state in moment.under_way
        ],
        "monitors": [
            {
                "watcher": names.address(edge.watcher),
                "watched": names.address(edge.watched),
                "state": edge.state.value,
                "since": None if edge.since is None else iso(edge.since.time),
                **_place(edge.since),
            }
            for edge in moment.edges
        ],
        "unknown": [
            {"server": names.address(unknown.server), "what": unknown.what, **_place(unknown.at)}
            for unknown in moment.unknown
        ],
    }


def _lock(moment: Moment, lock: Lock, places: dict[int, int]) -> Object:
    texts, names, piece = moment.history.texts, moment.history.names, lock.piece
    return {
        "server": names.address(lock.file.server),
        "client": names.address(lock.owner.client),
        "fh": texts[lock.file.fh].hex(),
        **called(moment.history, lock.file.server, texts[lock.file.fh], moment.at),
        "caller_name": names.caller(*lock.owner),
        "svid": lock.owner.svid,
        "oh": texts[lock.owner.oh].hex(),
        "start": piece.start,
        "end": None if piece.end == END else piece.end,
        "exclusive": piece.exclusive,
        "state": piece.state.value,
        "server_holds": lock.truth.server_holds,
        "client_believes": lock.truth.client_believes,
        "why": lock.why or None,
        "since": None if lock.since is None else iso(lock.since.time),
        **_place(lock.proof),
        "waits": [places[id(wait)] for wait in lock.waits],
    }


def _wait(moment: Moment, wait: Wait) -> Object:
    behind = [place for place, lock in enumerate(moment.locks) if any(wait is other for other in lock.waits)]
    return {
        **_request(moment, wait.request),
        "since": iso(wait.since.time),
        "polls": wait.polls,
        "last": None if wait.last is None else iso(wait.last.time),
        "called": None if wait.called is None else iso(wait.called.time),
        **_place(wait.since),
        "behind": behind,
    }


def _request(moment: Moment, r: Request) -> Object:
    texts, names = moment.history.texts, moment.history.names
    return {
        "server": names.address(r.server),
        "client": names.address(r.client),
        "fh": texts[r.fh].hex(),
        **called(moment.history, r.server, texts[r.fh], moment.at),
        "caller_name": texts[r.caller_name].decode("utf-8", "backslashreplace"),
        "svid": r.svid,
        "oh": texts[r.oh].hex(),
        "start": r.start,
        "end": None if r.end == END else r.end,
        "exclusive": r.exclusive,
    }


def _place(at: At | None) -> Object:
    if at is None or not at.frame:
        return {"capture": None, "frame": None}
    return {"capture": at.capture, "frame": at.frame}
