"""Captures that are made for the comparison: of hand-made frames, and of recordings whose frames are cut."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from oracle.made import MADE
from support import packets
from support.captures import SHARED

EDITCAP = shutil.which("editcap")
# Recordings that together have most procedures, and sizes that cut their frames in every part of a message.
CUTS = {
    "S12-share-freeall-scripted-client": (60, 64, 68, 76, 84, 108, 116, 124, 144, 168),
    "S13-loopback.lo.nfs-server.boot1": (84, 128, 136, 184),
    "S16-ipv6": (92, 128, 168, 184),
    "P02-scripted-nlm1-nlm3": (72, 100, 152),
    "T11-ganesha-baseline-tcp": (124, 212),
}
CUT = [(name, size) for name, sizes in CUTS.items() for size in sizes if (SHARED / f"{name}.pcap").exists() and EDITCAP]
NAMES = [*MADE, *(f"{name} cut at {size}" for name, size in CUT)]


def write(name: str, folder: Path) -> Path:
    """Write one of ``NAMES``."""
    path = folder / f"{name.replace(' ', '-')}.pcap"
    if name in MADE:
        path.write_bytes(packets.pcap((n * 0.01, frame) for n, frame in enumerate(MADE[name]())))
    else:
        source, size = CUT[NAMES.index(name) - len(MADE)]
        command = [EDITCAP or "", "-F", "pcap", "-s", str(size), SHARED / f"{source}.pcap", path]
        subprocess.run(command, check=True, capture_output=True)
    return path
