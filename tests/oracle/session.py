"""One run of the comparison: what was started, what was compared, and which agreed differences were met."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from oracle import samples, tshark
from oracle.agreed import Agreed, explain
from oracle.compare import Result, compare

JOBS = 2


@dataclass(slots=True)
class Session:
    """What was compared so far. Captures are given as paths, made ones by name."""

    scratch: Path
    pool: ThreadPoolExecutor
    running: dict[Path | str, Future[tuple[Path, bytes, str]]] = field(default_factory=dict)
    compared: set[Path | str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    agreed: Counter[Agreed] = field(default_factory=Counter)

    def start(self, capture: Path | str) -> None:
        self.running[capture] = self.pool.submit(self._run, capture)

    def _run(self, capture: Path | str) -> tuple[Path, bytes, str]:
        path = samples.write(capture, self.scratch) if isinstance(capture, str) else capture
        return path, *tshark.pdml(path, self.scratch)

    def result(self, capture: Path | str) -> tuple[Result, list[str]]:
        """The comparison of one capture, and the differences that nothing explains."""
        result = compare(*self.running.pop(capture).result())
        rows = [(d, explain(d)) for d in result.differences]
        here = Counter(row for _, row in rows if row is not None)
        self.compared.add(capture)
        self.counts += result.counts
        self.agreed += here
        n = result.counts
        print(
            f"{n['messages']} messages, {n['fields']} fields, {n['table']} of them in the table of calls, {n['links']} links"
        )
        for row, times in here.items():
            print(f"agreed {times} times: {row.field}: {row.reason}")
        return result, [str(d) for d, row in rows if row is None]
