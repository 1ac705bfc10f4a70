"""The tables of the dataset, each column documented once. All but ``captures`` and ``rules`` are tables of a recording
(``nlmdissect.tables``) with the names of hosts beside their addresses.

Types are those that every reader of Parquet knows: times in microseconds (UTC), whole numbers as int64, the rest text.
Every table has two more columns, which are the names of its folders: ``run`` and ``recording``.
"""

from __future__ import annotations

from nlmdissect.tables.column import DERIVED, Column
from nlmdissect.tables.columns import TABLES as OF_ONE

_NAMES = "the names that it was called by, separated by commas"

# fmt: off
TABLES: dict[str, tuple[Column, ...]] = {
    "captures": (
        Column("capture",           "int64",    "the file within the recording, from 0; in time order"),
        Column("path",              "string",   "where it was read from"),
        Column("hash",              "string",   "SHA-256 of the file; above 3 MiB, of three parts of it"),
        Column("size",              "int64",    "of the file as it is stored", DERIVED, "", "byte"),
        Column("format",            "string",   "pcap or pcapng", "capture file"),
        Column("compression",       "string",   "gzip, zstd, xz, or empty", "capture file"),
        Column("link_types",        "string",   "separated by commas", "capture file", "frame.encap_type"),
        Column("snaplen",           "int64",    "limit of its interfaces; 0: none", "capture file", "", "byte"),
        Column("first",             "time",     "the first frame; missing: none", "capture file", "frame.time_epoch"),
        Column("last",              "time",     "the last frame", "capture file", "frame.time_epoch"),
        Column("frames",            "int64",    "how many", "capture file", "frame.number", "frames"),
        Column("dropped",           "Int64",    "packets that the capturing host says it lost; missing: unsaid",
               "capture file", "", "packets"),
        Column("truncated",         "bool",     "it ends in the middle of a frame", "capture file"),
        Column("nlm",               "int64",    "messages of NLM", counts="messages"),
        Column("nsm",               "int64",    "messages of NSM", counts="messages"),
        Column("portmap",           "int64",    "messages of portmap", counts="messages"),
        Column("defects",           "int64",    "things that its bytes got wrong", counts="times"),
        Column("error",             "string",   "why it could not be judged; missing: it was"),
        Column("hint",              "string",   "what to do about that"),
        Column("failed",            "bool",     "the error is the program's or for want of memory"),
    ),
    "rules": (
        Column("code",              "string",   "of the rule"),
        Column("outcome",           "string",   "found, suspected, clean, not_assessed"),
        Column("judged",            "int64",    "things that the rule looked at", counts="things"),
        Column("reason",            "string",   "why it could not judge something; missing: it could"),
        Column("error",             "string",   "the rule crashed: where and why"),
    ),
    "findings": (
        *OF_ONE["findings"],
        Column("server_name",       "string",   _NAMES),
        Column("client_name",       "string",   _NAMES),
        Column("filter",            "string",   "Wireshark display filter for its frames in that file"),
        Column("evidence",          "evidence", "list of (capture, frame, time, what): what each frame contributes"),
    ),
    "recoveries": (
        *OF_ONE["recoveries"],
        Column("restarted",         "time",     "first sign of the new life"),
        Column("host_name",         "string",   _NAMES),
        Column("peer_name",         "string",   _NAMES),
    ),
    "coverage": OF_ONE["coverage"],
    "hosts": OF_ONE["hosts"],
}
# fmt: on
