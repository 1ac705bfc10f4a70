"""Messages that snaplen cut: in the headers, in the credential, in the arguments."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.incidents import LOST
from support.story import capture_of

from nlmdissect.history.history import read_history
from nlmdissect.rpc.calls import NONE

LOCK = 14 + 20 + 8 + 40 + 24 + 88  # at least: link, IP, UDP, header of the call, AUTH_SYS with a name, arguments


@pytest.mark.parametrize("snaplen", range(60, 320, 4))
def test_what_is_not_all_there_is_not_readable(tmp_path: Path, snaplen: int) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes(capture_of(LOST, snaplen)[0])
    history = read_history([path])
    for r in history.requests:
        assert not r.readable or NONE not in (r.fh, r.oh, r.cookie)
        assert not r.readable or r.svid >= 0
    if snaplen < LOCK:
        assert not history.walked.table.rows
