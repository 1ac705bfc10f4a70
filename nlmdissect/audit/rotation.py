"""Which files were written one after another by one capture: by their names, and by what a short look at them told.

Theory of operation. ``tcpdump -C`` and ``-G``, ``dumpcap -b`` and ``editcap -c`` number their files or put the time
into their names. Files of one folder whose names differ in that alone are a family. Of a family those are one recording
that have the same link type and limit of length, that follow each other without overlap, and that saw some host in
common. Whether nothing was left out between two files, only reading shows: files with successive numbers are believed,
others are asked how long they were silent within themselves (``apart``). Where one of these fails, the family is
several recordings: to take two for one could make a lock look lost in the hours between.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import pairwise

import numpy as np

from nlmdissect.audit.inputs import unpacked
from nlmdissect.capture.glance import Glance
from nlmdissect.capture.messages import Span

OVERLAP = 100_000_000  # ns; as ``capture.reader`` has it
PAUSE = 60 * 10**9  # ns between two files in which nobody needs to have been silent elsewhere
SILENCES = 3  # a pause between files may be so many times the longest within them
NOTHING = "none"

# the time in a name: 2026-01-31, 20260131_130500, 2026-01-31T13.05.00, 1769864700
_two = r"\d\d"
TIME = re.compile(
    rf"(?<!\d)(?:(?:19|20){_two}([-_.]?){_two}\1{_two}(?:[-_.T]?{_two}(?:[-_.:]?{_two}(?:[-_.:]?{_two})?)?)?|1\d{{9}})(?!\d)"
)
# the number in a name: nfs.pcap7, nfs_00007.pcap, nfs-07.pcap, nfs.7.pcap, nfs007.pcap
NUMBERS = (
    re.compile(r"(?P<before>.*\.(?:pcapng|pcap|cap|dmp))(?P<number>\d+)(?P<behind>)", re.I),
    re.compile(r"(?P<before>.*[-_.])(?P<number>\d+)(?P<behind>(?:[-_.]#)?\.\w+)"),
    re.compile(r"(?P<before>.*\D)(?P<number>\d{3,})(?P<behind>(?:[-_.]#)?\.\w+)"),
)


@dataclass(frozen=True, slots=True)
class Group:
    """The files of one recording, in time order. ``name`` is what they have in common. ``given``: by hand."""

    name: str
    files: tuple[Glance, ...]
    given: bool = False


def pattern(path: str) -> tuple[str, int | None]:
    """What the files of a family have in common, and the number of this one: ``nfs.pcap7`` is ``nfs.pcap#``, 7."""
    folder, slash, name = path.rpartition("/")
    name = unpacked(name)
    stem, times = TIME.subn("#", name)
    for numbered in NUMBERS:
        if match := numbered.fullmatch(stem):
            return f"{folder}{slash}{match['before']}#{match['behind']}", int(match["number"])
    first = re.fullmatch(r".*\.(?:pcapng|pcap|cap|dmp)", stem, re.I)  # of tcpdump -C: it has no number
    return f"{folder}{slash}{stem}{'#' if first and not times else ''}", 0 if first and not times else None


def grouped(seen: Sequence[Glance], given: Sequence[str] = ()) -> list[Group]:
    """The recordings, as far as a short look tells. ``given`` are patterns of paths: what matches one is one recording;
    "none" puts every file that matches no other on its own.
    """
    groups: list[Group] = []
    families: dict[str, list[Glance]] = defaultdict(list)
    by_hand: dict[str, list[Glance]] = defaultdict(list)
    for one in seen:
        rule = next((rule for rule in given if rule != NOTHING and _matches(one.path, rule)), None)
        if one.error:
            groups.append(Group(one.path, (one,)))
        elif rule is not None:
            by_hand[rule].append(one)
        else:
            families[one.path if NOTHING in given else pattern(one.path)[0]].append(one)
    groups += [Group(rule, tuple(sorted(of, key=_when)), given=True) for rule, of in by_hand.items()]
    for name, family in families.items():
        groups += _named(name, list(_rows(family)))
    return sorted(groups, key=lambda group: group.name)


def split(group: Group, at: Iterable[int]) -> list[Group]:
    """A recording that turned out to be several: another one begins with each of these files."""
    cuts = [0, *sorted(at), len(group.files)]
    if len(cuts) == 2:
        return [group]
    return _named(group.name, [group.files[a:b] for a, b in pairwise(cuts)])


def follows(a: str, b: str) -> bool:
    """Does the number of one file come right after that of another? Then nothing was left out between them."""
    one, other = pattern(a)[1], pattern(b)[1]
    return one is not None and other == one + 1


def apart(files: Sequence[tuple[str, int | None, int | None]], silence: int) -> list[int]:
    """The places in (path, first, last) of files, in time order, at which another recording begins. ``silence`` is the
    longest within the files. Units: ns.
    """
    found, last = [], None
    for place, (path, first, end) in enumerate(files):
        if first is None or end is None:
            continue
        if last is not None:
            gap = first - last
            long = gap > max(PAUSE, SILENCES * silence) and not follows(files[place - 1][0], path)
            if gap < -OVERLAP or long:
                found.append(place)
        last = end if last is None or place in found else max(last, end)
    return found


def _rows(family: list[Glance]) -> Iterable[tuple[Glance, ...]]:
    """The family in time order, cut where one file cannot go on where the one before it ended."""
    row: list[Glance] = []
    empty = [one for one in family if one.first is None]
    for one in sorted((one for one in family if one.first is not None), key=_when):
        if row and not _goes_on(row[-1], one):
            yield tuple(row)
            row = []
        row.append(one)
    if row:
        yield tuple(row)
    yield from ((one,) for one in empty)


def _goes_on(a: Glance, b: Glance) -> bool:
    alike = (a.format, a.links, a.snaplen) == (b.format, b.links, b.snaplen)
    common = not (a.hosts and b.hosts) or bool(a.hosts & b.hosts)
    overlap = a.last is not None and b.first is not None and b.first < a.last - OVERLAP
    return alike and common and not overlap and a.first != b.first


def _named(name: str, rows: Sequence[tuple[Glance, ...]]) -> list[Group]:
    """One recording keeps the name of the family; of several each has that of its first file, and how many follow."""
    if len(rows) == 1 and len(rows[0]) > 1:
        return [Group(name, rows[0])]
    return [Group(row[0].path, row) for row in rows]


def _matches(path: str, rule: str) -> bool:
    return fnmatch(path, rule) or fnmatch(path, f"*/{rule}")


def _when(one: Glance) -> tuple[bool, int, str]:
    return one.first is None, one.first or 0, one.path


def silence(activity: Iterable[Span], files: Sequence[tuple[str, int | None, int | None]]) -> int:
    """The longest time in which no host was heard within one of the files (ns). The files are in time order."""
    heard = np.array(sorted((span.first, span.last) for span in activity), np.int64).reshape(-1, 2)
    known = np.array([(first, last) for _, first, last in files if first is not None], np.int64).reshape(-1, 2)
    if not len(heard) or not len(known):
        return 0
    since, until = np.maximum.accumulate(heard[:-1, 1]), heard[1:, 0]
    file = np.searchsorted(known[:, 0], since, side="right") - 1
    within = (file >= 0) & (until <= known[file, 1])
    return int((until - since)[within].max(initial=0))
