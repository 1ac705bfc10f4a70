"""What Wireshark is to show beside packets: the findings as comments of frames and of the section."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePath

from nlmdissect.analysis import Analysis
from nlmdissect.capture import records
from nlmdissect.capture.whole import Record, block, option
from nlmdissect.escape import shorten, show
from nlmdissect.findings import Finding, Severity

COMMENT = 1  # the option
LONGEST = 16_000  # characters; the format allows 65535 bytes
MOST = 50  # comments of one frame
MOST_OF_ALL = 500  # of a section

Comments = dict[tuple[int, int], list[str]]
"""By (capture, frame)."""


def of_frames(findings: Iterable[Finding]) -> Comments:
    """What each frame proves. The frame to open first has the finding's title as well."""
    found: Comments = defaultdict(list)
    for f in findings:
        for number, evidence in enumerate(f.evidence):
            if evidence.at.frame:
                title = "" if number else f"{show(f.title)}\n"
                found[evidence.at.capture, evidence.at.frame].append(f"{head(f)}: {title}{show(evidence.what)}")
    return {place: _at_most(texts, MOST) for place, texts in found.items()}


def of_section(analysis: Analysis, findings: Iterable[Finding], about: str, named: Callable[[int], str]) -> list[str]:
    """All findings, one comment each, behind what it is ``about``. ``named`` says how a file is called."""
    several = len(analysis.history.sources) > 1
    comments = [about]
    for number, f in enumerate(findings, 1):
        places = dict.fromkeys((e.at.capture, e.at.frame) for e in f.evidence if e.at.frame)
        frames = ", ".join(f"{named(c)}:{frame}" if several else str(frame) for c, frame in places)
        lines = (f"{number}. {head(f)}", f.title, f"means: {f.consequence}", f"do: {f.remedy}", f"frames: {frames}")
        comments.append("\n".join(show(line) for line in lines))
    return _at_most(comments, MOST_OF_ALL)


def head(f: Finding) -> str:
    """``NLM003 late-reclaim (error, confirmed)``."""
    severity = Severity.INFO if f.severity is None else f.severity
    return f"{f.code} {f.name} ({severity.name.lower()}, {f.confidence.name.lower()})"


def file_name(path: str) -> str:
    """The last part of a path, for people."""
    return shorten(PurePath(path).name)


def commented(record: Record, texts: list[str]) -> bytes:
    """The block with comments before its other options. A Simple Packet Block has no room for them."""
    old, order = record.block, record.order
    if record.kind == records.SECTION_HEADER:
        at = 24
    elif record.kind in (records.ENHANCED_PACKET, records.OBSOLETE_PACKET):
        at = record.at + (record.captured + 3 & ~3)
    else:
        return old
    if not texts:
        return old
    made = b"".join(option(COMMENT, text[:LONGEST].encode("utf-8", "backslashreplace"), order) for text in texts)
    rest = old[at:-4] or bytes(4)
    body = old[8:at] + made + rest
    if record.kind == records.SECTION_HEADER:
        body = body[:8] + struct.pack(order + "q", -1) + body[16:]  # the section is longer now than it was
    return block(record.kind, body, order)


def written(
    blocks: Iterable[Record], comments: Mapping[tuple[int, int], list[str]], section: list[str]
) -> Iterator[tuple[int, bytes]]:
    """(capture, bytes) of every block, with its comments; ``section`` are those of each file."""
    begun = set[int]()
    for record in blocks:
        texts = comments.get((record.capture, record.frame), []) if record.frame else []
        if record.kind == records.SECTION_HEADER:
            texts = [] if record.capture in begun else section
            begun.add(record.capture)
        yield record.capture, commented(record, texts) if texts else record.block


def _at_most(texts: list[str], most: int) -> list[str]:
    return texts if len(texts) <= most else [*texts[:most], f"and {len(texts) - most} more"]
