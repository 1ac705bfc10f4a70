"""What a notebook shows of a recording, and of a moment of it, when they stand at the end of a cell.

Colours are few and readable on a light page and on a dark one: text and lines take the page's own. Everything from
packets goes through ``in_html``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from nlmdissect.analysis import Analysis
from nlmdissect.escape import in_html, shorten
from nlmdissect.findings import Confidence, Finding, Severity
from nlmdissect.history.moment import Moment
from nlmdissect.report import moment_text
from nlmdissect.report.facts import facts
from nlmdissect.report.ladder import ladder
from nlmdissect.report.ladder_text import draw
from nlmdissect.report.next_steps import moment_of
from nlmdissect.report.verdict import Word, verdict, worst
from nlmdissect.report.voice import Voice
from nlmdissect.rpc.paths import SHOWN

FINDINGS = 12
WIDTH = 100

BADGE = {
    Word.WRONG: ("#b83c00", "#fff"),
    Word.SUSPECTED: ("#f0b429", "#221a00"),
    Word.WARNING: ("#f0b429", "#221a00"),
    Word.CANNOT_TELL: ("#2a6f9e", "#fff"),
    Word.HEALTHY: ("#00755a", "#fff"),
}
LINE = "1px solid rgba(128,128,128,.35)"
CELL = f"text-align:left;vertical-align:top;padding:4px 10px;border-bottom:{LINE}"
PRE = (
    "margin:8px 0;line-height:1.25;overflow-x:auto;background:none;color:inherit;border:0;white-space:pre;"
    "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12.5px"
)


def capture(analysis: Analysis) -> str:
    """The verdict, what was read, the ladder of the worst finding, the findings, and what to ask next."""
    return f'<div style="max-width:1100px">{"".join(_capture(analysis))}</div>'


def moment(found: Moment) -> str:
    """The lock tables, as ``nlmdissect locks`` shows them."""
    return f'<pre style="{PRE}">{_lines(moment_text.render(found, WIDTH))}</pre>'


def _capture(analysis: Analysis) -> Iterator[str]:
    word, sentence = verdict(analysis)
    ground, text = BADGE[word]
    badge = f"background:{ground};color:{text};padding:2px 9px;border-radius:4px;font-weight:700"
    yield f'<p style="margin:4px 0"><span style="{badge}">{word}</span> <b>{in_html(sentence)}</b></p>'
    yield f'<p style="margin:4px 0;opacity:.75">{"<br>".join(map(in_html, facts(analysis)))}</p>'
    number = worst(analysis)
    if number is not None:
        lines = draw(ladder(analysis, number), Voice(analysis.history), WIDTH)
        picture = "\n".join("".join(part.text for part in line).rstrip() for line in lines)
        yield f'<pre style="{PRE}">{_lines(picture)}</pre>'
    yield _findings(analysis)
    if number is not None:
        yield f'<p style="margin:8px 0 2px">Where to look next:</p><pre style="{PRE}">'
        yield _lines("\n".join(_next(analysis, number))) + "</pre>"


def _findings(analysis: Analysis) -> str:
    if not analysis.findings:
        return ""
    heads = _cells("th", "", "code", "severity", "what happened")
    rows = "".join(map(_row, range(FINDINGS), analysis.findings))
    more = len(analysis.findings) - FINDINGS
    rest = f'<p style="margin:4px 0;opacity:.75">and {more} more in <code>.findings</code></p>' if more > 0 else ""
    return f'<table style="border-collapse:collapse"><tr>{heads}</tr>{rows}</table>{rest}'


def _row(number: int, finding: Finding) -> str:
    severity = (finding.severity or Severity.INFO).name.lower()
    sure = ", only suspected" if finding.confidence is Confidence.SUSPECTED else ""
    cause = f"follows from {finding.caused_by}: " if finding.caused_by is not None else ""
    what = f"{cause}{in_html(shorten(finding.title, 300))}"
    code = f"<code>{in_html(finding.code)}</code>&nbsp;{in_html(finding.name)}"
    return f"<tr>{_cells('td', str(number), code, severity + sure, what)}</tr>"


def _cells(tag: str, *cells: str) -> str:
    """The last one takes the room that the others leave."""
    narrow = "".join(f'<{tag} style="{CELL};white-space:nowrap">{cell}</{tag}>' for cell in cells[:-1])
    return f'{narrow}<{tag} style="{CELL}">{cells[-1]}</{tag}>'


def _next(analysis: Analysis, number: int) -> Iterator[str]:
    """Python to copy, for a capture that is called ``capture``."""
    finding = analysis.findings[number]
    yield f"capture.analysis.findings[{number}]    # all its evidence, and what to do"
    if finding.locks:
        handle = finding.locks[0].fh.rstrip(bytes(1))[-SHOWN:].hex()
        expression = json.dumps(handle) + " in fh"
        yield f"capture.where({expression!r})    # all that was said about the file"
    yield f"capture.at({moment_of(analysis, number)!r})    # the lock tables at that moment"
    yield f"print(nlmdissect.explain({finding.code!r}))    # the rule"


def _lines(text: str) -> str:
    return "\n".join(map(in_html, text.split("\n")))
