"""From messages to events: one fact each."""

from __future__ import annotations

import pytest

from nlmdissect.machines import events, hold, request
from nlmdissect.rpc.requests import Op, Request

STATUSES = (
    "GRANTED", "DENIED", "DENIED_NOLOCKS", "BLOCKED", "DENIED_GRACE_PERIOD", "DEADLCK", "ROFS", "STALE_FH", "FBIG", "FAILED",
    "SYSTEM_ERR", "unknown status 77",
)  # fmt: skip
H, R = hold.E, request.E


def ask(op, reclaim=False, asynchronous=False):
    return Request(op, asynchronous, 4, 0, 1, 0, 0, 0, 0, 0, 0, 99, True, False, reclaim, 0, True)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("op", "reclaim", "event"),
    [
        (Op.LOCK, True, H.RECLAIM),
        (Op.LOCK, False, None),  # asking takes nothing
        (Op.UNLOCK, False, H.UNLOCK),
        (Op.GRANTED, False, H.CALLBACK),
        (Op.FREE_ALL, False, H.FREED),
        (Op.TEST, False, None),
        (Op.CANCEL, False, None),
        (Op.SHARE, False, None),
        (Op.UNSHARE, False, None),
        (Op.NM_LOCK, False, None),
    ],
)
def test_what_a_call_does_by_itself(op, reclaim, event, asynchronous):
    assert events.of_call(ask(op, reclaim, asynchronous)) is event


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    ("op", "reclaim", "granted", "refused"),
    [
        (Op.LOCK, False, H.GRANTED, None),
        (Op.NM_LOCK, False, H.GRANTED, None),
        (Op.LOCK, True, H.RECLAIM_GRANTED, H.RECLAIM_REFUSED),
        (Op.GRANTED, False, H.GRANTED, H.CALLBACK_REFUSED),
        (Op.UNLOCK, False, H.UNLOCK_GRANTED, H.UNLOCK_REFUSED),
        (Op.TEST, False, None, None),
        (Op.CANCEL, False, None, None),
        (Op.SHARE, False, None, None),
        (Op.UNSHARE, False, None, None),
        (Op.FREE_ALL, False, None, None),
    ],
)
def test_what_an_answer_does(op, reclaim, granted, refused, status):
    assert events.of_answer(ask(op, reclaim), status) is (granted if status == "GRANTED" else refused)


@pytest.mark.parametrize("op", [Op.LOCK, Op.UNLOCK, Op.GRANTED])
def test_an_answer_that_cannot_be_read_says_nothing(op):
    assert events.of_answer(ask(op, reclaim=op is Op.LOCK), "UNREADABLE") is None


@pytest.mark.parametrize("status", STATUSES)
def test_what_an_answer_does_to_the_request(status):
    expected = {"GRANTED": R.GRANTED, "BLOCKED": R.BLOCKED, "DENIED_GRACE_PERIOD": R.GRACE}.get(status, R.REFUSED)
    assert events.of_request(status) is expected
