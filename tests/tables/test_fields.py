"""What the names in expressions stand for, in recordings: hosts by name, times, words of the protocols."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from support.incidents import LOST, write

import nlmdissect
from nlmdissect.api import Capture

MINE = Path(__file__).parents[2] / "captures"


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """From 22:13:20; frames 1 to 4 a second apart, 5 after 30 s more, 13 after 90 s more."""
    return nlmdissect.read(write(tmp_path_factory.mktemp("fields") / "x.pcap", LOST))


@pytest.mark.parametrize(
    ("expression", "frames"),
    [
        ('procedure == "LOCK" and reclaim and status != "GRANTED"', [9]),
        ('client == "client1"', [1, 9]),
        ('client == "CLIENT1" and program == "NLM"', [1, 9]),
        ('client == "10.0.0.21" and program == "NLM"', [1, 9]),
        ('src in ("client1", "client2") and not reclaim', [1, 3, 13]),
        ('"10.0.0.2" in client and procedure == "LOCK"', [1, 3, 9, 11, 13]),
        ('"client2" in dst', [7]),
        ('server == "server" and start == 0 and end is None and program == "NLM"', [3, 11]),
        ('time < "22:13:23"', [1, 3]),
        ('"2023-11-14T22:13:21" <= time <= "22:13:23"', [3]),
        ("+2 <= time < 34", [3, 5]),
        ('time > "+100"', [13]),
        ('time > "1700000100"', [13]),
        ('time > "2030-01-01"', []),
        ("frame in {1, 3, 5} and reply_frame - frame == 1", [1, 3, 5]),
        ('mon_name == "server" and state == 5', [5, 7]),
        ('program == "NLM" and state != 3', [9, 11]),
        ("reclaim is None", [5, 7]),
        ("exclusive and svid is not None and took >= 1", [1, 3, 9, 11, 13]),
    ],
)
def test_expressions_on_a_story(lost: Capture, expression: str, frames: list[int]) -> None:
    assert lost.where(expression).frame.tolist() == frames


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ('client == "client3"', "the recording shows no host client3\n.*\n.*\nDid you mean client"),
        ('client == "10.0.0.9"', "no host 10.0.0.9\n.*\n.*\nIt shows client1"),
        ('procedure == "LOCKS"', "no procedure LOCKS\n.*\n.*\nDid you mean LOCK"),
        ('status in ("NLM4_DENIED_GRACE_PERIOD",)', "Did you mean DENIED_GRACE_PERIOD"),
        ('program == "nlm"', "Did you mean NLM"),
        ('transport == "sctp"', "There are udp, tcp"),
        ('fh == "..00a1"', "in hex\n.*\n.*\nA part of one"),
        ('time > "soon"', "not a time"),
        ("time > 1700000100", "since 1970"),
        ("svid == 'x'", "svid is a number"),
    ],
)
def test_what_means_nothing_is_said(lost: Capture, expression: str, complaint: str) -> None:
    with pytest.raises(nlmdissect.UsageError, match=complaint):
        lost.where(expression)


def test_words_that_are_known_and_not_there(lost: Capture) -> None:
    assert lost.where('procedure == "SHARE"').empty
    assert lost.where('status == "DEADLCK" or status == "PROG_UNAVAIL" or status == "STAT_FAIL"').empty


def test_every_column_can_be_asked_for(lost: Capture) -> None:
    for name in lost.calls.columns:
        missing = lost.where(f"{name} is None")
        assert missing.index.tolist() == lost.calls.index[lost.calls[name].isna()].tolist(), name


# the same filter as pandas has it: (ours, what pandas makes of the table)
SAME: list[tuple[str, Callable[[pd.DataFrame], pd.DataFrame]]] = [
    (
        'procedure == "LOCK" and reclaim and status != "GRANTED"',
        lambda c: c.query('procedure == "LOCK" and reclaim and status != "GRANTED"'),
    ),
    ("status is None and program == 'NLM'", lambda c: c.query("status.isna() and program == 'NLM'")),
    ("took > 0.02", lambda c: c.query("took > 0.02")),
    ("100 < frame < 250 and transport == 'udp'", lambda c: c.query("100 < frame < 250 and transport == 'udp'")),
    ("xid == 0x1f03 or sport < 1024", lambda c: c.query("xid == 0x1f03 or sport < 1024")),
    (
        'client == "10.77.0.21" and procedure in ("LOCK", "UNLOCK")',
        lambda c: c.query('client == "10.77.0.21" and procedure in ("LOCK", "UNLOCK")'),
    ),
    ("start == 0 and end == 99", lambda c: c.query("start == 0 and end == 99")),
    ('"4d00" in fh', lambda c: c[c.fh.astype(object).str.contains("4d00", na=False).astype(bool)]),
    (
        'time > "2026-11-22T11:30:20"',
        lambda c: c[c.time > pd.Timestamp("2026-11-22 11:30:20", tz="UTC")],
    ),
]


@pytest.mark.parametrize("name", ["S08-reclaim-after-grace.pcap", "S02-blocking-tcp.pcap", "S16-ipv6.pcap"])
def test_pandas_chooses_the_same(name: str) -> None:
    capture = nlmdissect.read(MINE / name)
    for expression, by_pandas in SAME:
        if "10.77.0.21" in expression and "ipv6" in name:
            continue
        assert capture.where(expression).index.tolist() == by_pandas(capture.calls).index.tolist(), expression
