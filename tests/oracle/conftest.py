"""tshark runs while we compare: it is started for every capture that a test of this run will ask for."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from oracle.session import JOBS, Session


@pytest.fixture(scope="session")
def session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with ThreadPoolExecutor(JOBS) as pool:
        one = Session(tmp_path_factory.mktemp("oracle"), pool)
        request.config.stash[KEY] = one
        for item in request.session.items:
            capture = item.callspec.params.get("compared") if hasattr(item, "callspec") else None
            if capture is not None:
                one.start(capture)
        yield one
        pool.shutdown(cancel_futures=True)


KEY = pytest.StashKey[Session]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    one = config.stash.get(KEY, None)
    if one is None:
        return
    n = one.counts
    terminalreporter.section("compared with tshark")
    terminalreporter.line(
        f"{len(one.compared)} captures, {n['messages']} messages, {n['fields']} fields, {n['table']} of them in the table of "
        f"calls, {n['links']} links; {sum(one.agreed.values())} agreed differences for {len(one.agreed)} reasons"
    )
    if config.get_verbosity() > 0:
        for row, times in one.agreed.most_common():
            terminalreporter.line(f"{times:6}  {row.field if len(row.field) < 50 else 'any string'}: {row.reason}")
