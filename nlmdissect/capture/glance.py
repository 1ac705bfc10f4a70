"""A short look at a file: what it is, when it begins and ends, who is in it. Enough to see which files are one
recording.

A small file is read whole. Of a large one the beginning is read, and the end of a plain pcap or pcapng: there the last
frames are found from behind, for a chain of records that ends exactly where the file ends is no accident.
"""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass, field
from io import SEEK_END, SEEK_SET

from ..errors import CaptureError, NlmdissectError
from . import pcap, remote
from .files import COMPARED, open_file, open_recording
from .sample import Sketch

BEGIN = 1 << 20  # bytes of frames that are read of a large file
WHOLE = 3 * COMPARED  # bytes of a file whose hash is of all of it
TAIL = 1 << 18
CHAIN = 8  # records in a row that are no accident
HOSTS = 256
DAYS = 100 * 86400 * 10**9  # ns between the first and last frame of one file


@dataclass(slots=True)
class Glance:
    """What a short look told. ``error`` says why there is nothing else.

    ``digest`` is SHA-256 of the file, or of three parts of a large one. ``version`` is what its store says of when it
    was written. ``first`` and ``last`` are ns since 1970; None if there are no frames, ``last`` also if it cannot be
    told without reading on. ``hosts`` are some of the addresses at its beginning.
    """

    path: str
    size: int = 0
    version: str = ""
    digest: str = ""
    format: str = ""
    compression: str = ""
    links: tuple[str, ...] = ()
    snaplen: int = 0
    first: int | None = None
    last: int | None = None
    hosts: frozenset[bytes] = field(default_factory=frozenset)
    error: str = ""
    hint: str = ""

    @property
    def content(self) -> str:
        """Changes when the file does. A large file is not read whole for it, so there its time counts too."""
        return self.digest if self.size <= WHOLE else f"{self.digest} {self.size} {self.version}"


def glance(path: str) -> Glance:
    """Look at a file. Never raises for what is wrong with the file: that is ``error``."""
    found = Glance(path)
    try:
        if remote.is_url(path):
            _, found.size, found.version = remote.stat(path)
        else:
            status = os.stat(path)
            found.size, found.version = status.st_size, str(status.st_mtime_ns)
        found.digest = _digest(path, found.size)
        _look(found)
    except NlmdissectError as error:
        found.error, found.hint = error.message, error.hint
    except OSError as error:
        found.error = f"{path}: {error.strerror or error}"
    return found


def _look(found: Glance) -> None:
    recording = open_recording([found.path])
    (source,) = recording.sources
    sketch, whole = Sketch(0), True
    for block in recording.blocks():
        if len(block.at):
            sketch.add(block)
        if len(block.buf) and source.frames and found.size > BEGIN:
            whole = False
            break
    found.format, found.compression = source.format, source.compression
    found.links, found.snaplen = tuple(source.link_types), source.snaplen
    found.first, found.hosts = sketch.first, frozenset(sorted(sketch.hosts)[:HOSTS])
    if whole:
        found.last = sketch.last
    elif not source.compression and sketch.first is not None:
        found.last = _last_time(found, sketch.first)


def _digest(path: str, size: int) -> str:
    digest = hashlib.sha256()
    with open_file(path) as file:
        places = (0,) if size <= WHOLE else (0, size // 2, size - COMPARED)
        for at in places:
            if at:
                file.seek(at)
            left = size if size <= WHOLE else COMPARED
            while left > 0 and (data := file.read(left)):
                digest.update(data)
                left -= len(data)
    return digest.hexdigest()


def _last_time(found: Glance, first: int) -> int | None:
    """The time of the last whole record of a plain file; None if it is not found."""
    with open_file(found.path) as file:
        head = file.read(pcap.FILE_HEADER)
        file.seek(0, SEEK_END)
        at = max(file.tell() - TAIL, 0)
        file.seek(at, SEEK_SET)
        tail = b""
        while data := file.read(TAIL):
            tail += data
    if found.format == "pcap":
        try:
            return _last_of_pcap(tail, pcap.read_header(found.path, head), first)
        except CaptureError:
            return None
    return None


def _last_of_pcap(tail: bytes, header: pcap.Header, first: int) -> int | None:
    unpack = struct.Struct((">" if header.big else "<") + "II").unpack_from
    for start in range(len(tail) - header.record):
        at, last, count = start, None, 0
        while at + header.record <= len(tail):
            seconds, fraction = unpack(tail, at)
            (captured, wire) = (unpack(tail, at + place)[0] for place in (header.captured_at, header.wire_at))
            time = seconds * 10**9 + fraction * header.tick
            sane = captured <= wire <= pcap.MAX_RECORD and fraction * header.tick < 10**9 and abs(time - first) < DAYS
            if not sane or at + header.record + captured > len(tail):
                break
            last = time if last is None else max(last, time)
            at, count = at + header.record + captured, count + 1
        if at == len(tail) and count >= CHAIN:
            return last
    return None
