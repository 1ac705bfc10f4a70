"""The door to pyshark: runs tshark on a capture and hands on its packets.

tshark is started so that it loses the least. Clients of NFS use reserved source ports, and tshark takes some of those
for other protocols (NLM on 995 and 802 for TLS, MOUNT on 705 for AgentX). ``tcp.try_heuristic_first`` cures that, and
breaks streams in which records straddle segments: 27 of 5000 messages are left of one capture. To name the reserved
ports RPC finds them all. The second pass (-2) is for the links that point forward, and for the pairs of _MSG and _RES.
Only what is compared is unfolded (-j), without which pyshark takes three times as long.

pyshark needs an event loop that nobody else runs. It gets one of its own in a thread of its own, so that it works where
none runs, and in Jupyter, where one does.
"""

from __future__ import annotations

import asyncio
import configparser
import os
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlmdissect.capture.unpack import Unpacked
from nlmdissect.errors import UsageError
from nlmdissect.oracle.record import KEPT

if TYPE_CHECKING:
    from pyshark.packet.packet import Packet

# what is unfolded, by name; "text" is tshark's word for a box without a name
UNFOLDED = (
    "text ip ipv6 icmp icmpv6 udp tcp rpc nlm nlm.lock nlm.holder nlm.share nlm.test_stat stat stat.mon stat.my_id "
    "stat.stat_chge stat.stat_res statnotify portmap portmap.rpcb"
)
RESERVED = {"tcp.port==512-1023": "rpc", "udp.port==512-1023": "rpc"}
PREFERENCES = {"nlm.msg_res_matching": "TRUE"}
FILTER = f"rpc.program in {{{','.join(map(str, KEPT))}}} or nlm or stat or statnotify or portmap"
PIECE = 1 << 20  # bytes written at a time

GET_PYSHARK = "Install it with: pip install 'nlmdissect[crosscheck]'"
GET_TSHARK = (
    "Debian, Ubuntu: apt install tshark    Fedora, RHEL: dnf install wireshark-cli\n"
    "macOS: brew install wireshark         others: https://www.wireshark.org/download.html"
)


def packets(path: Path, take: Callable[[Packet], None]) -> str:
    """Call ``take``, in another thread, with every packet of the capture that has RPC of ours in it.

    Returns what tshark complains of where it does not read the file to its end, or "". ``version`` was called before.
    """
    stop = threading.Event()
    with tempfile.TemporaryDirectory(prefix="nlmdissect-") as scratch, ThreadPoolExecutor(1) as pool:
        try:
            return pool.submit(_run, _unpacked(path, Path(scratch)), Path(scratch), take, stop).result()
        finally:
            stop.set()  # where the wait was interrupted


def version() -> str:
    """tshark's. Raises UsageError without pyshark or tshark."""
    try:
        from pyshark.tshark.tshark import TSharkNotFoundException, get_tshark_version
    except ImportError as error:
        raise UsageError("pyshark is not installed", GET_PYSHARK) from error
    try:
        return str(get_tshark_version())
    except TSharkNotFoundException as error:
        raise UsageError("tshark is not installed", GET_TSHARK) from error
    except configparser.Error as error:
        raise UsageError("pyshark takes the config.ini of this directory for its own", "Run it in another.") from error


def _run(path: Path, scratch: Path, take: Callable[[Packet], None], stop: threading.Event) -> str:
    from pyshark.capture.capture import StopCapture, TSharkCrashException
    from pyshark.capture.file_capture import FileCapture

    def each(packet: Packet) -> None:
        if stop.is_set():
            raise StopCapture
        take(packet)

    # not the policy's: that may be one of another library's
    loop: Any = getattr(asyncio, "ProactorEventLoop", asyncio.SelectorEventLoop)()
    # the user's own preferences must not matter, and pyshark has no say in the environment
    loop.subprocess_exec = partial(loop.subprocess_exec, env={**os.environ, "WIRESHARK_CONFIG_DIR": str(scratch)})
    asyncio.set_event_loop(loop)
    try:
        capture = _whole(FileCapture)(
            str(path.absolute()), keep_packets=False, eventloop=loop, decode_as=RESERVED, override_prefs=PREFERENCES,
            # as display_filter, it would make pyshark ask tshark for its version each time
            custom_parameters=["-2", "-j", UNFOLDED, "-Y", FILTER],
        )  # fmt: skip
        capture.apply_on_packets(each)
    except TSharkCrashException as error:
        return str(error).partition("Last error line: ")[2].partition("\n")[0] or "it failed"
    finally:
        loop.close()
        asyncio.set_event_loop(None)
    return ""


def _whole(base: Any) -> Any:
    """pyshark kills tshark once its output has ended, and knows of a failure only if tshark was faster.

    To wait for it takes three attributes that pyshark 0.6 calls its own, hence the bound in ``pyproject.toml``.
    """

    class Whole(base):  # type: ignore[misc]
        async def close_async(self) -> None:
            if self._eof_reached:
                ends = (process.wait() for process in self._running_processes)
                await asyncio.gather(*ends, *self._stderr_handling_tasks)
            try:
                await super().close_async()
            finally:
                self._running_processes.clear()

    return Whole


def _unpacked(path: Path, scratch: Path) -> Path:
    """tshark unpacks .gz and .zst itself, and no .xz."""
    with path.open("rb", buffering=0) as raw:
        packed = Unpacked(raw, str(path))
        try:
            if packed.compression != "xz":
                return path
            plain = scratch / "capture"
            with plain.open("wb") as out:
                while part := packed.read(PIECE):
                    out.write(part)
            return plain
        finally:
            packed.close()
