"""What the whole program makes of a story, and of one rule's view of it, in a few words that a test can compare."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support.story import Host, capture_of

from nlmdissect.findings import Finding, Outcome, Rule, RuleResult
from nlmdissect.history.history import History, read_history
from nlmdissect.rules import run


@dataclass(slots=True)
class Told:
    """What the program makes of a story. ``findings`` and ``result`` are those of one rule."""

    history: History
    everything: list[Finding]
    result: RuleResult
    hosts: dict[str, Host]

    @property
    def findings(self) -> list[Finding]:
        return [f for f in self.everything if f.code == self.result.rule.code]

    @property
    def outcome(self) -> Outcome:
        return self.result.outcome

    @property
    def says(self) -> list[str]:
        """Each finding as ``error confirmed server=server client=client1: 5 4 3 2``: its evidence in order.

        Frames of the second capture and later are ``1:4``.
        """
        return [_said(f, self.names) for f in self.findings]

    @property
    def names(self) -> dict[int, str]:
        """The words of the story for the numbers of its hosts."""
        find = self.history.traffic.endpoints.find
        known = ((find(a), name) for name, host in self.hosts.items() for a in host.addresses)
        return {number: name for number, name in known if number is not None}

    def number(self, name: str) -> int:
        """The number of a host."""
        found = self.history.traffic.endpoints.find(self.hosts[name].addresses[0])
        assert found is not None
        return found


def _said(f: Finding, names: dict[int, str]) -> str:
    who = {"server": f.server, "client": f.client, "other": f.other}
    roles = [f"{role}={names[host]}" for role, host in who.items() if host is not None]
    assert f.severity is not None
    frames = " ".join(f"{e.at.capture}:{e.at.frame}" if e.at.capture else str(e.at.frame) for e in f.evidence)
    return " ".join([f.severity.name.lower(), f.confidence.name.lower(), *roles]) + ": " + frames


def told(rule: Rule, *parts: str, snaplen: int = 65535, loopbacks: Sequence[str] = ()) -> Told:
    """Tell a story, part after part, and ask one rule about it. No other rule may crash on it.

    Each of ``loopbacks`` is a story of its own: one host's loopback, with a clock that began at the same moment.
    """
    data, hosts = capture_of("\n".join(parts), snaplen)
    history = history_of(data, *(capture_of(text)[0] for text in loopbacks))
    findings, results = run(history)
    errors = [r.error for r in results if r.error]
    assert not errors, errors[0]
    return Told(history, findings, next(r for r in results if r.rule is rule), hosts)


def history_of(*captures: bytes) -> History:
    """The history of one recording in one or more capture files."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"story{number}.pcap" for number in range(len(captures))]
        for path, data in zip(paths, captures, strict=True):
            path.write_bytes(data)
        return read_history(paths)
