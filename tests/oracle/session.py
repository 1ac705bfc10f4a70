"""One run of the comparison: what was started, what was compared, and which agreed differences were met."""

from __future__ import annotations

import shutil
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from oracle import samples

from nlmdissect.errors import CaptureError
from nlmdissect.oracle import Crosscheck, ours, run, theirs
from nlmdissect.oracle.agreed import Agreed
from nlmdissect.oracle.check import judged
from nlmdissect.oracle.compare import compare
from nlmdissect.oracle.record import Message

JOBS = 2
TSHARK = shutil.which("tshark")

Read = tuple[Path, list[Message], str]


@cache
def version() -> str:
    return run.version()


@dataclass(slots=True)
class Session:
    """What was compared so far. Captures are given as paths, made ones by name."""

    scratch: Path
    pool: ThreadPoolExecutor
    running: dict[Path | str, Future[Read]] = field(default_factory=dict)
    compared: set[Path | str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    agreed: Counter[Agreed] = field(default_factory=Counter)

    def start(self, capture: Path | str) -> None:
        self.running[capture] = self.pool.submit(self._run, capture)

    def _run(self, capture: Path | str) -> Read:
        path = samples.write(capture, self.scratch) if isinstance(capture, str) else capture
        messages: list[Message] = []
        return path, messages, run.packets(path, lambda packet: messages.extend(theirs.messages(packet)))

    def result(self, capture: Path | str) -> Crosscheck | None:
        """The comparison of one capture; None for a file that both refuse."""
        path, messages, complaint = self.running.pop(capture).result()
        self.compared.add(capture)
        try:
            own = ours.read(path)
        except CaptureError:
            if messages or not complaint:
                raise
            return None
        checked = judged(str(path), version(), compare(own, messages))
        self.counts += checked.result.counts
        self.agreed += checked.agreed
        n = checked.result.counts
        print(f"{n['messages']} messages, {n['fields']} fields, {n['table']} of them in the table of calls, {n['links']} links")
        for row, times in checked.agreed.items():
            print(f"agreed {times} times: {row.field}: {row.reason}")
        return checked
