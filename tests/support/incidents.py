"""A few incidents that the tests of reports share, and how to put hostile names into them."""

from __future__ import annotations

from pathlib import Path

from support.story import capture_of

LOST = """
    1        client1 > server   NLM_LOCK fh=A oh=1 range=0-99 state=3
    2        server  > client1  NLM4_GRANTED
    3        client2 > server   NLM_LOCK fh=B oh=2 range=0-EOF state=3
    4        server  > client2  NLM4_GRANTED
    5  +30s  server  > client1  SM_NOTIFY mon_name=server state=5
    6        client1 > server   OK to=5
    7        server  > client2  SM_NOTIFY mon_name=server state=5
    8        client2 > server   OK to=7
    9        client1 > server   NLM_LOCK fh=A oh=1 range=0-99 reclaim
    10       server  > client1  NLM4_STALE_FH
    11       client2 > server   NLM_LOCK fh=B oh=2 range=0-EOF reclaim
    12       server  > client2  NLM4_GRANTED
    13 +90s  client2 > server   NLM_LOCK fh=C oh=2 range=0-9
    14       server  > client2  NLM4_GRANTED
"""
"""client1 lost a lock: its reclaim was refused with STALE_FH. client2 did not."""

STOLEN = """
    1        client1 > server   NLM_LOCK fh=A oh=1 range=0-99 state=3
    2        server  > client1  NLM4_GRANTED
    3  +30s  server  > client1  SM_NOTIFY mon_name=server state=5
    4        client1 > server   OK to=3
    5        client1 > server   NLM_LOCK fh=A oh=1 range=0-99 reclaim
    6        server  > client1  NLM4_STALE_FH
    7  +90s  client2 > server   NLM_LOCK fh=A oh=2 range=0-9
    8        server  > client2  NLM4_GRANTED
"""
"""client1's reclaim was refused, and client2 has the lock now: a consequence."""

WELL = """
    1        client1 > server   NLM_LOCK fh=A oh=1 range=0-99
    2        server  > client1  NLM4_GRANTED
    3        client1 > server   NLM_UNLOCK fh=A oh=1 range=0-99
    4        server  > client1  NLM4_GRANTED
"""

NO_LOCKS = """
    1        client1 > server   GETPORT lockd
    2        server  > client1  port 4045
"""


def write(path: Path, story: str, **names: bytes) -> Path:
    """Write a story as a capture. ``client1=b"..."`` gives a host another name, of any bytes, up to 16."""
    placeholders = {host: f"{host.upper():X<16}" for host in names}
    lines = [f"host {host} 10.9.0.{number} name={placeholders[host]}" for number, host in enumerate(names, 1)]
    data, _ = capture_of("\n".join([*lines, story]))
    for host, name in names.items():
        assert placeholders[host].encode() in data
        data = data.replace(placeholders[host].encode(), name.ljust(16, b"!")[:16])
    path.write_bytes(data)
    return path
