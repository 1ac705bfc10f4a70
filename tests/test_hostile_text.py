"""Text from packets never acts: names out of a zoo go through everything that is shown or written.

WRITERS is the list to extend: each form of output with the test that it has to stand.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fuzz.results import assert_printable, assert_tame
from support import zoo
from support.adversaries import CLIENT, SERVER, asked, datagram
from support.packets import dns_answer, opaque, pcap, rpc_call, rpc_reply

import nlmdissect
from nlmdissect.api import Capture
from nlmdissect.escape import in_html, shorten, show, show_bytes
from nlmdissect.report import html, lines, moment_json, moment_text, text
from nlmdissect.report import json as json_report

NLM, NSM, NFS, MOUNT = 100021, 100024, 100003, 100005


def recording(name: bytes) -> bytes:
    """A restart in which everything that can be named has this name: host, owner, file, export, notice, resolver."""
    handle = (name + b"." * 32)[:32]
    body = opaque(name[:1024]) + b"\0\0\0\0\0\0\0\1" + opaque(name[:1024]) + opaque(handle) + opaque(name[:1024]) + bytes(4 + 8) + (100).to_bytes(8, "big") + bytes(8)
    frames = [(0.0, datagram(CLIENT, SERVER, 700, 635, rpc_call(1, MOUNT, 3, 1, opaque(name[:1024]))))]
    frames += [(0.1, datagram(SERVER, CLIENT, 635, 700, rpc_reply(1, bytes(4) + opaque(b"D" * 32) + bytes(4))))]
    frames += [(0.2, datagram(CLIENT, SERVER, 700, 2049, rpc_call(2, NFS, 3, 3, opaque(b"D" * 32) + opaque(name))))]
    frames += [(0.3, datagram(SERVER, CLIENT, 2049, 700, rpc_reply(2, bytes(4) + opaque(handle) + bytes(8))))]
    frames += [(0.4, datagram("10.0.0.53", CLIENT, 53, 3000, dns_answer(1, "host", 1, [("host", 1, bytes((10, 0, 0, 10)))])))]
    frames += asked(3, body.replace(opaque(name[:1024]), opaque(b"c"), 1), time=1.0)
    frames += [(100.0, datagram(SERVER, CLIENT, 800, 662, rpc_call(4, NSM, 1, 6, opaque(name[:1024]) + (7).to_bytes(4, "big"))))]
    frames += [(100.1, datagram(CLIENT, SERVER, 662, 800, rpc_reply(4)))]
    reclaim = body.replace(opaque(name[:1024]), opaque(b"c"), 1)[:-8] + b"\0\0\0\1\0\0\0\0"
    frames += asked(5, reclaim, status=7, time=101.0)
    frames += asked(6, reclaim[:-8] + bytes(8), status=0, client="10.0.0.22", time=300.0)
    return pcap(frames)


def csv_text(capture: Capture) -> str:
    out = io.StringIO()
    for name in ("calls", "hosts", "locks", "findings"):
        capture.table(name).to_csv(out)
    return out.getvalue()


def figures(capture: Capture) -> str:
    """The JSON of all pictures, as Plotly's own page has it."""
    made = [capture.plot_recovery(), capture.plot_file(), capture.plot_ladder(), capture.plot_times(), capture.plot_monitors()]
    return json.dumps([words(json.loads(figure.to_json())) for figure in made])


def words(value: Any) -> list[str]:
    """All text in it."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [word for part in parts for word in words(part)]


def assert_plotly(written: str) -> None:
    """Plotly draws a few tags (b, i, br, a, ...): of a name none may be left. A link, above all."""
    for word in words(json.loads(written)):
        lowered = word.lower()
        assert "<a" not in lowered, word
        assert "<script" not in lowered, word
        assert "<img" not in lowered, word
        assert_printable(word.replace("<br>", ""))


def assert_json(written: str) -> None:
    assert written.isascii()
    assert_printable(written)
    json.loads(written)


def assert_rows(written: str) -> None:
    """CSV that can be read back, all rows of a table of one length."""
    assert all(csv.reader(io.StringIO(written)))


def everything(capture: Capture) -> lines.Chosen:
    return lines.Chosen(frozenset(), None, None)


WRITERS: dict[str, tuple[Callable[[Capture], str], Callable[[str], None]]] = {
    "text": (lambda c: text.render(c.analysis), assert_printable),
    "narrow text": (lambda c: text.render(c.analysis, 40), assert_printable),
    "json": (lambda c: json_report.render(c.analysis, "0"), assert_json),
    "html": (lambda c: html.render(c.analysis, "0"), assert_tame),
    "show": (lambda c: "".join(lines.of_calls(c.history, everything(c))), assert_printable),
    "show --messages": (lambda c: "".join(lines.of_messages(c.history, everything(c))), assert_printable),
    "locks": (lambda c: moment_text.render(c.at().moment), assert_printable),
    "locks json": (lambda c: moment_json.render(c.at().moment, "0"), assert_json),
    "notebook": (lambda c: c._repr_html_(), assert_tame),
    "notebook moment": (lambda c: c.at()._repr_html_(), assert_tame),
    "notebook finding": (lambda c: "".join(f._repr_html_() for f in c.analysis.findings if hasattr(f, "_repr_html_")), assert_tame),
    "repr": (repr, assert_printable),
    "plots": (figures, assert_plotly),
    "csv": (csv_text, assert_rows),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zoo")


@pytest.mark.parametrize("number", range(len(zoo.NAMES)), ids=lambda n: repr(zoo.NAMES[n][:24]))
def test_names_do_nothing(number: int, folder: Path) -> None:
    path = folder / f"{number}.pcap"
    path.write_bytes(recording(zoo.NAMES[number]))
    capture = nlmdissect.read(path)
    assert not [result.error for result in capture.analysis.results if result.error]
    assert capture.analysis.findings
    for writer, (write, check) in WRITERS.items():
        try:
            check(write(capture))
        except AssertionError as error:
            error.add_note(f"{writer}, {zoo.NAMES[number]!r}")
            raise


def test_the_names_are_there(folder: Path) -> None:
    """They are shown: a writer that leaves them out would pass too."""
    path = folder / "plain.pcap"
    path.write_bytes(recording(b"Zqplain"))
    capture = nlmdissect.read(path)
    silent = {"repr", "notebook finding"}
    assert {w for w, (write, _) in WRITERS.items() if "Zqplain" not in write(capture)} <= silent


@pytest.mark.parametrize("name", zoo.NAMES, ids=lambda name: repr(name[:24]))
def test_one_place_shows_text(name: bytes) -> None:
    shown = show_bytes(name)
    for written in (shown, show(name.decode("latin-1")), shorten(shown), in_html(shown)):
        assert written.isprintable()
    assert len(shorten(shown)) <= 64
    assert not set("<>\"'") & set(in_html(shown))
