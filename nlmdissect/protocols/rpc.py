"""ONC RPC version 2: the headers of calls and replies, and the credentials (RFC 5531, RFC 2203)."""

from __future__ import annotations

from nlmdissect.xdr.schema import UNLIMITED, Array, Enum, FixedOpaque, Opaque, String, Struct, UInt, Union, Void

RPC_VERSION = 2
MAX_AUTH_BYTES = 400

# fmt: off
msg_type = Enum("msg_type", {
    "CALL":                      0,
    "REPLY":                     1,
})
reply_stat = Enum("reply_stat", {
    "MSG_ACCEPTED":              0,
    "MSG_DENIED":                1,
})
accept_stat = Enum("accept_stat", {
    "SUCCESS":                   0,     # the results follow
    "PROG_UNAVAIL":              1,
    "PROG_MISMATCH":             2,
    "PROC_UNAVAIL":              3,
    "GARBAGE_ARGS":              4,
    "SYSTEM_ERR":                5,
})
reject_stat = Enum("reject_stat", {
    "RPC_MISMATCH":              0,
    "AUTH_ERROR":                1,
})
auth_stat = Enum("auth_stat", {
    "AUTH_OK":                   0,
    "AUTH_BADCRED":              1,
    "AUTH_REJECTEDCRED":         2,
    "AUTH_BADVERF":              3,
    "AUTH_REJECTEDVERF":         4,
    "AUTH_TOOWEAK":              5,
    "AUTH_INVALIDRESP":          6,
    "AUTH_FAILED":               7,
    "AUTH_KERB_GENERIC":         8,
    "AUTH_TIMEEXPIRE":           9,
    "AUTH_TKT_FILE":            10,
    "AUTH_DECODE":              11,
    "AUTH_NET_ADDR":            12,
    "RPCSEC_GSS_CREDPROBLEM":   13,
    "RPCSEC_GSS_CTXPROBLEM":    14,
})
auth_flavor = Enum("auth_flavor", {
    "AUTH_NONE":                 0,
    "AUTH_SYS":                  1,
    "AUTH_SHORT":                2,
    "AUTH_DH":                   3,
    "RPCSEC_GSS":                6,
})

# The headers. A reply names neither program nor procedure: only its call knows what the results are.

opaque_auth = Struct("opaque_auth",
    flavor      = auth_flavor,
    body        = Opaque(MAX_AUTH_BYTES),
)
prefix = Struct("prefix",               # what calls and replies have in common
    xid         = UInt,
    mtype       = msg_type,
)
call = Struct("call",
    xid         = UInt,
    mtype       = msg_type,
    rpcvers     = UInt,                 # 2
    prog        = UInt,
    vers        = UInt,
    proc        = UInt,
    cred        = opaque_auth,
    verf        = opaque_auth,
)                                       # the arguments follow
mismatch_info = Struct("mismatch_info",
    low         = UInt,
    high        = UInt,
)
auth_error = Struct("auth_error",
    auth_stat   = auth_stat,
)
accepted_reply = Struct("accepted_reply",
    verf        = opaque_auth,
    accept_stat = Union("accept_stat", accept_stat, {"PROG_MISMATCH": mismatch_info}, Void),
)
rejected_reply = Struct("rejected_reply",
    reject_stat = Union("reject_stat", reject_stat, {"RPC_MISMATCH": mismatch_info, "AUTH_ERROR": auth_error}, Void),
)
reply = Struct("reply",
    xid         = UInt,
    mtype       = msg_type,
    reply_stat  = Union("reply_stat", reply_stat, {"MSG_ACCEPTED": accepted_reply, "MSG_DENIED": rejected_reply}, Void),
)

# The bodies of credentials. AUTH_NONE has none, and AUTH_SHORT's is whatever the server chose: all bytes, no structure.

authsys_parms = Struct("authsys_parms",
    stamp       = UInt,
    machinename = String(255),          # a second source for the client's name, besides caller_name
    uid         = UInt,
    gid         = UInt,
    gids        = Array(UInt, 16),
)
authdh_namekind = Enum("authdh_namekind", {
    "ADN_FULLNAME":              0,
    "ADN_NICKNAME":              1,
})
authdh_fullname = Struct("authdh_fullname",
    name        = String(255),
    key         = FixedOpaque(8),
    window      = FixedOpaque(4),
)
authdh_nickname = Struct("authdh_nickname",
    nickname    = UInt,
)
authdh_cred = Struct("authdh_cred",
    namekind    = Union("namekind", authdh_namekind, {
        "ADN_FULLNAME": authdh_fullname,
        "ADN_NICKNAME": authdh_nickname,
    }, Void),
)
rpc_gss_proc = Enum("rpc_gss_proc", {
    "RPCSEC_GSS_DATA":           0,
    "RPCSEC_GSS_INIT":           1,     # the context is being made: the body is a token, whatever the procedure
    "RPCSEC_GSS_CONTINUE_INIT":  2,
    "RPCSEC_GSS_DESTROY":        3,
})
rpc_gss_service = Enum("rpc_gss_service", {
    "rpc_gss_svc_none":          1,     # the body is in clear
    "rpc_gss_svc_integrity":     2,     # in clear, behind a length and a sequence number, before a checksum
    "rpc_gss_svc_privacy":       3,     # encrypted
})
rpc_gss_cred = Struct("rpc_gss_cred",
    version     = UInt,                 # 1
    gss_proc    = rpc_gss_proc,
    seq_num     = UInt,
    service     = rpc_gss_service,
    handle      = Opaque(UNLIMITED),
)
rpc_gss_integ = Struct("rpc_gss_integ", # the first two words of an integrity body; arguments or results follow
    length      = UInt,                 # of seq_num and the arguments or results together; then comes a checksum
    seq_num     = UInt,
)
# fmt: on

CREDENTIALS = {1: authsys_parms, 3: authdh_cred, 6: rpc_gss_cred}  # by flavor
