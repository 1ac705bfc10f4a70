"""The JSON is a contract: its keys are written out here by hand, and compared whole."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.captures import SHARED
from support.incidents import LOST, NO_LOCKS, STOLEN, WELL, write

import nlmdissect
from nlmdissect.report.json import render
from nlmdissect.rules import RULES

STRING, NUMBER, BOOL, NULL = str, int, bool, type(None)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
NAMED = {"named": (dict, NULL), "fileid": (NUMBER, NULL)}
EVIDENCE = {"capture": NUMBER, "frame": NUMBER, "time": TIME, "what": STRING}
KEYS: dict[str, Any] = {
    "schema": STRING,
    "version": STRING,
    "captures": {
        "path": STRING, "format": STRING, "link_types": [STRING], "frames": NUMBER, "bytes": NUMBER,
        "first": (TIME, NULL), "last": (TIME, NULL), "truncated": BOOL, "dropped": (NUMBER, NULL),
    },
    "messages": {"portmap": NUMBER, "nlm": NUMBER, "nsm": NUMBER},
    "coverage": {"condition": STRING, "hosts": [STRING], "from": TIME, "to": TIME, "holds": BOOL, "why": STRING},
    "hosts": {
        "id": STRING, "addresses": [STRING], "names": [STRING], "roles": [STRING], "implementation": STRING,
        "implementation_why": [STRING], "resolved": [STRING],
    },
    "boots": {
        "host": STRING, "not_before": (TIME, NULL), "not_after": TIME, "state_before": (NUMBER, NULL),
        "state_after": (NUMBER, NULL), "grace_end_not_before": (TIME, NULL), "grace_end_not_after": (TIME, NULL),
        "evidence": EVIDENCE,
    },
    "recoveries": {
        "boot": NUMBER, "peer": STRING, "role": STRING, "notify": STRING, "held": NUMBER, "reclaimed": NUMBER,
        "refused": NUMBER, "missing": NUMBER, "stolen": NUMBER, "released": NUMBER, "unknown": NUMBER,
    },
    "locks_held_at_end": {
        "server": STRING, "client": STRING, "fh": STRING, "path": (STRING, NULL), **NAMED, "caller_name": STRING, "svid": NUMBER,
        "oh": STRING, "start": NUMBER, "end": (NUMBER, NULL), "exclusive": BOOL, "server_holds": STRING,
        "client_believes": STRING, "capture": NUMBER, "frame": NUMBER,
    },
    "findings": {
        "code": STRING, "name": STRING, "severity": STRING, "confidence": STRING, "title": STRING,
        "server": (STRING, NULL), "client": (STRING, NULL), "other": (STRING, NULL), "caused_by": (NUMBER, NULL), "fingerprint": STRING,
        "locks": {
            "fh": STRING, "path": (STRING, NULL), **NAMED, "caller_name": STRING, "svid": NUMBER, "oh": STRING, "start": NUMBER,
            "end": (NUMBER, NULL), "exclusive": BOOL, "capture": NUMBER, "frame": NUMBER,
        },
        "evidence": EVIDENCE,
        "display_filters": {"capture": NUMBER, "filter": STRING},
        "consequence": STRING, "remedy": STRING,
    },
    "rules": {"code": STRING, "outcome": STRING, "judged": NUMBER, "reason": (STRING, NULL)},
    "defects": {"capture": NUMBER, "frame": NUMBER, "layer": STRING, "reason": STRING, "count": NUMBER},
    "errors": {"code": STRING, "error": STRING},
}  # fmt: skip
OBJECTS = {"messages"}  # of all that have keys, the only one that is no list


def check(value: Any, want: Any, where: str, single: bool = False) -> None:
    match want:
        case dict() if not single and where:
            assert isinstance(value, list), where
            for number, item in enumerate(value):
                check(item, want, f"{where}[{number}]", single=True)
        case dict():
            assert list(value) == list(want), where
            for key, inner in want.items():
                check(value[key], inner, f"{where}.{key}", single=key in OBJECTS)
        case list():
            assert all(type(item) is want[0] for item in value), where
        case tuple():
            assert value is None or check(value, want[0], where) is None
        case re.Pattern():
            assert want.fullmatch(value), where
        case _:
            assert type(value) is want, f"{where}: {value!r}"


def document(path: Path, **options: Any) -> dict[str, Any]:
    return json.loads(render(nlmdissect.read(path, **options).analysis, "1.2.3"))  # type: ignore[no-any-return]


@pytest.mark.parametrize("story", [LOST, STOLEN, WELL, NO_LOCKS, ""])
def test_every_key_is_there_and_of_its_type(tmp_path: Path, story: str) -> None:
    check(document(write(tmp_path / "x.pcap", story)), KEYS, "")


@pytest.mark.parametrize("path", sorted(SHARED.glob("*.pcap")), ids=lambda path: path.stem)
def test_the_same_of_real_recordings(path: Path) -> None:
    found = document(path)
    check(found, KEYS, "")
    assert [row["code"] for row in found["rules"]] == [rule.code for rule in RULES]
    assert {f["severity"] for f in found["findings"]} <= {"error", "warning", "info"}
    assert {f["confidence"] for f in found["findings"]} <= {"confirmed", "suspected"}
    ids = {host["id"] for host in found["hosts"]}
    assert {f[role] for f in found["findings"] for role in ("server", "client", "other")} <= ids | {None}


def test_a_lost_lock(tmp_path: Path) -> None:
    found = document(write(tmp_path / "x.pcap", LOST))
    assert found["schema"] == "nlmdissect.analysis/1"
    assert found["messages"] == {"portmap": 0, "nlm": 10, "nsm": 4}
    (finding,) = found["findings"]
    assert (finding["code"], finding["name"]) == ("NLM001", "refused-reclaim")
    assert (finding["server"], finding["client"], finding["other"]) == ("10.0.0.1", "10.0.0.21", None)
    assert finding["evidence"][0]["frame"] == 10
    frames = sorted(e["frame"] for e in finding["evidence"])
    assert finding["display_filters"] == [
        {"capture": 0, "filter": f"frame.number in {{{', '.join(map(str, frames))}}}"}
    ]
    (lock,) = finding["locks"]
    assert (lock["start"], lock["end"], lock["exclusive"], lock["path"]) == (0, 99, True, None)
    assert found["recoveries"][0] | {"why": ""} == {
        "boot": 0, "peer": "10.0.0.21", "role": "client", "notify": "understood", "held": 1, "reclaimed": 0,
        "refused": 1, "missing": 0, "stolen": 0, "released": 0, "unknown": 0, "why": "",
    }  # fmt: skip


def test_the_end_of_the_file_is_null_and_frames_at_the_end_are_held(tmp_path: Path) -> None:
    held = document(write(tmp_path / "x.pcap", LOST))["locks_held_at_end"]
    whole = [lock for lock in held if lock["client"] == "10.0.0.22" and lock["end"] is None]
    assert [(lock["start"], lock["server_holds"], lock["client_believes"]) for lock in whole] == [(0, "yes", "yes")]
    lost = [lock for lock in held if lock["client"] == "10.0.0.21"]
    assert [(lock["server_holds"], lock["client_believes"]) for lock in lost] == [("no", "yes")]


def test_a_fingerprint_outlives_the_recording(tmp_path: Path) -> None:
    later = "\n".join(["    1  client2 > server  GETPORT lockd", "    2  server > client2  port 4045"])
    shifted = "".join(
        re.sub(
            r"^(    )(\d+)",
            lambda m: f"{m[1]}{int(m[2]) + 2}",
            re.sub(r"to=(\d+)", lambda m: f"to={int(m[1]) + 2}", line),
        )
        + "\n"
        for line in LOST.splitlines()
    )
    one = document(write(tmp_path / "a.pcap", LOST))["findings"]
    two = document(write(tmp_path / "b.pcap", later + shifted))["findings"]
    assert one[0]["evidence"][0]["frame"] + 2 == two[0]["evidence"][0]["frame"]
    assert [f["fingerprint"] for f in one] == [f["fingerprint"] for f in two]


def test_different_findings_have_different_fingerprints() -> None:
    for path in sorted(SHARED.glob("*.pcap")):
        prints = [f["fingerprint"] for f in document(path)["findings"]]
        assert len(set(prints)) == len(prints)


def test_causes_keep_their_numbers_when_findings_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pcap", STOLEN)
    both = document(path)["findings"]
    assert [(f["code"], f["caused_by"]) for f in both] == [("NLM001", None), ("NLM004", 0)]
    assert [(f["code"], f["caused_by"]) for f in document(path, ignore=["NLM001"])["findings"]] == [("NLM004", None)]
    assert [f["code"] for f in document(path, select=["nlm001"])["findings"]] == ["NLM001"]
    assert [f["code"] for f in document(path, select=["NLM"], ignore=["NLM001"])["findings"]] == ["NLM004"]


@pytest.mark.parametrize(
    "name",
    [
        b"\x1b[2J\x1b[31m\x07\x00\r\n",
        b"\xe2\x80\xaeevil\xe2\x81\xa6",
        b"\xff\xfe\x80bad",
        b'",{"x":1}\\',
        b"\x7f\xc2\x9b31m",
    ],
)
def test_hostile_names_stay_text(tmp_path: Path, name: bytes) -> None:
    text = render(nlmdissect.read(write(tmp_path / "x.pcap", LOST, client1=name)).analysis, "1")
    assert text.isascii()
    assert not [c for c in text if c != "\n" and not c.isprintable()]
    found = json.loads(text)
    check(found, KEYS, "")
    assert any(name.decode("utf-8", "backslashreplace") in n for host in found["hosts"] for n in host["names"])
