"""The RPC messages of a story: what its words mean, as procedures and XDR."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from support import packets

from nlmdissect.protocols import find
from nlmdissect.protocols.nlm import nlm4_stats, nlm_stats
from nlmdissect.xdr.codec import decode, encode

NLM, NSM, PORTMAP, MOUNT, NFS = 100021, 100024, 100000, 100005, 100003
PORTS = {"nlm": 4045, "statd": 662, "portmap": 111, "mount": 635, "nfs": 2049, "ssh": 22}
OPS = {
    "NLM_TEST": 1, "NLM_LOCK": 2, "NLM_CANCEL": 3, "NLM_UNLOCK": 4, "NLM_GRANTED": 5,
    "NLM_SHARE": 20, "NLM_UNSHARE": 21, "NM_LOCK": 22, "NLM_FREE_ALL": 23,
}  # fmt: skip
ASYNC = {f"{verb}_MSG": number + 5 for verb, number in OPS.items() if number < 6}
RESULTS = {f"{verb}_RES": number + 10 for verb, number in OPS.items() if number < 6}
CALLS: dict[str, tuple[str, int, int]] = {  # verb -> service, program, procedure
    **{verb: ("nlm", NLM, number) for verb, number in {**OPS, **ASYNC, **RESULTS}.items()},
    "SM_NOTIFY": ("statd", NSM, 6),
    "SM_MON": ("statd", NSM, 2),
    "SM_UNMON": ("statd", NSM, 3),
    "NLM_SM_NOTIFY": ("nlm", NLM, 16),
    "SET": ("portmap", PORTMAP, 1),
    "GETPORT": ("portmap", PORTMAP, 3),
    "MNT": ("mount", MOUNT, 1),
    "NFS": ("nfs", NFS, 1),
    "WRITE": ("nfs", NFS, 7),
    "COMMIT": ("nfs", NFS, 21),
}
STATD = frozenset({"STAT_SUCC", "STAT_FAIL"})
LOCAL = frozenset({"SM_MON", "SM_UNMON", "NLM_SM_NOTIFY"})  # only a loopback has these
STATUSES = nlm4_stats.members.keys() | nlm_stats.members.keys()
RPC_ERRORS = {"PROG_UNAVAIL": 1, "PROG_MISMATCH": 2, "PROC_UNAVAIL": 3, "GARBAGE_ARGS": 4, "SYSTEM_ERR": 5}
PRIVACY = struct.pack(">I", 6) + packets.opaque(
    struct.pack(">IIII", 1, 0, 9, 3) + packets.opaque(b"ctx!")
)  # RPCSEC_GSS
VERSIONS = {NLM: 4, PORTMAP: 2, NFS: 3, MOUNT: 3}


@dataclass(slots=True)
class Sent:
    """A call as it was sent. ``number`` is its frame, 0 if it is lost."""

    number: int
    ends: tuple[str, str]
    ports: tuple[int, int]
    tcp: bool
    service: str
    xid: int
    message: bytes
    verb: str
    version: int
    given: dict[str, str]
    answers: set[str] = field(default_factory=set)

    @property
    def asynchronous(self) -> bool:
        return self.verb.endswith("_MSG")


def body_of(
    verb: str, words: list[str], given: dict[str, str], name: str, count: int, asked: Sent | None
) -> tuple[int, int, int, bytes]:
    """(program, version, procedure, arguments) of a call. ``count`` makes cookies, ``asked`` is what a _RES answers."""
    _, program, procedure = CALLS[verb]
    version = next((int(w[1]) for w in words if w in ("v1", "v2", "v3", "v4")), VERSIONS.get(program, 1))
    values: dict[str, Any]
    if verb in LOCAL:
        version, values = _local(verb, version, words, given, name)
    elif asked is not None:
        version = asked.version
        cookie = bytes.fromhex(given["cookie"]) if "cookie" in given else cookie_of(asked)
        stat = status_number(next(w for w in words if w in STATUSES))
        values = {"cookie": cookie, "stat": _holder(stat, given) if procedure == 11 else stat}
    elif verb == "SM_NOTIFY":
        values = {"mon_name": given.get("mon_name", name).encode(), "state": int(given["state"])}
    elif verb in ("GETPORT", "SET"):
        wanted = {"statd": (NSM, 1), "lockd": (NLM, int(given.get("nlm", 4)))}[words[0]]
        port = int(given.get("registers", 0))
        values = {"prog": wanted[0], "vers": wanted[1], "prot": 6 if "proto-tcp" in words else 17, "port": port}
    elif program == MOUNT:
        return program, version, procedure, packets.opaque(b"/export")
    elif verb in ("WRITE", "COMMIT"):
        rest = struct.pack(">QI", 0, 4) + (struct.pack(">I", 0) + packets.opaque("data") if verb == "WRITE" else b"")
        return program, version, procedure, packets.opaque(b"A" * 32) + rest
    elif program == NFS:
        return program, version, procedure, packets.opaque(b"A" * 32) if version == 3 else bytes(32)
    else:
        values = _nlm(verb, version, words, given, name, count)
    found = find(program, version, procedure)
    if found is None:
        raise ValueError(f"version {version} has no {verb}")
    return program, version, procedure, encode(found.args, values)


def _local(verb: str, version: int, words: list[str], given: dict[str, str], name: str) -> tuple[int, dict[str, Any]]:
    """What lockd and statd of one host say to each other, as Linux does: the callback is NLM version 3, procedure 16."""
    priv = bytes(range(16))
    mon_name = given["mon_name"].encode()
    if verb == "NLM_SM_NOTIFY":
        return 4 if "v4" in words else 3, {"mon_name": mon_name, "state": int(given["state"]), "priv": priv}
    me = {"my_name": given.get("my_name", name).encode(), "my_prog": NLM, "my_vers": 3, "my_proc": 16}
    watched = {"mon_name": mon_name, "my_id": me}
    return version, {"mon_id": watched, "priv": priv} if verb == "SM_MON" else watched


def _nlm(verb: str, version: int, words: list[str], given: dict[str, str], name: str, count: int) -> dict[str, Any]:
    if verb == "NLM_FREE_ALL":
        return {"name": given.get("name", name).encode(), "state": int(given.get("state", 0))}
    caller = given.get("caller", name).encode()
    oh = given.get("oh", "1")
    svid = int(given.get("svid", oh if oh.isdigit() else 1))
    owner = f"{svid}@{given.get('owner', name)}".encode() if oh.isdigit() and oh == str(svid) else oh.encode()
    fh = given.get("fh", "A").encode().rjust(32, b".")
    start, _, last = given.get("range", "0-99").partition("-")
    length = 0 if last == "EOF" else int(last) - int(start) + 1
    cookie = bytes.fromhex(given["cookie"]) if "cookie" in given else count.to_bytes(4, "little")
    reclaim = "reclaim" in words
    values: dict[str, Any] = {
        "cookie": cookie,
        "block": int("block" in words),
        "exclusive": int("shared" not in words),
        "alock": {"caller_name": caller, "fh": fh, "oh": owner, "svid": svid, "l_offset": int(start), "l_len": length},
        "reclaim": int(reclaim),
        "state": int(given.get("state", 0 if reclaim else 3)),
    }
    if verb in ("NLM_SHARE", "NLM_UNSHARE"):
        values["share"] = {"caller_name": caller, "fh": fh, "oh": owner, "mode": 3, "access": 3}
    found = find(NLM, version, CALLS[verb][2])
    if found is None:
        raise ValueError(f"version {version} has no {verb}")
    return {name: values[name] for name in found.args.fields}


def status_number(name: str) -> int:
    return {**nlm4_stats.members, **nlm_stats.members}[name]


def cookie_of(sent: Sent) -> bytes:
    """The cookie of a call: the first argument of all NLM procedures but FREE_ALL."""
    found = find(NLM, sent.version, CALLS[sent.verb][2])
    assert found is not None
    size = int.from_bytes(sent.message[28:32], "big")  # of the credential
    values, _ = decode(found.args, sent.message, 32 + size + -size % 4 + 8)
    return bytes(values["cookie"])


def answer(asked: Sent, verb: str, words: list[str], given: dict[str, str]) -> bytes:
    """The reply to a call."""
    if verb in RPC_ERRORS:
        versions = struct.pack(">II", 1, 3) if verb == "PROG_MISMATCH" else b""
        return packets.rpc_reply(asked.xid, versions, accept=RPC_ERRORS[verb])
    results = b""
    if verb == "port":
        results = int(words[0]).to_bytes(4, "big")
    elif verb in STATD:
        results = struct.pack(">ii", *((0, 3) if verb == "STAT_SUCC" else (1, -1)))
    elif verb == "OK" and asked.verb in ("SM_UNMON", "SET"):
        results = (1).to_bytes(4, "big")
    elif verb in STATUSES:
        _, program, procedure = CALLS[asked.verb]
        found = find(program, asked.version, procedure)
        assert found is not None
        stat = status_number(verb)
        said = _holder(stat, given) if procedure == 1 else stat
        values: dict[str, Any] = {"cookie": cookie_of(asked), "stat": said, "sequence": 0}
        results = encode(found.res, {name: values[name] for name in found.res.fields})
    elif asked.verb in ("WRITE", "COMMIT"):
        results = written(asked.verb == "WRITE", int(given.get("error", 0)), given.get("verf", ""), "stable" in words)
    elif asked.service in ("nfs", "mount"):
        results = bytes(88)
    return packets.rpc_reply(asked.xid, results)


def written(write: bool, error: int, verf: str, stable: bool) -> bytes:
    """The result of WRITE or COMMIT (RFC 1813 sections 3.3.7 and 3.3.21), with attributes before and after."""
    attributes = struct.pack(">I24xI84x", 1, 1)
    if error:
        return struct.pack(">I", error) + attributes
    done = struct.pack(">II", 4, 2 if stable else 0) if write else b""
    return struct.pack(">I", 0) + attributes + done + verf.encode().ljust(8, b".")


def _holder(stat: int, given: dict[str, str]) -> dict[str, Any]:
    if stat != 1:
        return {"tag": stat}
    start, _, last = given.get("range", "0-99").partition("-")
    length = int(last) - int(start) + 1
    svid = int(given.get("svid", 1))
    return {"tag": 1, "exclusive": 1, "svid": svid, "oh": b"", "l_offset": int(start), "l_len": length}


def dns_of(given: dict[str, str]) -> bytes:
    """A DNS answer with the addresses of a name, or the name of an address."""
    name = given["name"]
    if "pointer" in given:
        asked = ip_address(given["pointer"]).reverse_pointer
        return packets.dns_answer(7, asked, 12, [(asked, 12, packets.dns_name(name))])
    addresses = [ip_address(a).packed for a in given.get("address", "").split(",") if a]
    kind = 28 if addresses and len(addresses[0]) == 16 else 1
    alias = [(given["alias"], 5, packets.dns_name(name))] if "alias" in given else []
    records = [*alias, *((name, kind, a) for a in addresses)]
    return packets.dns_answer(7, given.get("alias", name), kind, records, code=0 if addresses else 3)
