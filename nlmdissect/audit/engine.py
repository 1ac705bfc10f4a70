"""The door to Dask: workers on this machine or on a cluster, and calls that come back in the order of their end.

On this machine the scheduler listens on 127.0.0.1 alone, and to nobody without its keys (TLS): it runs what it is told.
Workers are forked from a server process that has one thread and has imported what they need, or are started anew where
the system cannot do that. Each may use its share of the memory; one that uses more is ended, and started again, by its
nanny.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from nlmdissect.errors import NlmdissectError, UsageError

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

INSTALL = "pip install 'nlmdissect[audit]'"
PRELOAD = ["distributed", "nlmdissect.audit.warm"]
OWN = 200 << 20  # bytes that this process and the server of processes need
LEAST = 300 << 20  # bytes that a worker needs for small recordings
SHARE = 0.75  # of the machine's memory, unless told otherwise
METHOD = "distributed.worker.multiprocessing-method"
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
CONFIG = {
    "distributed.worker.memory.target": 0.6,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,  # one task at a time: a worker that waits for itself would wait for ever
    "distributed.worker.memory.terminate": 0.95,
    "distributed.worker.daemon": True,
    "distributed.worker.profile.enabled": False,
    "distributed.scheduler.allowed-failures": 2,
    "distributed.scheduler.work-stealing": True,
    "distributed.admin.tick.limit": "60s",
    "distributed.admin.tick.interval": "500ms",
}
REMOTE = {"distributed.comm.timeouts.connect": "10s"}
LOGS = ("distributed", "distributed.client")


class LostError(NlmdissectError):
    """The cluster went away. What is done is kept."""


@dataclass(frozen=True, slots=True)
class Done:
    """A call that ended. ``lost``: its workers died with it, again and again. ``error``: it could not be made."""

    token: Any
    value: Any
    lost: bool = False
    error: str = ""


class Pool:
    """Workers. Use as a context; ``wide`` is how many calls run at a time.

    Units: ``memory`` is in bytes, for all processes of the audit together. Raises UsageError without Dask, for a
    scheduler that does not answer, and for workers that have another version of this package.
    """

    def __init__(self, scheduler: str | None = None, jobs: int | None = None, memory: int | None = None) -> None:
        self._scheduler, self._jobs, self._memory = scheduler, jobs, memory
        self._cluster: LocalCluster | None = None
        self._client: Client | None = None
        self._running: dict[Any, tuple[Any, bool]] = {}
        self.wide = 1

    def __enter__(self) -> Pool:
        method = None if self._scheduler else _fork_server()
        dask, distributed = _distributed()
        self._config = dask.config.set({**CONFIG, METHOD: method} if method else REMOTE)
        self._config.__enter__()
        self._levels = {name: logging.getLogger(name).level for name in LOGS}
        for name in LOGS:
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong is said once, and by us
        try:
            if self._scheduler is None:
                self._start(dask, distributed)
            else:
                self._join(distributed)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, token: Any, function: Callable[..., Any], *args: Any, keep: bool = False) -> Any:
        """Call a function of this package on some worker. ``keep`` leaves the value there: what is returned stands for
        it in the arguments of other calls, and must be held until they have ended.
        """
        assert self._client is not None
        future = self._client.submit(function, *args, pure=False)
        self._running[future] = token, keep
        return future

    def results(self, more: Callable[[], bool]) -> Iterator[Done]:
        """The calls as they end. ``more`` submits the next one and is asked whenever there is room; False: none is
        left.

        Raises LostError when the scheduler is gone.
        """
        _, distributed = _distributed()
        done = distributed.as_completed(with_results=False)
        known: set[Any] = set()
        while True:
            while len(self._running) < 2 * self.wide and more():
                pass
            new = [future for future in self._running if future not in known]
            known.update(new)
            done.update(new)
            if not self._running:
                return
            future = next(done)
            known.discard(future)
            yield self._done(future)

    def _done(self, future: Any) -> Done:
        _, distributed = _distributed()
        token, keep = self._running.pop(future)
        if future.status == "finished":
            return Done(token, None if keep else future.result())
        error = future.exception() if future.status == "error" else None
        if isinstance(error, distributed.KilledWorker):
            return Done(token, None, lost=True)
        if error is None:
            raise LostError(f"the scheduler is gone ({future.status})")
        return Done(token, None, error=f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """End what this started; calls that run are given up."""
        self._running.clear()
        if self._client is not None:
            self._client.close(timeout=2)
        if self._cluster is not None:
            self._cluster.close(timeout=5)
        self._client = self._cluster = None
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
        self._config.__exit__(None, None, None)

    def _start(self, dask: Any, distributed: Any) -> None:
        total = self._memory or int(distributed.system.MEMORY_LIMIT * SHARE)
        most = max((total - OWN) // LEAST, 0)
        if not most:
            raise UsageError(
                f"--memory-limit {total >> 20} MB is too little", f"Give at least {(OWN + LEAST) >> 20} MB."
            )
        wanted = self._jobs or dask.system.CPU_COUNT
        self.wide = min(wanted, most)
        # else it imports all that it knows, pandas too, for the server of processes, which has begun already
        distributed.utils._forkserver_preload_set = True
        keys = distributed.Security.temporary()
        self._cluster = distributed.LocalCluster(
            n_workers=self.wide, threads_per_worker=1, processes=True, memory_limit=(total - OWN) // self.wide,
            host="127.0.0.1", dashboard_address="127.0.0.1:0", worker_dashboard_address="127.0.0.1:0",
            silence_logs=50, scheduler_kwargs={"dashboard": False}, security=keys,
        )  # fmt: skip
        self._client = distributed.Client(self._cluster)

    def _join(self, distributed: Any) -> None:
        from nlmdissect.audit.work import engine

        try:
            self._client = distributed.Client(self._scheduler, timeout="10s")
        except (OSError, ValueError) as error:
            raise UsageError(f"{self._scheduler}: no scheduler answers: {error}", "Give tcp://HOST:PORT.") from error
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        if not workers:
            raise UsageError(f"{self._scheduler}: it has no workers", "Start some: dask worker tcp://HOST:PORT")
        self.wide = sum(worker["nthreads"] for worker in workers.values())
        try:
            theirs = set(self._client.run(engine).values())
        except Exception as error:
            raise UsageError(f"the workers cannot do it: {error}", f"On each of them: {INSTALL}") from error
        if theirs != {engine()}:
            raise UsageError("the workers have another version of nlmdissect", f"On each of them: {INSTALL}")


def _fork_server() -> str:
    """Start the process that workers are forked from, once in the life of this one; how workers are started.

    While it imports, so does this process. It must not have a second thread when it forks, so the libraries that start
    some at import are told not to.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return "spawn"
    from multiprocessing import forkserver

    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOAD)
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return "forkserver"


def _distributed() -> tuple[Any, Any]:
    """Raises UsageError with the line that installs it."""
    try:
        import cryptography  # noqa: F401, of distributed's keys
        import dask
        import dask.system
        import distributed
        import distributed.system
        import distributed.utils
    except ImportError as error:
        raise UsageError("an audit needs Dask, which is not here", INSTALL) from error
    return dask, distributed
