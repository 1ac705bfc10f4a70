"""What the calls of NFS and MOUNT and their answers say about names, read by column.

Which leaves of which schema say it stands here once, in a table. A leaf of the results is behind the status, all
others are of the arguments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlmdissect.findings import At
from nlmdissect.protocols import MOUNT, NFS, find
from nlmdissect.protocols.nfs3 import entryplus3, lookup3resfail, nfsstat3, post_op_attr, verifier
from nlmdissect.rpc.paths import Paths
from nlmdissect.rpc.told import Told
from nlmdissect.xdr.columns import Columns, decode_columns
from nlmdissect.xdr.elements import elements
from nlmdissect.xdr.schema import List, Struct, Union

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

NOENT = 2  # in every version


class Op(IntEnum):
    """What is said, for the method of ``Paths`` that takes it."""

    NAMED = 0
    GONE = 1
    ABSENT = 2  # an answer of NOENT
    MOVED = 3
    EXPORTED = 4
    NUMBERED = 5


class Reads(NamedTuple):
    """Where it stands in a call and its answer. ``absent``: the status NOENT says that there is no such name."""

    op: Op
    dir: str = ""
    name: str = ""
    fh: str = ""
    to: str = ""
    new: str = ""
    fileid: str = ""
    absent: bool = False


_made2 = Reads(Op.NAMED, "where.dir", "where.name", "status.file", fileid="status.attributes.fileid")
_made3 = Reads(Op.NAMED, "where.dir", "where.name", "status.obj.handle", fileid="status.obj_attributes.fileid")
_removed2 = Reads(Op.GONE, "dir", "name", absent=True)
_removed3 = Reads(Op.GONE, "object.dir", "object.name", absent=True)
_renamed = Reads(Op.MOVED, "from_.dir", "from_.name", to="to.dir", new="to.name", absent=True)
# fmt: off
READS = {
    (MOUNT, 1, "MNT"):      Reads(Op.EXPORTED, name="dirpath", fh="status.directory"),
    (MOUNT, 2, "MNT"):      Reads(Op.EXPORTED, name="dirpath", fh="status.directory"),
    (MOUNT, 3, "MNT"):      Reads(Op.EXPORTED, name="dirpath", fh="fhs_status.fhandle"),
    (NFS, 2, "GETATTR"):    Reads(Op.NUMBERED, fh="file", fileid="status.attributes.fileid"),
    (NFS, 2, "LOOKUP"):     Reads(Op.NAMED, "dir", "name", "status.file",
                                  fileid="status.attributes.fileid", absent=True),
    (NFS, 2, "CREATE"):     _made2,
    (NFS, 2, "MKDIR"):      _made2,
    (NFS, 2, "REMOVE"):     _removed2,
    (NFS, 2, "RMDIR"):      _removed2,
    (NFS, 2, "RENAME"):     _renamed,
    (NFS, 2, "LINK"):       Reads(Op.NAMED, "to.dir", "to.name", "from_"),
    (NFS, 3, "GETATTR"):    Reads(Op.NUMBERED, fh="object", fileid="status.obj_attributes.fileid"),
    (NFS, 3, "LOOKUP"):     Reads(Op.NAMED, "what.dir", "what.name", "status.object",
                                  fileid="status.obj_attributes.fileid", absent=True),
    (NFS, 3, "CREATE"):     _made3,
    (NFS, 3, "MKDIR"):      _made3,
    (NFS, 3, "SYMLINK"):    _made3,
    (NFS, 3, "MKNOD"):      _made3,
    (NFS, 3, "REMOVE"):     _removed3,
    (NFS, 3, "RMDIR"):      _removed3,
    (NFS, 3, "RENAME"):     _renamed,
    (NFS, 3, "LINK"):       Reads(Op.NAMED, "link.dir", "link.name", "file", fileid="status.file_attributes.fileid"),
    (NFS, 3, "READDIRPLUS"): Reads(Op.NAMED, "dir", "name", "name_handle.handle", fileid="name_attributes.fileid"),
}
# fmt: on

_before_entries = Struct("before_entries", dir_attributes=post_op_attr, cookieverf=verifier)
_directory = Struct(
    "directory", status=Union("status", nfsstat3, {"NFS3_OK": _before_entries}, lookup3resfail)
)  # READDIRPLUS3res up to its entries, which are named one by one, however many were captured


@dataclass(slots=True)
class Facts:
    """Shapes: one row a fact (F). ``pair`` is the call and answer that say it; ``at`` and ``length`` are int64[F, 5]:
    where the directory, the name, the handle, the other directory and the other name stand in the buffer.
    ``fileid`` counts where ``numbered``.
    """

    pair: Ints
    op: Ints
    at: Ints
    length: Ints
    fileid: NDArray[np.uint64]
    numbered: NDArray[np.bool_]


class Span(NamedTuple):
    """Bodies in the buffer."""

    at: Ints
    end: Ints


def facts(buf: Bytes, program: Ints, version: Ints, procedure: Ints, args: Span, res: Span) -> Facts:
    """What these calls and their answers say, in their order. Never raises on any bytes."""
    found = []
    small = (version < 16) & (procedure < 256)  # more of them than there are, in one number
    kinds = np.where(small, program << 16 | version << 8 | procedure, 0)
    for kind in np.unique(kinds).tolist():
        page = find(kind >> 16, kind >> 8 & 0xFF, kind & 0xFF)
        reads = READS.get((kind >> 16, kind >> 8 & 0xFF, page.name)) if page is not None else None
        if page is None or reads is None:
            continue
        rows = np.flatnonzero(kinds == kind)
        asked = decode_columns(page.args, buf, args.at[rows], args.end[rows])
        if page.name == "READDIRPLUS":
            found.append(_entries(buf, rows, reads, asked, Span(res.at[rows], res.end[rows])))
        else:
            found += _facts(rows, reads, asked, decode_columns(page.res, buf, res.at[rows], res.end[rows]))
    if not found:
        return _facts_of(np.zeros(0, np.int64), Op.NAMED, Reads(Op.NAMED), {})
    joined = {name: np.concatenate([getattr(one, name) for one in found]) for name in Facts.__slots__}
    order = np.argsort(joined["pair"], kind="stable")
    return Facts(**{name: column[order] for name, column in joined.items()})


class Sent(NamedTuple):
    """Where the calls, or the answers, of pairs are, by column."""

    server: NDArray[np.int32]
    time: Ints
    capture: NDArray[np.int32]
    frame: Ints

    def at(self, pair: int) -> At:
        return At(int(self.time[pair]), int(self.capture[pair]), int(self.frame[pair]))


def tell(paths: Paths | Told, arena: bytes, said: Facts, calls: Sent, answers: Sent) -> None:
    """Let ``paths`` know. What it knows already, as most answers of a busy server, is passed over at once."""
    end = said.at + said.length
    columns = (
        said.op, said.pair, calls.server[said.pair], said.fileid, said.numbered,
        said.at[:, 0], end[:, 0], said.at[:, 1], end[:, 1], said.at[:, 2], end[:, 2],
    )  # fmt: skip
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for row, (op, pair, server, fileid, numbered, a, b, c, d, e, f) in enumerate(rows):
        directory, name, fh = arena[a:b], arena[c:d], arena[e:f]
        if op == Op.NAMED and paths.knows(server, directory, name, fh):
            continue
        asked, at, number = calls.at(pair), answers.at(pair), fileid if numbered else None
        match op:
            case Op.NAMED:
                paths.named(server, directory, name, fh, asked, at, number)
            case Op.GONE:
                paths.gone(server, directory, name, at, at)
            case Op.ABSENT:
                paths.gone(server, directory, name, asked, at)
            case Op.MOVED:
                to, new = (arena[said.at[row, place] : end[row, place]] for place in (3, 4))
                paths.moved(server, directory, name, to, new, at)
            case Op.EXPORTED:
                paths.exported(server, fh, name, at)
            case Op.NUMBERED if number is not None:
                paths.numbered(server, fh, number)


def _facts(rows: Ints, reads: Reads, asked: Columns, answered: Columns) -> Iterator[Facts]:
    leaves = {leaf: (answered if _result(leaf) else asked) for leaf in reads[1:7] if leaf}
    status = "fhs_status" if "fhs_status" in answered.fields else "status"
    told = answered.read(status)
    good = told & (answered.fields[status] == 0)
    for leaf in leaves:
        good &= leaves[leaf].read(leaf) | (leaf == reads.fileid)
    yield _facts_of(rows, reads.op, reads, leaves, good)
    if reads.absent:
        none = told & (answered.fields[status] == NOENT) & asked.read(reads.dir) & asked.read(reads.name)
        yield _facts_of(rows, Op.ABSENT, reads, dict.fromkeys((reads.dir, reads.name), asked), none)


def _entries(buf: Bytes, rows: Ints, reads: Reads, asked: Columns, res: Span) -> Facts:
    """The entries of directories: as many facts as there are names with a handle."""
    head = decode_columns(_directory, buf, res.at, res.end)
    good = np.flatnonzero(asked.read(reads.dir) & head.read("status.cookieverf"))
    of, starts = elements(List(entryplus3), buf, head.at[good], res.end[good])
    of = good[of]
    entries = decode_columns(entryplus3, buf, starts, res.end[of])
    leaves = dict.fromkeys((reads.name, reads.fh, reads.fileid), entries)
    one = _facts_of(rows[of], reads.op, reads, leaves)
    one.at[:, 0], one.length[:, 0] = asked.fields[f"{reads.dir}.at"][of], asked.fields[f"{reads.dir}.len"][of]
    whole = entries.read(reads.fh)
    return Facts(**{name: getattr(one, name)[whole] for name in Facts.__slots__})


def _facts_of(
    rows: Ints, op: Op, reads: Reads, leaves: dict[str, Columns], chosen: NDArray[np.bool_] | None = None
) -> Facts:
    count = len(rows)
    at, length = np.zeros((count, 5), np.int64), np.zeros((count, 5), np.int64)
    for place, leaf in enumerate(reads[1:6]):
        if leaf in leaves:
            at[:, place], length[:, place] = (leaves[leaf].fields[f"{leaf}.{part}"] for part in ("at", "len"))
    fileid, numbered = np.zeros(count, np.uint64), np.zeros(count, np.bool_)
    if reads.fileid in leaves:
        of = leaves[reads.fileid]
        fileid, numbered = of.fields[reads.fileid].astype(np.uint64), of.read(reads.fileid)
    pick = slice(None) if chosen is None else chosen
    return Facts(rows[pick], np.full(count, op, np.int64)[pick], at[pick], length[pick], fileid[pick], numbered[pick])


def _result(leaf: str) -> bool:
    return leaf.startswith(("status.", "fhs_status."))
