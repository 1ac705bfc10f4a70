"""What is said of a column, and the columns that several tables have.

Types:  "time" is datetime64[ns, UTC]; "seconds" float64; "category" text that repeats (names, addresses, handles in
hex); "string" sentences; "Int64", "UInt64" and "boolean" may be missing, "int64" and "bool" may not. Every table has
``capture`` (the file, from 0) and ``frame`` (Wireshark's number in it): the frame to open for that row.
"""

from __future__ import annotations

from typing import NamedTuple

DERIVED = "derived"
CALL = "call (RFC 5531)"
ADDRESSES = "ip.addr ipv6.addr"


class Column(NamedTuple):
    """``source`` is where the value stands on the wire (a field, and the document that defines it), or "derived";
    ``fields`` are the names that Wireshark has for it, ``counts`` what its numbers count.
    """

    name: str
    dtype: str
    meaning: str
    source: str = DERIVED
    fields: str = ""
    counts: str = ""

    @property
    def unit(self) -> str:
        """Empty where there is none."""
        return {"time": "UTC", "seconds": "s"}.get(self.dtype, self.counts)


# fmt: off
CAPTURE = Column("capture",         "int64",    "the file, from 0")
FRAME = Column("frame",             "int64",    "the frame to open", "capture file", "frame.number")
TIME = Column("time",               "time",     "when", "capture file", "frame.time_epoch")
TRANSPORT = Column("transport",     "category", "udp or tcp", "IP header", "ip.proto ipv6.nxt")
XID = Column("xid",                 "int64",    "transaction of RPC", "xid (RFC 5531)", "rpc.xid")
VERSION = Column("version",         "Int64",    "version of the program", CALL, "rpc.programversion")
PROCEDURE = Column("procedure",     "category", "as the RFC writes it", CALL, "rpc.procedure")
STATUS = (  # source and fields
    "stat (RFC 1813, XNFS), accept_stat, reject_stat (RFC 5531)", "nlm.stat rpc.state_accept rpc.state_reject",
)
SERVER = Column("server",           "category", "address of the host that keeps the lock", "IP header", ADDRESSES)
CLIENT = Column("client",           "category", "address of the host that wants the lock", "IP header", ADDRESSES)
FH = Column("fh",                   "category", "file handle in hex",
            "alock.fh (RFC 1813, XNFS)", "nfs.fhandle")
PATH = Column("path",               "category", "path of the file, where calls of the capture had named it by then",
              "MNT, LOOKUP, CREATE, RENAME, ... and their answers (RFC 1094, RFC 1813)", "nfs.full_name")
FILEID = Column("fileid",           "UInt64",   "number of the file in its filesystem, where attributes told it",
                "fattr.fileid (RFC 1094), fattr3.fileid (RFC 1813)", "nfs.fattr.fileid nfs.fattr3.fileid")
CALLER = Column("caller_name",      "category", "name that the client gives itself",
                "alock.caller_name (RFC 1813, XNFS)", "nlm.lock.caller_name")
SVID = Column("svid",               "Int64",    "number of the owner at the client",
              "alock.svid (RFC 1813, XNFS)", "nlm.lock.svid")
OH = Column("oh",                   "category", "owner handle in hex", "alock.oh (RFC 1813, XNFS)", "nlm.lock.owner")
START = Column("start",             "UInt64",   "first byte of the range",
               "alock.l_offset (RFC 1813, XNFS)", "nlm.lock.l_offset64 nlm.lock.l_offset", "byte")
END = Column("end",                 "UInt64",   "last byte of the range; missing: to the end of the file",
             "alock.l_offset + l_len (RFC 1813, XNFS)", "nlm.lock.l_len64 nlm.lock.l_len", "byte")
EXCLUSIVE = Column("exclusive",     "boolean",  "a write lock", "exclusive (RFC 1813, XNFS)", "nlm.exclusive")
LOCK = (SERVER, CLIENT, FH, PATH, FILEID, CALLER, SVID, OH, START, END, EXCLUSIVE)
RECLAIM = "the client held the lock before the server restarted"
MONITORS = (
    Column("watcher",           "category", "address of the host that watches", "IP header", ADDRESSES),
    Column("watched",           "category", "address of the host that is watched", "IP header", ADDRESSES),
    Column("state",             "category", "implied, monitored, notified, unmonitored"),
    Column("since",             "time",     "when it came to be so"),
    CAPTURE, FRAME,
)
# fmt: on
