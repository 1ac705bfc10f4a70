"""What happens around a run: no room, no reader, no rights, files that change. Never a traceback, never half a result."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest
from support.captures import OWN

CAPTURE = OWN / "S08-reclaim-after-grace.pcap"
COMMAND = [sys.executable, "-m", "nlmdissect"]
FORMS = (["analyze", "-f", "text"], ["analyze", "-f", "json"], ["analyze", "-f", "html"], ["show"], ["locks"])


def run(*arguments: str | Path, **more: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, timeout=120, check=False, **more)  # type: ignore[call-overload, no-any-return]


def assert_clean(done: subprocess.CompletedProcess[bytes], *statuses: int) -> None:
    assert done.returncode in statuses, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("what", FORMS, ids=" ".join)
def test_a_reader_that_goes_away(what: list[str]) -> None:
    """``| head -c 1``, and a reader that is gone before there is anything to read."""
    for read in ("head -c 1 > /dev/null", "true"):
        line = f"{sys.executable} -m nlmdissect {' '.join(what)} {CAPTURE} | {read}; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", line], capture_output=True, timeout=120, check=False)
        assert_clean(done, 0, 1)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("what", FORMS, ids=" ".join)
def test_no_room_behind_standard_output(what: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*COMMAND, *what, CAPTURE], stdout=full, stderr=subprocess.PIPE, timeout=120, check=False)
    assert_clean(done, 2)
    assert b"No space left" in done.stderr


@pytest.mark.parametrize("what", FORMS, ids=" ".join)
def test_no_room_for_the_report(what: list[str], tmp_path: Path) -> None:
    """A file may grow to 64 bytes only: what stood there before is there still, and nothing else."""
    output = tmp_path / "report"
    output.write_text("before")
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64)); import sys; sys.argv[1:] = {[*what, str(CAPTURE), '--output', str(output)]!r}\nfrom nlmdissect.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120, check=False)
    assert_clean(done, 2)
    assert output.read_text() == "before"
    assert os.listdir(tmp_path) == ["report"]


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write anywhere")
def test_no_rights(tmp_path: Path) -> None:
    capture = tmp_path / "capture.pcap"
    shutil.copy(CAPTURE, capture)
    folder = tmp_path / "closed"
    folder.mkdir()
    tmp_path.chmod(0o755)
    before = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    for arguments, mode, status in (
        (["analyze", capture], 0o000, 2),
        (["analyze", capture, "--output", folder / "report"], 0o644, 2),
    ):
        capture.chmod(mode)
        folder.chmod(0o555)
        done = subprocess.run(
            [*before, *COMMAND, *map(str, arguments)], capture_output=True, timeout=120, check=False,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        if b"No module named" in done.stderr or b"Permission denied" in done.stderr.splitlines()[0]:
            pytest.skip("another user may not read the program itself")
        assert_clean(done, status)
        assert b"ermission denied" in done.stderr
    folder.chmod(0o755)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("place", ["missing", "file"])
def test_no_place_for_temporary_files(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    there = {name: str(tmp_path / place) for name in ("TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME", "HOME")}
    done = run("analyze", CAPTURE, cwd=tmp_path, env=os.environ | there)
    assert_clean(done, 1)
    assert done.stdout


def test_a_file_that_grows(tmp_path: Path) -> None:
    """tcpdump is still writing: what is there when it is read is judged."""
    data, path = CAPTURE.read_bytes(), tmp_path / "growing.pcap"
    path.write_bytes(data[: len(data) // 2])
    child = subprocess.Popen([*COMMAND, "analyze", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with path.open("ab") as more:
        for at in range(len(data) // 2, len(data), 512):
            more.write(data[at : at + 512])
            more.flush()
            time.sleep(0.002)
    out, err = child.communicate(timeout=120)
    assert_clean(subprocess.CompletedProcess([], child.returncode, out, err), 0, 1)


@pytest.mark.parametrize("change", ["shorter", "replaced", "gone"])
def test_a_file_that_changes_while_it_is_read(change: str, tmp_path: Path) -> None:
    """Block by block, and the file is another one before the second is read."""
    from nlmdissect.capture.files import open_recording
    from nlmdissect.errors import CaptureError

    path = tmp_path / "large.pcap"
    data = CAPTURE.read_bytes()
    path.write_bytes(data + data[24:] * 400)
    blocks = open_recording([path]).blocks()
    frames = len(next(blocks).at)
    match change:
        case "shorter":
            os.truncate(path, 100_000)
        case "replaced":
            other = tmp_path / "other"
            other.write_bytes(bytes(50_000))
            os.replace(other, path)
        case "gone":
            path.unlink()
    try:
        frames += sum(len(block.at) for block in blocks)
    except CaptureError as error:
        assert error.message  # noqa: PT017
    assert frames > 0


def test_a_run_that_is_killed_leaves_nothing_under_the_final_name(tmp_path: Path) -> None:
    """kill -9 at any moment: the report is whole, or not there."""
    output = tmp_path / "report.html"
    for wait in (0.05, 0.3, 0.6, 0.9):
        child = subprocess.Popen([*COMMAND, "analyze", "-f", "html", CAPTURE, "--output", output], stderr=subprocess.DEVNULL)
        time.sleep(wait)
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=60)
        assert not output.exists() or output.read_text().rstrip().endswith("</html>")


def test_an_interrupt_ends_it_quietly(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    child = subprocess.Popen(
        [*COMMAND, "analyze", fifo], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )  # fmt: skip
    with fifo.open("wb", buffering=0) as pipe:
        pipe.write(CAPTURE.read_bytes()[:5000])
        time.sleep(1.0)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert_clean(subprocess.CompletedProcess([], child.returncode, out, err), 130)


def test_a_terminal_that_changes_its_size(tmp_path: Path) -> None:
    """While the progress bar is drawn, to a single column and to none."""
    fifo, (screen, terminal) = tmp_path / "pipe", pty.openpty()
    os.mkfifo(fifo)
    data = CAPTURE.read_bytes()
    part = data[24:] * 10  # a block
    child = subprocess.Popen([*COMMAND, "analyze", fifo], stdout=terminal, stderr=terminal, stdin=subprocess.DEVNULL)
    shown = Screen(screen)
    with fifo.open("wb", buffering=0) as pipe:
        pipe.write(data[:24])
        for columns in (80, 80, 80, 80, 1, 200, 0, 20):
            fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("4H", 10 if columns else 0, columns, 0, 0))
            child.send_signal(signal.SIGWINCH)
            pipe.write(part)
            time.sleep(0.3)
    os.close(terminal)
    status = child.wait(timeout=60)
    written = shown.read()
    assert status in (0, 1), written
    assert b"reading" in written  # the bar
    assert b"Traceback" not in written


class Screen:
    """Takes what is written to a terminal, so that nobody waits for it to be read."""

    def __init__(self, screen: int) -> None:
        self._screen, self._written = screen, bytearray()
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def read(self) -> bytes:
        self._thread.join(timeout=10)
        os.close(self._screen)
        return bytes(self._written)

    def _take(self) -> None:
        with contextlib.suppress(OSError):  # the other side is closed
            while data := os.read(self._screen, 1 << 16):
                self._written += data


MOUNT = "mount -t tmpfs -o size=16k,mode=700 tmpfs "


@pytest.mark.skipif(
    subprocess.run(["unshare", "--mount", "bash", "-c", MOUNT + "/tmp"], capture_output=True, check=False).returncode != 0
    if shutil.which("unshare") else True, reason="may not mount a file system here",
)  # fmt: skip
@pytest.mark.parametrize("where", ["output", "temporary"])
def test_a_disk_that_is_full(where: str, tmp_path: Path) -> None:
    """A real one, of 16 kB. What was there before is there still, and nothing else."""
    disk = tmp_path / "disk"
    disk.mkdir()
    to = disk if where == "output" else tmp_path
    lines = [f"{MOUNT}{disk}", f"echo before > {disk}/report", f"export TMPDIR={disk} XDG_CACHE_HOME={disk}"]
    for number, what in enumerate((["analyze", "-f", "html"], ["slice", "--whole"])):
        command = shlex.join([*COMMAND, *what, str(CAPTURE), "--output", str(to / f"report{number or ''}")])
        lines.append(f"{command} >&2; echo $?")
    lines.append(f"ls -A {disk}; cat {disk}/report")
    script = "\n".join(lines)
    done = subprocess.run(["unshare", "--mount", "bash", "-c", script], capture_output=True, timeout=120, check=False)
    assert_clean(done, 0)
    first, second, *left = done.stdout.decode().split()
    if where == "output":
        assert (first, second) == ("2", "2"), done.stderr
        assert done.stderr.count(b"No space left on device") == 2
    else:
        assert first in "01", done.stderr
        assert second in "012", done.stderr
    assert left == ["report", "before"]


FORBID = """
import sys
def no(event, arguments):
    if event.startswith("socket.") or event in ("os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "os.system"):
        raise AssertionError(event)
sys.addaudithook(no)
"""


def test_nothing_calls_out(tmp_path: Path) -> None:
    """No socket is opened and no other program run, whatever is asked for: the interpreter itself would tell."""
    for what in (*FORMS, ["slice"], ["rules"], ["explain", "NLM001"]):
        arguments = [*what, str(CAPTURE)] if what in (*FORMS, ["slice"]) else what
        arguments += ["--output", str(tmp_path / "slice.pcap")] if what == ["slice"] else []
        code = f"{FORBID}sys.argv[1:] = {arguments!r}\nfrom nlmdissect.cli import main; main()"
        assert_clean(subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120, check=False), 0, 1)
    code = f"{FORBID}import nlmdissect\nfound = nlmdissect.read({str(CAPTURE)!r})\nfound._repr_html_(); found.table('locks')"
    assert_clean(subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120, check=False), 0)
    code = f"{FORBID}import socket; socket.socket()"
    assert b"AssertionError: socket.__new__" in subprocess.run([sys.executable, "-c", code], capture_output=True).stderr
