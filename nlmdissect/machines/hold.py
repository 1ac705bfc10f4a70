"""The life of a hold: one piece of one file, held by one owner, seen from outside.

Theory of operation. A hold has two truths: what the server has in its lock table, and what the client's kernel
believes. They are equal while all goes well, and they part whenever something goes wrong: that parting is what this
package is about. Each state stands for one pair of truths (``TRUTHS``). A restart of the server empties its table
at once, but the client learns of it only by SM_NOTIFY; a restart of the client ends its belief, but the server
learns of it only by SM_NOTIFY or FREE_ALL. A lock is *lost* when the client believes and the server does not hold,
and *stolen* when then another owner is granted it. The application is never told (Linux lockd only logs a failed
reclaim).
"""

from __future__ import annotations

from enum import StrEnum, auto
from typing import NamedTuple

from nlmdissect.machines.machine import Machine


class H(StrEnum):
    """States of a hold."""

    UNSEEN = auto()  # not in this capture yet
    HELD = auto()  # granted, and the client knows it
    HANDED = auto()  # the server called NLM_GRANTED, the waiter has not answered yet
    EXPOSED = auto()  # SM_NOTIFY in the name of its living client: the server may have dropped it
    DOUBTED = auto()  # another owner was granted the same: the server cannot hold both
    RELEASING = auto()  # NLM_UNLOCK sent: the client has forgotten it, the server may not have heard
    RELEASED = auto()  # over
    ORPHANED = auto()  # the server restarted and forgot it; only a reclaim brings it back
    RECLAIMING = auto()  # NLM_LOCK with reclaim = TRUE sent
    LOST = auto()  # the reclaim was refused; the application was told nothing
    STOLEN = auto()  # another owner was granted what the client believes to hold
    DEAD = auto()  # the client restarted, the server has not been told


class E(StrEnum):
    """What can happen to a hold."""

    GRANTED = auto()  # NLM_LOCK answered GRANTED, or a callback accepted
    CALLBACK = auto()  # NLM_GRANTED or NLM_GRANTED_MSG sent by the server
    CALLBACK_REFUSED = auto()  # the waiter answered it with anything but GRANTED
    RECLAIM = auto()  # NLM_LOCK with reclaim = TRUE, the call
    RECLAIM_GRANTED = auto()  # the answer
    RECLAIM_REFUSED = auto()  # any other answer
    UNLOCK = auto()  # the call: Linux drops the lock locally before it asks
    UNLOCK_GRANTED = auto()  # the answer: also where nothing was held
    UNLOCK_REFUSED = auto()  # any other answer
    CONFLICT = auto()  # an overlapping lock was granted to another owner, one of the two exclusive
    FREED = auto()  # FREE_ALL, or an answered SM_NOTIFY of a client that did restart
    NOTIFIED_ALIVE = auto()  # SM_NOTIFY in the name of a client that shows no restart
    SERVER_RESTARTED = auto()  # or only its lockd
    CLIENT_RESTARTED = auto()  # not only its lockd


class Truth(NamedTuple):
    """``yes``, ``no`` or ``unknown``, twice."""

    server_holds: str
    client_believes: str


# fmt: off
TRUTHS: dict[H, Truth] = {
    #               server holds  client believes
    H.UNSEEN:     Truth("unknown", "unknown"),
    H.HELD:       Truth("yes",     "yes"),
    H.HANDED:     Truth("yes",     "unknown"),
    H.EXPOSED:    Truth("unknown", "yes"),
    H.DOUBTED:    Truth("unknown", "yes"),
    H.RELEASING:  Truth("unknown", "no"),
    H.RELEASED:   Truth("no",      "no"),
    H.ORPHANED:   Truth("no",      "yes"),
    H.RECLAIMING: Truth("unknown", "yes"),
    H.LOST:       Truth("no",      "yes"),
    H.STOLEN:     Truth("no",      "yes"),
    H.DEAD:       Truth("yes",     "no"),
}

HOLD = Machine("hold", H.UNSEEN, E, [
    # from           on                    to
    (H.UNSEEN,       E.GRANTED,            H.HELD),
    (H.UNSEEN,       E.CALLBACK,           H.HANDED),
    (H.UNSEEN,       E.RECLAIM_GRANTED,    H.HELD),        # taken before the capture began
    (H.UNSEEN,       E.RECLAIM_REFUSED,    H.LOST),        # likewise, and now gone

    (H.HELD,         E.GRANTED,            H.HELD),        # the same owner again: Linux polls, applications repeat
    (H.HELD,         E.CALLBACK,           H.HELD),        # a duplicate of what a poll has won already
    (H.HELD,         E.CALLBACK_REFUSED,   H.HELD),        # rightly: the client had it already
    (H.HELD,         E.RECLAIM,            H.HELD),        # a spurious SM_NOTIFY made the client reclaim ...
    (H.HELD,         E.RECLAIM_GRANTED,    H.HELD),
    (H.HELD,         E.RECLAIM_REFUSED,    H.HELD),        # ... and the refusal changes nothing at the server
    (H.HELD,         E.UNLOCK,             H.RELEASING),
    (H.HELD,         E.UNLOCK_GRANTED,     H.RELEASED),    # the call is not in the capture
    (H.HELD,         E.CONFLICT,           H.DOUBTED),
    (H.HELD,         E.FREED,              H.RELEASED),
    (H.HELD,         E.NOTIFIED_ALIVE,     H.EXPOSED),
    (H.HELD,         E.SERVER_RESTARTED,   H.ORPHANED),
    (H.HELD,         E.CLIENT_RESTARTED,   H.DEAD),

    (H.HANDED,       E.GRANTED,            H.HELD),        # accepted, or won by the next poll
    (H.HANDED,       E.CALLBACK,           H.HANDED),      # Linux repeats it every 60 s
    (H.HANDED,       E.CALLBACK_REFUSED,   H.RELEASED),    # old Linux servers keep it: see C-14
    (H.HANDED,       E.UNLOCK,             H.RELEASING),   # after a CANCEL that came too late
    (H.HANDED,       E.CONFLICT,           H.RELEASED),    # the server took it back, unseen
    (H.HANDED,       E.FREED,              H.RELEASED),
    (H.HANDED,       E.NOTIFIED_ALIVE,     H.EXPOSED),
    (H.HANDED,       E.SERVER_RESTARTED,   H.RELEASED),    # the waiter will ask again, with an ordinary LOCK
    (H.HANDED,       E.CLIENT_RESTARTED,   H.DEAD),

    (H.EXPOSED,      E.GRANTED,            H.HELD),
    (H.EXPOSED,      E.CALLBACK,           H.EXPOSED),
    (H.EXPOSED,      E.RECLAIM,            H.EXPOSED),
    (H.EXPOSED,      E.RECLAIM_GRANTED,    H.HELD),
    (H.EXPOSED,      E.RECLAIM_REFUSED,    H.EXPOSED),
    (H.EXPOSED,      E.UNLOCK,             H.RELEASING),
    (H.EXPOSED,      E.UNLOCK_GRANTED,     H.RELEASED),
    (H.EXPOSED,      E.CONFLICT,           H.STOLEN),      # so it was dropped
    (H.EXPOSED,      E.FREED,              H.RELEASED),
    (H.EXPOSED,      E.NOTIFIED_ALIVE,     H.EXPOSED),
    (H.EXPOSED,      E.SERVER_RESTARTED,   H.ORPHANED),
    (H.EXPOSED,      E.CLIENT_RESTARTED,   H.DEAD),

    (H.DOUBTED,      E.GRANTED,            H.HELD),
    (H.DOUBTED,      E.CALLBACK,           H.DOUBTED),
    (H.DOUBTED,      E.RECLAIM,            H.DOUBTED),
    (H.DOUBTED,      E.RECLAIM_GRANTED,    H.HELD),
    (H.DOUBTED,      E.RECLAIM_REFUSED,    H.DOUBTED),
    (H.DOUBTED,      E.UNLOCK,             H.RELEASING),
    (H.DOUBTED,      E.UNLOCK_GRANTED,     H.RELEASED),
    (H.DOUBTED,      E.CONFLICT,           H.DOUBTED),
    (H.DOUBTED,      E.FREED,              H.RELEASED),
    (H.DOUBTED,      E.NOTIFIED_ALIVE,     H.DOUBTED),
    (H.DOUBTED,      E.SERVER_RESTARTED,   H.ORPHANED),
    (H.DOUBTED,      E.CLIENT_RESTARTED,   H.DEAD),

    (H.RELEASING,    E.GRANTED,            H.HELD),        # locked again before the answer to the UNLOCK
    (H.RELEASING,    E.CALLBACK,           H.HANDED),
    (H.RELEASING,    E.UNLOCK,             H.RELEASING),   # retransmission, or again after the grace period
    (H.RELEASING,    E.UNLOCK_GRANTED,     H.RELEASED),
    (H.RELEASING,    E.UNLOCK_REFUSED,     H.RELEASING),   # in grace the client asks again
    (H.RELEASING,    E.CONFLICT,           H.RELEASED),    # so the server did hear it
    (H.RELEASING,    E.FREED,              H.RELEASED),
    (H.RELEASING,    E.NOTIFIED_ALIVE,     H.RELEASING),
    (H.RELEASING,    E.SERVER_RESTARTED,   H.RELEASED),
    (H.RELEASING,    E.CLIENT_RESTARTED,   H.DEAD),

    (H.ORPHANED,     E.GRANTED,            H.HELD),        # the owner asked as for a new lock, and got it
    (H.ORPHANED,     E.CALLBACK,           H.HELD),
    (H.ORPHANED,     E.RECLAIM,            H.RECLAIMING),
    (H.ORPHANED,     E.RECLAIM_GRANTED,    H.HELD),        # the call is not in the capture
    (H.ORPHANED,     E.RECLAIM_REFUSED,    H.LOST),
    (H.ORPHANED,     E.UNLOCK,             H.RELEASED),    # the client gives up what the server has forgotten
    (H.ORPHANED,     E.UNLOCK_GRANTED,     H.RELEASED),
    (H.ORPHANED,     E.CONFLICT,           H.STOLEN),
    (H.ORPHANED,     E.FREED,              H.RELEASED),
    (H.ORPHANED,     E.NOTIFIED_ALIVE,     H.ORPHANED),
    (H.ORPHANED,     E.SERVER_RESTARTED,   H.ORPHANED),    # restarted again before the reclaim
    (H.ORPHANED,     E.CLIENT_RESTARTED,   H.RELEASED),

    (H.RECLAIMING,   E.GRANTED,            H.HELD),
    (H.RECLAIMING,   E.CALLBACK,           H.HELD),
    (H.RECLAIMING,   E.RECLAIM,            H.RECLAIMING),  # first on the dead connection, then on a new one
    (H.RECLAIMING,   E.RECLAIM_GRANTED,    H.HELD),
    (H.RECLAIMING,   E.RECLAIM_REFUSED,    H.LOST),
    (H.RECLAIMING,   E.UNLOCK,             H.RELEASED),
    (H.RECLAIMING,   E.UNLOCK_GRANTED,     H.RELEASED),
    (H.RECLAIMING,   E.CONFLICT,           H.STOLEN),
    (H.RECLAIMING,   E.FREED,              H.RELEASED),
    (H.RECLAIMING,   E.NOTIFIED_ALIVE,     H.RECLAIMING),
    (H.RECLAIMING,   E.SERVER_RESTARTED,   H.ORPHANED),
    (H.RECLAIMING,   E.CLIENT_RESTARTED,   H.RELEASED),

    (H.LOST,         E.GRANTED,            H.HELD),
    (H.LOST,         E.CALLBACK,           H.HELD),
    (H.LOST,         E.RECLAIM,            H.RECLAIMING),  # FreeBSD tries again
    (H.LOST,         E.RECLAIM_GRANTED,    H.HELD),
    (H.LOST,         E.RECLAIM_REFUSED,    H.LOST),
    (H.LOST,         E.UNLOCK,             H.RELEASED),
    (H.LOST,         E.UNLOCK_GRANTED,     H.RELEASED),
    (H.LOST,         E.CONFLICT,           H.STOLEN),
    (H.LOST,         E.FREED,              H.RELEASED),
    (H.LOST,         E.NOTIFIED_ALIVE,     H.LOST),
    (H.LOST,         E.SERVER_RESTARTED,   H.LOST),        # the client's kernel has dropped it from its reclaim list
    (H.LOST,         E.CLIENT_RESTARTED,   H.RELEASED),

    (H.STOLEN,       E.GRANTED,            H.HELD),
    (H.STOLEN,       E.CALLBACK,           H.HELD),
    (H.STOLEN,       E.RECLAIM,            H.STOLEN),
    (H.STOLEN,       E.RECLAIM_GRANTED,    H.HELD),
    (H.STOLEN,       E.RECLAIM_REFUSED,    H.STOLEN),
    (H.STOLEN,       E.UNLOCK,             H.RELEASED),    # answered GRANTED although nothing was held
    (H.STOLEN,       E.UNLOCK_GRANTED,     H.RELEASED),
    (H.STOLEN,       E.CONFLICT,           H.STOLEN),
    (H.STOLEN,       E.FREED,              H.RELEASED),
    (H.STOLEN,       E.NOTIFIED_ALIVE,     H.STOLEN),
    (H.STOLEN,       E.SERVER_RESTARTED,   H.ORPHANED),    # the thief's lock is gone as well
    (H.STOLEN,       E.CLIENT_RESTARTED,   H.RELEASED),

    (H.DEAD,         E.GRANTED,            H.HELD),        # kernels number owners from 0 in every life
    (H.DEAD,         E.CALLBACK,           H.HANDED),
    (H.DEAD,         E.UNLOCK,             H.RELEASING),   # the next life's UNLOCK cuts a hole into the orphan
    (H.DEAD,         E.UNLOCK_GRANTED,     H.RELEASED),
    (H.DEAD,         E.CONFLICT,           H.RELEASED),    # the server was told after all, unseen
    (H.DEAD,         E.FREED,              H.RELEASED),
    (H.DEAD,         E.NOTIFIED_ALIVE,     H.RELEASED),
    (H.DEAD,         E.SERVER_RESTARTED,   H.RELEASED),
    (H.DEAD,         E.CLIENT_RESTARTED,   H.DEAD),
])
# fmt: on
