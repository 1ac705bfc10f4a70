"""What a table of transitions must be, whatever it is about."""

from __future__ import annotations

from enum import StrEnum, auto
from pathlib import Path

import pytest
from support import diagrams

from nlmdissect.findings import At
from nlmdissect.machines import hold, monitor, request
from nlmdissect.machines.hold import HOLD, TRUTHS, H
from nlmdissect.machines.machine import Machine, Step
from nlmdissect.machines.monitor import MONITOR, M
from nlmdissect.machines.request import REQUEST, R

MACHINES = {"hold": (HOLD, H), "request": (REQUEST, R), "monitor": (MONITOR, M)}
RESTARTS = {
    "hold": (hold.E.SERVER_RESTARTED, hold.E.CLIENT_RESTARTED),
    "request": (request.E.SERVER_RESTARTED, request.E.CLIENT_RESTARTED),
    "monitor": (monitor.E.RESTARTED,),
}
UNEXPECTED = Path(__file__).with_name("unexpected.txt")
NOW = At(7, 0, 1)


@pytest.fixture(params=sorted(MACHINES))
def machine(request):
    return MACHINES[request.param]


class S(StrEnum):
    ON = auto()
    OFF = auto()


class E(StrEnum):
    PRESS = auto()
    SHAKE = auto()


def test_two_rows_for_one_pair_are_refused():
    with pytest.raises(ValueError, match="lamp: two rows for on on press"):
        Machine("lamp", S.OFF, E, [(S.ON, E.PRESS, S.OFF), (S.ON, E.PRESS, S.ON)])


def test_a_step_follows_the_row():
    lamp = Machine("lamp", S.OFF, E, [(S.OFF, E.PRESS, S.ON)])
    assert lamp.step(NOW, 3, S.OFF, E.PRESS) == (S.ON, Step(NOW, "lamp", 3, "off", "press", "on", True))


def test_without_a_row_the_state_stays_and_the_step_says_so():
    lamp = Machine("lamp", S.OFF, E, [(S.OFF, E.PRESS, S.ON)])
    assert lamp.step(NOW, 3, S.OFF, E.SHAKE) == (S.OFF, Step(NOW, "lamp", 3, "off", "shake", "off", False))


def test_every_state_is_reachable(machine):
    table, states = machine
    reached, todo = {table.initial}, [table.initial]
    while todo:
        here = todo.pop()
        for (before, _), after in table.to.items():
            if before == here and after not in reached:
                reached.add(after)
                todo.append(after)
    assert reached == set(states)


def test_every_event_is_used(machine):
    table, _ = machine
    assert {event for _, event in table.to} == set(table.events)


RESTART_CASES = [
    (name, state, event) for name, (_, states) in MACHINES.items() for state in states for event in RESTARTS[name]
]
UNANSWERED = {
    *(("hold", H.UNSEEN, event) for event in RESTARTS["hold"]),  # a piece that was never seen cannot hear of it
    *(("hold", H.RELEASED, event) for event in RESTARTS["hold"]),  # over: the table of locks has dropped it
    *(("request", R.UNSEEN, event) for event in RESTARTS["request"]),
    *(("request", R.GRANTED, event) for event in RESTARTS["request"]),  # from here on it is a hold
    *(("request", R.REFUSED, event) for event in RESTARTS["request"]),  # over
    *(("request", R.ABANDONED, event) for event in RESTARTS["request"]),  # over
}


def test_both_kinds_of_restart_are_answered_in_every_state_that_lives():
    assert {case for case in RESTART_CASES if (case[1], case[2]) not in MACHINES[case[0]][0].to} == UNANSWERED


def test_every_state_of_a_hold_is_a_pair_of_truths():
    assert set(TRUTHS) == set(H)
    assert {word for truth in TRUTHS.values() for word in truth} == {"yes", "no", "unknown"}


def test_after_a_restart_of_the_server_it_holds_nothing():
    for (_, event), after in HOLD.to.items():
        if event is hold.E.SERVER_RESTARTED:
            assert TRUTHS[after].server_holds == "no"


def test_after_a_restart_of_the_client_it_believes_nothing():
    for (_, event), after in HOLD.to.items():
        if event is hold.E.CLIENT_RESTARTED:
            assert TRUTHS[after].client_believes == "no"


def test_whatever_is_granted_is_held():
    for (_, event), after in HOLD.to.items():
        if event in (hold.E.GRANTED, hold.E.RECLAIM_GRANTED):
            assert after is H.HELD


def test_an_unlock_ends_what_the_client_believes():
    """Linux drops the lock before it asks."""
    for (_, event), after in HOLD.to.items():
        if event in (hold.E.UNLOCK, hold.E.UNLOCK_GRANTED):
            assert TRUTHS[after].client_believes == "no"


def test_the_pairs_without_a_row_are_reviewed():
    """They are not errors: an observer may not stop. To accept a change, write this text to unexpected.txt and read it."""
    lines = [
        f"{name:8} {state:12} {event}"
        for name, (table, states) in MACHINES.items()
        for state in states
        for event in table.events
        if (state, event) not in table.to
    ]
    assert "\n".join(lines) + "\n" == UNEXPECTED.read_text()


def test_the_diagrams_are_drawn_from_the_rows():
    """`python tests/support/diagrams.py` draws them anew."""
    assert diagrams.PAGE.read_text() == diagrams.page()
