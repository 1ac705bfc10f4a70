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


UNTOLD = """
    1         client1 > server   NLM_LOCK fh=A oh=1 range=0-99 state=3
    2         server  > client1  NLM4_GRANTED
    3         client2 > server   NLM_LOCK fh=B oh=2 range=0-EOF state=3
    4         server  > client2  NLM4_GRANTED
    5  +30s   server  > client2  SM_NOTIFY mon_name=server state=5
    6         client2 > server   OK
    7         client2 > server   NLM_LOCK fh=B oh=2 range=0-EOF reclaim
    8         server  > client2  NLM4_GRANTED
    9  +100s  client2 > server   NLM_LOCK fh=A oh=2 range=0-9
    10        server  > client2  NLM4_GRANTED
    11 +100s  client1 > server   NLM_UNLOCK fh=A oh=1 range=0-99
    12        server  > client1  NLM4_GRANTED
"""
"""Nobody told client1 of the restart, and client2 has its lock now."""

RECOVERED = """
    1        client1 > server   NLM_LOCK fh=A oh=1 range=0-99 state=3
    2        server  > client1  NLM4_GRANTED
    3  +30s  server  > client1  SM_NOTIFY mon_name=server state=5
    4        client1 > server   OK
    5        client1 > server   NLM_LOCK fh=A oh=1 range=0-99 reclaim
    6        server  > client1  NLM4_GRANTED
    7  +90s  client1 > server   NLM_LOCK fh=A oh=1 range=200-209
    8        server  > client1  NLM4_GRANTED
"""
"""A restart that went well."""

WAITED = """
    1        client1 > server   NLM_LOCK fh=A oh=1 range=0-99
    2        server  > client1  NLM4_GRANTED
    3        client2 > server   NLM_LOCK fh=A oh=2 range=50-59 block
    4        server  > client2  NLM4_BLOCKED
    5  +10s  client1 > server   NLM_UNLOCK fh=A oh=1 range=0-99
    6        server  > client1  NLM4_GRANTED
    7        server  > client2  NLM_GRANTED fh=A oh=2 range=50-59
    8        client2 > server   NLM4_GRANTED
"""
"""client2 waits for the lock of client1, and gets it."""


def crowd(clients: int, untold: int) -> str:
    """A restart of a server with many clients, of which the first ``untold`` are never told."""
    lines = [
        f"host c{i} 10.2.{i // 200}.{i % 200 + 1} name=node{i:03d} mac=02:00:00:01:{i // 200:02x}:{i % 200:02x}"
        for i in range(clients)
    ]
    number = 0

    def say(a: str, b: str, words: str, after: str = "+0.01") -> None:
        nonlocal number
        number += 1
        lines.append(f"{number} {after} {a} > {b} {words}")

    for i in range(clients):
        say(f"c{i}", "server", f"NLM_LOCK fh=F{i} oh={i} range=0-99 state=3")
        say("server", f"c{i}", "NLM4_GRANTED")
    for i in range(untold, clients):
        say("server", f"c{i}", "SM_NOTIFY mon_name=server state=5", "+30" if i == untold else "+0.01")
        say(f"c{i}", "server", "OK")
        say(f"c{i}", "server", f"NLM_LOCK fh=F{i} oh={i} range=0-99 reclaim")
        say("server", f"c{i}", "NLM4_GRANTED")
    for i in range(clients):
        say(f"c{i}", "server", f"NLM_LOCK fh=G{i} oh={i} range=0-9", "+100" if not i else "+0.01")
        say("server", f"c{i}", "NLM4_GRANTED")
    return "\n".join(lines)


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
