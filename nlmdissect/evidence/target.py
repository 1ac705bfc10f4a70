"""Where new captures go, and where the key comes from that made their names."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import BinaryIO

from nlmdissect.capture.block import Source
from nlmdissect.capture.files import is_pipe
from nlmdissect.errors import UsageError
from nlmdissect.evidence.anonymise.pseudonyms import Pseudonyms
from nlmdissect.evidence.slice import lanes

Opener = Callable[[str], AbstractContextManager[BinaryIO]]

ENDINGS = re.compile(r"(\.(pcap|pcapng|cap))?(\.(gz|zst|xz))?$", re.I)
LEAST = 32  # characters of a key


def check(captures: Iterable[str], output: str | None) -> None:
    """Raise UsageError for a capture that can be read only once: it is read to analyse it, and again to copy it. So for
    a place that no capture can go to.
    """
    for name in captures:
        if is_pipe(name):
            raise UsageError(f"{name}: slice reads a capture more than once", "Save it to a file first: cat > FILE")
    if output in (None, "-") and sys.stdout.isatty():
        raise UsageError("a capture is not for the terminal", "Give --output FILE, or pipe it into a program.")
    folder = os.path.dirname(os.path.realpath((output or "-").rstrip(os.sep)))
    if not os.path.isdir(folder):
        raise UsageError(f"{folder}: is no folder", "Make it, or give --output another one.")


def pseudonyms(file: str | None) -> Pseudonyms:
    """The names that a key makes. Raises UsageError for a bad key, or where the library for it is missing."""
    return Pseudonyms(key(file))


def paths(output: str | None, sources: Sequence[Source], *, hide_names: bool) -> dict[int, str]:
    """The new file of every capture: all in ``output``, or each in a file of its own, if that is a folder. Standard
    output is None or "-", and "-" here.

    Raises UsageError for captures that overlap in time and are to go into one file.
    """
    output = output or "-"
    if not (os.path.isdir(output) or output.endswith(os.sep)):
        if len(lanes(sources)) > 1:
            raise UsageError(
                "captures of one time stay apart: a loopback has addresses and a clock of its own",
                f"Give --output a folder, for a file each: --output {'evidence' if output == '-' else output}{os.sep}",
            )
        return dict.fromkeys(range(len(sources)), output)
    try:
        os.makedirs(output, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{output}: {error.strerror}", "Give --output a folder that can be made.") from error
    found: dict[int, str] = {}
    for number, source in enumerate(sources):
        stem = f"capture-{number + 1}" if hide_names else ENDINGS.sub("", os.path.basename(source.path))
        path = os.path.join(output, f"{stem}.pcapng")
        found[number] = path if path not in found.values() else os.path.join(output, f"{stem}-{number + 1}.pcapng")
    return found


def write(parts: Iterable[tuple[int, bytes]], to: dict[int, str], opener: Opener) -> None:
    """Write the parts, each (capture, bytes), to the files of their captures; all files appear at the end, or none."""
    if "-" in to.values():
        to_stream(parts, sys.stdout.buffer)
        return
    with ExitStack() as stack:
        streams = {path: stack.enter_context(opener(path)) for path in dict.fromkeys(to.values())}
        for capture, data in parts:
            streams[to[capture]].write(data)


def to_stream(parts: Iterable[tuple[int, bytes]], stream: BinaryIO) -> None:
    """Write the parts one after the other. When the reader is gone, the rest goes nowhere."""
    try:
        for _, data in parts:
            stream.write(data)
        stream.flush()
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def key(file: str | None) -> bytes:
    """The secret in a file, which is made if it is not there, for its owner alone; without a file one that nobody will
    know. Raises UsageError.
    """
    if file is None:
        return secrets.token_bytes(LEAST)
    try:
        with contextlib.suppress(FileExistsError):
            number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(number, "w") as stream:
                stream.write(secrets.token_hex(LEAST) + "\n")
        found = Path(file).read_bytes().strip()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}", "Give --key a file that can be read, or made.") from error
    if len(found) < LEAST:
        raise UsageError(
            f"{file}: has {len(found)} characters, which are too few for a key",
            f"Remove it, and a key is made; or write {LEAST} random ones: openssl rand -hex {LEAST} > {file}",
        )
    return found
