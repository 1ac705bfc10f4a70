"""What is found by place is what a look at everything finds."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from support import adversaries
from support.packets import pcap

from nlmdissect.history import open_requests, pieces, waits
from nlmdissect.history.history import History, read_history


def quarrel(n: int) -> adversaries.Frames:
    """Owners lock, unlock and wait for anything, over each other; the server and the clients restart in between."""
    chance, frames = random.Random(n), adversaries.Frames()
    for i in range(n):
        svid, start, size = chance.randrange(6), chance.randrange(60), chance.choice((0, 1, 5, 20))
        client, at = f"10.0.0.{21 + chance.randrange(3)}", i * 1.0
        if chance.random() < 0.02:
            who = chance.choice((adversaries.SERVER, client))
            to = client if who == adversaries.SERVER else adversaries.SERVER
            told = adversaries.opaque(who.encode()) + (2 * i + 1).to_bytes(4, "big")
            notice = adversaries.rpc_call(2 * i, adversaries.NSM, 1, 6, told)
            frames += [(at, adversaries.datagram(who, to, 700, 662, notice))]
            frames += [(at + 1e-4, adversaries.datagram(to, who, 662, 700, adversaries.rpc_reply(2 * i)))]
        elif chance.random() < 0.3:
            what = adversaries.unlock(start, size)
            frames += adversaries.asked(2 * i, what, adversaries.UNLOCK, client=client, time=at)
        else:
            what = adversaries.lock(svid=svid, start=start, size=size, exclusive=chance.randrange(2), block=1,
                                    reclaim=int(chance.random() < 0.1))  # fmt: skip
            status = chance.choice((0, 0, 3, 4))
            frames += adversaries.asked(2 * i, what, status=status, client=client, time=at)[: chance.choice((1, 2, 2))]
    return frames


@pytest.mark.parametrize("n", [50, 300, 301, 302])
def test_a_crowd_is_walked_like_any_other(n: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "quarrel.pcap"
    path.write_bytes(pcap(quarrel(n)))
    expected = told(read_history([path]))
    for module in (pieces, waits, open_requests):
        monkeypatch.setattr(module, "FEW", 0)
    assert told(read_history([path])) == expected


def told(history: History) -> list[object]:
    walked = history.walked
    table = walked.table
    events = [step for step in walked.steps if (step.before, step.event) != ("cancelled", "cancel")]
    return [events, walked.holds, table.fates, table.thefts, table.collisions, walked.undecided, [*table.of()],
            [(w.number, w.ended, w.how, w.freed, w.freed_how, [held[1:] for held in w.blockers]) for w in walked.waits]]  # fmt: skip
