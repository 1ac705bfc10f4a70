"""The public tables, declared: the name, type and meaning of every column. The reference page is made from this.

Types:  "time" is datetime64[ns, UTC]; "seconds" float64; "category" text that repeats (names, addresses, handles in
hex); "string" sentences; "Int64", "UInt64" and "boolean" may be missing, "int64" and "bool" may not. Every table has
``capture`` (the file, from 0) and ``frame`` (Wireshark's number in it): the frame to open for that row.
"""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    name: str
    dtype: str
    meaning: str


# fmt: off
CAPTURE = Column("capture",         "int64",    "the file, from 0")
FRAME = Column("frame",             "int64",    "the frame to open")
TIME = Column("time",               "time",     "when")
SERVER = Column("server",           "category", "address of the host that keeps the lock")
CLIENT = Column("client",           "category", "address of the host that wants the lock")
FH = Column("fh",                   "category", "file handle in hex")
PATH = Column("path",               "category", "path of the file, where calls of the capture named it")
CALLER = Column("caller_name",      "category", "name that the client gives itself")
SVID = Column("svid",               "Int64",    "number of the owner at the client")
OH = Column("oh",                   "category", "owner handle in hex")
START = Column("start",             "UInt64",   "first byte of the range")
END = Column("end",                 "UInt64",   "last byte of the range; missing: to the end of the file")
EXCLUSIVE = Column("exclusive",     "boolean",  "a write lock")
LOCK = (SERVER, CLIENT, FH, PATH, CALLER, SVID, OH, START, END, EXCLUSIVE)

TABLES: dict[str, tuple[Column, ...]] = {
    "messages": (
        CAPTURE, FRAME, TIME,
        Column("kind",              "category", "call or reply"),
        Column("src",               "category", "address of the sender"),
        Column("sport",             "int64",    "port of the sender"),
        Column("dst",               "category", "address of the receiver"),
        Column("dport",             "int64",    "port of the receiver"),
        Column("transport",         "category", "udp or tcp"),
        Column("xid",               "int64",    "transaction of RPC"),
        Column("program",           "category", "PORTMAP, NLM, NSM, MOUNT; missing: an answer without its call"),
        Column("version",           "Int64",    "version of the program"),
        Column("procedure",         "category", "as the RFC writes it"),
        Column("status",            "category", "of an answer: its status, or the error of RPC"),
        Column("other_frame",       "Int64",    "the frame of the answer to this call, or of the call of this answer"),
        Column("call",              "int64",    "row in the table of calls"),
    ),
    "calls": (
        CAPTURE,
        Column("frame",             "Int64",    "the frame of the call; missing: only the answer is in the capture"),
        Column("reply_capture",     "Int64",    "the file of the answer"),
        Column("reply_frame",       "Int64",    "the frame of the answer; missing: none was seen"),
        Column("time",              "time",     "when it was called; the answer, where there is no call"),
        Column("took",              "seconds",  "from the call to its answer"),
        CLIENT, SERVER,
        Column("src",               "category", "address that calls"),
        Column("sport",             "int64",    "port that calls"),
        Column("dst",               "category", "address that is called"),
        Column("dport",             "int64",    "port that is called"),
        Column("transport",         "category", "udp or tcp"),
        Column("program",           "category", "PORTMAP, NLM, NSM, MOUNT"),
        Column("version",           "Int64",    "version of the program"),
        Column("procedure",         "category", "as the RFC writes it"),
        Column("status",            "category", "of the answer, or of a _RES call; the error of RPC"),
        Column("xid",               "int64",    "transaction of RPC"),
        Column("cookie",            "category", "cookie of NLM in hex"),
        CALLER, FH, PATH, OH, SVID, START, END, EXCLUSIVE,
        Column("block",             "boolean",  "the client is ready to wait"),
        Column("reclaim",           "boolean",  "the client held the lock before the server restarted"),
        Column("state",             "Int64",    "NSM state in the arguments"),
        Column("mon_name",          "category", "the host that NSM speaks of"),
        Column("machinename",       "category", "host name in AUTH_SYS"),
        Column("port",              "Int64",    "port that portmap answered; 0: not registered"),
        Column("repeats",           "Int64",    "row of the call that this one repeats"),
        Column("replies",           "int64",    "how many answers were seen"),
        Column("encrypted",         "bool",     "the body is encrypted"),
        Column("bad",               "bool",     "a body was cut or malformed"),
    ),
    "hosts": (
        Column("host",              "category", "address"),
        Column("scope",             "int64",    "0: the network; else loopback or link-local in file scope - 1"),
        Column("names",             "category", "names that it gave itself"),
        Column("resolved",          "category", "names that DNS answers in the capture give to its address"),
        Column("roles",             "category", "client, server or both"),
        Column("implementation",    "category", "linux, freebsd, illumos, macos, ganesha, netapp, unknown"),
        Column("implementation_why", "category", "what in its packets says so"),
        TIME, CAPTURE, FRAME,
    ),
    "boots": (
        Column("boot",              "int64",    "number of the restart"),
        Column("host",              "category", "address"),
        Column("not_before",        "time",     "last sign of the old life; missing: before the capture"),
        Column("not_after",         "time",     "first sign of the new life"),
        Column("state_before",      "Int64",    "NSM state before"),
        Column("state_after",       "Int64",    "NSM state after"),
        Column("grace_end_not_before", "time",  "last answer that shows the grace period"),
        Column("grace_end_not_after", "time",   "first answer that shows its end"),
        Column("notified",          "time",     "first SM_NOTIFY of the new life"),
        Column("strength",          "int64",    "how strong the evidence is; 3 is nearly proof"),
        Column("lived_on",          "string",   "what shows that only lockd restarted; empty if nothing does"),
        CAPTURE, FRAME,
    ),
    "monitors": (
        Column("watcher",           "category", "address of the host that watches"),
        Column("watched",           "category", "address of the host that is watched"),
        Column("state",             "category", "implied, monitored, notified, unmonitored"),
        Column("since",             "time",     "when it came to be so"),
        CAPTURE, FRAME,
    ),
    "locks": (
        Column("hold",              "int64",    "number of the hold; the thing of its steps"),
        *LOCK,
        Column("asked",             "time",     "when it was asked for"),
        Column("granted",           "time",     "when it was granted"),
        Column("released",          "time",     "when it ended; missing: held at the end"),
        Column("how",               "category", "how it ended"),
        Column("waited",            "seconds",  "from asked to granted"),
        Column("held",              "seconds",  "from granted to released"),
        CAPTURE, FRAME,
    ),
    "waits": (
        *LOCK,
        Column("since",             "time",     "the first answer BLOCKED"),
        Column("polls",             "int64",    "how often it was answered BLOCKED"),
        Column("last",              "time",     "the last answer BLOCKED"),
        Column("called",            "time",     "the callback GRANTED"),
        Column("ended",             "time",     "when the wait ended; missing: it still waits"),
        Column("how",               "category", "granted, called back, cancelled, refused, restarted"),
        Column("waited",            "seconds",  "from since to ended"),
        CAPTURE, FRAME,
    ),
    "recoveries": (
        Column("boot",              "int64",    "number of the restart"),
        Column("host",              "category", "address of the host that restarted"),
        Column("peer",              "category", "address of the host that has to do with it"),
        Column("role",              "category", "what the peer is to the restarted host: client or server"),
        Column("notify",            "category", "missing, sent, unanswered, answered, understood, ..."),
        Column("held",              "int64",    "locks that were held when it restarted"),
        Column("reclaimed",         "int64",    "of these: reclaimed"),
        Column("refused",           "int64",    "the reclaim was refused"),
        Column("missing",           "int64",    "never reclaimed"),
        Column("stolen",            "int64",    "granted to another owner"),
        Column("released",          "int64",    "given up in time"),
        Column("unknown",           "int64",    "cannot be told"),
        Column("why",               "string",   "why notify is what it is"),
        CAPTURE, FRAME,
    ),
    "reclaims": (
        Column("boot",              "Int64",    "number of the server's restart; missing: none was seen"),
        *LOCK,
        Column("asked",             "time",     "the first transmission"),
        Column("answered",          "time",     "the last answer"),
        Column("status",            "category", "GRANTED, DENIED, ...; missing: never answered"),
        Column("in_grace",          "boolean",  "the server was in its grace period; missing: cannot be told"),
        CAPTURE, FRAME,
    ),
    "steps": (
        CAPTURE, FRAME, TIME,
        Column("machine",           "category", "request, hold or monitor"),
        Column("thing",             "int64",    "number of the request, hold or monitor"),
        Column("before",            "category", "state before"),
        Column("event",             "category", "what happened"),
        Column("after",             "category", "state after"),
        Column("expected",          "bool",     "the machine has a row for it"),
    ),
    "findings": (
        Column("code",              "category", "of the rule"),
        Column("name",              "category", "of the rule"),
        Column("severity",          "category", "error, warning, info"),
        Column("confidence",        "category", "confirmed, suspected"),
        Column("title",             "string",   "what happened, in a sentence"),
        SERVER, CLIENT,
        Column("other",             "category", "address of a third host"),
        Column("boot",              "Int64",    "number of the restart"),
        Column("caused_by",         "Int64",    "row of the finding that this one follows from"),
        Column("locks",             "int64",    "how many locks it is about"),
        Column("frames",            "int64",    "how many frames are its evidence"),
        Column("consequence",       "string",   "what it means"),
        Column("remedy",            "string",   "what to do"),
        Column("fingerprint",       "category", "the same for another recording of the same event"),
        TIME, CAPTURE, FRAME,
    ),
    "defects": (
        CAPTURE, FRAME,
        Column("layer",             "category", "file, link, ip, tcp, rpc"),
        Column("reason",            "category", "what is wrong, in short words"),
        Column("count",             "int64",    "how often"),
        Column("detail",            "string",   "more about it"),
    ),
    "coverage": (
        Column("condition",         "category", "V1 to V6"),
        Column("host",              "category", "address of the host that would send"),
        Column("other",             "category", "address of the other host"),
        Column("start",             "time",     "from when"),
        Column("end",               "time",     "until when"),
        Column("holds",             "bool",     "the capture was able to show it"),
        Column("why",               "string",   "what that rests on"),
        CAPTURE,
        Column("frame",             "Int64",    "missing: it is about a span of time"),
    ),
}

MOMENT: dict[str, tuple[Column, ...]] = {  # the tables of Capture.at(time)
    "locks": (
        Column("hold",              "int64",    "number of the hold, as in the table of all locks"),
        *LOCK,
        Column("state",             "category", "of the machine of holds: held, orphaned, reclaiming, lost, ..."),
        Column("server_holds",      "category", "yes, no, unknown"),
        Column("client_believes",   "category", "yes, no, unknown"),
        Column("why",               "string",   "why these are not yes and yes; empty if they are"),
        Column("since",             "time",     "when the hold was granted; missing: before the capture began"),
        Column("waits",             "int64",    "how many wait for it"),
        CAPTURE, FRAME,
    ),
    "waits": (
        *LOCK,
        Column("since",             "time",     "the first answer BLOCKED"),
        Column("polls",             "int64",    "how often it was answered BLOCKED"),
        Column("last",              "time",     "the last answer BLOCKED"),
        Column("called",            "time",     "the callback GRANTED, if it was not accepted yet"),
        Column("behind",            "string",   "rows of the table of locks that are in its way"),
        CAPTURE, FRAME,
    ),
    "under_way": (
        *LOCK,
        Column("reclaim",           "bool",     "the client held the lock before the server restarted"),
        Column("state",             "category", "asked, held_off"),
        Column("asked",             "time",     "the first transmission"),
        CAPTURE, FRAME,
    ),
    "monitors": (
        Column("watcher",           "category", "address of the host that watches"),
        Column("watched",           "category", "address of the host that is watched"),
        Column("state",             "category", "implied, monitored, notified, unmonitored"),
        Column("since",             "time",     "when it came to be so"),
        CAPTURE, FRAME,
    ),
    "unknown": (
        SERVER,
        Column("what",              "string",   "what of its table the recording does not show"),
        CAPTURE, Column("frame",    "Int64",    "the frame that says so, if one does"),
    ),
}
# fmt: on
