"""What the rules say of recordings, held against what is known of them.

Each NAME.expect.json names its capture and

  roots               errors that must be there, and no other errors but consequences: any of ``code``, with this client
                      and server (an address, or null for any), with ``confidence`` if given
  consequences        findings that must be there, with ``caused_by`` leading to one of the roots
  warnings, present   findings that must be there
  also_fine           codes allowed beside those (CODE, or CODE:severity at most)
  at_most             the highest severity allowed for a code (CODE:severity)
  must_not            codes that must not be there (CODE, or CODE:severity or worse)
  reclaimed           how many pieces all recoveries together reclaimed
  confirmed_allowed   instead of all these, for a damaged recording: the only codes that may be confirmed errors

Where a capture needs a rule that does not exist yet, what can be checked is checked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.captures import SHARED

from nlmdissect.findings import Confidence, Finding, Severity
from nlmdissect.history.history import History, read_history
from nlmdissect.rules import BY_CODE, run

EXPECTED = sorted(SHARED.rglob("*.expect.json"))
NAMED_BY_FRAME = ("NSM003", "NLM001", "NLM003", "NLM004")


@dataclass
class Judge:
    """Compares one recording with what is known of it. ``wrong`` fills with what differs."""

    known: dict[str, Any]
    history: History
    findings: list[Finding]
    wrong: list[str]

    def everything(self) -> list[str]:
        if "confirmed_allowed" in self.known:
            self._damaged()
            return self.wrong
        roots = self._named("roots", Severity.ERROR)
        after = self._named("consequences", Severity.ERROR)
        named = roots | after | self._named("warnings", Severity.WARNING)
        for number in roots:
            if all(self.findings[n].caused_by is not None for n in roots if self._alike(n, number)):
                self._complain(number, "should be a root")
        for number in after:
            if roots and not any(self._reaches(n, roots) for n in after if self._alike(n, number)):
                self._complain(number, "should be caused by an expected root")
        self._unexpected(named)
        self._counts()
        return self.wrong

    def _damaged(self) -> None:
        for number, f in enumerate(self.findings):
            sure = f.severity is Severity.ERROR and f.confidence is Confidence.CONFIRMED
            if sure and f.code not in self.known["confirmed_allowed"]:
                self._complain(number, "confirmed in a damaged recording")

    def _named(self, kind: str, least: Severity) -> set[int]:
        """The findings that are named as ``kind``."""
        found = set()
        for want in self.known.get(kind, []):
            if not set(want["code"]) & BY_CODE.keys():
                continue
            hits = {n for n, f in enumerate(self.findings) if self._fits(want, f) and (f.severity or 0) >= least}
            if not hits:
                self.wrong.append(f"missing {kind}: {'/'.join(want['code'])} client={want.get('client')}")
            named = {n for n in hits if self.findings[n].code in NAMED_BY_FRAME}
            if named and self._frames() and not any(self._frames() & self._evidence(n) for n in named):
                self.wrong.append(f"{'/'.join(want['code'])}: its evidence has none of the frames known")
            found |= hits
        return found

    def _frames(self) -> set[int]:
        """The frames of the facts; empty where the recording is of several files."""
        facts = (self.known.get("facts") or {}).get("findings", [])
        return {n for d in facts for n in d["frames"]} if isinstance(self.known["capture"], str) else set()

    def _evidence(self, number: int) -> set[int]:
        return {e.at.frame for e in self.findings[number].evidence}

    def _unexpected(self, named: set[int]) -> None:
        fine = {"CAP": 0} | dict(_limit(entry, Severity.ERROR) for entry in self.known.get("also_fine", []))
        for number, f in enumerate(self.findings):
            severity = f.severity or 0
            for code, most in (_limit(entry, Severity.ERROR) for entry in self.known.get("at_most", [])):
                if f.code == code and severity > most:
                    self._complain(number, "should be less severe")
            for code, least in (_limit(entry, Severity.INFO) for entry in self.known.get("must_not", [])):
                if f.code == code and severity >= least and number not in named:
                    self._complain(number, "must not be there")
            if number not in named and severity == Severity.ERROR > fine.get(f.code, -1) and self._whole():
                self._complain(number, "is not expected")
            if any(self._alike(number, n) and f.title == self.findings[n].title for n in range(number)):
                self._complain(number, "is there twice")

    def _whole(self) -> bool:
        """Whether all the rules that this capture needs exist. Without them another may stand in for the root."""
        wants = [w for kind in ("roots", "consequences") for w in self.known.get(kind, [])]
        return all(set(want["code"]) & BY_CODE.keys() for want in wants)

    def _counts(self) -> None:
        for code in self.known.get("present", []):
            if code in BY_CODE and not any(f.code == code for f in self.findings):
                self.wrong.append(f"missing {code}")
        if "reclaimed" in self.known:
            reclaimed = sum(row.counts()["reclaimed"] for row in self.history.recoveries)
            if reclaimed != self.known["reclaimed"]:
                self.wrong.append(f"{reclaimed} pieces reclaimed, {self.known['reclaimed']} are known")

    def _fits(self, want: dict[str, Any], f: Finding) -> bool:
        sure = want.get("confidence") in (None, f.confidence.name.lower())
        return f.code in want["code"] and sure and all(
            want.get(role) in (None, self._address(getattr(f, role))) for role in ("client", "server")
        )  # fmt: skip

    def _address(self, host: int | None) -> str | None:
        return None if host is None else self.history.names.address(host)

    def _alike(self, a: int, b: int) -> bool:
        """Whether two findings say the same of the same hosts."""
        return all(
            getattr(self.findings[a], k) == getattr(self.findings[b], k) for k in ("code", "client", "server", "other")
        )

    def _reaches(self, number: int, roots: set[int]) -> bool:
        seen: set[int] = set()
        at: int | None = number
        while (at := self.findings[at].caused_by) is not None and at not in seen:
            if at in roots:
                return True
            seen.add(at)
        return False

    def _complain(self, number: int, what: str) -> None:
        f = self.findings[number]
        assert f.severity is not None
        self.wrong.append(
            f"{f.code} {f.severity.name} {f.confidence.name} client={self._address(f.client)} {what}: {f.title}"
        )


def _limit(entry: str, default: Severity) -> tuple[str, int]:
    code, _, severity = entry.partition(":")
    return code, Severity[severity.upper()] if severity else default


def _names(path: Path) -> str:
    return path.name.removesuffix(".expect.json")


@pytest.mark.skipif(not EXPECTED, reason="the recordings are not here")
@pytest.mark.parametrize("path", EXPECTED, ids=_names)
def test_what_is_known_of_a_recording(path: Path) -> None:
    known = json.loads(path.read_text())
    files = [known["capture"]] if isinstance(known["capture"], str) else known["capture"]
    history = read_history([path.parent / name for name in files])
    findings, results = run(history)
    assert not [result.error for result in results if result.error]
    assert not Judge(known, history, findings, []).everything()
