"""The captures of a fleet of filers, with known answers: healthy ones, faults, broken files, rotated sets.

What is wrong in each follows from its story and from the catalogue (RULES.md), not from what the program says.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support import incidents, packets
from support.story import Story

SECOND_OF_DAY = 1_700_000_000
SET = 5  # files of a rotated set

HELD = """
    1        client1 > server   NLM_LOCK fh=A oh=1
    2        server  > client1  NLM4_GRANTED
"""
OTHERS_WAIT = """
    3  +60s  client2 > server   NLM_LOCK fh=B oh=2
    4        server  > client2  NLM4_DENIED_GRACE_PERIOD
"""
HEALTHY = (incidents.WELL, incidents.RECOVERED, incidents.WAITED, incidents.NO_LOCKS)
# each with all that is wrong in it: the root, and what follows from it
FAULTS: dict[frozenset[str], str] = {
    frozenset({"NLM001"}): incidents.LOST,
    frozenset({"NLM001", "NLM004"}): incidents.STOLEN,
    frozenset({"NLM011"}): HELD + """
    3        client2 > server   NLM_LOCK fh=C oh=2
    4        server  > client2  NLM4_GRANTED
    5        client2 > server   NLM_LOCK fh=A oh=2 range=50-149
    6        server  > client2  NLM4_GRANTED
""",
    frozenset({"NLM003"}): HELD + OTHERS_WAIT + """
    5        server  > client1  SM_NOTIFY mon_name=server state=5
    6        client1 > server   OK
    7  +60s  client2 > server   POLL 3
    8        server  > client2  NLM4_GRANTED
    9        client1 > server   NLM_LOCK fh=A oh=1 reclaim
    10       server  > client1  NLM4_DENIED_GRACE_PERIOD
""",
    frozenset({"NSM008"}): HELD + OTHERS_WAIT + """
    5        server  > client1  GETPORT statd
    6        client1 > server   port 0
    7  +60s  client2 > server   POLL 3
    8        server  > client2  NLM4_GRANTED
""",
    frozenset({"NSM003"}): HELD + OTHERS_WAIT + """
    5        server  > client1  SM_NOTIFY mon_name=server state=5
    6   +2s  server  > client1  SM_NOTIFY mon_name=server state=5
    7   +4s  server  > client1  SM_NOTIFY mon_name=server state=5
    8   +8s  server  > client1  SM_NOTIFY mon_name=server state=5
    9  +60s  client1 > server   NLM_LOCK fh=C oh=1
    10       server  > client1  NLM4_GRANTED
""",
    frozenset({"NLM002"}): HELD + OTHERS_WAIT + """
    5        server  > client1  SM_NOTIFY mon_name=server state=5
    6        client1 > server   OK
    7  +60s  client2 > server   POLL 3
    8        server  > client2  NLM4_GRANTED
""",
}  # fmt: skip
BROKEN = {
    "empty": b"",
    "text": b"10:00:00 IP a > b: UDP\n",
    "cut-header": b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00",
    "version": b"\xd4\xc3\xb2\xa1\x09\x00\x09\x00" + bytes(16),
    "wireless": packets.pcap([(0.0, bytes(60))], link=105),
    "snoop": b"snoop\0\0\0" + bytes(100),
    "zip": b"PK\x03\x04" + bytes(100),
    "bzip2": b"BZh91AY&SY" + bytes(100),
    "garbage": bytes(range(256)),
    "gzip": b"\x1f\x8b\x08\x00" + b"\xff" * 60,
}
NAMES = (  # of the files of a rotated set: tcpdump -C, tcpdump -G, dumpcap -b
    lambda number, at: f"nfs.pcap{number or ''}",
    lambda number, at: f"nfs-2023-11-{14 + at // 86400:02}_{at // 3600 % 24:02}.{at // 60 % 60:02}.{at % 60:02}.pcap",
    lambda number, at: f"nfs_{number + 1:05}_20231114{at // 3600 % 24:02}{at // 60 % 60:02}{at % 60:02}.pcap",
)


@dataclass(frozen=True, slots=True)
class Known:
    """A recording: its files below the folder of the fleet, and the codes of all that is wrong in it. ``broken``: it
    cannot be read.
    """

    files: tuple[str, ...]
    codes: frozenset[str] = frozenset()
    broken: bool = False


def make(folder: Path, *, healthy: int, faults: int, sets: int, broken: int = len(BROKEN)) -> list[Known]:
    """Write the fleet: ``healthy`` and ``faults`` recordings of one file, ``sets`` of SET files with a fault across
    them, and broken files.
    """
    found = list(_write(folder, healthy, faults, sets, broken))
    assert len({name for known in found for name in known.files}) == sum(len(known.files) for known in found)
    return found


def _write(folder: Path, healthy: int, faults: int, sets: int, broken: int) -> Iterator[Known]:
    for site in range(20):
        (folder / f"site{site:02}").mkdir(parents=True, exist_ok=True)
    for number in range(healthy):
        name, crowd = f"site{number % 20:02}/filer-{number:04}.pcap", _crowd(number)
        story = incidents.crowd(crowd, 0) if crowd else HEALTHY[number % len(HEALTHY)]
        data = packets.pcap(frames(story, number), start=SECOND_OF_DAY + number)
        packed = number % 25 == 7
        name += ".gz" if packed else ""
        (folder / name).write_bytes(gzip.compress(data, 1) if packed else data)
        yield Known((name,))
    kinds = list(FAULTS.items())
    for number in range(faults):
        codes, story = kinds[number % len(kinds)]
        name = f"site{number % 20:02}/wrong-{number:04}.pcap"
        (folder / name).write_bytes(packets.pcap(frames(story, 5000 + number), start=SECOND_OF_DAY + 7 * number))
        yield Known((name,), codes)
    for number in range(sets):
        codes, story = kinds[number % len(kinds)]
        yield Known(tuple(_rotated(folder, number, frames(story, 7000 + number))), codes)
    for name in list(BROKEN)[:broken]:
        path = f"site00/broken-{name}.pcap"
        (folder / path).write_bytes(BROKEN[name])
        yield Known((path,), broken=True)


def frames(story: str, number: int) -> list[tuple[float, bytes]]:
    """A story, told of hosts that are in no other capture: seconds and data of each frame."""
    net = f"10.{100 + number // 250}.{number % 250}"
    told = Story()
    hosts = (("server", 1), ("client1", 21), ("client2", 22))
    told.tell(
        "\n".join(
            f"host {name} {net}.{last} mac=02:00:{number >> 8:02x}:{number & 255:02x}:00:{last:02x}"
            for name, last in hosts
        )
    )
    told.tell(story.replace("10.2.", f"10.{10 + number % 80}.") if "host c0" in story else story)
    return told.frames


def _crowd(number: int) -> int:
    """How many clients a filer has: some have many, one has two hundred."""
    return 198 if number == 0 else 40 if number % 100 == 50 else 8 if number % 20 == 3 else 0


def _rotated(folder: Path, number: int, all_of: list[tuple[float, bytes]]) -> Iterator[str]:
    """A lock is taken in the first file, and lost in the last one."""
    (folder / f"ring{number:02}").mkdir()
    cuts = [len(all_of) * piece // SET for piece in range(SET + 1)]
    for piece in range(SET):
        part = all_of[cuts[piece] : cuts[piece + 1]]
        at = 80_000 + int(part[0][0]) if part else 0
        name = f"ring{number:02}/{NAMES[number % len(NAMES)](piece, at)}"
        (folder / name).write_bytes(packets.pcap(part, start=SECOND_OF_DAY))
        yield name
