"""What notebooks show: of a recording, a finding and a moment; and that hostile names stay text."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.captures import SHARED
from support.incidents import LOST, NO_LOCKS, STOLEN, WELL, write

import nlmdissect

VOID = {"br", "hr"}


class Page(HTMLParser):
    """The text of HTML, and whether its elements close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert {name for name, _ in attrs} <= {"style"}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_recording(tmp_path: Path) -> None:
    capture = nlmdissect.read(write(tmp_path / "x.pcap", STOLEN))
    text = Page(capture._repr_html_()).text
    assert text.startswith("SUSPECTED")
    assert "8 frames" in text
    assert "LOCK reclaim write 0-99 -> STALE_FH" in text
    assert "0NLM001\xa0refused-reclaim" in text
    assert "follows from 0: client2" in text


def test_what_to_ask_next_can_be_run(tmp_path: Path) -> None:
    capture = nlmdissect.read(write(tmp_path / "x.pcap", LOST))
    lines = Page(capture._repr_html_()).text.partition("Where to look next:")[2].splitlines()
    assert len(lines) == 4
    names = {"capture": capture, "nlmdissect": nlmdissect, "print": str}
    finding, calls, state, page = (eval(line.partition("#")[0], {}, names) for line in lines)
    assert finding.code == "NLM001"
    assert list(calls.frame) == [1, 9]
    assert "lost" in list(state.locks.state)
    assert page.startswith("NLM001")


@pytest.mark.parametrize(("story", "word"), [(WELL, "HEALTHY"), (NO_LOCKS, "CANNOT TELL"), ("", "CANNOT TELL")])
def test_nothing_wrong(tmp_path: Path, story: str, word: str) -> None:
    text = Page(nlmdissect.read(write(tmp_path / "x.pcap", story))._repr_html_()).text
    assert text.startswith(word)
    assert "Where to look next" not in text


def test_a_finding(tmp_path: Path) -> None:
    finding = nlmdissect.read(write(tmp_path / "x.pcap", LOST)).analysis.findings[0]
    text = Page(finding._repr_html_()).text
    assert text.startswith("NLM001 refused-reclaim (error, confirmed)")
    for words in (finding.title, finding.consequence, finding.remedy, "0:102023-11-14 22:13:58.000000reclaim answered"):
        assert words in text


def test_a_moment(tmp_path: Path) -> None:
    capture = nlmdissect.read(write(tmp_path / "x.pcap", LOST))
    text = Page(capture.at("+2")._repr_html_()).text
    assert "0-99  write  client1 (10.0.0.21)" in text


@pytest.mark.parametrize(
    "name", [b"<script>alert(1)", b"\"><b onx='", b"&lt;&amp;", b"\x1b[2J\r\n\xe2\x80\xae", b"</pre><h1>x"]
)
def test_hostile_names_are_text(tmp_path: Path, name: bytes) -> None:
    capture = nlmdissect.read(write(tmp_path / "x.pcap", STOLEN, client1=name))
    plain = nlmdissect.read(write(tmp_path / "y.pcap", STOLEN, client1=b"A" * 16))
    for mine, theirs in (
        (capture, plain),
        (capture.analysis.findings[0], plain.analysis.findings[0]),
        (capture.at(), plain.at()),
    ):
        page = Page(mine._repr_html_())
        assert page.tags == Page(theirs._repr_html_()).tags
        assert all(c.isprintable() or c in "\n\xa0" for c in page.text)


@pytest.mark.parametrize("path", sorted(SHARED.glob("[ST]*.pcap")), ids=lambda path: path.name)
def test_real_recordings(path: Path) -> None:
    capture = nlmdissect.read(path)
    html = capture._repr_html_()
    Page(html)
    assert len(html) < 40_000
    for finding in capture.analysis.findings:
        Page(finding._repr_html_())
