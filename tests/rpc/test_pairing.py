"""Each reply with its call: the same hosts, ports, transport and xid, and nothing less."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.table import CLIENT, CLIENT2, SERVER, answer, call, error, messages

from nlmdissect.rpc import matching
from nlmdissect.rpc.calls import NONE, RPC_STATUS, Texts
from nlmdissect.rpc.pairing import Pairing

LOCK = "NLM_LOCK fh=A oh=1"


def pairs(*batches):
    """(call frame, reply frame) of every row; 0 for what is not there."""
    table = table_of(*batches)
    return list(zip(table.frame.tolist(), [max(f, 0) for f in table.reply_frame.tolist()], strict=True))


def table_of(*batches):
    found = Pairing(Texts())
    for batch in batches:
        found.add(messages(*batch))
    return found.finish()


def test_a_call_and_its_answer():
    table = table_of([call(1), answer(2, "NLM4_DENIED")])
    assert table.frame.tolist() == [1]
    assert table.reply_frame.tolist() == [2]
    assert table.status.tolist() == [1]
    assert table.at(0).frame == 1
    assert table.reply_at(0).frame == 2


@pytest.mark.parametrize(
    "other",
    [{"xid": 2}, {"dst": CLIENT2}, {"dport": 701}, {"sport": 4046}, {"tcp": True}],
    ids=["xid", "host", "port of the client", "port of the server", "transport"],
)
def test_anything_else_that_differs_makes_it_another_call(other):
    assert pairs([call(1), answer(2, **other)]) == [(1, 0), (0, 2)]


def test_answers_out_of_order():
    rows = [call(1, xid=1), call(2, LOCK + " range=5-9", xid=2), answer(3, xid=2), answer(4, xid=1)]
    assert pairs(rows) == [(1, 4), (2, 3)]


def test_two_clients_with_one_xid():
    rows = [
        call(1),
        call(2, src=CLIENT2),
        answer(3, "NLM4_DENIED", dst=CLIENT2),
        answer(4),
    ]
    table = table_of(rows)
    assert list(zip(table.src.tolist(), table.status.tolist(), strict=True)) == [(CLIENT, 0), (CLIENT2, 1)]


def test_the_answer_comes_in_a_later_batch():
    assert pairs([call(1)], [call(2, xid=2)], [answer(3)]) == [(1, 3), (2, 0)]


def test_an_answer_without_its_call_is_kept():
    table = table_of([call(1, xid=9), answer(2, "NLM4_DENIED", xid=1)])
    assert pairs([call(1, xid=9), answer(2, xid=1)]) == [(1, 0), (0, 2)]
    orphan = 1
    assert (table.src[orphan], table.dst[orphan], table.sport[orphan], table.dport[orphan]) == (
        CLIENT,
        SERVER,
        700,
        4045,
    )
    assert table.at(orphan).frame == 2
    assert table.program[orphan] == 100021  # the port that it comes from has been called
    assert table.procedure[orphan] == NONE  # but not which procedure it answers
    assert table.status[orphan] == 1  # as far as it can be read without: a cookie and DENIED


def test_an_answer_before_its_call_is_none():
    assert pairs([answer(1), call(2)]) == [(0, 1), (2, 0)]


def test_a_retransmission_repeats_its_call():
    table = table_of([call(1), call(2), answer(3)])
    assert table.repeats.tolist() == [NONE, 0]
    assert table.frame.tolist() == [1, 2]


def test_over_udp_an_answer_belongs_to_the_oldest_transmission_without_one():
    assert pairs([call(1), call(2), answer(3)]) == [(1, 3), (2, 0)]
    assert pairs([call(1), call(2), answer(3), answer(4)]) == [(1, 3), (2, 4)]
    assert pairs([call(1), answer(2), call(3), answer(4)]) == [(1, 2), (3, 4)]


def test_over_tcp_an_answer_belongs_to_the_newest():
    """A repeated call means that the older connection is dead."""
    rows = [call(1, tcp=True), call(2, tcp=True), answer(3, tcp=True)]
    assert pairs(rows) == [(1, 0), (2, 3)]


def test_more_answers_than_transmissions():
    table = table_of([call(1), answer(2), answer(3, "NLM4_DENIED")])
    assert table.frame.tolist() == [1]
    assert table.replies.tolist() == [2]
    assert table.status.tolist() == [0]


def test_a_copy_of_a_frame_is_no_retransmission():
    """A mirror of both ports, -i any."""
    table = table_of([call(1), call(2, duplicate=True), answer(3), answer(4, duplicate=True)])
    assert table.frame.tolist() == [1]
    assert table.replies.tolist() == [1]


def test_an_xid_with_another_body_is_a_new_call():
    rows = [call(1, LOCK), answer(2), call(3, LOCK + " range=100-199"), answer(4, "NLM4_DENIED")]
    table = table_of(rows)
    assert table.repeats.tolist() == [NONE, NONE]
    assert table.status.tolist() == [0, 1]


def test_an_xid_that_comes_back_after_a_long_time_is_a_new_call():
    assert table_of([call(1), call(2, time=590)]).repeats.tolist() == [NONE, 0]
    assert table_of([call(1), call(2, time=700)]).repeats.tolist() == [NONE, NONE]


def test_a_late_answer_to_an_older_xid():
    rows = [call(1, xid=1), call(2, xid=2), answer(3, xid=1), answer(4, xid=2)]
    assert pairs(rows) == [(1, 3), (2, 4)]


@pytest.mark.parametrize("accept", range(1, 6))
def test_rpc_errors(accept):
    body = (1).to_bytes(4, "big") + (3).to_bytes(4, "big") if accept == 2 else b""
    table = table_of([call(1), error(2, accept, body=body)])
    assert RPC_STATUS[table.rpc_status[0]] == RPC_STATUS[accept]
    assert table.status[0] == NONE
    if accept == 2:
        assert (table.low[0], table.high[0]) == (1, 3)


@pytest.mark.parametrize("accept", [6, 7, 17, 0xFFFFFFFF])
def test_a_status_that_rfc_5531_does_not_have_is_none(accept):
    table = table_of([call(1), error(2, accept)])
    assert (table.reply_frame[0], table.rpc_status[0], table.status[0]) == (2, NONE, NONE)


def test_what_the_capture_cut():
    table = table_of([call(1, missing=10), answer(2, missing=4)])
    assert (table.cut[0], table.reply_cut[0]) == (1, 1)


def test_calls_of_other_programs_are_left_out():
    nfs = call(1, "NFS", xid=5)
    assert pairs([nfs]) == []


def test_the_number_of_open_calls_is_bounded(monkeypatch):
    monkeypatch.setattr(matching, "OPEN_CALLS", 3)
    found = Pairing(Texts())
    found.add(messages(*[call(n, xid=n) for n in range(1, 6)]))
    assert found.dropped == 2
    found.add(messages(answer(6, xid=1), answer(7, xid=5)))
    table = found.finish()
    assert table.frame.tolist() == [1, 2, 3, 4, 5, 0]  # what is known stays known
    assert table.reply_frame.tolist()[4] == 7


def test_answered_calls_may_be_closed_without_a_word(monkeypatch):
    monkeypatch.setattr(matching, "OPEN_CALLS", 2)
    found = Pairing(Texts())
    for n in range(1, 9, 2):
        found.add(messages(call(n, xid=n), answer(n + 1, xid=n)))
    assert found.dropped == 0


@pytest.mark.parametrize("at", range(1, 5))
def test_batches_make_no_difference(at):
    rows = [call(1), call(2), answer(3), call(4, xid=2), answer(5, xid=2)]
    whole, split = table_of(rows), table_of(rows[:at], rows[at:])
    for name in type(whole).__slots__:
        assert getattr(whole, name).tolist() == getattr(split, name).tolist(), name


@settings(deadline=None)
@given(st.data())
def test_one_by_one_is_the_same_as_all_together(data):
    """Few xids and hosts, so that calls are repeated, answered twice, late or never, and keys come again."""
    kinds = st.tuples(st.booleans(), st.integers(1, 3), st.booleans(), st.sampled_from((CLIENT, CLIENT2)), st.booleans())
    rows = [call(1, xid=9), call(2, xid=9, tcp=True)]  # what the port is of is known
    for frame, (asks, xid, tcp, client, other) in enumerate(data.draw(st.lists(kinds, max_size=14)), 3):
        text = LOCK + (" range=5-9" if other else "")
        rows.append(call(frame, text, xid=xid, tcp=tcp, src=client) if asks else answer(frame, xid=xid, tcp=tcp, dst=client))
    whole, split = table_of(rows), table_of(*([row] for row in rows))
    for name in ("frame", "reply_frame", "order", "reply_order", "repeats", "replies", "offset", "status", "program"):
        assert getattr(whole, name).tolist() == getattr(split, name).tolist(), name


def test_any_cut_of_any_message_is_survived():
    rows = [call(1), answer(2)]
    for size, which in itertools.product(range(0, 150, 7), (0, 1)):
        cut = list(rows)
        short = cut[which].data[:size]
        cut[which] = type(cut[which])(
            **{**{f: getattr(cut[which], f) for f in cut[which].__dataclass_fields__}, "data": short}
        )
        table_of(cut)
