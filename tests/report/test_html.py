"""The HTML report: whole, alone, small, and deaf to what packets say."""

from __future__ import annotations

import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.captures import SHARED
from support.drawn import read
from support.incidents import LOST, NO_LOCKS, RECOVERED, STOLEN, UNTOLD, WELL, crowd, write

import nlmdissect
from nlmdissect.escape import show_bytes
from nlmdissect.report import page as pages
from nlmdissect.report.html import render
from nlmdissect.report.verdict import verdict

VOID = {"meta", "link", "input", "br", "img", "hr"}
HOSTILE = [
    b"<script>alert(1)", b"</title><script>", b'"><img src=x>', b"'onload='x()", b"{{ 7*7 }}{% x %}", b"&lt;b&gt;",
    b"</style></svg>", b"javascript:x", b"\x1b[2J\x00\xff", b"\xe2\x80\xae\xe2\x80\xa8",
]  # fmt: skip
MEGABYTE = 1 << 20


class Page(HTMLParser):
    """Tags that are open, what was wrong with them, attributes by name, and the text outside of script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.tags: dict[str, list[dict[str, str | None]]] = {}
        self.text = ""
        self.ids: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.setdefault(tag, []).append(dict(attrs))
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if len({name for name, _ in attrs}) != len(attrs):
            self.wrong.append(f"{tag} has an attribute twice")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text += data


def html_of(folder: Path, story: str, **names: bytes) -> str:
    return render(read(folder, story, **names).analysis, "1.2.3")


@pytest.mark.parametrize("story", [LOST, STOLEN, UNTOLD, WELL, RECOVERED, NO_LOCKS, ""])
def test_it_is_well_formed(tmp_path: Path, story: str) -> None:
    page = Page(html_of(tmp_path, story))
    assert (page.wrong, page.open) == ([], [])
    assert len(set(page.ids)) == len(page.ids)


def test_nothing_in_it_points_outside(tmp_path: Path) -> None:
    text = html_of(tmp_path, STOLEN)
    page = Page(text)
    for tag, all_of in page.tags.items():
        for attributes in all_of:
            for name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset", "background"):
                assert attributes.get(name) in (None, "data:,"), f"<{tag} {name}={attributes[name]}>"
    assert not re.findall(r"https?:|@import|url\((?!#)", text)
    assert not re.findall(r"fetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import\(", text)
    (policy,) = (m["content"] for m in page.tags["meta"] if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_the_verdict_comes_first_and_everything_is_there(tmp_path: Path) -> None:
    capture = read(tmp_path, STOLEN)
    text = Page(render(capture.analysis, "1.2.3")).text
    word, sentence = verdict(capture.analysis)
    wanted = [
        word.value, sentence, "Recovery after the restart of server", "Findings", "NLM001 refused-reclaim",
        "What follows from it", "NLM004 stolen-lock", "Restarts and recoveries", "Locks at the end",
        "What could not be judged", "Coverage", "Defects", "How to see the rest",
    ]  # fmt: skip
    places = [text.index(word) for word in wanted]
    assert places == sorted(places)


def test_evidence_is_decoded(tmp_path: Path) -> None:
    page = Page(html_of(tmp_path, LOST))
    for words in ("NLM4 LOCK call", "reclaim", "1@client1", "answered in frame 10 after 1.000000 s: STALE_FH"):
        assert words in page.text


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_not_obeyed(tmp_path: Path, name: bytes) -> None:
    plain = Page(html_of(tmp_path, STOLEN, client1=b"A" * 16))
    page = Page(html_of(tmp_path, STOLEN, client1=name))
    assert (page.wrong, page.open) == ([], [])
    assert {tag: len(of) for tag, of in page.tags.items()} == {tag: len(of) for tag, of in plain.tags.items()}
    assert [sorted(of) for of in page.tags["details"]] == [sorted(of) for of in plain.tags["details"]]
    assert show_bytes(name) in page.text
    assert all(c in "\n\t" or c.isprintable() for c in page.text)


def test_scripts_are_the_same_whatever_packets_say(tmp_path: Path) -> None:
    def scripts(text: str) -> list[str]:
        return re.findall(r"<(?:script|style)>.*?</(?:script|style)>", text, re.S)

    assert scripts(html_of(tmp_path, STOLEN, client1=HOSTILE[1])) == scripts(html_of(tmp_path, WELL))


def test_a_crowd_is_shown_worst_first_and_the_rest_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, most in (("FINDINGS", 5), ("PEERS", 10), ("HELD", 10)):
        monkeypatch.setattr(pages, limit, most)
    text = html_of(tmp_path, crowd(120, 9))
    page = Page(text)
    assert len([d for d in page.tags["details"] if "card" in (d.get("class") or "")]) == 1 + 5  # in one story
    assert "4 more findings" in page.text
    assert "and 110 more, which lost nothing more than these" in page.text
    assert "more locks: nlmdissect locks " in page.text
    first = page.text.index("Restarts and recoveries")
    assert page.text.index("node000", first) < page.text.index("node009", first)  # the untold before the rest
    assert len(text) < MEGABYTE


@pytest.mark.parametrize("name", ["T10-base-healthy", "S08-reclaim-after-grace", "S22-busy-reboot-healthy"])
def test_an_ordinary_report_is_small(name: str) -> None:
    path = SHARED / f"{name}.pcap"
    if not path.exists():
        pytest.skip("the recordings are not here")
    assert len(render(nlmdissect.read(path).analysis, "1.2.3").encode()) < MEGABYTE  # six would still be mailed


def test_commands_that_it_names_can_be_pasted(tmp_path: Path) -> None:
    path = write(tmp_path / "a b'; rm -rf $HOME.pcap", LOST)
    found = pages.page(nlmdissect.read(path).analysis)
    (command,) = (command for _, command in found.commands if command.startswith("nlmdissect show"))
    assert shlex.split(command) == ["nlmdissect", "show", str(path)]
