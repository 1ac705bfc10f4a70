"""RPC headers, word by word from RFC 5531 and RFC 2203."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.xdr_values import values

from nlmdissect.protocols import rpc
from nlmdissect.rpc.headers import Bad, Headers, read_headers, unwrap_replies
from nlmdissect.xdr.codec import TRUNCATED, XdrError, decode, encode

NO_AUTH = "00000000 00000000"
CALL = "0000002a 00000000 00000002 000186b5 00000004 00000002"  # xid 42, call, RPC 2, NLM 4 LOCK
# stamp, machinename "client-a", uid 1000, gid 100, one more group
SYS = "00000001 00000020  12345678 00000008 636c69656e742d61 000003e8 00000064 00000001 0000000a"
GSS = "00000006 00000018  00000001 {proc:08x} 00000009 {service:08x} 00000004 68616e64"  # sequence number 9
GSS_VERF = "00000006 00000004 5e5e5e5e"
ACCEPTED = "0000002a 00000001 00000000"
DENIED = "0000002a 00000001 00000001"
WRAPPED = "0000000c 00000009 0000000000000003 00000004 c4ec5041"  # length 12, sequence number 9, "args", checksum


def read(*messages: str | bytes) -> Headers:
    arena, at, end = layout(*messages)
    return read_headers(arena, at, end)


def layout(*messages: str | bytes) -> tuple[Any, Any, Any]:
    data = [bytes.fromhex(message) if isinstance(message, str) else message for message in messages]
    end = np.cumsum([len(message) for message in data])
    return np.frombuffer(b"".join(data), np.uint8), end - [len(message) for message in data], end


def row(headers: Headers, number: int = 0) -> dict[str, int]:
    """The fields of one row that are there."""
    values = {name: getattr(headers, name)[number].item() for name in Headers.__dataclass_fields__}
    return {name: value for name, value in values.items() if value not in (-1, False) and name != "machinename_len"}


def test_a_call_with_auth_sys() -> None:
    headers = read(CALL + SYS + NO_AUTH + "aabbccdd")
    # 24 bytes to the credential, 8 of flavor and length, 32 of its body, 8 of the verifier
    assert row(headers) == {
        "xid": 42, "program": 100021, "version": 4, "procedure": 2, "flavor": 1, "machinename_at": 40,
        "uid": 1000, "gid": 100, "body": 72, "body_end": 76,
    }  # fmt: skip
    assert headers.kind.tolist() == [0]
    assert headers.machinename_len.tolist() == [8]


def test_a_call_without_credentials() -> None:
    headers = read(CALL + NO_AUTH + NO_AUTH)
    assert row(headers) == {"xid": 42, "program": 100021, "version": 4, "procedure": 2, "body": 40, "body_end": 40}
    assert headers.flavor.tolist() == [0]


@pytest.mark.parametrize("credential", ["00000002 00000004 deadbeef", "00000003 00000008 00000001 00000007"])
def test_the_body_is_found_behind_any_credential(credential: str) -> None:
    headers = read(CALL + credential + NO_AUTH + "aabbccdd")
    assert headers.bad.tolist() == [Bad.OK]
    assert headers.body_end[0] - headers.body[0] == 4
    assert headers.uid.tolist() == [-1]


def test_a_credential_that_lies_does_not_hide_the_body() -> None:
    # AUTH_SYS whose machinename is longer than the credential
    headers = read(CALL + "00000001 00000008 00000000 000000ff" + NO_AUTH + "aabbccdd")
    assert headers.bad.tolist() == [Bad.CREDENTIAL]
    assert headers.machinename_at.tolist() == [-1]
    assert (headers.body.tolist(), headers.body_end.tolist()) == ([48], [52])


def test_too_many_groups_still_leave_name_and_uid() -> None:
    groups = "00000011" + "00000001" * 17
    headers = read(CALL + "00000001 0000005c 00000000 00000001 63000000 00000005 00000006" + groups + NO_AUTH)
    assert headers.bad.tolist() == [Bad.CREDENTIAL]
    assert (headers.uid.tolist(), headers.gid.tolist(), headers.machinename_len.tolist()) == ([5], [6], [1])


def test_another_rpc_version_is_kept_and_not_read_further() -> None:
    headers = read("0000002a 00000000 00000003 000186b5 00000004 00000002" + NO_AUTH * 2)
    assert (headers.kind[0], headers.program[0], headers.bad[0], headers.body[0]) == (0, 100021, Bad.RPC_VERSION, -1)


def test_what_is_not_rpc() -> None:
    headers = read("0000002a 00000002 00000002", "0000002a", "", "0000002a 80000000")
    assert headers.kind.tolist() == [-1] * 4
    assert headers.xid.tolist() == [42, 42, -1, 42]
    assert headers.bad.tolist() == [Bad.NOT_RPC, Bad.TRUNCATED, Bad.TRUNCATED, Bad.NOT_RPC]


@pytest.mark.parametrize(
    ("reply", "fields"),
    [
        (ACCEPTED + NO_AUTH + "00000000 aabbccdd", {"flavor": 0, "accept_stat": 0, "body": 24, "body_end": 28}),
        (ACCEPTED + NO_AUTH + "00000001", {"flavor": 0, "accept_stat": 1}),
        (ACCEPTED + NO_AUTH + "00000002 00000001 00000004", {"flavor": 0, "accept_stat": 2, "low": 1, "high": 4}),
        (ACCEPTED + NO_AUTH + "00000003", {"flavor": 0, "accept_stat": 3}),
        (ACCEPTED + NO_AUTH + "00000004", {"flavor": 0, "accept_stat": 4}),
        (ACCEPTED + NO_AUTH + "00000005", {"flavor": 0, "accept_stat": 5}),
        (ACCEPTED + NO_AUTH + "00000006", {"flavor": 0, "accept_stat": 6, "bad": Bad.REPLY_STATUS}),
        (DENIED + "00000000 00000002 00000002", {"reject_stat": 0, "low": 2, "high": 2}),
        (DENIED + "00000001 0000000e", {"reject_stat": 1, "auth_stat": 14}),
        (DENIED + "00000002", {"reject_stat": 2, "bad": Bad.REPLY_STATUS}),
        ("0000002a 00000001 00000002", {"reply_stat": 2, "bad": Bad.REPLY_STATUS}),
        (ACCEPTED + NO_AUTH + "00000002 00000001", {"flavor": 0, "accept_stat": 2, "low": 1, "bad": Bad.TRUNCATED}),
        (ACCEPTED + "00000000 00000191" + "00" * 404, {"flavor": 0, "bad": Bad.OVERSIZE}),
    ],
)
def test_replies(reply: str, fields: dict[str, int]) -> None:
    headers = read("ffffffff", reply)  # something before it, so that offsets are not those of the message
    fields = {name: value + 4 if name.startswith("body") else value for name, value in fields.items()}
    defaults = dict.fromkeys(("flavor", "accept_stat", "reject_stat", "auth_stat", "low", "high", "body"), -1)
    assert (headers.xid[1], headers.kind[1], headers.program[1]) == (42, 1, -1)
    for name, value in {**defaults, "bad": Bad.OK, **fields}.items():
        assert getattr(headers, name)[1] == value, name


def test_gss_calls() -> None:
    data, init = GSS.format(proc=0, service=0), GSS.format(proc=1, service=1)
    clear, integrity, privacy = (GSS.format(proc=0, service=service) for service in (1, 2, 3))
    calls = [CALL + credential + GSS_VERF + WRAPPED for credential in (clear, integrity, privacy, init, data)]
    headers = read(*calls)
    size = len(bytes.fromhex(calls[0]))
    start = size - len(bytes.fromhex(WRAPPED))
    assert headers.gss.tolist() == [True] * 5
    assert headers.service.tolist() == [1, 2, 3, -1, 0]
    assert headers.encrypted.tolist() == [False, False, True, False, False]
    assert headers.bad.tolist() == [Bad.OK] * 4 + [Bad.CREDENTIAL]  # there is no service 0
    assert headers.body.tolist() == [start, size + start + 8, -1, -1, -1]
    # integrity: the arguments end before the checksum
    assert headers.body_end.tolist()[:2] == [size, size + start + 4 + 12]


@pytest.mark.parametrize(
    ("wrapped", "body", "body_end", "bad"),
    [
        ("0000000c 00000009 00000000", 8, 12, Bad.OK),  # cut by the snap length: the first words are still there
        ("0000000c 000000", -1, None, Bad.TRUNCATED),
        ("", -1, None, Bad.TRUNCATED),
        ("00000003 00000009 00000000", -1, None, Bad.TRUNCATED),  # too short for its own sequence number
        ("00000004 00000009 00000000", 8, 8, Bad.OK),  # no arguments
        ("ffffffff 00000009 00000000", 8, 12, Bad.OK),
    ],
)
def test_integrity_that_is_cut_or_lies(wrapped: str, body: int, body_end: int | None, bad: Bad) -> None:
    head = CALL + GSS.format(proc=0, service=2) + GSS_VERF
    start = len(bytes.fromhex(head))
    headers = read(head + wrapped)
    assert headers.bad.tolist() == [bad]
    assert headers.body.tolist() == [body if body < 0 else start + body]
    if body_end is not None:
        assert headers.body_end.tolist() == [start + body_end]


def test_a_reply_to_a_gss_call_is_wrapped_as_its_call_was() -> None:
    reply = ACCEPTED + GSS_VERF + "00000000" + WRAPPED
    plain = ACCEPTED + NO_AUTH + "00000000"
    arena, at, end = layout(reply, reply, reply, reply, plain)
    size, start = len(bytes.fromhex(reply)), len(bytes.fromhex(reply)) - len(bytes.fromhex(WRAPPED))
    headers = read_headers(arena, at, end)
    assert headers.body.tolist() == [-1, -1, -1, -1, 4 * size + 24]
    assert headers.wrapped.tolist() == [start, size + start, 2 * size + start, 3 * size + start, -1]
    known = unwrap_replies(headers, arena, np.array([1, 2, 3, -1, -1]))
    assert known.body.tolist() == [start, size + start + 8, -1, -1, 4 * size + 24]
    assert known.body_end.tolist()[1] == size + start + 16
    assert known.encrypted.tolist() == [False, False, True, False, False]
    assert headers.body.tolist()[0] == -1  # the headers that were given are not changed


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_truncation_is_said_and_nothing_before_it_is_lost(data: st.DataObject) -> None:
    t, kind = data.draw(st.sampled_from([(rpc.call, 0), (rpc.reply, 1)]))
    value = data.draw(values(t)) | {"mtype": kind} | ({"rpcvers": 2} if kind == 0 else {})
    raw = encode(t, value)
    cuts = [raw[:size] for size in range(len(raw) + 1)]
    headers = read(*cuts)
    for number, cut in enumerate(cuts):
        try:
            decode(t, cut)
            whole = True
        except XdrError as error:
            whole = error.reason != TRUNCATED
        assert (headers.bad[number] == Bad.TRUNCATED) <= (not whole or bool(headers.gss[number]))
        assert whole or headers.bad[number] == Bad.TRUNCATED
        assert headers.xid[number] == (value["xid"] if len(cut) >= 4 else -1)
        assert headers.kind[number] == (kind if len(cut) >= 8 else -1)
        if kind == 0:
            assert headers.program[number] == (value["prog"] if len(cut) >= 16 else -1)
            assert whole or headers.body[number] == -1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.one_of(st.integers(0, 6), st.integers(0, 2**32 - 1)), max_size=30), max_size=8))
def test_garbage_never_raises_and_a_body_lies_inside_its_message(messages: list[list[int]]) -> None:
    arena, at, end = layout(*(struct.pack(f">{len(words)}I", *words) for words in messages))
    headers = read_headers(arena, at, end)
    headers = unwrap_replies(headers, arena, np.arange(len(at)) % 4)
    for number in np.flatnonzero(headers.body >= 0):
        assert at[number] < headers.body[number] <= headers.body_end[number] <= end[number]


def test_no_messages() -> None:
    none = np.zeros(0, np.int64)
    headers = read_headers(np.zeros(0, np.uint8), none, none)
    assert len(headers.xid) == len(unwrap_replies(headers, np.zeros(0, np.uint8), none).body) == 0
