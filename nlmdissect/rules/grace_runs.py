"""What the rules about long and endless grace periods share: which runs of refusals are too long, told once."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Evidence
from nlmdissect.history.held_off import HeldOff
from nlmdissect.history.history import History
from nlmdissect.hosts.implementations import LONGEST_GRACE
from nlmdissect.hosts.signs import SECOND
from nlmdissect.hosts.visibility import Sight, V
from nlmdissect.rules import requested, words

TOO_LONG = (LONGEST_GRACE + 10) * SECOND
ENDLESS = 300 * SECOND
MANY_ANSWERS, MANY_CLIENTS = 10, 3


def long_runs(history: History) -> Iterator[HeldOff]:
    """Runs that are longer than any default grace period; a file's only where its server's is not too long itself."""
    whole: list[HeldOff] = []
    for run in history.held_off:
        covered = any(
            w.server == run.server and w.answers[0][0] <= run.answers[0][0] and run.answers[-1][0] <= w.answers[-1][0]
            for w in whole
        )
        if run.lasted > TOO_LONG and not covered:
            if run.fh is None:
                whole.append(run)
            yield run


def is_endless(run: HeldOff) -> bool:
    """Whether it did not end in this capture, after much longer than a grace period lasts."""
    told = len(run.answers) >= MANY_ANSWERS or len(run.clients) >= MANY_CLIENTS
    return run.over is None and run.until is None and run.lasted > ENDLESS and told


def what(history: History, run: HeldOff) -> str:
    """Whom it held off, from what, and for how long."""
    clients = words.host(history, run.clients[0])
    clients += f" and {len(run.clients) - 1} more" if len(run.clients) > 1 else ""
    where = ""
    if run.fh is not None:
        where = f" on {history.called(run.server, run.fh, run.answers[0][0])}, while other files are served"
    return f"refused requests of {clients}{where} with DENIED_GRACE_PERIOD for {run.lasted / SECOND:.0f} s"


def evidence(run: HeldOff) -> list[Evidence]:
    """The first refusal and the last, what ended it, and what lies between."""
    (first, r), (last, _) = run.answers[0], run.answers[-1]
    proof = [Evidence(last, "the last refusal"), Evidence(first, f"the first refusal, of {requested.procedure(r)}")]
    if run.over is not None:
        proof.append(Evidence(run.over, "served again"))
    return proof + [Evidence(at, f"{requested.procedure(r)} refused") for at, r in run.answers[1:-1]]


def doubts(history: History, run: HeldOff, end: int) -> list[Sight]:
    return [
        sight
        for client in run.clients
        for sight in history.visibility.all((run.server, client), (V.NO_LOSS, V.DECODED), run.answers[0][0].time, end)
    ]
