"""What bodies are made of that nothing else here reads: just enough of NFS and MOUNT for what an analysis looks at.

WRITE and COMMIT answer a verifier that changes when the server restarts (RFC 1813); DUMP and EXPORT of MOUNT list
hosts and directories.
"""

from __future__ import annotations

from nlmdissect.protocols import MOUNT, NFS, find
from nlmdissect.protocols.mount import MNTPATHLEN
from nlmdissect.protocols.nfs3 import nfs_fh3, nfsstat3, post_op_attr, verifier, wcc_data
from nlmdissect.xdr.schema import UNLIMITED, List, Opaque, String, Struct, UHyper, UInt, Union, Void

# fmt: off
write3args = Struct("WRITE3args",
    file        = nfs_fh3,
    offset      = UHyper,
    count       = UInt,
    stable      = UInt,
    data        = Opaque(UNLIMITED),
)
write3resok = Struct("WRITE3resok",
    file_wcc    = wcc_data,
    count       = UInt,
    committed   = UInt,
    verf        = verifier,
)
resfail = Struct("WRITE3resfail",
    file_wcc    = wcc_data,
)
write3res = Struct("WRITE3res",
    status      = Union("status", nfsstat3, {"NFS3_OK": write3resok}, resfail),
)
commit3args = Struct("COMMIT3args",
    file        = nfs_fh3,
    offset      = UHyper,
    count       = UInt,
)
commit3resok = Struct("COMMIT3resok",
    file_wcc    = wcc_data,
    verf        = verifier,
)
commit3res = Struct("COMMIT3res",
    status      = Union("status", nfsstat3, {"NFS3_OK": commit3resok}, resfail),
)
file_args = Struct("file_args",         # of all procedures whose arguments begin with a handle
    file        = nfs_fh3,
)
attributes = Struct("attributes",       # of all whose results begin with attributes
    status      = Union("status", nfsstat3, {}, Struct("attributes", attributes=post_op_attr)),
)
mountbody = Struct("mountbody",
    hostname    = String(255),
    directory   = String(MNTPATHLEN),
)
mountlist = Struct("mountlist",
    entries     = List(mountbody),
)
groupnode = Struct("groupnode",
    gr_name     = String(255),
)
exportnode = Struct("exportnode",
    dirpath     = String(MNTPATHLEN),
    groups      = List(groupnode),
)
exports = Struct("exports",
    entries     = List(exportnode),
)
MORE = {
    **{(MOUNT, version, 2): (Void, mountlist) for version in (1, 2, 3)},
    **{(MOUNT, version, 5): (Void, exports) for version in (1, 2, 3)},
    **{(NFS, 3, procedure): (file_args, attributes) for procedure in (2, 4, 5, 6, 16, 18, 19, 20)},
    (NFS, 3, 7):  (write3args, write3res),
    (NFS, 3, 21): (commit3args, commit3res),
}
# fmt: on


def layout(program: int, version: int, procedure: int) -> tuple[Struct, Struct] | None:
    """(arguments, results) of a procedure, as far as they are known; what follows them is not."""
    known = find(program, version, procedure)
    return (known.args, known.res) if known is not None else MORE.get((program, version, procedure))
