"""Which field of tshark is which field of the specification. Names alone: no values, no opinions."""

from __future__ import annotations

from nlmdissect.protocols import NLM, NSM, PORTMAP

# tshark -> the name in nlmdissect.protocols. Inside nlm.holder the name gets "holder." before it, in a credential
# "cred.", in a verifier "verf.".
NUMBERS = {
    "rpc.version": "rpcvers",
    "rpc.auth.flavor": "flavor", "rpc.auth.stamp": "stamp", "rpc.auth.uid": "uid", "rpc.auth.gid": "gid",
    "rpc.replystat": "reply_stat", "rpc.state_accept": "accept_stat", "rpc.state_reject": "reject_stat",
    "rpc.state_auth": "auth_stat", "rpc.programversion.min": "low", "rpc.programversion.max": "high",
    "rpc.version.min": "low", "rpc.version.max": "high",
    "rpc.authgss.version": "version", "rpc.authgss.procedure": "gss_proc", "rpc.authgss.seqnum": "seq_num",
    "rpc.authgss.service": "service",
    "nlm.block": "block", "nlm.exclusive": "exclusive", "nlm.reclaim": "reclaim", "nlm.state": "state",
    "nlm.lock.svid": "svid",
    "nlm.lock.l_offset": "l_offset", "nlm.lock.l_offset64": "l_offset",
    "nlm.lock.l_len": "l_len", "nlm.lock.l_len64": "l_len",
    "nlm.stat": "stat", "nlm.test_stat.stat": "stat",
    "nlm.share.mode": "mode", "nlm.share.access": "access", "nlm.sequence": "sequence",
    "stat.state": "state", "stat.stat_res.res": "res_stat", "stat.stat_res.state": "state",
    "stat.my_id.prog": "my_prog", "stat.my_id.vers": "my_vers", "stat.my_id.proc": "my_proc",
    "portmap.prog": "prog", "portmap.version": "vers", "portmap.proto": "prot", "portmap.port": "port",
    "portmap.proc": "proc", "portmap.answer": "result",
    "portmap.rpcb.prog": "prog", "portmap.rpcb.version": "vers",
}  # fmt: skip
TEXTS = {
    "rpc.auth.machinename": "machinename", "rpc.authgss.context": "handle",
    "nlm.cookie": "cookie", "nlm.lock.caller_name": "caller_name", "nfs.fhandle": "fh", "nlm.lock.owner": "oh",
    "nlm.share.name": "name",
    "stat.name": "mon_name", "stat.mon_id.name": "mon_name", "stat.my_id.hostname": "my_name", "stat.priv": "priv",
    "portmap.rpcb.netid": "netid", "portmap.rpcb.addr": "addr", "portmap.rpcb.owner": "owner", "portmap.uaddr": "uaddr",
    "portmap.args": "args", "portmap.result": "results",
}  # fmt: skip
LINKS = {
    "rpc.repframe": "reply_to",  # of a reply: frame of its call
    "rpc.reqframe": "answered_in",  # of a call: frame of its reply
    "rpc.call.dup": "repeats",  # of a call: frame of the first transmission
    "nlm.msg_in": "msg_in",  # of a _RES: frame of the _MSG that it answers
    "nlm.res_in": "res_in",
}
OF_PROGRAM = {NLM: ("nlm.", "nfs."), NSM: ("stat.",), PORTMAP: ("portmap.",)}
ATTRIBUTES = {
    "tcp": ("tcp", "udp"), "program": ("rpc.program",), "version": ("rpc.programversion",),
    "procedure": ("rpc.procedure",), "length": ("rpc.fraglen", "udp.length"), "cred.gids": ("rpc.auth.gid",),
}  # fmt: skip
# Boxes around other fields, framing, and what tshark works out itself.
IGNORED = frozenset({
    "rpc.xid", "rpc.msgtyp", "rpc.program", "rpc.programversion", "rpc.procedure",  # read by name
    "rpc.lastfrag", "rpc.fraglen", "rpc.opaque_length", "rpc.opaque_data", "rpc.fill_bytes", "rpc.auth.length",
    "rpc.value_follows", "rpc.argument_length", "rpc.authgss.context.length", "rpc.authgss.data.length",
    "rpc.time", "rpc.dup", "rpc.reply.dup", "nlm.time",
    "nlm.lock", "nlm.holder", "nlm.share", "nlm.test_stat", "nfs.fh.hash", "nfs.fh.length",
    "stat.mon", "stat.my_id", "stat.stat_chge", "stat.stat_res", "portmap.rpcb", "data.len", "data.data",
    "nlm.procedure_v1", "nlm.procedure_v2", "nlm.procedure_v3", "nlm.procedure_v4", "stat.procedure_v1",
    "portmap.procedure_v1", "portmap.procedure_v2", "portmap.procedure_v3", "portmap.procedure_v4",
})  # fmt: skip
CLOSED = {  # boxes that are not looked into, and what they say of the message
    "rpc.unknown_body": "undecoded", "data": "undecoded", "_ws.expert": "malformed",
    "rpc.fragments": "fragmented", "rpc.fragment_data": "fragmented",
    "rpc.authgss.token": "", "rpc.authgss.checksum": "",
}  # fmt: skip

# Ours: where the table of calls has a column for a leaf. A leaf that is not here is read by the codec alone.
COLUMNS = {
    "cookie": "cookie", "caller_name": "caller_name", "name": "caller_name", "fh": "fh", "oh": "oh", "svid": "svid",
    "l_offset": "offset", "l_len": "length", "block": "block", "exclusive": "exclusive", "reclaim": "reclaim",
    "mode": "mode", "access": "access",
    "mon_name": "mon_name", "my_name": "my_name", "priv": "priv",
    "my_prog": "my_program", "my_vers": "my_version", "my_proc": "my_procedure",
    "prog": "asked_program", "vers": "asked_version", "prot": "asked_protocol", "proc": "asked_procedure",
    "netid": "netid", "addr": "uaddr",
}  # fmt: skip
CALL_COLUMNS = COLUMNS | {"state": "state", "stat": "status", "uaddr": "uaddr", "cred.machinename": "machinename"} | {
    f"holder.{name}": f"holder_{column}"
    for name, column in {
        "exclusive": "exclusive", "svid": "svid", "oh": "oh", "l_offset": "offset", "l_len": "length",
    }.items()
}  # fmt: skip
REPLY_COLUMNS = {
    "stat": "status", "res_stat": "status", "state": "res_state", "sequence": "sequence", "low": "low", "high": "high",
    "port": "port", "uaddr": "uaddr", "addr": "uaddr", "accept_stat": "rpc_status",
} | {name: column for name, column in CALL_COLUMNS.items() if name.startswith("holder.")}  # fmt: skip


def wireshark(program: int, name: str) -> tuple[str, ...]:
    """What tshark calls one of our fields in the messages of a program; several where versions differ."""
    leaf = name.rpartition(".")[2]
    known = [field for field, ours in (NUMBERS | TEXTS | LINKS).items() if ours == leaf]
    of_program = [field for field in known if field.startswith(("rpc.", *OF_PROGRAM.get(program, ())))]
    return ATTRIBUTES.get(name) or tuple(of_program or known)
