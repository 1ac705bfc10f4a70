"""The command line from outside: exit status, what goes where, and pipes that close."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.captures import SHARED
from support.incidents import LOST, STOLEN, WELL, write

COMMAND = [sys.executable, "-m", "nlmdissect"]


def run(*arguments: str | Path, stdin: bytes | None = None, **environment: str) -> subprocess.CompletedProcess[bytes]:
    env = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS")} | environment
    return subprocess.run([*COMMAND, *map(str, arguments)], input=stdin, capture_output=True, env=env, check=False)


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("captures")
    stories = {"lost": LOST, "stolen": STOLEN, "well": WELL}
    return {name: write(folder / f"{name}.pcap", story) for name, story in stories.items()}


def test_captures_of_different_networks(captures: dict[str, Path], tmp_path: Path) -> None:
    other = write(tmp_path / "other.pcap", "host server 10.9.0.1\nhost client1 10.9.0.2\n" + WELL)
    done = run("analyze", captures["well"], other)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 2)
    assert b"\\n" not in done.stderr


@pytest.mark.parametrize(
    ("name", "options", "status"),
    [
        ("well", [], 0),
        ("well", ["--fail-on", "info", "--strict"], 0),
        ("lost", [], 1),
        ("lost", ["--fail-on", "never"], 0),
        ("lost", ["--ignore", "NLM001"], 0),
        ("lost", ["--select", "NSM"], 0),
        ("lost", ["--select", "nsm001,NLM001"], 1),
        ("lost", ["--until", "2020-01-01"], 0),
        ("stolen", [], 0),  # only suspected
        ("stolen", ["--strict"], 1),
        ("stolen", ["--strict", "--fail-on", "never"], 0),
    ],
)
@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_exit_status(captures: dict[str, Path], name: str, options: list[str], status: int, form: str) -> None:
    done = run("analyze", captures[name], "--format", form, *options)
    assert (done.returncode, done.stderr) == (status, b"")
    assert done.stdout


def test_html_goes_into_a_file_or_to_standard_output(captures: dict[str, Path], tmp_path: Path) -> None:
    done = run("analyze", captures["lost"], "--format", "html", "--output", tmp_path / "report.html")
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
    page = (tmp_path / "report.html").read_bytes()
    assert page.startswith(b"<!DOCTYPE html>")
    assert run("analyze", captures["lost"], "--format", "html").stdout.strip() == page.strip()


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyze"],
        ["analyze", "missing.pcap"],
        ["analyze", "-"],
        ["analyze", "x.pcap", "--format", "xml"],
        ["analyze", "x.pcap", "--fail-on", "sometimes"],
        ["analyze", "x.pcap", "--select", "NLM999"],
        ["analyze", "x.pcap", "--since", "tomorrow"],
        ["explain", "NLM999"],
        ["show", "missing.pcap"],
        ["locks", "missing.pcap"],
        ["nonsense"],
    ],
)
def test_what_a_caller_does_wrong(arguments: list[str]) -> None:
    done = run(*arguments, stdin=b"")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr
    assert b"Traceback" not in done.stderr


def test_an_error_message_has_a_hint_and_no_escapes(tmp_path: Path) -> None:
    done = run("analyze", tmp_path / "\x1b[2J\nmissing.pcap")
    assert done.returncode == 2
    assert b"\x1b" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(b"  Give a pcap or pcapng file")


def test_json_is_json_alone(captures: dict[str, Path]) -> None:
    done = run("analyze", captures["lost"], "--format", "json")
    assert json.loads(done.stdout)["findings"][0]["code"] == "NLM001"


def test_standard_input(captures: dict[str, Path]) -> None:
    done = run("analyze", "-", "-f", "json", stdin=captures["lost"].read_bytes())
    assert done.returncode == 1
    assert json.loads(done.stdout)["captures"][0]["frames"] == 14


def test_output_to_a_file(captures: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    done = run("analyze", captures["lost"], "-f", "json", "--output", out)
    assert (done.returncode, done.stdout) == (1, b"")
    assert json.loads(out.read_text())["schema"] == "nlmdissect.analysis/1"
    assert run("analyze", captures["lost"], "--output", captures["lost"]).returncode == 2
    assert run("analyze", captures["lost"]).returncode == 1


def test_quiet_says_the_verdict(captures: dict[str, Path]) -> None:
    done = run("analyze", captures["well"], "--quiet")
    assert done.stdout.decode().split()[0] == "HEALTHY"
    assert len(done.stdout.splitlines()) == 1


def test_no_colours_and_no_progress_off_a_terminal(captures: dict[str, Path]) -> None:
    done = run("analyze", captures["lost"], FORCE_COLOR="1", TERM="xterm-256color")
    assert b"\x1b" not in done.stdout + done.stderr


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_on_a_terminal(captures: dict[str, Path], environment: dict[str, str], coloured: bool) -> None:
    ours, theirs = os.openpty()
    env = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm"} | environment
    with subprocess.Popen(
        [*COMMAND, "analyze", captures["lost"]], stdout=theirs, stderr=subprocess.PIPE, env=env
    ) as process:
        os.close(theirs)
        text = b""
        try:
            while part := os.read(ours, 65536):
                text += part
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        assert process.wait() == 1
    assert (b"\x1b[" in text) is coloured


@pytest.mark.parametrize("command", [["analyze"], ["show"], ["show", "--messages"], ["analyze", "-f", "json"]])
def test_a_closed_pipe_ends_quietly(captures: dict[str, Path], command: list[str]) -> None:
    read, write_end = os.pipe()
    os.close(read)
    with os.fdopen(write_end, "wb") as closed:
        done = subprocess.run(
            [*COMMAND, *command, captures["lost"]], stdout=closed, stderr=subprocess.PIPE, check=False
        )
    assert done.stderr == b""
    assert done.returncode == (1 if command[0] == "analyze" else 0)


def test_a_locale_that_knows_no_unicode(captures: dict[str, Path]) -> None:
    done = run("analyze", captures["lost"], PYTHONIOENCODING="ascii:strict", LC_ALL="C")
    assert done.returncode == 1


CRASH = """
import sys
from dataclasses import replace
import nlmdissect.rules as rules
def crash(history):
    raise ZeroDivisionError("a rule of ours")
    yield
rules.RULES = tuple(replace(r, check=crash) if r.code == "NLM004" else r for r in rules.RULES)
sys.argv = ["nlmdissect", *sys.argv[1:]]
from nlmdissect.cli import main
main()
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_rule_that_crashes(captures: dict[str, Path], form: str) -> None:
    command = [sys.executable, "-c", CRASH, "analyze", str(captures["lost"]), "-f", form]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 3
    assert b"NLM004" in done.stderr
    assert b"NLM001" in done.stdout  # what the other rules said is still printed
    if form == "json":
        found = json.loads(done.stdout)
        assert [error["code"] for error in found["errors"]] == ["NLM004"]
        assert "a rule of ours" in found["errors"][0]["error"]
        assert {row["outcome"] for row in found["rules"] if row["code"] == "NLM004"} == {"not_assessed"}


def test_the_program_itself_crashes(captures: dict[str, Path]) -> None:
    code = CRASH.replace("rules.RULES =", "import nlmdissect.api as api; api.read = crash; unused =").replace(
        "    yield\n", ""
    )
    code = code.replace("def crash(history)", "def crash(*a, **k)")
    done = subprocess.run(
        [sys.executable, "-c", code, "analyze", str(captures["lost"])], capture_output=True, check=False
    )
    assert done.returncode == 3
    assert b"please report this" in done.stderr


def test_the_pages() -> None:
    assert b"NLM001" in run("rules").stdout
    assert b"What to do:" in run("explain", "nlm001").stdout
    assert run("--version").stdout.startswith(b"nlmdissect ")
    assert run("analyze", "--help").returncode == 0


def test_the_lock_table_at_a_moment(captures: dict[str, Path], tmp_path: Path) -> None:
    done = run("locks", captures["lost"], "--at", "+1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"since 22:13:21.000000" in done.stdout
    assert b"frame 2\n" in done.stdout
    done = run("locks", captures["lost"], "-f", "json", "--host", "client2", "--output", tmp_path / "x.json")
    assert (done.returncode, done.stdout) == (0, b"")
    found = json.loads((tmp_path / "x.json").read_text())
    assert found["schema"] == "nlmdissect.locks/1"
    assert [(lock["client"], lock["end"], lock["state"], lock["frame"]) for lock in found["locks"]] == [
        ("10.0.0.22", None, "held", 12),
        ("10.0.0.22", 9, "held", 14),
    ]
    assert b"not known: locks" in run("locks", captures["well"]).stdout


def test_only_the_calls_of_an_expression(captures: dict[str, Path]) -> None:
    done = run("show", captures["lost"], "--where", 'procedure == "LOCK" and reclaim and status != "GRANTED"')
    assert (done.returncode, done.stderr) == (0, b"")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [b"#", b"9"]
    done = run("show", captures["lost"], "--messages", "--program", "nlm", "--host", "client2", "--where", "reclaim")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [b"#", b"11", b"12"]


def test_a_wrong_expression_is_pointed_at(captures: dict[str, Path]) -> None:
    done = run("show", captures["lost"], "--where", 'reclaim and proceduer == "LOCK"')
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().splitlines() == [
        "nlmdissect: there is no column proceduer",
        '  reclaim and proceduer == "LOCK"',
        "              ^^^^^^^^^",
        "  Did you mean procedure?",
    ]


def test_several_files_are_one_recording() -> None:
    parts = sorted(SHARED.glob("T10-healthy-g-ring-?.pcap"))
    if not parts:
        pytest.skip("the recordings are not here")
    done = run("analyze", "-f", "json", *reversed(parts))
    assert done.returncode == 0
    assert len(json.loads(done.stdout)["captures"]) == len(parts)
