"""The story writer: what it writes is a capture, and what it cannot write it refuses by the line's number."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from support.story import StoryError, capture_of

EVERYTHING = """
    host filer 10.0.0.9 10.1.0.9 name=filer.example.com
     1       client1 > filer     SYN nlm
     2       filer   > client1   SYNACK nlm
     3       client1 > filer     NLM_LOCK fh=A oh=1 range=0-99 tcp
     4       filer   > client1   NLM4_GRANTED
     5       client1 > filer     NLM_TEST v1 oh=2
     6       filer   > client1   LCK_DENIED range=0-99
     7       client2 > filer     NLM_LOCK_MSG oh=3 block
     8       filer   > client2   NLM_LOCK_RES NLM4_BLOCKED
     9       filer   > client2   OK to=7
    10       filer/2 > client1   GETPORT statd
    11       client1 > filer/2   port 662
    12       filer/2 > client1   SM_NOTIFY mon_name=filer.example.com state=5
    13       client1 > filer/2   OK
    14       filer   > client1   RST nlm
    15 +30s  client1 > filer     AGAIN 3
    16       filer   > client1   NLM4_DENIED_NOLOCKS
    17       client1 > filer     NFS
    18       filer   > client1   OK
    19       client1 > filer     NM_LOCK oh=5
    20       filer   > client1   SYSTEM_ERR
    21       client1 > filer     NLM_FREE_ALL name=client1
    22       client1 > filer     MNT
    23       client1 > filer     ARP
    24       filer   > client1   ICMP host client2
"""


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_wireshark_reads_what_a_story_writes(tmp_path):
    data, _ = capture_of(EVERYTHING)
    (tmp_path / "story.pcap").write_bytes(data)
    command = [
        "tshark",
        "-r",
        str(tmp_path / "story.pcap"),
        "-T",
        "fields",
        "-e",
        "_ws.col.Info",
        "-e",
        "_ws.malformed",
    ]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == 24
    assert not [line for line in lines if "alformed" in line]
    expected = {
        3: "V4 LOCK Call",
        4: "V4 LOCK Reply",
        5: "V1 TEST Call",
        7: "V4 LOCK_MSG Call",
        8: "V4 LOCK_RES Call",
        10: "GETPORT Call",
        11: "GETPORT Reply",
        12: "NOTIFY",
        14: "RST",
        19: "NM_LOCK",
        21: "FREE_ALL",
        23: "Who has",
        24: "unreachable",
    }
    for number, words in expected.items():
        assert words in lines[number - 1], lines[number - 1]


def test_a_lost_frame_has_no_number():
    data, _ = capture_of("""
        1     client1 > server  NLM_LOCK tcp
        lost  server  > client1 NLM4_GRANTED
        2     client1 > server  NLM_UNLOCK tcp
    """)
    assert data.count(b"client1") == 6  # machinename, caller_name and owner, twice


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("2 client1 > server NLM_LOCK", "line 1: .*this is frame 1"),
        ("\n1 client1 > server NLM_LOCKS", "line 2: .*no such call or answer"),
        ("1 client1 > server", "line 1: .*not: NUMBER"),
        ("1 server > client1 NLM4_GRANTED", "line 1: .*no call to answer"),
        ("1 alice > server NLM_LOCK", "line 1"),
        ("1 client1 > server NM_LOCK v1", "line 1: .*no NM_LOCK"),
        ("1 client1 > server SM_NOTIFY", "line 1: .*state"),
    ],
)
def test_a_bad_line_is_named(text, complaint):
    with pytest.raises(StoryError, match=complaint):
        capture_of(text)
