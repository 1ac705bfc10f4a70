"""What an analysis sees of a recording, in words that a renaming can be applied to: two recordings of one event under
different names must say the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from nlmdissect.analysis import analyse
from nlmdissect.capture import files
from nlmdissect.evidence.anonymise.anonymiser import Anonymiser
from nlmdissect.evidence.anonymise.pseudonyms import Pseudonyms
from nlmdissect.evidence.packet import TCP, UDP, ip, network
from nlmdissect.evidence.slice import lanes
from nlmdissect.history.history import History
from nlmdissect.rpc.calls import Calls

WORD = re.compile(rb"[A-Za-z0-9._/@-]{6,}")  # shorter ones are made by chance, of xids and the like
LETTERS = re.compile(rb"[A-Za-z].*[A-Za-z].*[A-Za-z]")
COMMON = (b"superuser", b"unknown", b"portmapper")  # what rpcbind says of itself
NAMES = {"cookie": "cookie", "caller_name": "name", "fh": "handle", "oh": "owner", "holder_oh": "owner",
         "mon_name": "name", "my_name": "name", "machinename": "name", "priv": "private"}  # fmt: skip
OTHER = {"src", "dst", "netid", "uaddr", *NAMES}

Change = Callable[[bytes], bytes]


class Same:
    """No other names."""

    def __getattr__(self, name: str) -> Change:
        return lambda data: data


def anonymised(paths: list[Path], folder: Path, key: bytes) -> list[Path]:
    """The files of a recording under other names, in the order of its sources."""
    folder.mkdir()
    recording = files.open_recording(paths)
    list(recording.blocks())
    sources, names, found = recording.sources, Pseudonyms(key), []
    for lane in lanes(sources):
        blocks = (record for capture in lane for record in files.records(sources[capture], capture))
        for record in Anonymiser(names).run(blocks):
            path = folder / f"{record.capture}.pcapng"
            with path.open("ab") as stream:
                stream.write(record.block)
            found += [path] if path not in found else []
    return found


def view(history: History, names: Any = None) -> dict[str, Any]:
    """What is seen, by what it is about. ``names`` tells the other names of things."""
    to = names or Same()
    ends = history.names.endpoints
    analysis = analyse(history)

    def host(number: int | None) -> object:
        return None if number is None or number < 0 else (ends.scopes[number], to.address(ends.addresses[number]))

    def lock(one: Any) -> tuple[object, ...]:
        about = host(one.server), to.handle(one.fh), to.name(one.caller_name.encode()), one.svid, to.owner(one.oh)
        return (*about, one.start, str(one.end), one.exclusive, one.at)

    findings = sorted(
        (
            (
                *(f.code, f.severity, f.confidence, f.status, host(f.server), host(f.client), host(f.other)),
                *(sorted(map(lock, f.locks)), sorted(e.at for e in f.evidence)),
                analysis.findings[f.caused_by].code if f.caused_by is not None else "",
            )
            for f in analysis.findings
        ),
        key=repr,
    )
    return {
        "findings": findings,
        "rules": [(result.rule.code, result.outcome, result.judged) for result in analysis.results],
        "boots": sorted((host(b.host), str(b.not_before), b.not_after, b.state_before, b.state_after) for b in history.boots),
        "recoveries": sorted(
            (host(r.boot.host), host(r.peer), r.role, r.notify, sorted(r.counts().items())) for r in history.recoveries
        ),
        "kinds": {host(number): guess.kind.name for number, guess in history.guesses.items()},
        "signals": [(s.kind, s.at, host(s.src), host(s.dst), s.sport, s.dport) for s in history.signals],
        "defects": sorted((d.capture, d.frame, d.layer, d.reason, d.count) for d in history.defects),
        "calls": _calls(history, host, to),
    }  # fmt: skip


def _calls(history: History, host: Callable[[int], object], to: Any) -> list[object]:
    """Every call. Of an answer without a call only when and between whom: what it answers is a guess."""
    calls, texts = history.calls, history.texts
    plain = [f.name for f in fields(Calls) if f.name not in OTHER]
    found: list[object] = []
    for row in range(len(calls)):
        ends = host(int(calls.src[row])), host(int(calls.dst[row])), calls.at(row), calls.reply_at(row)
        if not calls.frame[row]:
            found.append(ends)
            continue
        words = [getattr(to, kind)(texts[int(getattr(calls, name)[row])]) for name, kind in NAMES.items()]
        found.append((*ends, *words, *(int(getattr(calls, name)[row]) for name in plain)))
    return found


def left(history: History, old: list[Path], new: list[Path]) -> set[bytes]:
    """What of the old files can still be found in the new ones: words of their payloads, names of hosts, their addresses
    in binary and as text, addresses of cards.
    """
    words: set[bytes] = set()
    for path in old:
        for record in files.records(files.open_recording([path]).sources[0]):
            if record.at:
                words.update(word for word in WORD.findall(_payload(record)) if LETTERS.search(word))
    calls = history.calls
    for column in (calls.caller_name, calls.mon_name, calls.my_name, calls.machinename):
        names = [history.texts[number] for number in set(column.tolist())]
        words |= {label for name in names for label in name.split(b".") if len(label) > 2 and not label.isdigit()}
    ends = history.names.endpoints
    hosts = {a for a in ends.addresses if not (a[0] in (0, 127, 255) or (len(a) == 4 and a[0] >= 224))}
    words |= hosts | {str(ip_address(host)).encode() for host in hosts}
    words |= {mac for of in ends.macs for mac in of if not mac[0] & 1 and any(mac)}
    data = b"".join(path.read_bytes() for path in new)
    return {word for word in words if word in data and not any(common in word for common in COMMON)}


def _payload(record: Any) -> bytes:
    """What stands behind the headers; all of a frame that has none."""
    data = record.packet
    kind, at = network(record.link, data)
    packet = ip(data, at, record.wire, kind)
    if packet is None:
        return data[at:] if kind != 0x806 else b""
    body = data[packet.payload : packet.end]
    if packet.protocol == TCP and not packet.offset and len(body) >= 20:
        return body[(body[12] >> 4) * 4 :]
    return body[8:] if packet.protocol == UDP and not packet.offset else body
