"""Loopback captures that the user gives to a host."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.captures import SHARED
from support.damage import UDP, load, save

import nlmdissect

T14 = SHARED / "T14-loopback-upcall-dropped.pcap"
DB7 = "192.168.40.32"
pytestmark = pytest.mark.skipif(not T14.exists(), reason="the recordings are not here")


@pytest.fixture
def silent(tmp_path: Path) -> Path:
    """The loopback of db7 without what goes over TCP, SM_MON among it: nothing in it says whose it is."""
    whole = load(SHARED / "T14-loopback-upcall-dropped.lo.db7.boot1.pcap")
    assert whole is not None
    save(whole.where(lambda packet: packet.protocol == UDP or not packet.payload), tmp_path / "lo.pcap")
    return tmp_path / "lo.pcap"


def codes(**options: object) -> set[str]:
    return {f.code for f in nlmdissect.read(T14, **options).analysis.findings}  # type: ignore[arg-type]


def test_it_is_read_too_and_belongs_to_that_host(silent: Path) -> None:
    assert "NSM012" not in {f.code for f in nlmdissect.read([T14, silent]).analysis.findings}
    for host in (DB7, "db7.corp.example", "DB7"):
        capture = nlmdissect.read(T14, loopback={host: silent})
        assert "NSM012" in {f.code for f in capture.analysis.findings}
        db7 = capture.history.traffic.endpoints.find(DB7)
        assert list(capture.history.loopback.covers) == [db7]
        assert len(capture.history.sources) == 2


def test_naming_it_twice_reads_it_once(silent: Path) -> None:
    capture = nlmdissect.read([T14, silent], loopback={DB7: [silent]})
    assert len(capture.history.sources) == 2
    assert "NSM012" in {f.code for f in capture.analysis.findings}


def test_the_user_knows_better_than_sm_mon() -> None:
    lo = SHARED / "T14-loopback-upcall-dropped.lo.db7.boot1.pcap"
    heard = nlmdissect.read(T14, loopback={"app01.corp.example": lo}).history.loopback
    assert {heard_by.host for heard_by in heard.upcalls} == set(heard.covers)
    assert len(heard.covers) == 1


@pytest.mark.parametrize("host", ["nobody", "10.9.9.9", ""])
def test_a_host_that_is_not_there(silent: Path, host: str) -> None:
    with pytest.raises(nlmdissect.UsageError, match="shows no host") as complaint:
        nlmdissect.read(T14, loopback={host: silent})
    assert "db7.corp.example (192.168.40.32)" in complaint.value.hint


def run(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "nlmdissect", *map(str, arguments)], capture_output=True, check=False)


def test_on_the_command_line(silent: Path) -> None:
    done = run("analyze", T14, "--loopback", f"{DB7}={silent}", "-f", "json")
    assert "NSM012" in {f["code"] for f in json.loads(done.stdout)["findings"]}
    assert run("locks", T14, "--loopback", f"db7={silent}").returncode == 0
    assert b"1:" in run("show", T14, "--loopback", f"db7={silent}").stdout
    for wrong in (str(silent), f"={silent}", f"nobody={silent}", "db7=", "db7=missing.pcap"):
        done = run("analyze", T14, "--loopback", wrong)
        assert (done.returncode, done.stdout) == (2, b"")
        assert b"Traceback" not in done.stderr
    assert run("analyze", T14, "--loopback", f"db7={silent}", "--output", silent).returncode == 2
