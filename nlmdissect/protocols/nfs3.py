"""NFS version 3: program 100003 (RFC 1813). Only the procedures that name file handles, or tell a handle's fileid."""

from __future__ import annotations

from nlmdissect.protocols.nfs2 import NFS
from nlmdissect.protocols.program import Procedure, Program
from nlmdissect.xdr.schema import (
    UNLIMITED,
    Bool,
    Enum,
    FixedOpaque,
    List,
    Opaque,
    String,
    Struct,
    UHyper,
    UInt,
    Union,
    Void,
)

NFS3_FHSIZE = 64

nfs_fh3 = Opaque(NFS3_FHSIZE)
filename3 = String(UNLIMITED)
verifier = FixedOpaque(8)

# fmt: off
follows = Enum("bool", {
    "FALSE":                     0,
    "TRUE":                      1,
})
nfsstat3 = Enum("nfsstat3", {
    "NFS3_OK":                   0,
    "NFS3ERR_PERM":              1,
    "NFS3ERR_NOENT":             2,
    "NFS3ERR_IO":                5,
    "NFS3ERR_NXIO":              6,
    "NFS3ERR_ACCES":            13,
    "NFS3ERR_EXIST":            17,
    "NFS3ERR_XDEV":             18,
    "NFS3ERR_NODEV":            19,
    "NFS3ERR_NOTDIR":           20,
    "NFS3ERR_ISDIR":            21,
    "NFS3ERR_INVAL":            22,
    "NFS3ERR_FBIG":             27,
    "NFS3ERR_NOSPC":            28,
    "NFS3ERR_ROFS":             30,
    "NFS3ERR_MLINK":            31,
    "NFS3ERR_NAMETOOLONG":      63,
    "NFS3ERR_NOTEMPTY":         66,
    "NFS3ERR_DQUOT":            69,
    "NFS3ERR_STALE":            70,
    "NFS3ERR_REMOTE":           71,
    "NFS3ERR_BADHANDLE":     10001,
    "NFS3ERR_NOT_SYNC":      10002,
    "NFS3ERR_BAD_COOKIE":    10003,
    "NFS3ERR_NOTSUPP":       10004,
    "NFS3ERR_TOOSMALL":      10005,
    "NFS3ERR_SERVERFAULT":   10006,
    "NFS3ERR_BADTYPE":       10007,
    "NFS3ERR_JUKEBOX":       10008,
})
ftype3 = Enum("ftype3", {
    "NF3REG":                    1,
    "NF3DIR":                    2,
    "NF3BLK":                    3,
    "NF3CHR":                    4,
    "NF3LNK":                    5,
    "NF3SOCK":                   6,
    "NF3FIFO":                   7,
})
specdata3 = Struct("specdata3",
    specdata1   = UInt,
    specdata2   = UInt,
)
nfstime3 = Struct("nfstime3",
    seconds     = UInt,
    nseconds    = UInt,
)
fattr3 = Struct("fattr3",
    type        = ftype3,
    mode        = UInt,
    nlink       = UInt,
    uid         = UInt,
    gid         = UInt,
    size        = UHyper,
    used        = UHyper,
    rdev        = specdata3,
    fsid        = UHyper,
    fileid      = UHyper,
    atime       = nfstime3,
    mtime       = nfstime3,
    ctime       = nfstime3,
)
post_op_attr = Union("post_op_attr", follows, {"TRUE": fattr3}, Void)
wcc_attr = Struct("wcc_attr",
    size        = UHyper,
    mtime       = nfstime3,
    ctime       = nfstime3,
)
wcc_data = Struct("wcc_data",
    before      = Union("pre_op_attr", follows, {"TRUE": wcc_attr}, Void),
    after       = post_op_attr,
)
post_op_fh3_handle = Struct("post_op_fh3",
    handle      = nfs_fh3,
)
post_op_fh3 = Union("post_op_fh3", follows, {"TRUE": post_op_fh3_handle}, Void)

time_how = Enum("time_how", {
    "DONT_CHANGE":               0,
    "SET_TO_SERVER_TIME":        1,
    "SET_TO_CLIENT_TIME":        2,
})
set_word = Struct("set",
    to          = UInt,
)
set_size = Struct("set",
    to          = UHyper,
)
set_time = Struct("set",
    to          = nfstime3,
)
sattr3 = Struct("sattr3",
    mode        = Union("set_mode3", follows, {"TRUE": set_word}, Void),
    uid         = Union("set_uid3", follows, {"TRUE": set_word}, Void),
    gid         = Union("set_gid3", follows, {"TRUE": set_word}, Void),
    size        = Union("set_size3", follows, {"TRUE": set_size}, Void),
    atime       = Union("set_atime", time_how, {"SET_TO_CLIENT_TIME": set_time}, Void),
    mtime       = Union("set_mtime", time_how, {"SET_TO_CLIENT_TIME": set_time}, Void),
)
diropargs3 = Struct("diropargs3",
    dir         = nfs_fh3,
    name        = filename3,
)
getattr3args = Struct("GETATTR3args",
    object      = nfs_fh3,
)
getattr3resok = Struct("GETATTR3resok",
    obj_attributes = fattr3,
)
getattr3res = Struct("GETATTR3res",
    status      = Union("status", nfsstat3, {"NFS3_OK": getattr3resok}, Void),
)
lookup3args = Struct("LOOKUP3args",
    what        = diropargs3,
)
lookup3resok = Struct("LOOKUP3resok",
    object      = nfs_fh3,
    obj_attributes = post_op_attr,
    dir_attributes = post_op_attr,
)
lookup3resfail = Struct("LOOKUP3resfail",
    dir_attributes = post_op_attr,
)
lookup3res = Struct("LOOKUP3res",
    status      = Union("status", nfsstat3, {"NFS3_OK": lookup3resok}, lookup3resfail),
)
createmode3 = Enum("createmode3", {
    "UNCHECKED":                 0,
    "GUARDED":                   1,
    "EXCLUSIVE":                 2,
})
create_attributes = Struct("create_attributes",
    obj_attributes = sattr3,
)
create_exclusive = Struct("create_exclusive",
    verf        = verifier,
)
create3args = Struct("CREATE3args",
    where       = diropargs3,
    how         = Union("createhow3", createmode3, {
        "UNCHECKED": create_attributes,
        "GUARDED": create_attributes,
        "EXCLUSIVE": create_exclusive,
    }, Void),
)
create3resok = Struct("CREATE3resok",   # MKDIR, SYMLINK and MKNOD answer the same
    obj         = post_op_fh3,
    obj_attributes = post_op_attr,
    dir_wcc     = wcc_data,
)
dir3resfail = Struct("CREATE3resfail",
    dir_wcc     = wcc_data,
)
create3res = Struct("CREATE3res",
    status      = Union("status", nfsstat3, {"NFS3_OK": create3resok}, dir3resfail),
)
mkdir3args = Struct("MKDIR3args",
    where       = diropargs3,
    attributes  = sattr3,
)
symlink3args = Struct("SYMLINK3args",
    where       = diropargs3,
    symlink_attributes = sattr3,
    symlink_data = String(UNLIMITED),
)
mknod_device = Struct("devicedata3",
    dev_attributes = sattr3,
    spec        = specdata3,
)
mknod_pipe = Struct("pipe_attributes",
    pipe_attributes = sattr3,
)
mknod3args = Struct("MKNOD3args",
    where       = diropargs3,
    what        = Union("mknoddata3", ftype3, {
        "NF3CHR": mknod_device,
        "NF3BLK": mknod_device,
        "NF3SOCK": mknod_pipe,
        "NF3FIFO": mknod_pipe,
    }, Void),
)
remove3args = Struct("REMOVE3args",
    object      = diropargs3,
)
remove3res = Struct("REMOVE3res",
    status      = Union("status", nfsstat3, {}, dir3resfail),
)
rename3args = Struct("RENAME3args",
    from_       = diropargs3,           # "from", which is a word of Python's
    to          = diropargs3,
)
rename3wcc = Struct("RENAME3wcc",
    fromdir_wcc = wcc_data,
    todir_wcc   = wcc_data,
)
rename3res = Struct("RENAME3res",
    status      = Union("status", nfsstat3, {}, rename3wcc),
)
link3args = Struct("LINK3args",
    file        = nfs_fh3,
    link        = diropargs3,
)
link3wcc = Struct("LINK3wcc",
    file_attributes = post_op_attr,
    linkdir_wcc = wcc_data,
)
link3res = Struct("LINK3res",
    status      = Union("status", nfsstat3, {}, link3wcc),
)
readdirplus3args = Struct("READDIRPLUS3args",
    dir         = nfs_fh3,
    cookie      = UHyper,
    cookieverf  = verifier,
    dircount    = UInt,
    maxcount    = UInt,
)
entryplus3 = Struct("entryplus3",
    fileid      = UHyper,
    name        = filename3,
    cookie      = UHyper,
    name_attributes = post_op_attr,
    name_handle = post_op_fh3,
)
readdirplus3resok = Struct("READDIRPLUS3resok",
    dir_attributes = post_op_attr,
    cookieverf  = verifier,
    entries     = List(entryplus3),
    eof         = Bool,
)
readdirplus3res = Struct("READDIRPLUS3res",
    status      = Union("status", nfsstat3, {"NFS3_OK": readdirplus3resok}, lookup3resfail),
)

NFS3 = Program("NFS", NFS, version=3, procedures=(
    #          no.  name             args              res
    Procedure(  1, "GETATTR",        getattr3args,     getattr3res),
    Procedure(  3, "LOOKUP",         lookup3args,      lookup3res),
    Procedure(  8, "CREATE",         create3args,      create3res),
    Procedure(  9, "MKDIR",          mkdir3args,       create3res),
    Procedure( 10, "SYMLINK",        symlink3args,     create3res),
    Procedure( 11, "MKNOD",          mknod3args,       create3res),
    Procedure( 12, "REMOVE",         remove3args,      remove3res),
    Procedure( 13, "RMDIR",          remove3args,      remove3res),
    Procedure( 14, "RENAME",         rename3args,      rename3res),
    Procedure( 15, "LINK",           link3args,        link3res),
    Procedure( 17, "READDIRPLUS",    readdirplus3args, readdirplus3res),
))
# fmt: on

PROGRAMS = (NFS3,)
