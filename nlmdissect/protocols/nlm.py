"""NLM, the network lock manager: program 100021.

Versions 1 and 3 (XNFS, chapter 10) have 32-bit ranges, version 4 (RFC 1813, appendix II) has 64-bit ranges and more
statuses. Versions 0 and 2 are private: a statd's callback to its own lock manager on the same host.
"""

from __future__ import annotations

from nlmdissect.protocols.nsm import status
from nlmdissect.protocols.program import Procedure, Program
from nlmdissect.xdr.schema import Bool, Enum, Int, Opaque, String, Struct, UHyper, UInt, Union, Void

NLM = 100021
LM_MAXSTRLEN = 1024
LM_MAXNAMELEN = 1025  # FREE_ALL's name alone

# A file handle is one netobj: one length word, not a handle with its own length in a netobj. Versions 1 and 3 carry an
# NFSv2 handle of 32 bytes, version 4 an NFSv3 handle of up to 64; odd sizes are for rules to remark on.
netobj = Opaque(1024)

# fmt: off
nlm_stats = Enum("nlm_stats", {
    "LCK_GRANTED":               0,
    "LCK_DENIED":                1,
    "LCK_DENIED_NOLOCKS":        2,
    "LCK_BLOCKED":               3,
    "LCK_DENIED_GRACE_PERIOD":   4,
    "LCK_DEADLCK":               5,     # BSD and illumos; not in XNFS
})
nlm4_stats = Enum("nlm4_stats", {
    "NLM4_GRANTED":              0,
    "NLM4_DENIED":               1,
    "NLM4_DENIED_NOLOCKS":       2,
    "NLM4_BLOCKED":              3,
    "NLM4_DENIED_GRACE_PERIOD":  4,
    "NLM4_DEADLCK":              5,
    "NLM4_ROFS":                 6,
    "NLM4_STALE_FH":             7,
    "NLM4_FBIG":                 8,
    "NLM4_FAILED":               9,
})
fsh_mode = Enum("fsh_mode", {           # what a SHARE denies to others
    "fsm_DN":                    0,
    "fsm_DR":                    1,
    "fsm_DW":                    2,
    "fsm_DRW":                   3,
})
fsh_access = Enum("fsh_access", {
    "fsa_NONE":                  0,
    "fsa_R":                     1,
    "fsa_W":                     2,
    "fsa_RW":                    3,
})

# Versions 1 and 3. The field order is the wire order.

nlm_lock = Struct("nlm_lock",
    caller_name = String(LM_MAXSTRLEN),
    fh          = netobj,
    oh          = netobj,
    svid        = UInt,                 # int in some sources: the same four bytes, compared as they are
    l_offset    = UInt,
    l_len       = UInt,                 # 0 means "to the end of the file"
)
nlm_holder = Struct("nlm_holder",
    exclusive   = Bool,
    svid        = UInt,
    oh          = netobj,
    l_offset    = UInt,
    l_len       = UInt,
)
nlm_lockargs = Struct("nlm_lockargs",
    cookie      = netobj,
    block       = Bool,
    exclusive   = Bool,
    alock       = nlm_lock,
    reclaim     = Bool,
    state       = Int,                  # the client's NSM state, where it fills it in
)
nlm_cancargs = Struct("nlm_cancargs",
    cookie      = netobj,
    block       = Bool,
    exclusive   = Bool,
    alock       = nlm_lock,
)
nlm_testargs = Struct("nlm_testargs",   # also what GRANTED carries: no block, no reclaim, no state in it
    cookie      = netobj,
    exclusive   = Bool,
    alock       = nlm_lock,
)
nlm_unlockargs = Struct("nlm_unlockargs",   # neither block nor exclusive: an unlock frees shared and exclusive alike
    cookie      = netobj,
    alock       = nlm_lock,
)
nlm_res = Struct("nlm_res",
    cookie      = netobj,
    stat        = nlm_stats,
)
nlm_testrply = Union("nlm_testrply", nlm_stats, {
    "LCK_DENIED": nlm_holder,           # only DENIED tells who is in the way
}, Void)
nlm_testres = Struct("nlm_testres",
    cookie      = netobj,
    stat        = nlm_testrply,
)
nlm_share = Struct("nlm_share",
    caller_name = String(LM_MAXSTRLEN),
    fh          = netobj,
    oh          = netobj,
    mode        = fsh_mode,
    access      = fsh_access,
)
nlm_shareargs = Struct("nlm_shareargs",
    cookie      = netobj,
    share       = nlm_share,
    reclaim     = Bool,
)
nlm_shareres = Struct("nlm_shareres",
    cookie      = netobj,
    stat        = nlm_stats,
    sequence    = Int,
)
nlm_notify = Struct("nlm_notify",       # FREE_ALL, in versions 3 and 4
    name        = String(LM_MAXNAMELEN),
    state       = Int,                  # 4 bytes in every version, though some schemas say "long" or 64 bits
)
nlm_reboot = status                     # the local statd's callback carries NSM's own structure

# Version 4: 64-bit ranges, nlm4_stats.

nlm4_lock = Struct("nlm4_lock",
    caller_name = String(LM_MAXSTRLEN),
    fh          = netobj,
    oh          = netobj,
    svid        = UInt,
    l_offset    = UHyper,
    l_len       = UHyper,               # 0 means "to the end of the file"
)
nlm4_holder = Struct("nlm4_holder",
    exclusive   = Bool,
    svid        = UInt,
    oh          = netobj,
    l_offset    = UHyper,
    l_len       = UHyper,
)
nlm4_lockargs = Struct("nlm4_lockargs",
    cookie      = netobj,
    block       = Bool,
    exclusive   = Bool,
    alock       = nlm4_lock,
    reclaim     = Bool,
    state       = Int,
)
nlm4_cancargs = Struct("nlm4_cancargs",
    cookie      = netobj,
    block       = Bool,
    exclusive   = Bool,
    alock       = nlm4_lock,
)
nlm4_testargs = Struct("nlm4_testargs",
    cookie      = netobj,
    exclusive   = Bool,
    alock       = nlm4_lock,
)
nlm4_unlockargs = Struct("nlm4_unlockargs",
    cookie      = netobj,
    alock       = nlm4_lock,
)
nlm4_res = Struct("nlm4_res",
    cookie      = netobj,
    stat        = nlm4_stats,
)
nlm4_testrply = Union("nlm4_testrply", nlm4_stats, {
    "NLM4_DENIED": nlm4_holder,
}, Void)
nlm4_testres = Struct("nlm4_testres",
    cookie      = netobj,
    stat        = nlm4_testrply,
)
nlm4_shareres = Struct("nlm4_shareres",
    cookie      = netobj,
    stat        = nlm4_stats,
    sequence    = Int,
)

# The _MSG and _RES procedures are calls of their own, with their own xid. Their RPC reply is empty and often missing;
# the true answer to LOCK_MSG is a LOCK_RES call in the other direction, paired by cookie and hosts.

_SYNCHRONOUS = (
    #          no.  name             args              res
    Procedure(  0, "NULL",           Void,             Void),
    Procedure(  1, "TEST",           nlm_testargs,     nlm_testres),
    Procedure(  2, "LOCK",           nlm_lockargs,     nlm_res),
    Procedure(  3, "CANCEL",         nlm_cancargs,     nlm_res),
    Procedure(  4, "UNLOCK",         nlm_unlockargs,   nlm_res),
    Procedure(  5, "GRANTED",        nlm_testargs,     nlm_res),          # server to client
)
_ASYNCHRONOUS = (
    Procedure(  6, "TEST_MSG",       nlm_testargs,     Void,   answer="TEST_RES"),
    Procedure(  7, "LOCK_MSG",       nlm_lockargs,     Void,   answer="LOCK_RES"),
    Procedure(  8, "CANCEL_MSG",     nlm_cancargs,     Void,   answer="CANCEL_RES"),
    Procedure(  9, "UNLOCK_MSG",     nlm_unlockargs,   Void,   answer="UNLOCK_RES"),
    Procedure( 10, "GRANTED_MSG",    nlm_testargs,     Void,   answer="GRANTED_RES"),   # server to client
    Procedure( 11, "TEST_RES",       nlm_testres,      Void),
    Procedure( 12, "LOCK_RES",       nlm_res,          Void),             # 12; XNFS misprints it as 11 on one page
    Procedure( 13, "CANCEL_RES",     nlm_res,          Void),
    Procedure( 14, "UNLOCK_RES",     nlm_res,          Void),
    Procedure( 15, "GRANTED_RES",    nlm_res,          Void),             # client to server
)
_CALLBACK = (
    Procedure( 16, "SM_NOTIFY",      nlm_reboot,       Void),             # private: Linux in 1 and 3, Ganesha in 4
)

NLM1 = Program("NLM", NLM, version=1, procedures=_SYNCHRONOUS + _ASYNCHRONOUS + _CALLBACK)

NLM3 = Program("NLM", NLM, version=3, procedures=_SYNCHRONOUS + _ASYNCHRONOUS + _CALLBACK + (
    Procedure( 20, "SHARE",          nlm_shareargs,    nlm_shareres),
    Procedure( 21, "UNSHARE",        nlm_shareargs,    nlm_shareres),
    Procedure( 22, "NM_LOCK",        nlm_lockargs,     nlm_res),
    Procedure( 23, "FREE_ALL",       nlm_notify,       Void),
))

NLM4 = Program("NLM", NLM, version=4, procedures=(
    #          no.  name             args              res
    Procedure(  0, "NULL",           Void,             Void),
    Procedure(  1, "TEST",           nlm4_testargs,    nlm4_testres),
    Procedure(  2, "LOCK",           nlm4_lockargs,    nlm4_res),
    Procedure(  3, "CANCEL",         nlm4_cancargs,    nlm4_res),
    Procedure(  4, "UNLOCK",         nlm4_unlockargs,  nlm4_res),
    Procedure(  5, "GRANTED",        nlm4_testargs,    nlm4_res),
    Procedure(  6, "TEST_MSG",       nlm4_testargs,    Void,   answer="TEST_RES"),
    Procedure(  7, "LOCK_MSG",       nlm4_lockargs,    Void,   answer="LOCK_RES"),
    Procedure(  8, "CANCEL_MSG",     nlm4_cancargs,    Void,   answer="CANCEL_RES"),
    Procedure(  9, "UNLOCK_MSG",     nlm4_unlockargs,  Void,   answer="UNLOCK_RES"),
    Procedure( 10, "GRANTED_MSG",    nlm4_testargs,    Void,   answer="GRANTED_RES"),
    Procedure( 11, "TEST_RES",       nlm4_testres,     Void),
    Procedure( 12, "LOCK_RES",       nlm4_res,         Void),
    Procedure( 13, "CANCEL_RES",     nlm4_res,         Void),
    Procedure( 14, "UNLOCK_RES",     nlm4_res,         Void),
    Procedure( 15, "GRANTED_RES",    nlm4_res,         Void),
    *_CALLBACK,
    Procedure( 20, "SHARE",          nlm_shareargs,    nlm4_shareres),    # a share has no range: arguments as in 3
    Procedure( 21, "UNSHARE",        nlm_shareargs,    nlm4_shareres),
    Procedure( 22, "NM_LOCK",        nlm4_lockargs,    nlm4_res),
    Procedure( 23, "FREE_ALL",       nlm_notify,       Void),
))

# Private, loopback only: not an older NLM, whatever the number says.

NLM0_BSD = Program("NLM", NLM, version=0, procedures=(
    Procedure(  0, "NULL",           Void,             Void),
    Procedure(  1, "SM_NOTIFY",      nlm_reboot,       Void),
))
NLM2_SUN = Program("NLM", NLM, version=2, procedures=(
    Procedure(  0, "NULL",           Void,             Void),
    Procedure( 17, "SM_NOTIFY1",     nlm_reboot,       Void),
    Procedure( 18, "SM_NOTIFY2",     nlm_reboot,       Void),
))
# fmt: on

PROGRAMS = (NLM0_BSD, NLM1, NLM2_SUN, NLM3, NLM4)

UNKNOWN = "unknown status"
_SHORT = {number: name.removeprefix("NLM4_") for name, number in nlm4_stats.members.items()}


def status_name(stat: int) -> str:
    """``GRANTED`` for LCK_GRANTED and NLM4_GRANTED alike: the versions agree where both have a number."""
    return _SHORT.get(stat, f"{UNKNOWN} {stat}")


SENT_BY_SERVER = (5, 10, 11, 12, 13, 14)  # GRANTED, GRANTED_MSG, and the _RES that answer a client
END = 2**64 - 1  # where a range ends that has no end


def span(offset: int, length: int) -> tuple[int, int]:
    """``(start, end)`` of an l_offset and l_len. A length of 0, or one that runs past the last byte, means "to the
    end".
    """
    if length == 0 or offset + length > END:
        return offset, END
    return offset, offset + length - 1
