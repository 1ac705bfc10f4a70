"""Evidence decoded: the fields of a frame's messages, as the wire names them."""

from __future__ import annotations

from pathlib import Path

from support.drawn import read
from support.incidents import LOST

from nlmdissect.findings import At
from nlmdissect.report.decoded import decoded


def at(frame: int) -> At:
    return At(0, 0, frame)


def test_a_call_and_its_answer(tmp_path: Path) -> None:
    found = decoded(read(tmp_path, LOST).history, [at(9), at(10), at(5), at(6)])
    (call,), (answer,) = found[0, 9], found[0, 10]
    assert call.what == "NLM4 LOCK call"
    assert call.way == "10.0.0.21 port 721 > 10.0.0.1 port 4045, UDP"
    fields = dict(call.fields)
    assert {name: fields[name] for name in ("caller_name", "svid", "range", "exclusive", "block", "reclaim", "state")} == {
        "caller_name": "client1", "svid": "1", "range": "0-99", "exclusive": "yes (write lock)", "block": "no",
        "reclaim": "yes", "state": "0",
    }  # fmt: skip
    assert bytes.fromhex(fields["fh"]).endswith(b"A")
    assert fields["oh"].endswith("(1@client1)")
    assert call.other == "answered in frame 10 after 1.000000 s: STALE_FH"
    assert (answer.what, answer.way) == ("NLM4 LOCK answer", "10.0.0.1 port 4045 > 10.0.0.21 port 721, UDP")
    assert dict(answer.fields)["answer"] == "STALE_FH"
    assert dict(answer.fields)["cookie"] == fields["cookie"]
    assert answer.other == "the call is frame 9"
    (notice,) = found[0, 5]
    assert dict(notice.fields).items() >= {"mon_name": "server", "state": "5"}.items()
    assert notice.other == "answered in frame 6 after 1.000000 s"
    assert dict(found[0, 6][0].fields)["answer"] == "empty"


def test_a_frame_without_a_message_has_none(tmp_path: Path) -> None:
    history = read(tmp_path, "1 client1 > server ARP\n2 client1 > server NLM_LOCK fh=A oh=1 range=0-9").history
    assert list(decoded(history, [at(1), at(2), at(0), at(99)])) == [(0, 2)]
    (call,) = decoded(history, [at(2)])[0, 2]
    assert call.other == "no answer to it is in the capture"


def test_what_is_cut_says_so(tmp_path: Path) -> None:
    story = "1 client1 > server NLM_LOCK fh=A oh=1 range=0-9\n2 server > client1 NLM4_GRANTED short=4"
    (answer,) = decoded(read(tmp_path, story).history, [at(2)])[0, 2]
    assert ("body", "cut or malformed") in answer.fields


def test_hostile_names_are_printable(tmp_path: Path) -> None:
    history = read(tmp_path, LOST, client1=b"\x1b[2J\xff</td>").history
    fields = [text for messages in decoded(history, [at(1), at(9)]).values() for m in messages for _, text in m.fields]
    assert any("\\x1b[2J" in text for text in fields)
    assert all(text.isprintable() for text in fields)
