"""The life of one lock request: NLM_LOCK, NM_LOCK and their _MSG forms, over all transmissions and polls."""

from __future__ import annotations

from enum import StrEnum, auto

from nlmdissect.machines.machine import Machine


class R(StrEnum):
    """States of a request."""

    UNSEEN = auto()  # the capture has not shown this request yet: it may be under way
    ASKED = auto()  # the call was sent, no answer yet
    WAITING = auto()  # answered BLOCKED, waits for the NLM_GRANTED callback
    HELD_OFF = auto()  # answered DENIED_GRACE_PERIOD, the client will ask again
    GRANTED = auto()  # from here on it is a hold
    REFUSED = auto()  # answered with any other status
    CANCELLED = auto()  # the client gave up, by NLM_CANCEL or by an UNLOCK of the range
    ABANDONED = auto()  # the client restarted


class E(StrEnum):
    """What can happen to a request."""

    ASK = auto()  # a transmission: first, repeated, or a poll
    GRANTED = auto()  # the answer
    BLOCKED = auto()  # the answer: the server will call back
    GRACE = auto()  # DENIED_GRACE_PERIOD
    REFUSED = auto()  # DENIED, DENIED_NOLOCKS, DEADLCK, STALE_FH, ..., or an RPC error
    CALLBACK = auto()  # NLM_GRANTED, server -> client
    CANCEL = auto()  # NLM_CANCEL for the same owner and range
    SERVER_RESTARTED = auto()  # or only its lockd
    CLIENT_RESTARTED = auto()  # not only its lockd


# fmt: off
REQUEST = Machine("request", R.UNSEEN, E, [
    # from          on                   to
    (R.UNSEEN,      E.ASK,               R.ASKED),

    (R.ASKED,       E.ASK,               R.ASKED),       # retransmission
    (R.ASKED,       E.GRANTED,           R.GRANTED),
    (R.ASKED,       E.BLOCKED,           R.WAITING),
    (R.ASKED,       E.GRACE,             R.HELD_OFF),
    (R.ASKED,       E.REFUSED,           R.REFUSED),
    (R.ASKED,       E.CALLBACK,          R.GRANTED),     # the callback overtook the BLOCKED answer
    (R.ASKED,       E.CANCEL,            R.CANCELLED),
    (R.ASKED,       E.SERVER_RESTARTED,  R.ASKED),       # the client's RPC layer asks again
    (R.ASKED,       E.CLIENT_RESTARTED,  R.ABANDONED),

    (R.WAITING,     E.ASK,               R.WAITING),     # the client polls while it waits (Linux: every 30 s)
    (R.WAITING,     E.GRANTED,           R.GRANTED),
    (R.WAITING,     E.BLOCKED,           R.WAITING),
    (R.WAITING,     E.GRACE,             R.HELD_OFF),
    (R.WAITING,     E.REFUSED,           R.REFUSED),
    (R.WAITING,     E.CALLBACK,          R.GRANTED),
    (R.WAITING,     E.CANCEL,            R.CANCELLED),
    (R.WAITING,     E.SERVER_RESTARTED,  R.ASKED),       # nobody waits at the new server until the client asks again
    (R.WAITING,     E.CLIENT_RESTARTED,  R.ABANDONED),

    (R.HELD_OFF,    E.ASK,               R.ASKED),       # Linux: every 5 s
    (R.HELD_OFF,    E.GRANTED,           R.GRANTED),
    (R.HELD_OFF,    E.BLOCKED,           R.WAITING),
    (R.HELD_OFF,    E.GRACE,             R.HELD_OFF),
    (R.HELD_OFF,    E.REFUSED,           R.REFUSED),
    (R.HELD_OFF,    E.CALLBACK,          R.GRANTED),
    (R.HELD_OFF,    E.CANCEL,            R.CANCELLED),
    (R.HELD_OFF,    E.SERVER_RESTARTED,  R.HELD_OFF),
    (R.HELD_OFF,    E.CLIENT_RESTARTED,  R.ABANDONED),

    (R.GRANTED,     E.ASK,               R.GRANTED),     # a late copy: lock calls are idempotent
    (R.GRANTED,     E.GRANTED,           R.GRANTED),
    (R.GRANTED,     E.BLOCKED,           R.GRANTED),     # the BLOCKED answer came after the callback
    (R.GRANTED,     E.CALLBACK,          R.GRANTED),     # repeated callback

    (R.REFUSED,     E.ASK,               R.ASKED),       # a late copy is executed again
    (R.REFUSED,     E.REFUSED,           R.REFUSED),

    (R.CANCELLED,   E.ASK,               R.CANCELLED),   # under way when the CANCEL was sent
    (R.CANCELLED,   E.BLOCKED,           R.CANCELLED),
    (R.CANCELLED,   E.GRANTED,           R.GRANTED),     # CANCEL and grant crossed
    (R.CANCELLED,   E.CALLBACK,          R.GRANTED),
    (R.CANCELLED,   E.REFUSED,           R.CANCELLED),
    (R.CANCELLED,   E.GRACE,             R.CANCELLED),
    (R.CANCELLED,   E.CANCEL,            R.CANCELLED),
    (R.CANCELLED,   E.SERVER_RESTARTED,  R.CANCELLED),
    (R.CANCELLED,   E.CLIENT_RESTARTED,  R.CANCELLED),
])
# fmt: on
