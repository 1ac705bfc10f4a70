"""The tables of a moment, declared: see ``column.py``."""

from __future__ import annotations

from nlmdissect.tables.column import CAPTURE, FRAME, LOCK, MONITORS, RECLAIM, SERVER, Column

# fmt: off
MOMENT: dict[str, tuple[Column, ...]] = {  # the tables of Capture.at(time)
    "locks": (
        Column("hold",              "int64",    "number of the hold, as in the table of all locks"),
        *LOCK,
        Column("state",             "category", "of the machine of holds: held, orphaned, reclaiming, lost, ..."),
        Column("server_holds",      "category", "yes, no, unknown"),
        Column("client_believes",   "category", "yes, no, unknown"),
        Column("why",               "string",   "why these are not yes and yes; empty if they are"),
        Column("since",             "time",     "when the hold was granted; missing: before the capture began"),
        Column("waits",             "int64",    "how many wait for it", counts="waits"),
        CAPTURE, FRAME,
    ),
    "waits": (
        *LOCK,
        Column("since",             "time",     "the first answer BLOCKED"),
        Column("polls",             "int64",    "how often it was answered BLOCKED", counts="answers"),
        Column("last",              "time",     "the last answer BLOCKED"),
        Column("called",            "time",     "the callback GRANTED, if it was not accepted yet"),
        Column("behind",            "string",   "rows of the table of locks that are in its way"),
        CAPTURE, FRAME,
    ),
    "under_way": (
        *LOCK,
        Column("reclaim",           "bool",     RECLAIM, "reclaim (RFC 1813, XNFS)", "nlm.reclaim"),
        Column("state",             "category", "asked, held_off"),
        Column("asked",             "time",     "the first transmission"),
        CAPTURE, FRAME,
    ),
    "monitors": MONITORS,
    "unknown": (
        SERVER,
        Column("what",              "string",   "what of its table the recording does not show"),
        CAPTURE, Column("frame",    "Int64",    "the frame that says so, if one does", "capture file", "frame.number"),
    ),
}
# fmt: on
