"""What DNS answers say of hosts, and how little is made of it."""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.captures import SHARED
from support.packets import UDP, dns_answer, dns_name, ethernet, ipv4, udp
from support.reading import read_files, read_frames
from support.story import capture_of
from support.told import history_of, told

from nlmdissect.capture import dns as kept
from nlmdissect.capture.endpoints import Endpoints
from nlmdissect.findings import At
from nlmdissect.hosts import resolved as reading
from nlmdissect.hosts.resolved import resolved, same_name
from nlmdissect.rules import BY_CODE

TSHARK = shutil.which("tshark")
SERVER = ip_address("10.0.0.1").packed


def history(*parts):
    return history_of(capture_of("\n".join(parts))[0])


LOCK = """
    host ns 10.0.0.53
     1        client1 > server   NLM_LOCK fh=A oh=1 caller=alpha machine=alpha
     2        server  > client1  NLM4_GRANTED
"""


def test_a_name_for_a_host_that_gave_itself_none():
    names = history(LOCK, "3 ns > client1 DNS name=filer.example.com address=10.0.0.1").names
    assert names.label(0) == "alpha (10.0.0.21)"
    assert names.label(1) == "10.0.0.1 (in DNS: filer.example.com)"
    assert not names.claimed.get(1)


def test_no_name_beside_that_of_the_host_itself():
    names = history(LOCK, "3 ns > server DNS pointer=10.0.0.21 name=pool-21.example.com").names
    assert names.label(0) == "alpha (10.0.0.21)"
    assert names.in_dns(0) == ["pool-21.example.com"]
    assert not names.known_as(0, "pool-21.example.com")


def test_aliases():
    found = history(
        LOCK, "3 ns > client1 DNS alias=nfs.example.com name=filer.example.com address=10.0.0.1,10.0.0.9"
    ).names
    said = found.resolved.leads_to("NFS", SERVER)
    assert said is not None
    assert said.names == ("nfs.example.com", "filer.example.com")
    assert SERVER in said.addresses
    assert found.in_dns(1) == ["filer.example.com"]


@pytest.mark.parametrize(
    ("asked", "name", "same"),
    [
        ("filer", "filer.example.com", True),
        ("FILER", "filer", True),
        ("filer.example.com", "Filer.Example.com", True),
        ("filer.example.com", "filer", False),
        ("filer.example.com", "filer.example.com.example.com", False),
        ("filer", "filer2.example.com", False),
    ],
)
def test_search_lists(asked, name, same):
    assert same_name(asked, name) is same


def test_the_latest_answer_counts_and_only_that_of_the_asker():
    found = history(
        LOCK,
        """
        3  +1s  ns > client1  DNS name=alpha.example.com address=10.0.0.9
        4  +1s  ns > client2  DNS name=alpha.example.com address=10.0.0.1
        5 +60s  ns > client1  DNS name=alpha.example.com address=10.0.0.1
    """,
    )
    of = found.names.resolved
    at = found.requests[0].at
    first, last = of.leads_to("alpha", SERVER, 0, at), of.leads_to("alpha", SERVER, 0)
    assert first is not None
    assert last is not None
    assert (first.at.frame, last.at.frame) == (3, 5)
    assert SERVER not in first.addresses
    assert SERVER in last.addresses


def test_a_search_list_that_fails_first():
    of = history(
        LOCK,
        "3 ns > client1 DNS name=server.dept.example.com",
        "4 ns > client1 DNS name=server.example.com address=10.0.0.1",
    ).names
    said = of.resolved.leads_to("server", SERVER)
    assert said is not None
    assert said.at.frame == 4


def test_another_family_says_nothing():
    of = history(LOCK, "3 ns > client1 DNS name=alpha address=fd00::9").names.resolved
    assert of.leads_to("alpha", SERVER) is None


@given(st.data())
def test_any_bytes(data):
    """Malformed answers are defects; whole ones of nobody that matters are not looked at."""
    whole = bytearray(dns_answer(1, "alpha.example.com", 1, [("alpha.example.com", 1, SERVER)]))
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    answers = kept.Answers()
    answers.add(kept.Answer(At(0, 0, 1), 1, 0, cut)) if kept.is_answer(cut, 0, len(cut), len(cut)) else None
    ends = Endpoints([0], [SERVER], [{}])
    found = resolved(answers.all(), ends, [0], ["alpha"])
    assert len(found.defects) <= 1


def test_malformed():
    broken = dns_answer(1, "alpha", 1, [("alpha", 1, SERVER[:3])])
    found = resolved([kept.Answer(At(0, 0, 1), 1, 0, broken)], Endpoints([0], [SERVER], [{}]), [0], ["alpha"])
    assert [(d.layer, d.reason) for d in found.defects] == [("dns", "malformed")]


def datagram(n, data):
    return n / 10, ethernet(ipv4("10.0.0.53", "10.0.0.21", UDP, udp(53, 40000, data), ident=n))


def test_what_is_kept():
    about = [("alpha", 1, SERVER)]
    wanted = [dns_answer(1, "alpha", 1, about), dns_answer(2, "nobody", 1, code=3)]
    others = [
        dns_answer(3, "alpha", 15, [("alpha", 15, b"\0\1" + dns_name("mx"))]),  # a mail exchanger
        dns_answer(4, "alpha", 1),  # no record
        dns_answer(5, "alpha", 1, about, code=2),  # the server failed
        wanted[0][:2] + b"\x83" + wanted[0][3:],  # truncated
        wanted[0][:2] + b"\x01" + wanted[0][3:],  # a question
        wanted[0][:20],
    ]
    found = read_frames([datagram(n, data) for n, data in enumerate([*wanted, *others], 1)])
    assert [answer.at.frame for answer in found.traffic.answers] == [1, 2]


def test_of_one_question_the_first_and_the_latest_answer():
    frames = [datagram(n, dns_answer(n, "Alpha" if n % 2 else "alpha", 1, [("alpha", 1, SERVER)])) for n in range(1, 9)]
    assert [answer.at.frame for answer in read_frames(frames).traffic.answers] == [1, 8]


def test_too_many_questions_are_a_defect(monkeypatch):
    monkeypatch.setattr(kept, "MAX_QUESTIONS", 3)
    frames = [datagram(n, dns_answer(n, f"h{n % 5}", 1, [("h", 1, SERVER)])) for n in range(10)]
    found = read_frames(frames)
    assert len(found.traffic.answers) == 6
    assert found.defects == {"too_many_questions": 4}


def test_too_many_answers_that_matter_are_a_defect(monkeypatch):
    monkeypatch.setattr(reading, "MAX_READ", 2)
    answers = [kept.Answer(At(n, 0, n), 1, 0, dns_answer(n, f"h{n}", 1, [(f"h{n}", 1, SERVER)])) for n in range(1, 6)]
    found = resolved(answers, Endpoints([0], [SERVER], [{}]), [0], [])
    assert [(d.frame, d.reason, d.count) for d in found.defects] == [(3, "too_many_answers", 3)]


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
def test_tshark_reads_the_same():
    path = SHARED / "public" / "arkime+arkime__arkime_synthetic.pcap"
    if not path.exists():
        pytest.skip("the recorded files are not here")
    names = ("frame.number", "dns.qry.name", "dns.a", "dns.aaaa")
    command = [
        str(TSHARK),
        "-n",
        "-r",
        str(path),
        "-Y",
        "dns.flags.response == 1 && (dns.a || dns.aaaa)",
        "-T",
        "fields",
    ]
    done = subprocess.run([*command, *(f"-e{name}" for name in names)], capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    expected = {int(n): (name, {ip_address(a) for a in f"{a},{b}".split(",") if a}) for n, name, a, b in rows}
    traffic = read_files(path).traffic
    found = resolved(traffic.answers, Endpoints(), [], [name for name, _ in expected.values()])
    read = {s.at.frame: (s.names[0], {ip_address(a) for a in s.addresses}) for s in found.said if s.addresses}
    assert read
    assert {frame: expected[frame] for frame in read} == read


NSM001 = BY_CODE["NSM001"]
RESTART = """
     3  +60s  client2 > server   NLM_LOCK fh=B oh=2
     4        server  > client2  NLM4_DENIED_GRACE_PERIOD
     5        client2 > server   SM_NOTIFY state=3 mon_name=client2
     6  +60s  client2 > server   POLL 3
     7        server  > client2  NLM4_GRANTED
     8        client1 > server   NLM_LOCK fh=C oh=3 caller=alpha machine=alpha
     9        server  > client1  NLM4_GRANTED
"""


def test_an_address_out_of_sight():
    """The server called itself filer: DNS gives that name an address more, from which the notice may have come."""
    named = """
    host ns 10.0.0.53
    1 client1 > server NLM_LOCK fh=A oh=1 caller=alpha machine=alpha block
    2 server > client1 NLM4_BLOCKED
    3 server > client1 NLM_GRANTED_MSG fh=A oh=1 svid=1 caller=filer owner=alpha machine=filer
    4 client1 > server NLM_GRANTED_RES NLM4_GRANTED caller=alpha machine=alpha
    5 ns > client1 DNS name=filer address={}
    """
    later = "\n".join(
        f"{int(line.split()[0]) + 3} {line.split(None, 1)[1]}" for line in RESTART.splitlines() if line.strip()
    ).replace("POLL 3", "POLL 6")
    seen = told(NSM001, named.format("10.0.0.1"), later)
    hidden = told(NSM001, named.format("10.0.0.1,10.1.0.1"), later)
    assert [line.partition(":")[0] for line in seen.says] == ["error confirmed server=server client=client1"]
    assert [line.partition(":")[0] for line in hidden.says] == ["error suspected server=server client=client1"]
    assert "10.1.0.1" in hidden.findings[0].consequence
