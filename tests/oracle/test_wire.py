"""The ``wire`` lists beside the recordings: every message as tshark read it when the recording was made. Needs no tshark."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from support.captures import SHARED

from nlmdissect.oracle import ours
from nlmdissect.oracle.record import CALL, Message
from nlmdissect.protocols import MOUNT, NLM, NSM, PORTMAP, find
from nlmdissect.protocols.nlm import status_name

Entry = dict[str, Any]

EXPECTED = [path for path in sorted(SHARED.rglob("*.expect.json")) if '"wire"' in path.read_text()]
PROGRAMS = {PORTMAP: "PMAP", NLM: "NLM", NSM: "NSM", MOUNT: "MOUNT"}
NUMBERS = {
    "svid": "svid", "off": "l_offset", "len": "l_len", "exclusive": "exclusive", "block": "block", "reclaim": "reclaim",
    "state": "state", "stat_state": "state", "share_mode": "mode", "share_access": "access",
    "pm_prog": "prog", "pm_vers": "vers", "pm_proto": "prot", "pm_port": "port", "rpcb_prog": "prog",
}  # fmt: skip
TEXTS = {"caller_name": "caller_name", "mon_name": "mon_name", "rpcb_netid": "netid", "uaddr": "uaddr"}
BYTES = {"cookie": "cookie", "owner": "oh"}
HOLDER = frozenset({"svid", "off", "len", "exclusive", "owner"})  # in an answer to TEST these are the holder's


@pytest.mark.skipif(not EXPECTED, reason="the recordings with known causes are not here")
@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.name.removesuffix(".expect.json"))
def test_wire(path: Path) -> None:
    known = json.loads(path.read_text())
    found = {(m.frame, m.xid, m.kind): m for m in ours.read(path.parent / known["capture"]).messages}
    wrong: list[str] = []
    fields = 0
    for entry in known["wire"]:
        kind = 0 if entry["msg"].endswith("Call") else 1
        message = found.pop((entry["frame"], int(entry["xid"], 16), kind), None)
        if message is None:
            wrong.append(f"not found: {entry}")
            continue
        expected, read = wanted(entry), told(message, entry)
        fields += len(expected)
        wrong += [
            f"{entry['frame']} {message}: {name} is {read.get(name)}, not {value}"
            for name, value in expected.items()
            if read.get(name) != value
        ]
    # of the messages that share a frame the list has the first, and no answer from which nothing but an error can be read
    shared = {entry["frame"] for entry in known["wire"] if "rpc_messages_in_frame" in entry}
    unlisted = [m for m in found.values() if m.frame not in shared and m.fields.get("accept_stat", (0,)) == (0,)]
    wrong += [f"not in the list: frame {m.frame} {m}" for m in unlisted]
    print(f"{len(known['wire'])} messages, {fields} fields")
    assert not wrong, "\n".join(wrong[:20])


def wanted(entry: Entry) -> Entry:
    """What we compare of an entry: all but the time, and what the list itself counted."""
    skip = {"t", "frame", "xid", "rpc_messages_in_frame", "rpc_dup"}
    if "rpc_dup" in entry:  # tshark links every answer to the first transmission of a call
        skip.add("reply_to")
    if entry["msg"].startswith("MOUNT"):  # headers only
        skip.add("fh_hash")
    return {name: value for name, value in entry.items() if name not in skip}


def told(m: Message, entry: Entry) -> Entry:
    """The same of our message, in the words of the list."""
    said: Entry = {
        "src": m.src, "dst": m.dst, "sport": m.sport, "dport": m.dport, "transport": "tcp" if m.tcp else "udp",
        "msg": f"{PROGRAMS[m.program]} v{m.version} {procedure(m)} {'Call' if m.kind == CALL else 'Reply'}",
    }  # fmt: skip
    for name in entry.keys() - said.keys():
        at = f"holder.{leaf(name)}" if name in HOLDER and f"holder.{leaf(name)}" in m.fields else leaf(name)
        values = m.fields.get(at, ())
        value = values[0] if values else None
        if name in NUMBERS:
            said[name] = "|".join(map(str, values))  # DUMP has many of each
        elif name in TEXTS and isinstance(value, bytes):
            said[name] = value.decode()
        elif name in BYTES and isinstance(value, bytes):
            said[name] = value.hex() or "<MISSING>"
    if "stat" in m.fields:
        said["stat"] = status_name(int(m.fields["stat"][0]))
    if "fh" in m.fields:
        said["fh_hash"] = f"{zlib.crc32(bytes(m.fields['fh'][0])):#010x}"  # type: ignore[arg-type]
    if "reply_to" in m.links:
        said["reply_to"] = str(m.links["reply_to"])
    return said


def leaf(name: str) -> str:
    return (NUMBERS | TEXTS | BYTES).get(name, name)


def procedure(m: Message) -> str:
    if m.program == MOUNT:
        return str(m.procedure)
    found = find(m.program, m.version, m.procedure) or find(m.program, 3, m.procedure)  # SHARE is new in NLM 3
    name = found.name if found else str(m.procedure)
    prefix = "SM_" if m.program == NSM and m.procedure else ""
    return "GETPORT/GETADDR" if name in ("GETPORT", "GETADDR") else prefix + name
