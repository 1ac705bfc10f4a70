"""RPC messages with other names in them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from nlmdissect.capture.probe import CALL, OTHER, be32, classify, is_reply
from nlmdissect.evidence.anonymise.bodies import layout
from nlmdissect.evidence.anonymise.pseudonyms import Pseudonyms
from nlmdissect.evidence.anonymise.rewrite import Edit, EndError, Rewriter
from nlmdissect.protocols import PORTMAP, find, rpc
from nlmdissect.rpc.bodies import RELAYED, UNASKED
from nlmdissect.xdr.schema import Struct

AUTH_SYS, RPCSEC_GSS = rpc.auth_flavor.members["AUTH_SYS"], rpc.auth_flavor.members["RPCSEC_GSS"]
INTEGRITY, PRIVACY = 2, 3
REMEMBERED = 1 << 18  # calls; those of the last so many, and of as many before them, are known
MOST = 1024  # bytes of a credential that is read; the protocol allows 400

Flow = tuple[bytes, int, bytes, int, bool]
"""(source, port, destination, port, tcp)."""


class Asked(NamedTuple):
    """What a call asked for. ``service`` says how RPCSEC_GSS wraps the answer, ``inner`` what portmap is to pass on."""

    program: int
    version: int
    procedure: int
    service: int
    inner: tuple[int, int, int] | None


class Talk:
    """Rewrites messages in the order of their frames; answers are read by what their calls asked for."""

    def __init__(self, names: Pseudonyms) -> None:
        self.names = names
        self._young: dict[tuple[Flow, int], Asked] = {}
        self._old: dict[tuple[Flow, int], Asked] = {}
        self._served: dict[tuple[bytes, int, bool], tuple[int, int]] = {}

    def datagram(self, data: bytes, wire: int, flow: Flow) -> bytes | None:
        """The payload of a datagram that is an RPC message; None if it is not."""
        what = classify(data, 0, len(data), 0)
        reply = len(data) >= 12 and be32(data, 4) == 1
        reply = reply and (self._answers(flow, be32(data, 0)) is not None or is_reply(data, 0, len(data), wire))
        return self.message(data, flow)[0] if reply or what in (CALL, OTHER) else None

    def message(self, data: bytes, flow: Flow) -> tuple[bytes, list[Edit]]:
        """A message, or the beginning of one, without record marks; and where its length has changed. Never raises."""
        w = Rewriter(self.names, data)
        with suppress(EndError):
            xid, kind = w.number(), w.number()
            if kind == 0:
                self._call(w, xid, flow)
            elif kind == 1:
                self._reply(w, self._answers(flow, xid), flow)
        w.rest()
        return bytes(w.out), w.edits

    def _answers(self, flow: Flow, xid: int) -> Asked | None:
        source, port, target, other, tcp = flow
        key = (target, other, source, port, tcp), xid
        return self._young.get(key) or self._old.get(key)

    def _call(self, w: Rewriter, xid: int, flow: Flow) -> None:
        rpcvers, program, version, procedure = (w.number() for _ in range(4))
        asked = Asked(program, version, procedure, 0, None)
        self._remember(flow, xid, asked)
        if rpcvers != rpc.RPC_VERSION:
            return
        gss_proc, service = self._credential(w)
        w.number()  # the verifier says nothing
        w.opaque(MOST, lambda body: bytes(len(body)))
        if service:
            self._remember(flow, xid, asked := asked._replace(service=service))
        known = layout(program, version, procedure)
        if known is None or gss_proc or service == PRIVACY:
            return
        numbers = self._body(w, known[0], service, asked, arguments=True)
        if {"prog", "vers", "proc"} <= numbers.keys():
            inner = numbers["prog"], numbers["vers"], numbers["proc"]
            self._remember(flow, xid, asked._replace(inner=inner))

    def _credential(self, w: Rewriter) -> tuple[int, int]:
        """(gss_proc, service) of RPCSEC_GSS data; zeros for the others."""
        flavor = w.number()
        found = {"gss_proc": 0, "service": 0}

        def change(body: bytes) -> bytes:
            inside = Rewriter(self.names, body)
            if flavor == AUTH_SYS:
                return inside.all(rpc.authsys_parms)
            if flavor == RPCSEC_GSS:
                inside.all(rpc.rpc_gss_cred)  # its handle is a file's for the rewriter: other bytes, as many
                found.update(inside.numbers)
                return bytes(inside.out)
            return bytes(len(body))

        w.opaque(MOST, change)
        return found["gss_proc"], 0 if found["gss_proc"] else found["service"]

    def _reply(self, w: Rewriter, asked: Asked | None, flow: Flow) -> None:
        if w.number() != 0:  # denied: nothing but numbers
            while w.at + 4 <= len(w.data) and w.at < 24:
                w.number()
            return
        flavor = w.number()
        w.opaque(MOST, lambda body: bytes(len(body)))
        status = w.number()
        if status == 2:
            w.number(), w.number()
        if status != 0:
            return
        if asked is None:
            self._unasked(w, flow)
            return
        known = layout(asked.program, asked.version, asked.procedure)
        if known is None or asked.service == PRIVACY or (flavor == RPCSEC_GSS) != (asked.service > 0):
            return
        self._body(w, known[1], asked.service, asked, arguments=False)

    def _body(self, w: Rewriter, t: Struct, service: int, asked: Asked, *, arguments: bool) -> Mapping[str, int]:
        """Rewrite a body; the numbers in it."""
        known = find(asked.program, asked.version, asked.procedure)
        relayed = asked.program == PORTMAP and known is not None and known.name in RELAYED

        def inner(numbers: Mapping[str, int], data: bytes) -> bytes:
            about = (numbers["prog"], numbers["vers"], numbers["proc"]) if arguments else asked.inner
            page = layout(*about) if about is not None and about[0] != PORTMAP else None
            return Rewriter(self.names, data).all(page[0 if arguments else 1]) if page else bytes(len(data))

        end = len(w.data)
        if service == INTEGRITY:
            size, _ = w.number(), w.number()
            end = min(end, w.at - 4 + size)
        inside = Rewriter(self.names, w.data[w.at : max(end, w.at)], inner if relayed else None)
        inside.all(t)
        by = len(inside.out) - len(inside.data)
        if service == INTEGRITY and by:
            w.out[-8:-4] = (size + by).to_bytes(4, "big")
        w.edits += [Edit(w.at + edit.start, w.at + edit.end, edit.by) for edit in inside.edits]
        w.at += len(inside.data)
        w.out += inside.out
        return inside.numbers if relayed else {}

    def _unasked(self, w: Rewriter, flow: Flow) -> None:
        """An answer whose call is not here, as ``rpc/bodies.py`` reads it."""
        program, version = self._served.get((flow[0], flow[1], flow[4]), (0, 0))
        for number in UNASKED.get((program, version), ()):
            known = layout(program, version, number)
            trial = Rewriter(self.names, w.data[w.at :])
            try:
                assert known is not None
                trial.value(known[1])
            except EndError:
                continue
            if trial.at == len(trial.data):
                w.edits += [Edit(w.at + edit.start, w.at + edit.end, edit.by) for edit in trial.edits]
                w.at = len(w.data)
                w.out += trial.out
                return

    def _remember(self, flow: Flow, xid: int, asked: Asked) -> None:
        if len(self._young) >= REMEMBERED:
            self._old, self._young = self._young, {}
        self._young[flow, xid] = asked
        self._served[flow[2], flow[3], flow[4]] = asked.program, asked.version


