"""MOUNT versions 1, 2 and 3: program 100005 (RFC 1094, appendix A; RFC 1813, appendix I).

Only what names file handles: MNT answers the handle of an exported directory. The lists of DUMP and EXPORT name none.
"""

from __future__ import annotations

from nlmdissect.protocols.nfs2 import fhandle
from nlmdissect.protocols.nfs3 import nfs_fh3
from nlmdissect.protocols.program import Procedure, Program
from nlmdissect.xdr.schema import UNLIMITED, Array, Enum, Int, String, Struct, Union, Void

MOUNT = 100005
MNTPATHLEN = 1024

# fmt: off
mnt_args = Struct("mnt_args",
    dirpath     = String(MNTPATHLEN),
)

# Versions 1 and 2.

status = Enum("status", {"OK": 0})      # anything else is an errno of the server's own
fhstatus_ok = Struct("fhstatus_ok",
    directory   = fhandle,
)
fhstatus = Struct("fhstatus",
    status      = Union("status", status, {"OK": fhstatus_ok}, Void),
)

_BEFORE_3 = (
    #          no.  name             args              res
    Procedure(  0, "NULL",           Void,             Void),
    Procedure(  1, "MNT",            mnt_args,         fhstatus),
    Procedure(  3, "UMNT",           mnt_args,         Void),
    Procedure(  4, "UMNTALL",        Void,             Void),
)

# Version 3.

mountstat3 = Enum("mountstat3", {
    "MNT3_OK":                   0,
    "MNT3ERR_PERM":              1,
    "MNT3ERR_NOENT":             2,
    "MNT3ERR_IO":                5,
    "MNT3ERR_ACCES":            13,
    "MNT3ERR_NOTDIR":           20,
    "MNT3ERR_INVAL":            22,
    "MNT3ERR_NAMETOOLONG":      63,
    "MNT3ERR_NOTSUPP":       10004,
    "MNT3ERR_SERVERFAULT":   10006,
})
mountres3_ok = Struct("mountres3_ok",
    fhandle     = nfs_fh3,
    auth_flavors = Array(Int, UNLIMITED),
)
mountres3 = Struct("mountres3",
    fhs_status  = Union("fhs_status", mountstat3, {"MNT3_OK": mountres3_ok}, Void),
)

MOUNT1 = Program("MOUNT", MOUNT, version=1, procedures=_BEFORE_3)
MOUNT2 = Program("MOUNT", MOUNT, version=2, procedures=_BEFORE_3)
MOUNT3 = Program("MOUNT", MOUNT, version=3, procedures=(
    Procedure(  0, "NULL",           Void,             Void),
    Procedure(  1, "MNT",            mnt_args,         mountres3),
    Procedure(  3, "UMNT",           mnt_args,         Void),
    Procedure(  4, "UMNTALL",        Void,             Void),
))
# fmt: on

PROGRAMS = (MOUNT1, MOUNT2, MOUNT3)
