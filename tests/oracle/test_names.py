"""Paths of file handles beside tshark's, frame by frame, where it snoops file names.

tshark keeps the last name that it saw of a handle, by the xid of the call alone; it does not follow RENAME of a name
that it learnt before. Of two names of one file it shows the one that was asked for last, and we the one that was
learnt last.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from oracle.session import TSHARK
from support.captures import SHARED

from nlmdissect.findings import At
from nlmdissect.history.history import read_history
from nlmdissect.oracle.run import RESERVED

RECORDED = Path(__file__).parents[2] / "captures"
PREFERENCES = [part for ports, name in RESERVED.items() for part in ("-d", f"{ports},{name}")]
SNOOP = ("-o", "nfs.file_name_snooping:TRUE", "-o", "nfs.file_full_name_snooping:TRUE")
FIELDS = ("frame.number", "frame.time_epoch", "nfs.fhandle", "nfs.full_name")
COMPARED = [
    *sorted(RECORDED.glob("*.pcap")),
    *(SHARED / f"{name}.pcap" for name in ("N01-nolock", "S22-busy-reboot-healthy", "T11-ganesha-baseline-tcp")),
    *sorted((SHARED / "public").glob("*suricata*nfs*")),
    *sorted((SHARED / "public").glob("zeek+zeek__[mn]*")),
]
LINKED = "/home/girlich/export/bln"  # to what tshark calls b
RENAMED = "/pddevbal801/bro-nfs/testfile.renamed"  # in frame 82
AGREED = {  # what we say, where tshark says something else
    "OISF+suricata-verify__nfsv2.pcap": LINKED,
    "zeek+zeek__mount_base.pcap": RENAMED,
    "zeek+zeek__nfs_fsinfo_bad_status.pcap": RENAMED,
    "zeek+zeek__nfs_getattr_bad_ftype.pcap": RENAMED,
    "zeek+zeek__nfs_setattr_bad_set_it.pcap": RENAMED,
}


@pytest.mark.skipif(TSHARK is None, reason="tshark is not here")
@pytest.mark.parametrize("path", COMPARED, ids=lambda path: path.name)
def test_names(path: Path, tmp_path: Path) -> None:
    if not path.exists():
        pytest.skip("not here")
    shown = [part for field in FIELDS for part in ("-e", field)]
    command = [TSHARK or "", "-n", *PREFERENCES, *SNOOP, "-r", str(path), "-Y", "nfs.full_name", "-T", "fields", *shown]
    said = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "HOME": str(tmp_path)}
    )
    history = read_history([path], checksums=False)
    compared, differ = 0, set()
    for line in said.stdout.splitlines():
        frame, time, handle, name = line.split("\t")
        host, slash, rest = name.partition(":/")
        server = history.traffic.endpoints.find(host) if slash and "," not in handle + name else None
        if server is None:  # several handles in one frame, IPv6, or no mount
            continue
        seconds, _, fraction = time.partition(".")
        at = At(int(seconds) * 10**9 + int(fraction.ljust(9, "0")[:9]), 0, int(frame))
        ours = history.paths.path(server, bytes.fromhex(handle), at)
        path_ = None if ours is None else ours.text.replace(":/", "/", 1).rstrip("/")
        compared += 1
        if path_ != f"/{rest}":
            differ.add(path_)
    assert differ == ({AGREED[path.name]} if path.name in AGREED else set())
    if path.parent == RECORDED and not path.name.startswith("S16"):
        assert compared > 10
