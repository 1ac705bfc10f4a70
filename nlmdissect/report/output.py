"""Where a report goes: a file that is there whole or not at all, or a stream that its reader may close at any time."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TextIO

from nlmdissect.errors import UsageError


def write(parts: Iterable[str], output: str | None) -> None:
    """Write the parts to a file, or to standard output (None, or "-"). A closed pipe ends it quietly. Raises
    UsageError.
    """
    if output is None or output == "-":
        to_stream(parts, sys.stdout)
        return
    with binary(output) as raw, io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace") as stream:
        if _is_special(output):
            to_stream(parts, stream)
        else:
            stream.writelines(parts)


@contextlib.contextmanager
def binary(output: str) -> Iterator[BinaryIO]:
    """A file to write into that takes its place when all is written, or never. Raises UsageError."""
    path = Path(os.path.realpath(output))  # a link stays a link
    try:
        if _is_special(output):
            with path.open("wb") as stream:
                yield stream
        else:
            with _replacing(path) as stream:
                yield stream
    except OSError as error:
        raise UsageError(
            f"{output}: {error.strerror or error}", "Give --output a file in a directory that can be written."
        ) from error


def _is_special(output: str) -> bool:
    """Whether it is a pipe or a device, which cannot be replaced."""
    return os.path.exists(output) and not os.path.isfile(output)


def refuse_overwriting(output: str | None, captures: Sequence[str]) -> None:
    """Raise UsageError if the report would overwrite one of its captures."""
    if output is None or output == "-":
        return
    for capture in captures:
        with contextlib.suppress(OSError):
            if capture != "-" and os.path.samefile(output, capture):
                raise UsageError(f"{output} is a capture that is to be read", "Give --output another name.")


def to_stream(parts: Iterable[str], stream: TextIO) -> None:
    """Write and flush. When the reader is gone, the rest goes nowhere. Raises UsageError where there is no room."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    try:
        for part in parts:
            stream.write(part)
        stream.flush()
    except OSError as error:
        # Python flushes once more at its end and would complain then
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            raise UsageError(f"the output cannot be written: {error.strerror or error}", "Make room.") from error


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Write beside the file, then put it in its place at once."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}.")
    try:
        with os.fdopen(number, "wb") as stream:
            yield stream
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
