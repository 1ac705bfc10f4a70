"""A capture, judged and written in every form, with what holds of any of them."""

from __future__ import annotations

import json
import os
import tempfile
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from support.captures import OWN

import nlmdissect
from nlmdissect.analysis import Analysis, analyse
from nlmdissect.api import Capture
from nlmdissect.errors import CaptureError, NlmdissectError
from nlmdissect.history.history import read_history
from nlmdissect.history.moment import moment
from nlmdissect.report import cards, html, lines, moment_json, moment_text, text
from nlmdissect.report import json as json_report

OURS = 2  # scripts of the report itself


@cache
def _place() -> Path:
    shared = Path("/dev/shm")
    folder = tempfile.mkdtemp(prefix="nlmdissect-fuzz-", dir=shared if os.access(shared, os.W_OK) else None)
    return Path(folder) / "input.pcap"


@cache
def sample() -> Capture:
    """A real recording."""
    return nlmdissect.read(OWN / "S08-reclaim-after-grace.pcap")


def judged(data: bytes) -> Analysis | None:
    """All of it up to the findings; None for what is refused as no capture."""
    path = _place()
    path.write_bytes(data)
    try:
        analysis = analyse(read_history([path]))
    except CaptureError as error:
        assert_says_what(error)
        return None
    failed = [result.error for result in analysis.results if result.error]
    assert not failed, failed[0]
    for finding in analysis.findings:
        assert finding.evidence
        assert all(e.at.frame >= 0 for e in finding.evidence)
    return analysis


def write_all(analysis: Analysis) -> None:
    """Every writer."""
    history = analysis.history
    chosen = lines.Chosen(frozenset(), None, None)
    now = moment(history, history.extent.last)
    plain = [text.render(analysis, width) for width in (40, 100)]
    plain += ["".join(lines.of_calls(history, chosen)), "".join(lines.of_messages(history, chosen)), moment_text.render(now)]
    for written in plain:
        assert_printable(written)
    for written in (json_report.render(analysis, "0"), moment_json.render(now, "0")):
        assert written.isascii()
        assert_printable(written)
        json.loads(written)
    for written in (html.render(analysis, "0"), cards.capture(analysis), cards.moment(now)):
        assert_tame(written)


def assert_says_what(error: NlmdissectError) -> None:
    """A refusal is one line that can be shown."""
    assert error.message


def assert_printable(written: str) -> None:
    """Nothing in it steers a terminal."""
    for line in written.split("\n"):
        assert line.isprintable(), ascii(line)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def assert_tame(written: str) -> None:
    """HTML in which no name became an element, an attribute or a link."""
    parser = _Tags()
    parser.feed(written)
    parser.close()
    for tag, attributes in parser.tags:
        if tag == "link" and attributes == {"rel": "icon", "href": "data:,"}:
            continue  # ours: no browser is to ask for one
        assert tag not in ("img", "iframe", "object", "embed", "link", "base", "form"), (tag, attributes)
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in ("href", "src", "xlink:href", "action") or (value or "").startswith("#"), (tag, name, value)
    assert sum(tag == "script" for tag, _ in parser.tags) <= OURS
