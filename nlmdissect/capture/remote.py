"""The door to fsspec: files that have a URL instead of a path."""

from __future__ import annotations

from types import ModuleType
from typing import Any, BinaryIO, NamedTuple, cast

from ..errors import CaptureError, UsageError

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}  # scheme -> extra of this package
HINT = "Check the URL, and the credentials: they are those that the store's own tools use."
WALKED = 100_000
"""Files that one folder or pattern may name; more of them is a mistake in it."""


class Stat(NamedTuple):
    """A file that exists. ``version`` changes when it is written again: a time, or what the store calls its version."""

    path: str
    size: int
    version: str


def is_url(name: str) -> bool:
    """Is this a URL that fsspec may know, and no path?"""
    scheme, separator, _ = name.partition("://")
    return bool(separator) and scheme.replace("+", "").replace("-", "").isalnum() and "/" not in scheme


def open_url(url: str) -> BinaryIO:
    """Open a file to read. Raises CaptureError, and UsageError where a package is missing."""
    try:
        system, path = _system(url)
        return cast(BinaryIO, system.open(path, "rb"))
    except FileNotFoundError:
        raise CaptureError(f"{url}: no such file") from None
    except (CaptureError, UsageError):
        raise
    except Exception as error:  # each store has errors of its own
        raise CaptureError(f"{url}: cannot be opened: {error}", HINT) from error


def stat(url: str) -> Stat:
    """Size and version of a file. Raises as ``open_url``."""
    try:
        system, path = _system(url)
        return _stat(system, system.info(path))
    except FileNotFoundError:
        raise CaptureError(f"{url}: no such file") from None
    except (CaptureError, UsageError):
        raise
    except Exception as error:
        raise CaptureError(f"{url}: cannot be looked at: {error}", HINT) from error


def expand(url: str) -> tuple[list[str], bool]:
    """The files that a URL names: itself (then True), those below a folder, those that match a pattern. Raises as
    ``open_url``, also when there is none.
    """
    alone = False
    try:
        system, path = _system(url)
        if any(letter in path for letter in "*?["):
            found = list(system.glob(path, detail=True).values())
        elif system.isdir(path):
            found = list(system.find(path, detail=True).values())
        else:
            found, alone = [system.info(path)], True
    except FileNotFoundError:
        found = []
    except (CaptureError, UsageError):
        raise
    except Exception as error:
        raise CaptureError(f"{url}: cannot be listed: {error}", HINT) from error
    files = [system.unstrip_protocol(info["name"]) for info in found if info["type"] == "file"]
    if not files:
        raise CaptureError(f"{url}: there is no such file", HINT)
    if len(files) > WALKED:
        raise CaptureError(f"{url}: names {len(files)} files", f"Name at most {WALKED} at a time.")
    return files, alone


def _stat(system: Any, info: dict[str, Any]) -> Stat:
    version = next(
        (str(info[key]) for key in ("ETag", "etag", "md5Hash", "mtime", "LastModified") if info.get(key)), ""
    )
    return Stat(system.unstrip_protocol(info["name"]), int(info["size"] or 0), version)


def _system(url: str) -> tuple[Any, str]:
    scheme = url.partition("://")[0].lower()
    try:
        system, path = _fsspec().core.url_to_fs(url)
    except ImportError as error:
        extra = EXTRAS.get(scheme)
        what = f"pip install 'nlmdissect[audit,{extra}]'" if extra else str(error)
        raise UsageError(f"{url}: to read {scheme}:// a package is missing", what) from error
    except ValueError as error:
        raise UsageError(
            f"{url}: {scheme}:// is not known: {error}", "Give a path, or a URL that fsspec knows."
        ) from error
    return system, path


def _fsspec() -> ModuleType:
    try:
        import fsspec
        import fsspec.core
    except ImportError as error:
        raise UsageError("URLs need fsspec, which is not here", "pip install 'nlmdissect[audit]'") from error
    return cast(ModuleType, fsspec)
