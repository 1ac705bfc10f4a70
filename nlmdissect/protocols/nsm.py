"""NSM version 1, the network status monitor: program 100024 (XNFS, chapter 11)."""

from __future__ import annotations

from nlmdissect.protocols.program import Procedure, Program
from nlmdissect.xdr.schema import Enum, FixedOpaque, Int, String, Struct, Void

NSM = 100024
SM_MAXSTRLEN = 1024
SM_PRIV_SIZE = 16

# fmt: off
sm_res = Enum("sm_res", {
    "STAT_SUCC":  0,
    "STAT_FAIL":  1,
})
sm_name = Struct("sm_name",
    mon_name    = String(SM_MAXSTRLEN),
)
my_id = Struct("my_id",                 # whom the local statd shall call when the watched host restarts
    my_name     = String(SM_MAXSTRLEN),
    my_prog     = Int,
    my_vers     = Int,
    my_proc     = Int,
)
mon_id = Struct("mon_id",
    mon_name    = String(SM_MAXSTRLEN), # the host to watch
    my_id       = my_id,
)
mon = Struct("mon",
    mon_id      = mon_id,
    priv        = FixedOpaque(SM_PRIV_SIZE),
)
stat_chge = Struct("stat_chge",
    mon_name    = String(SM_MAXSTRLEN), # the host that restarted: the sender, not the receiver
    state       = Int,
)
sm_stat = Struct("sm_stat",
    state       = Int,
)
sm_stat_res = Struct("sm_stat_res",
    res_stat    = sm_res,
    state       = Int,                  # in fact the local host's; XNFS words it as the watched host's. -1: STAT_FAIL
)
status = Struct("status",               # the callback of statd to its local lock manager: see NLM 16, 17, 18 and 0/1
    mon_name    = String(SM_MAXSTRLEN),
    state       = Int,
    priv        = FixedOpaque(SM_PRIV_SIZE),
)

NSM1 = Program("NSM", NSM, version=1, procedures=(
    #          no.  name             args              res
    Procedure(  0, "NULL",           Void,             Void),
    Procedure(  1, "STAT",           sm_name,          sm_stat_res),
    Procedure(  2, "MON",            mon,              sm_stat_res),
    Procedure(  3, "UNMON",          mon_id,           sm_stat),          # one word; some lockds expect two
    Procedure(  4, "UNMON_ALL",      my_id,            sm_stat),
    Procedure(  5, "SIMU_CRASH",     Void,             Void),
    Procedure(  6, "NOTIFY",         stat_chge,        Void),             # the only one that crosses the network
))
# fmt: on

PROGRAMS = (NSM1,)
