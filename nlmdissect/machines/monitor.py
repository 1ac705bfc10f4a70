"""Who watches whom: one edge for each (watcher, watched) pair of hosts.

On the wire between hosts SM_MON is never seen (statd takes it from its own host only), so an edge is usually
*implied*: a server monitors every client that it grants a monitored lock, and a client monitors the server it locks
on.
"""

from __future__ import annotations

from enum import StrEnum, auto

from nlmdissect.machines.machine import Machine


class M(StrEnum):
    """States of an edge."""

    UNSEEN = auto()  # nothing is known, or nothing is left since the watcher restarted
    IMPLIED = auto()  # a monitored lock was granted
    MONITORED = auto()  # SM_MON was seen on the watcher's loopback
    NOTIFIED = auto()  # the watched host announced a restart to the watcher
    UNMONITORED = auto()  # SM_UNMON was seen


class E(StrEnum):
    """What can happen to an edge."""

    LOCKED = auto()  # a monitored lock was granted between the two
    MON = auto()  # SM_MON, answered STAT_SUCC
    UNMON = auto()  # SM_UNMON or SM_UNMON_ALL
    NOTIFY = auto()  # SM_NOTIFY watched -> watcher, answered
    RESTARTED = auto()  # the watcher restarted: statd reads its list again, the implied edge is gone


# fmt: off
MONITOR = Machine("monitor", M.UNSEEN, E, [
    # from            on            to
    (M.UNSEEN,        E.LOCKED,     M.IMPLIED),
    (M.UNSEEN,        E.MON,        M.MONITORED),
    (M.UNSEEN,        E.UNMON,      M.UNMONITORED),
    (M.UNSEEN,        E.NOTIFY,     M.NOTIFIED),     # monitored before the capture began
    (M.UNSEEN,        E.RESTARTED,  M.UNSEEN),

    (M.IMPLIED,       E.LOCKED,     M.IMPLIED),
    (M.IMPLIED,       E.MON,        M.MONITORED),
    (M.IMPLIED,       E.UNMON,      M.UNMONITORED),
    (M.IMPLIED,       E.NOTIFY,     M.NOTIFIED),
    (M.IMPLIED,       E.RESTARTED,  M.UNSEEN),

    (M.MONITORED,     E.LOCKED,     M.MONITORED),
    (M.MONITORED,     E.MON,        M.MONITORED),
    (M.MONITORED,     E.UNMON,      M.UNMONITORED),
    (M.MONITORED,     E.NOTIFY,     M.NOTIFIED),
    (M.MONITORED,     E.RESTARTED,  M.UNSEEN),

    (M.NOTIFIED,      E.LOCKED,     M.NOTIFIED),     # the record stays until SM_UNMON
    (M.NOTIFIED,      E.MON,        M.MONITORED),
    (M.NOTIFIED,      E.UNMON,      M.UNMONITORED),
    (M.NOTIFIED,      E.NOTIFY,     M.NOTIFIED),     # full name, then short name
    (M.NOTIFIED,      E.RESTARTED,  M.UNSEEN),

    (M.UNMONITORED,   E.LOCKED,     M.IMPLIED),
    (M.UNMONITORED,   E.MON,        M.MONITORED),
    (M.UNMONITORED,   E.UNMON,      M.UNMONITORED),
    (M.UNMONITORED,   E.NOTIFY,     M.NOTIFIED),
    (M.UNMONITORED,   E.RESTARTED,  M.UNSEEN),
])
# fmt: on
