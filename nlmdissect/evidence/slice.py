"""A slice of a recording: chosen, proved to show the same, anonymised, annotated."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from nlmdissect.analysis import Analysis, analyse, fingerprint
from nlmdissect.capture import files
from nlmdissect.capture.block import Source
from nlmdissect.capture.reader import OVERLAP
from nlmdissect.capture.whole import Record
from nlmdissect.errors import NlmdissectError, UsageError
from nlmdissect.evidence.anonymise.anonymiser import Anonymiser
from nlmdissect.evidence.anonymise.pseudonyms import Pseudonyms
from nlmdissect.evidence.choose import Ring, Wanted
from nlmdissect.evidence.choose import of_findings as evidence_of
from nlmdissect.evidence.comments import Comments, file_name, of_frames, of_section, written
from nlmdissect.evidence.cut import cut
from nlmdissect.evidence.rings import rings
from nlmdissect.findings import Evidence, Finding
from nlmdissect.history.history import read_history

Whose = Mapping[str, Sequence[str]]


@dataclass(slots=True)
class Slice:
    """Some frames of a recording, or all of them (``rings`` None). ``same``: they lead to the same findings (None: that
    was not asked).
    """

    analysis: Analysis
    whose: Whose
    rings: list[bytearray] | None = None
    ring: Ring = Ring.ALL
    same: bool | None = None

    @property
    def frames(self) -> int:
        if self.rings is None:
            return sum(source.frames for source in self.analysis.history.sources)
        return sum(ring <= self.ring for of in self.rings for ring in of)

    def told(self) -> str:
        """What it is, in one line."""
        total, findings = sum(source.frames for source in self.analysis.history.sources), len(self.analysis.findings)
        text = f"all {total} frames" if self.rings is None else f"{self.frames} of {total} frames"
        same = f", which lead to the same finding{'s' if findings != 1 else ''} ({findings})" if self.same else ""
        return text + same

    def records(self, capture: int) -> Iterator[Record]:
        """The blocks of one file that belong to it."""
        source = self.analysis.history.sources[capture]
        if self.rings is None:
            return files.records(source, capture)
        skip = bytes(self.rings[capture]).translate(bytes(number > self.ring for number in range(256)))
        return cut(files.records(source, capture, skip), skip)

    def all(self, names: Pseudonyms | None) -> Iterator[Record]:
        """Those of all files, under other names if there are any."""
        for lane in lanes(self.analysis.history.sources):
            blocks = chain.from_iterable(self.records(capture) for capture in lane)
            yield from blocks if names is None else Anonymiser(names).run(blocks)


def choose(analysis: Analysis, wanted: Wanted, whose: Whose) -> Slice:
    """The frames that are wanted. Errors: CaptureError for a file that cannot be read again."""
    sources = analysis.history.sources
    of = [rings(wanted, files.frames(source), capture) for capture, source in enumerate(sources)]
    return Slice(analysis, whose, of, Ring.CLOSE)


def of_findings(analysis: Analysis, whose: Whose) -> Slice:
    """The evidence of the findings, with so many rings around it that the slice shows the same findings.

    Errors: UsageError where nothing was found; CaptureError for a file that cannot be read again.
    """
    if not analysis.findings:
        raise UsageError(
            "nothing was found, so there is no evidence to cut out",
            "Choose by traffic: --host, --fh, --where, --since; or keep everything: --whole.",
        )
    found = choose(analysis, evidence_of(analysis.history, analysis.findings), whose)
    tried = 0
    while found.ring is not Ring.ALL and (found.frames == tried or not _shows_the_same(found)):
        tried = found.frames
        found = replace(found, ring=Ring(found.ring + 1))
    return replace(found, same=True)


def lanes(sources: Sequence[Source]) -> list[list[int]]:
    """Files that go on where others ended, together: numbers of captures. As ``capture/reader.py`` sees it."""
    found: list[tuple[list[int], int]] = []
    for number, source in enumerate(sources):
        first = source.first or 0
        before = [n for n, (_, last) in enumerate(found) if last <= first + OVERLAP]
        if before:
            lane = max(before, key=lambda n: found[n][1])
            found[lane] = [*found[lane][0], number], max(found[lane][1], source.last or first)
        else:
            found.append(([number], source.last or first))
    return [of for of, _ in found]


def parts(
    found: Slice, version: str, *, annotate: bool = False, names: Pseudonyms | None = None
) -> Iterator[tuple[int, bytes]]:
    """(capture, bytes) of the new files, one block after another.

    Every frame of a slice has its old number as a comment. With ``annotate`` the findings are comments too; under other
    names they are those that the new file itself shows.
    """
    sources = found.analysis.history.sources
    several = len(sources) > 1

    def called(capture: int) -> str:
        return f"capture-{capture + 1}" if names is not None else file_name(sources[capture].path)

    findings, notes, section = found.analysis.findings, Comments(), list[str]()
    with ExitStack() as stack:
        blocks = found.all(names)
        if annotate:
            if names is not None:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nlmdissect-")))
                kept = _spool(blocks, folder)
                findings = _renamed(found, kept)
                blocks = chain.from_iterable(kept.records(capture) for capture in kept.order)
            notes = of_frames(findings)
            section = of_section(found.analysis, findings, f"nlmdissect {version}: {found.told()}", called)
        if found.rings is not None or several:
            blocks = _numbered(blocks, notes, lambda c: f" of {called(c)}" if several else "", found.rings is not None)
        yield from written(blocks, notes, section)


def _numbered(
    blocks: Iterator[Record], notes: Comments, named: Callable[[int], str], every: bool
) -> Iterator[Record]:
    """Put a frame's old number before its comments."""
    for record in blocks:
        place = record.capture, record.frame
        if record.frame and (every or place in notes):
            notes[place] = [f"nlmdissect: frame {record.frame}{named(record.capture)}", *notes.get(place, ())]
            yield record
            del notes[place]
        else:
            yield record


@dataclass(slots=True)
class _Spool:
    """New files on disk, and which old frame each of their frames is."""

    folder: Path
    paths: dict[int, str]
    frames: dict[int, list[int]]

    @property
    def order(self) -> list[int]:
        return list(self.paths)

    def records(self, capture: int) -> Iterator[Record]:
        source = files.open_recording([self.paths[capture]]).sources[0]
        for record in files.records(source, capture):
            yield record._replace(frame=self.frames[capture][record.frame - 1]) if record.frame else record


def _spool(blocks: Iterator[Record], folder: Path) -> _Spool:
    """Raises UsageError where there is no room."""
    try:
        return _write(blocks, folder)
    except OSError as error:
        raise UsageError(
            f"{folder}: {error.strerror or error}",
            "The slice is analysed there first: give TMPDIR a place with room.",
        ) from error


def _write(blocks: Iterator[Record], folder: Path) -> _Spool:
    kept = _Spool(folder, {}, {})
    with ExitStack() as stack:
        streams = {}
        for record in blocks:
            if record.capture not in streams:
                path = folder / f"{record.capture}.pcapng"
                streams[record.capture] = stack.enter_context(path.open("wb"))
                kept.paths[record.capture], kept.frames[record.capture] = str(path), []
            streams[record.capture].write(record.block)
            if record.frame:
                kept.frames[record.capture].append(record.frame)
    return kept


def _read(found: Slice, kept: _Spool) -> Analysis:
    """What the new files show."""
    given = {path: host for host, paths in found.whose.items() for path in paths}
    whose: dict[str, list[str]] = {}
    plain = []
    for capture, path in kept.paths.items():
        old = found.analysis.history.sources[capture].path
        if old in given:
            whose.setdefault(given[old], []).append(path)
        else:
            plain.append(path)
    return analyse(read_history(plain, None, whose), found.analysis.asked)


def _shows_the_same(found: Slice) -> bool:
    with tempfile.TemporaryDirectory(prefix="nlmdissect-") as folder:
        kept = _spool(found.all(None), Path(folder))
        try:
            return _gist(_read(found, kept)) == _gist(found.analysis)
        except NlmdissectError:  # files that have no host in common any more, and the like
            return False


def _gist(analysis: Analysis) -> Counter[object]:
    """What must stay: which findings, and how sure."""
    return Counter((fingerprint(analysis.history, f), f.severity, f.confidence) for f in analysis.findings)


def _renamed(found: Slice, kept: _Spool) -> list[Finding]:
    """The findings in the words of the new files. One that they do not show keeps its code and its frames alone."""
    try:
        shown = _read(found, kept)
    except NlmdissectError:
        return [_wordless(f) for f in found.analysis.findings]
    numbers = {kept.paths[capture]: capture for capture in kept.paths}
    olds = [numbers[source.path] for source in shown.history.sources]

    def old(evidence: Evidence) -> Evidence:
        at = evidence.at
        capture = olds[at.capture]
        frame = kept.frames[capture][at.frame - 1] if at.frame else 0
        return replace(evidence, at=at._replace(capture=capture, frame=frame))

    new: dict[object, Finding] = {}
    for f in shown.findings:
        f = replace(f, evidence=tuple(old(e) for e in f.evidence))
        new[f.code, tuple(e.at for e in f.evidence)] = f
    return [new.get((f.code, tuple(e.at for e in f.evidence))) or _wordless(f) for f in found.analysis.findings]


def _wordless(f: Finding) -> Finding:
    evidence = tuple(replace(e, what="evidence") for e in f.evidence)
    return replace(f, title="(no names in an anonymised file)", evidence=evidence, consequence="-", remedy="-")
