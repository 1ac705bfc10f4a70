"""Where results are kept: a folder of Parquet files that is right at any moment, whatever happens to the program.

    DIR/run=2026-01-31T22.00.00Z/_run.json                               what was asked; when it ended, once it did
    DIR/run=2026-01-31T22.00.00Z/recording=nfs.pcap-0f3a9c1e/findings.parquet, captures.parquet, ...
    DIR/run=2026-01-31T22.00.00Z/recording=nfs.pcap-0f3a9c1e/_key.json   what it was made of

The folder of a recording is written under another name and then renamed, so it is there whole or not at all.
``_key.json`` names its inputs and the rules: a recording with the same key need not be read again, in this run or in
the next one, which takes it over by hard links. Names with ``_`` and ``.`` are no data for readers of Parquet.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nlmdissect.audit.columns import TABLES
from nlmdissect.errors import UsageError

SCHEMA = "nlmdissect.audit/1"
KEY, RUN = "_key.json", "_run.json"
FREE = "Free some space, or give --dataset another folder. What is done is kept: the same command goes on."


class Run:
    """One run in a dataset. ``about`` is what ``_run.json`` says."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder = folder
        self.about = about

    @property
    def name(self) -> str:
        return self.folder.name.removeprefix("run=")

    @property
    def finished(self) -> bool:
        return self.about.get("finished") is not None

    def recordings(self) -> Iterator[str]:
        """Those that are done, in order."""
        with suppress(FileNotFoundError):
            for name in sorted(os.listdir(self.folder)):
                if name.startswith("recording="):
                    yield name.removeprefix("recording=")

    def file(self, recording: str, table: str) -> str:
        return str(self.folder / f"recording={recording}" / f"{table}.parquet")

    def key(self, recording: str) -> str | None:
        """What a recording was made of; None if it is not here, or damaged."""
        folder = self.folder / f"recording={recording}"
        try:
            said = json.loads((folder / KEY).read_text())
            whole = all((folder / f"{name}.parquet").stat().st_size == said["sizes"][name] for name in TABLES)
            return str(said["key"]) if whole else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def commit(self, recording: str, key: str, tables: Mapping[str, bytes]) -> None:
        """Keep a recording's tables. Raises UsageError when the disk is full, or may not be written."""
        said = {"key": key, "sizes": {name: len(data) for name, data in tables.items()}}
        files = {f"{name}.parquet": data for name, data in tables.items()} | {KEY: json.dumps(said).encode()}

        def fill(folder: Path) -> None:
            for name, data in files.items():
                with (folder / name).open("wb") as file:
                    file.write(data)

        self._replace(recording, fill)

    def take_over(self, recording: str, other: Run) -> None:
        """Keep what an earlier run found: the same files, under two names where the disk can do that."""
        source = other.folder / f"recording={recording}"

        def fill(folder: Path) -> None:
            for name in (KEY, *(f"{name}.parquet" for name in TABLES)):
                try:
                    os.link(source / name, folder / name)
                except OSError:
                    shutil.copyfile(source / name, folder / name)

        self._replace(recording, fill)

    def forget(self, recording: str) -> None:
        """A recording that is part of another one now."""
        shutil.rmtree(self.folder / f"recording={recording}", ignore_errors=True)

    def finish(self, **more: Any) -> None:
        """The run has ended. What a killed one left half done goes."""
        for rest in self.folder.glob(".*-*"):
            shutil.rmtree(rest, ignore_errors=True)
        self.about |= {"finished": now(), **more}
        write_json(self.folder / RUN, self.about)

    def _replace(self, recording: str, fill: Any) -> None:
        final = self.folder / f"recording={recording}"
        new, old = (self.folder / f".{word}-{recording}" for word in ("new", "old"))
        try:
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
            fill(new)
            if final.exists():
                shutil.rmtree(old, ignore_errors=True)
                os.rename(final, old)
            os.rename(new, final)
            shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            with suppress(OSError):
                shutil.rmtree(new)
            raise unwritable(self.folder, error) from error


def runs(folder: str | Path) -> list[Run]:
    """The runs of a dataset, oldest first. Raises UsageError for a folder that is none."""
    root = Path(folder)
    try:
        found = [_run(path) for path in sorted(root.glob("run=*"))]
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}") from error
    return sorted((run for run in found if run is not None), key=lambda run: (run.about["started"], run.name))


def find_run(folder: str | Path, *, finished: bool = False) -> Run:
    """The latest run of a dataset, or the run whose folder this is. Raises UsageError when there is none."""
    path = Path(folder)
    one = _run(path) if path.name.startswith("run=") else None
    found = [one] if one is not None else [run for run in runs(path) if run.finished or not finished]
    if not found:
        what = "is no dataset of an audit" if path.is_dir() else "does not exist"
        raise UsageError(f"{folder} {what}", "Make one: nlmdissect audit --dataset DIR PATH...")
    return found[-1]


def open_run(root: Path, name: str | None, about: dict[str, Any]) -> tuple[Run, Run | None]:
    """The run to write: the one of this name; or the latest, if it was asked the same (``about``) and did not end; or a
    new one. And the latest finished one before it. Raises UsageError.
    """
    known = runs(root) if root.exists() else []
    wanted = [run for run in known if run.name == name] if name else [run for run in known[-1:] if _goes_on(run, about)]
    if wanted:
        run = wanted[0]
        run.about |= {"finished": None, **about}
    else:
        started = now()
        folder = root / f"run={name or _unused(root, started.replace(':', '.'))}"
        run = Run(folder, {"schema": SCHEMA, "started": started, "finished": None, **about})
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        write_json(run.folder / RUN, run.about)
    except OSError as error:
        raise unwritable(root, error) from error
    before = [one for one in known if one.finished and one.name != run.name]
    return run, before[-1] if before else None


def write_json(path: Path, said: object) -> None:
    """A file that is there whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(said, indent=1) + "\n")
    os.replace(new, path)


def unwritable(folder: Path, error: OSError) -> UsageError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    what = "the disk is full" if full else f"cannot be written: {error.strerror or error}"
    return UsageError(f"{folder}: {what}", FREE if full else "Give --dataset a folder that can be written.")


def now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _goes_on(run: Run, about: dict[str, Any]) -> bool:
    return not run.finished and all(run.about.get(key) == value for key, value in about.items())


def _unused(root: Path, name: str) -> str:
    """Two runs may begin in one second."""
    names = [name, *(f"{name}-{number}" for number in range(2, 1000))]
    return next(one for one in names if not (root / f"run={one}").exists())


def _run(path: Path) -> Run | None:
    try:
        about = json.loads((path / RUN).read_text())
        return Run(path, about) if about["schema"].startswith("nlmdissect.audit/") and about["started"] else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
