"""What the file readers hand on: blocks of frames, and what is known about the file they came from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .unpack import EXPANSION

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole frames of one file, in file order.

    Shapes:  ``at``, ``captured``, ``wire``, ``time`` and ``link`` are int64[F]: one entry per frame.
    Units:   frame ``first_frame + i`` (Wireshark's number) is ``buf[at[i] : at[i] + captured[i]]``; it was ``wire[i]``
             bytes long on the network; ``time`` is in ns since 1970, within +-2**62.
    Note:    ``link`` is the LINKTYPE number. A number outside ``formats.SUPPORTED`` is to be passed over: the frame is
             here because it counts, and it is already a defect of its source. ``formats.NO_PACKET`` marks a record
             that Wireshark numbers but that is no packet.
    """

    buf: bytes
    capture: int
    first_frame: int
    at: Ints
    captured: Ints
    wire: Ints
    time: Ints
    link: Ints


@dataclass(frozen=True, slots=True)
class Defect:
    """Something the bytes got wrong. ``frame`` is 0 when it is about no frame; ``reason`` is short snake_case words."""

    capture: int
    frame: int
    layer: str
    reason: str
    count: int = 1
    detail: str = ""


@dataclass(slots=True)
class Source:
    """One file of a recording. The counts are complete when its blocks have been read.

    ``link_types`` are names, in order of appearance. ``snaplen`` is the smallest limit of its interfaces, 0 without a
    limit. ``first`` and ``last`` are the smallest and largest time in ns, None without frames. ``dropped`` is how many
    packets the capturing host says it lost, None when it says nothing (pcap never does). ``copies`` are the paths of
    files that were given too and are the same, byte for byte: they are not read. ``expansion`` is how many bytes a
    packed byte of it may become (see ``Unpacked``). ``descriptions`` counts section headers and interfaces (pcapng).
    """

    path: str
    format: str = ""
    compression: str = ""
    link_types: list[str] = field(default_factory=list)
    snaplen: int = 0
    frames: int = 0
    bytes: int = 0
    first: int | None = None
    last: int | None = None
    truncated: bool = False
    dropped: int | None = None
    defects: list[Defect] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    expansion: int = EXPANSION
    descriptions: int = 0
