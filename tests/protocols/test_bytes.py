"""Messages written by hand from the specifications, word by word: the schemas must read them, and write them again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nlmdissect.protocols import MOUNT, NFS, NLM, NSM, PORTMAP, find
from nlmdissect.protocols.portmap import uaddr_port
from nlmdissect.scapy_layer import layer
from nlmdissect.xdr.codec import decode, encode
from nlmdissect.xdr.columns import OK, decode_columns
from nlmdissect.xdr.schema import Struct

# RFC 1813, appendix II. The offset of each field is at its right: the columns are held to it below.
NLM4_LOCK = """
    00000004 34120000                           @0  cookie: 4 bytes
    00000001                                    @8  block
    00000001                                   @12  exclusive
    00000007 636c69656e7431 00                 @16  caller_name "client1", one zero of padding
    00000005 01000700ab 000000                 @28  fh: 5 bytes, three of padding
    0000000a 323040636c69656e7431 0000         @40  oh "20@client1"
    00000014                                   @56  svid
    00000001 00000000                          @60  l_offset: 4 GiB
    00000000 00000000                          @68  l_len: to the end of the file
    00000000                                   @76  reclaim
    00000003                                   @80  state
"""
NLM4_ALOCK = {
    "caller_name": b"client1", "fh": b"\1\0\7\0\xab", "oh": b"20@client1", "svid": 20, "l_offset": 2**32, "l_len": 0,
}  # fmt: skip
ALOCK3 = """
    00000001 63000000 00000000 00000001 6f000000     caller_name "c", fh empty, oh "o"
    fffffffe 80000000 ffffffff                       svid -2, l_offset 2 GiB, l_len 4 GiB - 1
"""
NLM3_ALOCK = {
    "caller_name": b"c", "fh": b"", "oh": b"o", "svid": 2**32 - 2, "l_offset": 2**31, "l_len": 2**32 - 1,
}  # fmt: skip
COOKIE = "00000001 ff000000     cookie"
RPCB = """
    000186b8 00000001          NSM, version 1
    00000003 75647000          netid "udp"
    00000000 00000000          addr and owner empty
"""
NSM_RPCB = {"prog": 100024, "vers": 1, "netid": b"udp", "addr": b"", "owner": b""}

# RFC 1813, 2.6: fattr3 is 84 bytes; RFC 1094, 2.3.5: fattr is 68.
FATTR3 = """
    00000001 000001a4 00000002 00000003 00000004             NF3REG, mode 0644, nlink, uid, gid
    00000000 00000005 00000000 00000006                      size, used
    00000007 00000008                                        rdev
    00000000 00000009 00000000 0000000a                      fsid, fileid
    0000000b 0000000c 0000000d 0000000e 0000000f 00000010    atime, mtime, ctime
"""
TIMES3 = [{"seconds": n, "nseconds": n + 1} for n in (11, 13, 15)]
FATTR3_VALUE = {
    "type": 1, "mode": 0o644, "nlink": 2, "uid": 3, "gid": 4, "size": 5, "used": 6,
    "rdev": {"specdata1": 7, "specdata2": 8}, "fsid": 9, "fileid": 10,
    "atime": TIMES3[0], "mtime": TIMES3[1], "ctime": TIMES3[2],
}  # fmt: skip
FATTR2 = """
    00000002 000041ed 00000002 00000003 00000004 00000005    NFDIR, mode, nlink, uid, gid, size
    00000006 00000007 00000008 00000009 0000000a             blocksize, rdev, blocks, fsid, fileid
    0000000b 0000000c 0000000d 0000000e 0000000f 00000010    atime, mtime, ctime
"""
TIMES2 = [{"seconds": n, "useconds": n + 1} for n in (11, 13, 15)]
FATTR2_VALUE = {
    "type": 2, "mode": 0x41ED, "nlink": 2, "uid": 3, "gid": 4, "size": 5, "blocksize": 6, "rdev": 7, "blocks": 8,
    "fsid": 9, "fileid": 10, "atime": TIMES2[0], "mtime": TIMES2[1], "ctime": TIMES2[2],
}  # fmt: skip
FH2 = "ab" * 32
DIROP3 = "00000001 64000000 00000001 6e000000     dir, name"
DIROP3_VALUE = {"dir": b"d", "name": b"n"}
NO_WCC = {"before": {"tag": 0}, "after": {"tag": 0}}
NO_ATTRIBUTES3 = "00000000" * 6
NO_SATTR3 = {name: {"tag": 0} for name in ("mode", "uid", "gid", "size", "atime", "mtime")}

MESSAGES: list[tuple[int, int, int, str, str, dict[str, Any]]] = [
    (NLM, 4, 2, "args", NLM4_LOCK,
     {"cookie": b"\x34\x12\0\0", "block": 1, "exclusive": 1, "alock": NLM4_ALOCK, "reclaim": 0, "state": 3}),
    (NLM, 3, 2, "args", COOKIE + "\n 00000000 00000001" + ALOCK3 + "00000001 fffffffd",
     {"cookie": b"\xff", "block": 0, "exclusive": 1, "alock": NLM3_ALOCK, "reclaim": 1, "state": -3}),
    (NLM, 1, 3, "args", COOKIE + "\n 00000001 00000000" + ALOCK3,
     {"cookie": b"\xff", "block": 1, "exclusive": 0, "alock": NLM3_ALOCK}),
    # neither block nor exclusive
    (NLM, 3, 4, "args", COOKIE + ALOCK3, {"cookie": b"\xff", "alock": NLM3_ALOCK}),
    # GRANTED and GRANTED_MSG carry testargs
    (NLM, 3, 5, "args", COOKIE + "\n 00000001" + ALOCK3, {"cookie": b"\xff", "exclusive": 1, "alock": NLM3_ALOCK}),
    (NLM, 3, 10, "args", COOKIE + "\n 00000001" + ALOCK3, {"cookie": b"\xff", "exclusive": 1, "alock": NLM3_ALOCK}),
    (NLM, 4, 2, "res", COOKIE + "\n 00000009", {"cookie": b"\xff", "stat": 9}),
    # TEST_RES: DENIED is followed by the holder, everything else by nothing
    (NLM, 3, 11, "args", """
        00000002 abcd0000 00000001              cookie, LCK_DENIED
        00000001 0000ffff 00000001 6f000000     exclusive, svid, oh "o"
        0000000a 00000005                       l_offset, l_len: 4 bytes each
     """, {"cookie": b"\xab\xcd", "stat": {
        "tag": 1, "exclusive": 1, "svid": 65535, "oh": b"o", "l_offset": 10, "l_len": 5}}),
    (NLM, 4, 1, "res", """
        00000000 00000001                       empty cookie, NLM4_DENIED
        00000000 00000001 00000000              shared, svid, empty oh
        00000000 0000000a 00000000 00000005     l_offset, l_len: 8 bytes each
     """, {"cookie": b"", "stat": {"tag": 1, "exclusive": 0, "svid": 1, "oh": b"", "l_offset": 10, "l_len": 5}}),
    (NLM, 4, 11, "args", COOKIE + "\n 00000000", {"cookie": b"\xff", "stat": {"tag": 0}}),
    (NLM, 4, 20, "args", COOKIE + """
        00000001 63000000 00000001 66000000 00000001 6f000000     caller_name "c", fh "f", oh "o"
        00000003 00000002 00000001                                deny all, write, reclaim
     """, {"cookie": b"\xff", "reclaim": 1,
           "share": {"caller_name": b"c", "fh": b"f", "oh": b"o", "mode": 3, "access": 2}}),
    (NLM, 3, 21, "res", COOKIE + "\n 00000004 00000000", {"cookie": b"\xff", "stat": 4, "sequence": 0}),
    (NLM, 4, 23, "args", "00000002 63310000 00000000", {"name": b"c1", "state": 0}),
    (NLM, 3, 16, "args", "00000001 73000000 00000005 0102030405060708090a0b0c0d0e0f10",
     {"mon_name": b"s", "state": 5, "priv": bytes(range(1, 17))}),
    (NSM, 1, 6, "args", "0000000a 6e66732d736572766572 0000 00000005", {"mon_name": b"nfs-server", "state": 5}),
    (NSM, 1, 2, "args", """
        00000001 73000000                                   whom to watch
        00000001 63000000 000186b5 00000003 00000010        whom to tell: NLM 3, procedure 16
        00112233445566778899aabbccddeeff                    priv
     """, {"mon_id": {"mon_name": b"s", "my_id": {"my_name": b"c", "my_prog": 100021, "my_vers": 3, "my_proc": 16}},
           "priv": bytes.fromhex("00112233445566778899aabbccddeeff")}),
    (NSM, 1, 2, "res", "00000001 ffffffff", {"res_stat": 1, "state": -1}),
    (NSM, 1, 3, "res", "00000003", {"state": 3}),
    (NSM, 1, 4, "args", "00000001 63000000 000186b5 00000003 00000010",
     {"my_name": b"c", "my_prog": 100021, "my_vers": 3, "my_proc": 16}),
    (PORTMAP, 2, 3, "args", "000186b5 00000004 00000011 00000000", {"prog": 100021, "vers": 4, "prot": 17, "port": 0}),
    (PORTMAP, 2, 3, "res", "00000fcd", {"port": 4045}),
    (PORTMAP, 2, 4, "res", """
        00000001 000186a0 00000002 00000006 0000006f
        00000001 000186b5 00000004 00000011 00000fcd
        00000000
     """, {"entries": [{"prog": 100000, "vers": 2, "prot": 6, "port": 111},
                       {"prog": 100021, "vers": 4, "prot": 17, "port": 4045}]}),
    (PORTMAP, 2, 5, "args", "000186b5 00000004 00000000 00000000",
     {"prog": 100021, "vers": 4, "proc": 0, "args": b""}),
    (PORTMAP, 2, 5, "res", "00000fcd 00000004 00000001", {"port": 4045, "res": b"\0\0\0\1"}),
    (PORTMAP, 3, 3, "args", RPCB, NSM_RPCB),
    (PORTMAP, 4, 9, "args", RPCB, NSM_RPCB),
    (PORTMAP, 4, 3, "res", "0000000e 31302e302e302e312e332e313937 0000", {"uaddr": b"10.0.0.1.3.197"}),
    (PORTMAP, 3, 4, "res", "00000001" + RPCB + "00000000", {"entries": [NSM_RPCB]}),
    (PORTMAP, 3, 5, "res", "00000001 61000000 00000000", {"addr": b"a", "results": b""}),
    (PORTMAP, 4, 6, "res", "68000000", {"time": 0x68000000}),
    (PORTMAP, 3, 7, "res", "00000010 00000002 02000000", {"maxlen": 16, "buf": b"\2\0"}),
    (PORTMAP, 4, 11, "res", """
        00000001 00000001 61000000 00000003 74637000        maddr "a", netid "tcp"
        00000003 00000004 696e6574 00000003 74637000        semantics, protofmly "inet", proto "tcp"
        00000000
     """, {"entries": [{"maddr": b"a", "nc_netid": b"tcp", "nc_semantics": 3, "nc_protofmly": b"inet",
                        "nc_proto": b"tcp"}]}),
    (MOUNT, 1, 1, "args", "00000004 2f646174", {"dirpath": b"/dat"}),
    (MOUNT, 1, 1, "res", "00000000" + FH2, {"status": {"tag": 0, "directory": b"\xab" * 32}}),
    (MOUNT, 1, 1, "res", "0000000d", {"status": {"tag": 13}}),
    (MOUNT, 3, 1, "res", """
        00000000 00000003 01020300                          OK, handle
        00000002 00000001 0005f4ff                          flavors: AUTH_SYS, 390399
     """, {"fhs_status": {"tag": 0, "fhandle": b"\1\2\3", "auth_flavors": [1, 390399]}}),
    (MOUNT, 3, 1, "res", "00002716", {"fhs_status": {"tag": 10006}}),
    (NFS, 2, 1, "res", "00000000" + FATTR2, {"status": {"tag": 0, "attributes": FATTR2_VALUE}}),
    (NFS, 2, 4, "args", FH2 + "00000001 6e000000", {"dir": b"\xab" * 32, "name": b"n"}),
    (NFS, 2, 4, "res", "00000000" + FH2 + FATTR2,
     {"status": {"tag": 0, "file": b"\xab" * 32, "attributes": FATTR2_VALUE}}),
    (NFS, 2, 4, "res", "00000002", {"status": {"tag": 2}}),
    (NFS, 2, 11, "args", FH2 + "00000001 61000000\n" + FH2 + "00000001 62000000",
     {"from_": {"dir": b"\xab" * 32, "name": b"a"}, "to": {"dir": b"\xab" * 32, "name": b"b"}}),
    (NFS, 2, 12, "args", FH2 + FH2 + "00000001 62000000",
     {"from_": b"\xab" * 32, "to": {"dir": b"\xab" * 32, "name": b"b"}}),
    (NFS, 3, 1, "res", "00000000" + FATTR3, {"status": {"tag": 0, "obj_attributes": FATTR3_VALUE}}),
    (NFS, 3, 3, "args", DIROP3, {"what": DIROP3_VALUE}),
    (NFS, 3, 3, "res", "00000000 00000001 66000000 00000001" + FATTR3 + "00000000", {"status": {
        "tag": 0, "object": b"f", "obj_attributes": {"tag": 1, **FATTR3_VALUE}, "dir_attributes": {"tag": 0}}}),
    (NFS, 3, 3, "res", "00000002 00000000", {"status": {"tag": 2, "dir_attributes": {"tag": 0}}}),
    # CREATE: EXCLUSIVE has a verifier, the others attributes; a handle may or may not follow
    (NFS, 3, 8, "args", DIROP3 + "\n 00000002 0102030405060708",
     {"where": DIROP3_VALUE, "how": {"tag": 2, "verf": bytes(range(1, 9))}}),
    (NFS, 3, 8, "args", DIROP3 + """
        00000001 00000001 000001a4 00000000 00000000        GUARDED, mode 0644, no uid, no gid
        00000001 00000000 00000000 00000000 00000001        size 0, no atime, mtime of the server
     """, {"where": DIROP3_VALUE, "how": {"tag": 1, "obj_attributes": {
        "mode": {"tag": 1, "to": 0o644}, "uid": {"tag": 0}, "gid": {"tag": 0}, "size": {"tag": 1, "to": 0},
        "atime": {"tag": 0}, "mtime": {"tag": 1}}}}),
    (NFS, 3, 8, "res", "00000000 00000001 00000001 66000000 00000000 00000000 00000000", {"status": {
        "tag": 0, "obj": {"tag": 1, "handle": b"f"}, "obj_attributes": {"tag": 0}, "dir_wcc": NO_WCC}}),
    (NFS, 3, 9, "args", DIROP3 + "\n" + NO_ATTRIBUTES3, {"where": DIROP3_VALUE, "attributes": NO_SATTR3}),
    (NFS, 3, 10, "args", DIROP3 + "\n" + NO_ATTRIBUTES3 + "00000001 74000000",
     {"where": DIROP3_VALUE, "symlink_attributes": NO_SATTR3, "symlink_data": b"t"}),
    (NFS, 3, 11, "args", DIROP3 + "\n 00000004" + NO_ATTRIBUTES3 + "00000008 00000001",
     {"where": DIROP3_VALUE,
      "what": {"tag": 4, "dev_attributes": NO_SATTR3, "spec": {"specdata1": 8, "specdata2": 1}}}),
    (NFS, 3, 12, "res", "00000000 00000001 00000000 00000005" + "00000000" * 4 + "00000000", {"status": {
        "tag": 0, "dir_wcc": {"before": {
            "tag": 1, "size": 5, "mtime": {"seconds": 0, "nseconds": 0}, "ctime": {"seconds": 0, "nseconds": 0}},
            "after": {"tag": 0}}}}),
    (NFS, 3, 14, "args", DIROP3 + "\n" + DIROP3, {"from_": DIROP3_VALUE, "to": DIROP3_VALUE}),
    (NFS, 3, 14, "res", "0000000d" + "00000000" * 4,
     {"status": {"tag": 13, "fromdir_wcc": NO_WCC, "todir_wcc": NO_WCC}}),
    (NFS, 3, 15, "args", "00000001 66000000\n" + DIROP3, {"file": b"f", "link": DIROP3_VALUE}),
    (NFS, 3, 15, "res", "00000000" + "00000000" * 3,
     {"status": {"tag": 0, "file_attributes": {"tag": 0}, "linkdir_wcc": NO_WCC}}),
    (NFS, 3, 17, "args", "00000001 64000000 00000000 00000007 0102030405060708 00000200 00001000",
     {"dir": b"d", "cookie": 7, "cookieverf": bytes(range(1, 9)), "dircount": 512, "maxcount": 4096}),
    (NFS, 3, 17, "res", """
        00000000 00000000 0102030405060708                                        OK, no attributes, verifier
        00000001 00000000 00000009 00000001 61000000 00000000 00000001            fileid 9, "a", cookie 1
        00000000 00000001 00000001 66000000                                       no attributes, handle "f"
        00000001 00000000 0000000a 00000001 62000000 00000000 00000002            fileid 10, "b", cookie 2
        00000000 00000000                                                         neither
        00000000 00000001                                                         no more entries, eof
     """, {"status": {"tag": 0, "dir_attributes": {"tag": 0}, "cookieverf": bytes(range(1, 9)), "entries": [
        {"fileid": 9, "name": b"a", "cookie": 1, "name_attributes": {"tag": 0},
         "name_handle": {"tag": 1, "handle": b"f"}},
        {"fileid": 10, "name": b"b", "cookie": 2, "name_attributes": {"tag": 0}, "name_handle": {"tag": 0}},
     ], "eof": 1}}),
]  # fmt: skip


def wire(text: str) -> bytes:
    """The bytes of a listing: groups of hex digits at the beginning of each line, then words for the reader."""
    data = b""
    for line in text.splitlines():
        for group in line.split():
            if len(group) % 2 or set(group) - set("0123456789abcdef"):
                break
            data += bytes.fromhex(group)
    return data


def schema(program: int, version: int, procedure: int, side: str) -> Struct:
    found = find(program, version, procedure)
    assert found is not None
    return found.args if side == "args" else found.res


@pytest.mark.parametrize(("program", "version", "procedure", "side", "text", "value"), MESSAGES)
def test_message(program: int, version: int, procedure: int, side: str, text: str, value: dict[str, Any]) -> None:
    t, data = schema(program, version, procedure, side), wire(text)
    assert decode(t, data) == (value, len(data))
    assert encode(t, value) == data
    assert bytes(layer(t)(data)) == data
    columns = decode_columns(t, np.frombuffer(data, np.uint8), np.array([0]), np.array([len(data)]))
    assert columns.bad.tolist() == [OK]
    assert columns.at.tolist() == [len(data)]


def test_where_the_fields_of_a_lock_are() -> None:
    data = wire(NLM4_LOCK)
    assert len(data) == 84
    columns = decode_columns(schema(NLM, 4, 2, "args"), np.frombuffer(data, np.uint8), np.array([0]), np.array([84]))
    assert {path: int(column[0]) for path, column in columns.fields.items()} == {
        "cookie.at": 4, "cookie.len": 4,
        "block": 1,
        "exclusive": 1,
        "alock.caller_name.at": 20, "alock.caller_name.len": 7,
        "alock.fh.at": 32, "alock.fh.len": 5,
        "alock.oh.at": 44, "alock.oh.len": 10,
        "alock.svid": 20,
        "alock.l_offset": 2**32,
        "alock.l_len": 0,
        "reclaim": 0,
        "state": 3,
    }  # fmt: skip


def test_statistics_of_rpcbind_are_three_blocks_of_fifteen_counters_and_two_lists() -> None:
    counters = b"".join(number.to_bytes(4, "big") for number in range(15))
    lists = wire("00000001 000186b5 00000004 00000007 00000001 00000003 75647000 00000000") + wire(
        "00000001 000186b5 00000004 00000000 00000002 00000003 00000001 00000000 00000000"
    )
    data = counters + lists + bytes(17 * 4) * 2
    value, end = decode(schema(PORTMAP, 4, 12, "res"), data)
    assert end == len(data)
    assert list(value["v2"]["info"].values()) == list(range(13))
    assert (value["v2"]["setinfo"], value["v2"]["unsetinfo"]) == (13, 14)
    assert value["v2"]["addrinfo"] == [{"prog": 100021, "vers": 4, "success": 7, "failure": 1, "netid": b"udp"}]
    assert value["v2"]["rmtinfo"] == [
        {"prog": 100021, "vers": 4, "proc": 0, "success": 2, "failure": 3, "indirect": 1, "netid": b""}
    ]
    assert value["v4"]["addrinfo"] == []


@pytest.mark.parametrize("version", [3, 4])
def test_the_state_of_free_all_is_four_bytes_and_eight_do_no_harm(version: int) -> None:
    data = bytes.fromhex("00000002 63310000 00000000 00000007")
    value, end = decode(schema(NLM, version, 23, "args"), data)
    assert (value, end) == ({"name": b"c1", "state": 0}, 12)


@pytest.mark.parametrize(
    ("uaddr", "port"),
    [
        (b"10.0.0.1.3.197", 965),
        (b"::.0.111", 111),
        (b"fe80::1%eth0.255.255", 65535),
        (b"", 0),
        (b"/run/rpcbind.sock", -1),
        (b"10.0.0.1.3.256", -1),
        (b"10.0.0.1.3.-1", -1),
        (b"3.197", -1),
        (b"a.b.\xb2.\xb3", -1),
        (b"1.2.3.4." + b"9" * 5000 + b".1", -1),
    ],
)
def test_port_of_a_universal_address(uaddr: bytes, port: int) -> None:
    assert uaddr_port(uaddr) == port
