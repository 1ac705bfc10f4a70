"""Portmap version 2 and rpcbind versions 3 and 4: program 100000 (RFC 1833)."""

from __future__ import annotations

from nlmdissect.protocols.program import Procedure, Program
from nlmdissect.xdr.schema import UNLIMITED, Bool, Enum, Int, List, Opaque, String, Struct, UInt, Void

PORTMAP = 100000

# RFC 1833 sets no limits: ``string r_netid<>``.
string = String(UNLIMITED)
opaque = Opaque(UNLIMITED)

# fmt: off
done = Struct("done",
    result      = Bool,
)

# Version 2.

protocol = Enum("protocol", {
    "TCP":         6,
    "UDP":        17,
})
mapping = Struct("mapping",
    prog        = UInt,
    vers        = UInt,
    prot        = protocol,             # ignored in UNSET
    port        = UInt,                 # ignored in GETPORT and UNSET
)
getport_res = Struct("getport_res",
    port        = UInt,                 # 0: not registered
)
pmaplist = Struct("pmaplist",
    entries     = List(mapping),
)
call_args = Struct("call_args",
    prog        = UInt,
    vers        = UInt,
    proc        = UInt,
    args        = opaque,
)
call_result = Struct("call_result",
    port        = UInt,
    res         = opaque,
)

PORTMAP2 = Program("PORTMAP", PORTMAP, version=2, procedures=(
    #          no.  name             args              res
    Procedure(  0, "NULL",           Void,             Void),
    Procedure(  1, "SET",            mapping,          done),
    Procedure(  2, "UNSET",          mapping,          done),
    Procedure(  3, "GETPORT",        mapping,          getport_res),
    Procedure(  4, "DUMP",           Void,             pmaplist),
    Procedure(  5, "CALLIT",         call_args,        call_result),      # no reply at all when the inner call fails
))

# Versions 3 and 4.

rpcb = Struct("rpcb",
    prog        = UInt,
    vers        = UInt,
    netid       = string,               # GETADDR ignores it by the RFC, in favour of the transport of the query
    addr        = string,               # "a.b.c.d.hi.lo": a port of hi * 256 + lo
    owner       = string,
)
getaddr_res = Struct("getaddr_res",
    uaddr       = string,               # "": not registered
)
rpcblist = Struct("rpcblist",
    entries     = List(rpcb),
)
rpcb_rmtcallargs = Struct("rpcb_rmtcallargs",
    prog        = UInt,
    vers        = UInt,
    proc        = UInt,
    args        = opaque,
)
rpcb_rmtcallres = Struct("rpcb_rmtcallres",
    addr        = string,
    results     = opaque,
)
gettime_res = Struct("gettime_res",
    time        = UInt,                 # seconds since 1970
)
uaddr2taddr_args = Struct("uaddr2taddr_args",
    uaddr       = string,
)
netbuf = Struct("netbuf",
    maxlen      = UInt,
    buf         = opaque,               # the server's own struct sockaddr, in its byte order
)
taddr2uaddr_res = Struct("taddr2uaddr_res",
    uaddr       = string,
)
rpcb_entry = Struct("rpcb_entry",
    maddr       = string,
    nc_netid    = string,
    nc_semantics = UInt,
    nc_protofmly = string,
    nc_proto    = string,
)
rpcb_entry_list = Struct("rpcb_entry_list",
    entries     = List(rpcb_entry),
)

# GETSTAT: how often each procedure was called, and for whom; once for each version of the protocol.

rpcbs_proc = Struct("rpcbs_proc", **{f"proc{number}": Int for number in range(13)})     # int[13]
rpcbs_addrlist = Struct("rpcbs_addrlist",
    prog        = UInt,
    vers        = UInt,
    success     = Int,
    failure     = Int,
    netid       = string,
)
rpcbs_rmtcalllist = Struct("rpcbs_rmtcalllist",
    prog        = UInt,
    vers        = UInt,
    proc        = UInt,
    success     = Int,
    failure     = Int,
    indirect    = Int,
    netid       = string,
)
rpcb_stat = Struct("rpcb_stat",
    info        = rpcbs_proc,
    setinfo     = Int,
    unsetinfo   = Int,
    addrinfo    = List(rpcbs_addrlist),
    rmtinfo     = List(rpcbs_rmtcalllist),
)
rpcb_stat_byvers = Struct("rpcb_stat_byvers",           # rpcb_stat[3]
    v2          = rpcb_stat,
    v3          = rpcb_stat,
    v4          = rpcb_stat,
)

RPCBIND3 = Program("PORTMAP", PORTMAP, version=3, procedures=(
    #          no.  name             args              res
    Procedure(  0, "NULL",           Void,             Void),
    Procedure(  1, "SET",            rpcb,             done),
    Procedure(  2, "UNSET",          rpcb,             done),
    Procedure(  3, "GETADDR",        rpcb,             getaddr_res),      # may answer with another version's address
    Procedure(  4, "DUMP",           Void,             rpcblist),
    Procedure(  5, "CALLIT",         rpcb_rmtcallargs, rpcb_rmtcallres),
    Procedure(  6, "GETTIME",        Void,             gettime_res),
    Procedure(  7, "UADDR2TADDR",    uaddr2taddr_args, netbuf),
    Procedure(  8, "TADDR2UADDR",    netbuf,           taddr2uaddr_res),
))

RPCBIND4 = Program("PORTMAP", PORTMAP, version=4, procedures=(
    #          no.  name             args              res
    Procedure(  0, "NULL",           Void,             Void),
    Procedure(  1, "SET",            rpcb,             done),
    Procedure(  2, "UNSET",          rpcb,             done),
    Procedure(  3, "GETADDR",        rpcb,             getaddr_res),
    Procedure(  4, "DUMP",           Void,             rpcblist),
    Procedure(  5, "BCAST",          rpcb_rmtcallargs, rpcb_rmtcallres),  # version 3's CALLIT: silent about errors
    Procedure(  6, "GETTIME",        Void,             gettime_res),
    Procedure(  7, "UADDR2TADDR",    uaddr2taddr_args, netbuf),
    Procedure(  8, "TADDR2UADDR",    netbuf,           taddr2uaddr_res),
    Procedure(  9, "GETVERSADDR",    rpcb,             getaddr_res),      # this very version, or ""
    Procedure( 10, "INDIRECT",       rpcb_rmtcallargs, rpcb_rmtcallres),  # CALLIT that tells of errors
    Procedure( 11, "GETADDRLIST",    rpcb,             rpcb_entry_list),
    Procedure( 12, "GETSTAT",        Void,             rpcb_stat_byvers),
))
# fmt: on

PROGRAMS = (PORTMAP2, RPCBIND3, RPCBIND4)


def uaddr_port(uaddr: bytes) -> int:
    """The port of a universal address, ``10.0.0.1.3.197`` or ``fe80::1.3.197``: its last two numbers.

    0 for the empty address, which says "not registered"; -1 for text that is no such address (``/run/rpcbind.sock``).
    """
    if not uaddr:
        return 0
    _, *numbers = uaddr.rsplit(b".", 2)
    if len(numbers) != 2 or not all(number.isdigit() and len(number) <= 3 for number in numbers):
        return -1
    high, low = (int(number) for number in numbers)
    return high * 256 + low if high < 256 and low < 256 else -1
