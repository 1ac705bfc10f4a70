"""What implementations do differently, as far as rules depend on it. Data in one place.

Source: PROTOCOL sections 3 to 5 and 8.3. ``guesses.py`` says which one a host is.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Implementation:
    """Times are in seconds.

    As a server: ``grace`` is the default length of its grace period. ``clients_by_address``: clients that share a name
    are not one to it. ``owners_by_oh``: two owners that differ in nothing but oh are two to it. ``ignores_state``: the
    NSM state in a LOCK means nothing to it.
    As a sender of SM_NOTIFY: ``tries`` is for how long it repeats one that nobody answers, ``pause`` how long it waits
    before the first time. As a receiver: ``by_address``: it takes one from a known source address, whatever the name;
    ``knows_addresses``: it keeps the hosts that it monitors by address, and takes no name for them.
    As a client: ``poll`` is the longest pause between two LOCKs of a request that is BLOCKED; ``again`` how long it
    waits for the answer to a call before it sends it again, ``again_at_most`` the longest such pause.
    ``denied_cancel_holds``: it takes a CANCEL that was DENIED for a lock that it got.
    """

    name: str
    grace: int
    tries: int
    pause: int
    poll: int
    again: int
    again_at_most: int
    by_address: bool = True
    knows_addresses: bool = False
    clients_by_address: bool = False
    owners_by_oh: bool = False
    ignores_state: bool = False
    denied_cancel_holds: bool = False


EVER = 10**9
DAY = 24 * 3600

# fmt: off
LINUX = Implementation(
    "linux", grace=90, tries=900, pause=2, poll=30, again=10, again_at_most=60,
    knows_addresses=True, clients_by_address=True, ignores_state=True,
)
FREEBSD = Implementation(  # its mount says when calls are repeated: a generous guess
    "freebsd", grace=30, tries=DAY, pause=5, poll=30, again=15, again_at_most=60, denied_cancel_holds=True,
)
ILLUMOS = Implementation(
    "illumos", grace=90, tries=EVER, pause=30, poll=5, again=5, again_at_most=5, by_address=False,
    clients_by_address=True,
)
MACOS = Implementation(  # by name, else by the names of the source address
    "macos", grace=45, tries=DAY, pause=5, poll=30, again=8, again_at_most=30, owners_by_oh=True, ignores_state=True,
)
GANESHA = Implementation(  # it sends SM_NOTIFY once, by the cluster's own tools
    "ganesha", grace=90, tries=0, pause=0, poll=30, again=10, again_at_most=60, by_address=False, owners_by_oh=True,
    ignores_state=True,
)
# of NetApp nothing is published but its grace period; the rest is as for UNKNOWN
NETAPP = Implementation("netapp", grace=45, tries=900, pause=2, poll=30, again=15, again_at_most=60)
# the slowest values of all, but for SM_NOTIFY those of Linux: others go on for a day, or for ever
UNKNOWN = Implementation(
    "unknown", grace=90, tries=900, pause=2, poll=30, again=15, again_at_most=60, knows_addresses=True,
)
# fmt: on

LONGEST_GRACE = max(kind.grace for kind in (LINUX, FREEBSD, ILLUMOS, MACOS, GANESHA, NETAPP))
START_UP = 60  # from the first sign of a new life to the first try of its sm-notify: the order of start-up
NO_STATD = 120  # sm-notify of Linux, until it asks again for a statd that is not registered
UPCALL = 25  # for which statd of Linux tries to reach lockd
NO_LOCKD = 9  # a client of Linux asks for a lockd that is not registered every 3 s, and some kernels give up then
PUT_OFF = 30  # the longest pause between two LOCKs that a grace period puts off: FreeBSD; others ask every 5 s
PUT_OFF_UNLOCK = 5  # the same of an UNLOCK
LONGEST_AGAIN = 60  # the longest pause before a call that nobody answers is sent again
FASTEST = 4  # the shortest pause of any retry: macOS
