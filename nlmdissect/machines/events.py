"""From messages to events: the only judgement between the wire and the machines. Pure functions, one fact each.

``reclaim`` and the status decide together: DENIED_GRACE_PERIOD to a reclaim refuses it for good (Linux clients do
not ask again), to any other request it only puts it off.
"""

from __future__ import annotations

from nlmdissect.machines import hold, request
from nlmdissect.rpc.requests import GRANTED, UNREADABLE, Op, Request


def of_call(r: Request) -> hold.E | None:
    """What the call alone does to the holds that it names."""
    if r.op is Op.UNLOCK:
        return hold.E.UNLOCK
    if r.op is Op.LOCK and r.reclaim:
        return hold.E.RECLAIM
    if r.op is Op.GRANTED:
        return hold.E.CALLBACK
    if r.op is Op.FREE_ALL:
        return hold.E.FREED
    return None


def of_answer(r: Request, status: str) -> hold.E | None:
    """What an answer does to the holds that its request names; None where it changes none of them."""
    granted = status == GRANTED
    if status == UNREADABLE:
        return None
    match r.op:
        case Op.LOCK if r.reclaim:
            return hold.E.RECLAIM_GRANTED if granted else hold.E.RECLAIM_REFUSED
        case Op.LOCK | Op.NM_LOCK:
            return hold.E.GRANTED if granted else None
        case Op.GRANTED:
            return hold.E.GRANTED if granted else hold.E.CALLBACK_REFUSED
        case Op.UNLOCK:
            return hold.E.UNLOCK_GRANTED if granted else hold.E.UNLOCK_REFUSED
        case _:
            return None


def of_request(status: str) -> request.E | None:
    """What an answer does to the request itself."""
    match status:
        case "UNREADABLE":
            return None
        case "GRANTED":
            return request.E.GRANTED
        case "BLOCKED":
            return request.E.BLOCKED
        case "DENIED_GRACE_PERIOD":
            return request.E.GRACE
        case _:
            return request.E.REFUSED
