"""An audit from its arguments to the finished dataset: look at the files, see which are one recording, judge each, keep
each result as soon as it is there.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from nlmdissect.audit import inputs, parquet, rows
from nlmdissect.audit.dataset import Run, open_run, unwritable
from nlmdissect.audit.engine import Done, Pool
from nlmdissect.audit.rotation import Group, grouped, split
from nlmdissect.audit.work import Result, engine, judge, judge_parts, look, read_part, read_piece
from nlmdissect.capture.glance import Glance
from nlmdissect.capture.unpack import EXPANSION
from nlmdissect.errors import UsageError
from nlmdissect.report.progress import Bar

LOOKS = 16  # files that one call looks at
SMALL, SEVERAL = 1 << 20, 4  # bytes of a recording that one call judges together with others; how many
PART = 256 << 20  # bytes of files that one call reads of a recording of several files
PIECE = 1 << 30  # bytes that one call reads of a file, about
LOST = "the workers that read it were ended: it needs more memory than one may use"


def audit(
    paths: Sequence[str | Path], dataset: str | Path, *, run: str | None = None, group: Sequence[str] = (),
    scheduler: str | None = None, jobs: int | None = None, memory: int | None = None, max_expansion: int = EXPANSION,
    progress: bool = False,
) -> Run:  # fmt: skip
    """Audit files, folders, patterns and URLs into a dataset; the finished run.

    A run that did not end goes on, if it was asked the same. ``group`` are patterns: files that match one are one
    recording; "none" takes every other file alone. ``scheduler`` is the address of a Dask cluster, else ``jobs``
    workers start here, which together use at most ``memory`` bytes. ``max_expansion`` is as in ``nlmdissect.read``.
    Raises UsageError, and LostError without a scheduler.
    """
    from nlmdissect import __version__

    files = inputs.files(paths)
    about = {"paths": [str(path) for path in paths], "group": list(group), "max_expansion": max_expansion}
    root = Path(dataset)
    with _alone(root):
        to, before = open_run(root, run, about)
        to.about["version"] = __version__
        with Bar(progress, "looking") as bar:
            audit = _Audit(to, before, bar, max_expansion)
            with Pool(scheduler, jobs, memory) as pool:
                audit.look(pool, files)
                audit.plan(grouped(audit.seen, group))
                audit.judge(pool)
            if audit.lost and scheduler is None:
                with Pool(None, 1, memory) as pool:  # one by one, each with all the memory there is
                    audit.again()
                    audit.judge(pool)
            audit.end()
    return to


class _Audit:
    """What is known of an audit under way. ``lost`` are recordings whose workers died with them."""

    def __init__(self, to: Run, before: Run | None, bar: Bar, expansion: int) -> None:
        self.run, self.before, self.bar, self.expansion = to, before, bar, expansion
        self.seen: list[Glance] = []
        self.lost: list[Group] = []
        self.planned: dict[str, Group] = {}
        self.read, self.reused = 0, 0
        self._todo: deque[Group] = deque()
        self._alone = False
        self._held: dict[str, list[Any]] = {}  # what parts of large recordings held, wherever it is
        self._bytes = 0

    def look(self, pool: Pool, files: Sequence[str]) -> None:
        parts = deque(enumerate(files[at : at + LOOKS] for at in range(0, len(files), LOOKS)))
        found: dict[int, list[Glance]] = {}

        def more() -> bool:
            if not parts:
                return False
            number, part = parts.popleft()
            pool.submit((number, part), look, part)
            return True

        for done in pool.results(more):
            number, part = done.token
            wrong = done.error or (LOST if done.lost else "")
            found[number] = [Glance(path, error=wrong) for path in part] if wrong else done.value
        self.seen = [one for number in sorted(found) for one in found[number]]

    def plan(self, groups: Sequence[Group]) -> None:
        """Take over what was found before; the largest of the rest first, so that no long one begins at the end."""
        known = {} if self.before is None else self.before.about.get("apart", {})
        self.run.about["apart"] = {key: known[key] for key in map(self._key, groups) if key in known}
        for group in [part for whole in groups for part in split(whole, known.get(self._key(whole), ()))]:
            name, key = name_of(group), self._key(group)
            self.planned[name] = group
            if self.run.key(name) == key:
                self.reused += 1
            elif self.before is not None and self.before.key(name) == key:
                self.run.take_over(name, self.before)
                self.reused += 1
            else:
                self._todo.append(group)
        self._todo = deque(sorted(self._todo, key=_size, reverse=True))
        self._total = sum(map(_size, self._todo))

    def again(self) -> None:
        self._todo, self.lost, self._alone = deque(self.lost), [], True

    def judge(self, pool: Pool) -> None:
        steps: deque[Callable[[], None]] = deque()

        def more() -> bool:
            if not steps and self._todo:
                steps.extend(self._steps(pool))
            if not steps:
                return False
            steps.popleft()()
            return True

        for done in pool.results(more):
            self._take(done)

    def _steps(self, pool: Pool) -> Iterator[Callable[[], None]]:
        """Calls for what comes next: one for some small recordings, or several for the parts of a large one."""
        group = self._todo.popleft()
        cuts = [] if group.given else _cuts(group)
        if len(cuts) > 2:
            parts: list[Any] = []
            paths = [file.path for file in group.files]
            for a, b in pairwise(cuts):
                part = paths[a:b], paths[b:], self.expansion
                yield lambda part=part: parts.append(pool.submit(None, read_part, *part, keep=True))  # type: ignore[misc]
            yield lambda: self._join(pool, group, parts)
            return
        if len(pieces := _pieces(group)) > 1:
            parts = []
            for piece in pieces:
                yield lambda piece=piece: parts.append(pool.submit(None, read_piece, *piece, keep=True))  # type: ignore[misc]
            yield lambda: self._join(pool, group, parts)
            return
        several = [group]
        while self._todo and not self._alone and len(several) < SEVERAL and _size(several[-1]) < SMALL:
            several.append(self._todo.popleft())
        yield lambda: self._submit(pool, several)

    def _submit(self, pool: Pool, several: list[Group]) -> None:
        pool.submit(several, judge, [(group.files, group.given) for group in several], self.expansion)

    def _join(self, pool: Pool, group: Group, parts: list[Any]) -> None:
        self._held[name_of(group)] = parts
        pool.submit([group], judge_parts, parts, group.files)

    def end(self) -> None:
        """What could not be judged is kept as that; what became part of another recording goes."""
        for group in self.lost:
            self._keep(group, parquet.encode(rows.broken(group.files, LOST, "Give --memory-limit more.", True)))
        paths = {file.path for group in self.planned.values() for file in group.files}
        for name in list(self.run.recordings()):
            if name not in self.planned:
                of = parquet.rows("captures", [("", name, self.run.file(name, "captures"))], ["path"])
                if any(row["path"] in paths for row in of):
                    self.run.forget(name)
        self.run.finish(engine=engine(), recordings=len(self.planned), read=self.read, reused=self.reused)

    def _take(self, done: Done) -> None:
        if done.token is None:  # a part: the recording waits for it
            return
        groups: list[Group] = done.token
        for group in groups:
            self._held.pop(name_of(group), None)
        if done.lost:
            self.lost += groups
            return
        if done.error:
            for group in groups:
                self._keep(group, parquet.encode(rows.broken(group.files, done.error, "Please report this.", True)))
            return
        results: list[Result] = done.value
        for group, result in zip(groups, results, strict=True):
            if not result.apart:
                self._keep(group, result.tables)
                continue
            self.run.about["apart"][self._key(group)] = result.apart
            del self.planned[name_of(group)]
            for part in split(group, result.apart):
                self.planned[name_of(part)] = part
                self._todo.appendleft(part)

    def _keep(self, group: Group, tables: dict[str, bytes]) -> None:
        self.run.commit(name_of(group), self._key(group), tables)
        self.read += 1
        self._bytes += _size(group)
        self.bar.what = f"{self.read + self.reused} of {len(self.planned)} recordings"
        self.bar(self._bytes, self._total)

    def _key(self, group: Group) -> str:
        """Changes with the files, with what was asked, and with the code that judges them."""
        made_of = [engine(), f"{group.given} {self.expansion}"]
        made_of += [f"{file.path} {file.content} {file.error}" for file in group.files]
        return hashlib.sha256("\n".join(made_of).encode("utf-8", "surrogateescape")).hexdigest()


def name_of(group: Group) -> str:
    """Of a recording: the same in every run, and good for the name of a folder."""
    short = re.sub(r"[^A-Za-z0-9._#-]+", "_", group.name.rpartition("/")[2]).replace("#", "N")[-48:].lstrip("-._")
    return f"{short}-{hashlib.sha256(group.name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def _cuts(group: Group) -> list[int]:
    """The files at which the parts of a recording begin, and how many files there are."""
    cuts, size = [0], 0
    for place, file in enumerate(group.files):
        if size >= PART:
            cuts.append(place)
            size = 0
        size += file.size
    return [*cuts, len(group.files)]


def _pieces(group: Group) -> list[tuple[str, int, int | None]]:
    """The pieces of a recording of one plain file: its path, about where each begins, and where it ends."""
    (file, *others) = group.files
    count = 1 if others or file.compression or file.error else max(file.size // PIECE, 1)
    cuts = [file.size * n // count for n in range(count)]
    return [(file.path, begin, end) for begin, end in zip(cuts, [*cuts[1:], None], strict=True)]


def _size(group: Group) -> int:
    return sum(file.size for file in group.files)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Two audits that write one dataset would take each other's runs for their own. Raises UsageError."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        file = (root / ".lock").open("w")
    except OSError as error:
        raise unwritable(root, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"{root}: another audit is writing there", "Wait for it, or give another --dataset."
            ) from error
        yield
