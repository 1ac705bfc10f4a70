"""NFS version 2: program 100003 (RFC 1094). Only the procedures that name file handles, or tell a handle's fileid."""

from __future__ import annotations

from nlmdissect.protocols.program import Procedure, Program
from nlmdissect.xdr.schema import Enum, FixedOpaque, String, Struct, UInt, Union, Void

NFS = 100003
FHSIZE = 32
MAXNAMLEN = 255
MAXPATHLEN = 1024

fhandle = FixedOpaque(FHSIZE)

# fmt: off
stat = Enum("stat", {
    "NFS_OK":                    0,
    "NFSERR_PERM":               1,
    "NFSERR_NOENT":              2,
    "NFSERR_IO":                 5,
    "NFSERR_NXIO":               6,
    "NFSERR_ACCES":             13,
    "NFSERR_EXIST":             17,
    "NFSERR_NODEV":             19,
    "NFSERR_NOTDIR":            20,
    "NFSERR_ISDIR":             21,
    "NFSERR_FBIG":              27,
    "NFSERR_NOSPC":             28,
    "NFSERR_ROFS":              30,
    "NFSERR_NAMETOOLONG":       63,
    "NFSERR_NOTEMPTY":          66,
    "NFSERR_DQUOT":             69,
    "NFSERR_STALE":             70,
    "NFSERR_WFLUSH":            99,
})
ftype = Enum("ftype", {
    "NFNON":                     0,
    "NFREG":                     1,
    "NFDIR":                     2,
    "NFBLK":                     3,
    "NFCHR":                     4,
    "NFLNK":                     5,
})
timeval = Struct("timeval",
    seconds     = UInt,
    useconds    = UInt,
)
fattr = Struct("fattr",
    type        = ftype,
    mode        = UInt,
    nlink       = UInt,
    uid         = UInt,
    gid         = UInt,
    size        = UInt,
    blocksize   = UInt,
    rdev        = UInt,
    blocks      = UInt,
    fsid        = UInt,
    fileid      = UInt,
    atime       = timeval,
    mtime       = timeval,
    ctime       = timeval,
)
sattr = Struct("sattr",                 # all ones: leave it as it is
    mode        = UInt,
    uid         = UInt,
    gid         = UInt,
    size        = UInt,
    atime       = timeval,
    mtime       = timeval,
)
diropargs = Struct("diropargs",
    dir         = fhandle,
    name        = String(MAXNAMLEN),
)
getattr_args = Struct("getattr_args",
    file        = fhandle,
)
attributes = Struct("attributes",
    attributes  = fattr,
)
attrstat = Struct("attrstat",
    status      = Union("status", stat, {"NFS_OK": attributes}, Void),
)
diropok = Struct("diropok",
    file        = fhandle,
    attributes  = fattr,
)
diropres = Struct("diropres",
    status      = Union("status", stat, {"NFS_OK": diropok}, Void),
)
createargs = Struct("createargs",
    where       = diropargs,
    attributes  = sattr,
)
renameargs = Struct("renameargs",
    from_       = diropargs,            # "from", which is a word of Python's
    to          = diropargs,
)
linkargs = Struct("linkargs",
    from_       = fhandle,
    to          = diropargs,
)
symlinkargs = Struct("symlinkargs",
    from_       = diropargs,
    to          = String(MAXPATHLEN),
    attributes  = sattr,
)
nfsstat = Struct("nfsstat",
    status      = stat,
)

NFS2 = Program("NFS", NFS, version=2, procedures=(
    #          no.  name             args              res
    Procedure(  1, "GETATTR",        getattr_args,     attrstat),
    Procedure(  4, "LOOKUP",         diropargs,        diropres),
    Procedure(  9, "CREATE",         createargs,       diropres),
    Procedure( 10, "REMOVE",         diropargs,        nfsstat),
    Procedure( 11, "RENAME",         renameargs,       nfsstat),
    Procedure( 12, "LINK",           linkargs,         nfsstat),
    Procedure( 13, "SYMLINK",        symlinkargs,      nfsstat),          # answers no handle
    Procedure( 14, "MKDIR",          createargs,       diropres),
    Procedure( 15, "RMDIR",          diropargs,        nfsstat),
))
# fmt: on

PROGRAMS = (NFS2,)
