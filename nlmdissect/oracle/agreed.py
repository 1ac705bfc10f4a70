"""In what tshark and we differ, and why: one row for a field and a reason, never for a frame.

A row says when it holds, as narrowly as it can. A difference that no row explains is a surprise to users and fails the
tests; so does a row that no capture needs any more. What tshark does was read in the sources of Wireshark 4.0
(packet-rpc.c, packet-nlm.c, packet-stat.c, packet-portmap.c) or seen in its output; 4.4 was looked at too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nlmdissect.oracle.compare import HEADER, Difference
from nlmdissect.oracle.fields import LINKS, TEXTS
from nlmdissect.oracle.record import CALL, REPLY, Message
from nlmdissect.protocols import NLM, NSM, PORTMAP

BOOLS = "block|exclusive|reclaim|holder.exclusive|result"
STRINGS = frozenset(TEXTS.values()) | {f"holder.{name}" for name in TEXTS.values()}
BODY = "every field of the body"
NOT_BODY = HEADER | set(LINKS.values()) | {"message", "order", "tcp", "program", "version", "procedure"}

RELAY = {(2, 5), (3, 5), (4, 5), (4, 10)}  # CALLIT, CALLIT, BCAST, INDIRECT
CALLBACKS = {(0, 1), (1, 16), (2, 17), (2, 18), (3, 16), (4, 16)}
RPCBIND = {(version, number) for version in (3, 4) for number in (1, 2, 6, 7, 8, 9, 11, 12)}
MSG_TO_RES = 5  # TEST_MSG is 6, TEST_RES is 11


@dataclass(frozen=True, slots=True)
class Agreed:
    field: str  # names, with | between; or BODY
    reason: str
    when: Callable[[Difference], bool]
    since: tuple[int, int] = (0, 0)  # of tshark; seen in 4.0 and 4.4
    before: tuple[int, int] = (99, 0)

    def concerns(self, version: str) -> bool:
        """Whether it is about this tshark."""
        major, minor, *_ = (int(part) for part in f"{version}.0".split(".") if part.isdecimal())
        return self.since <= (major, minor) < self.before

    def explains(self, d: Difference) -> bool:
        if self.field == BODY:
            named = d.field not in NOT_BODY and not d.field.startswith(("cred.", "verf."))
        else:
            named = d.field in self.field.split("|")
        return named and self.when(d)


def message(d: Difference) -> Message:
    """The message itself, as we read it if we do."""
    found = d.our_message or d.their_message
    assert found is not None
    return found


def marked(d: Difference, ours: str = "", theirs: str = "") -> bool:
    a, b = d.our_message, d.their_message
    return (not ours or (a is not None and ours in a.marks)) and (not theirs or (b is not None and theirs in b.marks))


def of(d: Difference, program: int, procedures: set[tuple[int, int]], kind: int | None = None) -> bool:
    """Is this a message of one of these (version, procedure)?"""
    m = message(d)
    return m.program == program and (m.version, m.procedure) in procedures and kind in (None, m.kind)


def unread(d: Difference) -> bool:
    return d.theirs is None


def call(d: Difference, frame: object, theirs: bool = False) -> Message | None:
    """The call with this xid in that frame."""
    xid = message(d).xid
    messages = d.context.theirs if theirs else d.context.ours
    return next((m for m in messages if m.frame == frame and m.kind == CALL and m.xid == xid), None)


def nameless(m: Message | None) -> bool:
    """A call that is cut before its procedure: for tshark nothing belongs to it."""
    return m is not None and m.procedure == -1


def cut_call(d: Difference) -> bool:
    m = message(d)
    return nameless(call(d, m.links.get("reply_to"), theirs=True)) if m.kind == REPLY else nameless(d.their_message)


def same_call(a: Message | None, b: Message | None) -> bool:
    """One is a retransmission of the other: same ports, and the same bytes as far as they can be read."""
    if a is None or b is None:
        return False
    return (a.sport, a.dport, a.dst, a.procedure, a.fields) == (b.sport, b.dport, b.dst, b.procedure, b.fields)


def later_transmission(d: Difference) -> bool:
    """tshark speaks of the first transmission, we of a later one of the same call."""
    if d.field == "reply_to":
        return d.ours is not None and same_call(call(d, d.ours), call(d, d.theirs))
    sent = message(d)
    first = call(d, sent.links.get("repeats"))
    return same_call(sent, first) and first is not None and d.theirs == first.links.get("answered_in")


def another_call(d: Difference) -> bool:
    """tshark speaks of a call that has the xid alone in common with ours: another port, or another call."""
    m = message(d)
    if d.field == "answered_in":
        reply = next((r for r in d.context.ours if r.frame == d.theirs and r.kind == REPLY and r.xid == m.xid), None)
        return reply is not None and not same_call(m, call(d, reply.links.get("reply_to")))
    theirs = call(d, d.theirs if d.field != "procedure" else (d.their_message or m).links.get("reply_to"))
    own = m if m.kind == CALL else call(d, m.links.get("reply_to"))
    return theirs is not None and own is not None and not same_call(own, theirs)


def pair(d: Difference, frame: object) -> bool:
    """Is the message in that frame the other half: hosts turned round, procedure five apart, the same cookie?"""
    m = message(d)
    step = MSG_TO_RES if d.field == "res_in" else -MSG_TO_RES
    return any(
        (o.src, o.dst, o.version, o.procedure) == (m.dst, m.src, m.version, m.procedure + step)
        and o.fields.get("cookie") == m.fields.get("cookie") is not None
        for o in d.context.ours
        if o.frame == frame and o.kind == CALL
    )


def by_cookie_alone(d: Difference) -> bool:
    """We name the other half, or none; tshark names one that is none, or forgot it for another with its cookie."""
    cookie = message(d).fields.get("cookie")
    rivals = [o for o in d.context.theirs if o.fields.get("cookie") == cookie and o.kind == CALL]
    return (d.ours is None or pair(d, d.ours)) and (len(rivals) > 2 if d.theirs is None else not pair(d, d.theirs))


def last_leaf(d: Difference) -> bool:
    """The string in which the capture cut the message."""
    theirs = d.their_message
    return marked(d, "cut") and d.ours is None and theirs is not None and list(theirs.fields)[-1] == d.field in STRINGS


# fmt: off
AGREED = (
    # messages that one side alone sees
    Agreed("message", "an answer whose call is not in the capture is not RPC for tshark",
           lambda d: unread(d) and marked(d, "orphan")),
    Agreed("message", "an answer to a call that is cut before its procedure is not RPC for tshark",
           lambda d: unread(d) and cut_call(d)),
    Agreed("message", "what an ICMP error quotes is evidence, no second message",
           lambda d: d.ours is None and marked(d, theirs="quoted"), before=(4, 4)),

    # bodies that tshark does not decode
    Agreed("mon_name|state|priv", "tshark has no callback from statd to lockd but Sun's program 200048",
           lambda d: unread(d) and of(d, NLM, CALLBACKS, CALL) and marked(d, theirs="undecoded")),
    Agreed(BODY,
           "tshark has no rpcbind SET, UNSET, GETTIME, UADDR2TADDR, TADDR2UADDR, GETVERSADDR, GETADDRLIST, GETSTAT",
           lambda d: unread(d) and of(d, PORTMAP, RPCBIND) and marked(d, theirs="undecoded")),
    Agreed("res_stat|state",
           "tshark leaves the result of a version 2 CALLIT as bytes: it seeks the call at the wrong place",
           lambda d: unread(d) and of(d, PORTMAP, {(2, 5)}, REPLY)),
    Agreed("results", "tshark leaves the result of a version 2 CALLIT as bytes, where we read it",
           lambda d: d.ours is None and of(d, PORTMAP, {(2, 5)}, REPLY)),
    Agreed("results", "tshark shows nothing of what a program that it does not know returned by way of portmap",
           lambda d: unread(d) and of(d, PORTMAP, RELAY, REPLY) and marked(d, theirs="undecoded")),
    Agreed("prog|vers|proc", "tshark repeats, in the answer to CALLIT, BCAST and INDIRECT, what was asked",
           lambda d: d.ours is None and of(d, PORTMAP, RELAY, REPLY)),
    Agreed("state", "tshark leaves out the state that comes with STAT_FAIL",
           lambda d: unread(d) and of(d, NSM, {(1, 1), (1, 2)}, REPLY) and message(d).fields["res_stat"] == (1,)),
    Agreed("fh", "tshark shows no file handle where it is empty",
           lambda d: unread(d) and d.ours == b""),
    Agreed("seq_num", "the sequence number inside of an integrity body is nothing that we use",
           lambda d: d.ours is None and message(d).fields.get("cred.flavor", (6,)) == (6,)),

    # values
    Agreed(BOOLS, "a bool that is neither 0 nor 1 is kept as it is; tshark shows 1",
           lambda d: d.theirs == 1 and isinstance(d.ours, int) and d.ours > 1),
    Agreed("length", "of a record in several fragments tshark shows the last one's length with the message",
           lambda d: marked(d, theirs="fragmented")),

    # frames that were cut
    Agreed("|".join(sorted(STRINGS)), "of a string that is cut tshark shows the beginning; a part of a name is no name",
           last_leaf),
    Agreed("cred.flavor|verf.flavor", "tshark shows no flavor where the length after it is cut",
           lambda d: unread(d) and marked(d, "cut")),
    Agreed("cred.stamp|cred.machinename|cred.uid|cred.gid", "tshark shows what there is of a credential that is cut",
           lambda d: d.ours is None and marked(d, "cut"), since=(4, 2)),
    Agreed("mon_name", "tshark shows no mon_name of MON where the length of my_name is cut",
           lambda d: unread(d) and marked(d, "cut") and of(d, NSM, {(1, 2)}, CALL)
           and "my_name" not in message(d).fields),

    # which belongs to which
    Agreed("reply_to|answered_in", "tshark links every answer to the first transmission of a call",
           later_transmission),
    Agreed("reply_to", "one more answer than transmissions: we count it at its call and link it with none",
           lambda d: d.ours is None and marked(d, "untabled")),
    Agreed("reply_to|answered_in|repeats", "the second copy of a mirrored frame is no message of its own",
           lambda d: d.ours is None and marked(d, "duplicate")),
    Agreed("reply_to|answered_in|repeats",
           "tshark pairs by xid: over UDP without the client's port, always without the arguments",
           another_call),
    Agreed("procedure", "tshark takes the answer for that to the wrong call, see above",
           lambda d: message(d).kind == REPLY and another_call(d)),
    Agreed("answered_in|repeats", "tshark links nothing with a call that is cut before its procedure",
           lambda d: unread(d) and cut_call(d)),
    Agreed("msg_in|res_in", "tshark pairs _MSG and _RES by the cookie alone, whoever sent it and whatever it asks",
           by_cookie_alone),
)
# fmt: on


def explain(d: Difference, version: str) -> Agreed | None:
    """The row that says why this version of tshark differs."""
    return next((row for row in AGREED if row.concerns(version) and row.explains(d)), None)
