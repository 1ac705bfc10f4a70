"""tshark's reading of a capture, one record a message.

tshark is started so that it loses the least. Clients of NFS use reserved source ports, and tshark takes some of those for other
protocols (NLM on 995 and 802 for TLS, MOUNT on 705 for AgentX). ``tcp.try_heuristic_first`` cures that, and breaks streams in
which records straddle segments: 27 of 5000 messages are left of one capture. To name the reserved ports RPC finds them all. The
second pass (-2) is for the links that point forward, and for the pairs of _MSG and _RES.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from oracle.fields import CLOSED, IGNORED, LINKS, NUMBERS, TEXTS
from oracle.record import KEPT, Message

TSHARK = shutil.which("tshark")
# what is unfolded, by name; "text" is tshark's word for a box without a name
UNFOLDED = (
    "text ip ipv6 icmp icmpv6 udp tcp rpc nlm nlm.lock nlm.holder nlm.share nlm.test_stat stat stat.mon stat.my_id "
    "stat.stat_chge stat.stat_res statnotify portmap portmap.rpcb"
)
PREFERENCES = (
    "-d", "tcp.port==512-1023,rpc", "-d", "udp.port==512-1023,rpc",
    "-o", "nlm.msg_res_matching:TRUE",
)  # fmt: skip
FILTER = f"rpc.program in {{{','.join(map(str, KEPT))}}} or nlm or stat or statnotify or portmap"
NO_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
BODIES = frozenset({"nlm", "stat", "statnotify", "portmap"})


def pdml(path: Path, scratch: Path) -> tuple[bytes, str]:
    """What tshark prints, and what it complains of ("" if it read the file to its end)."""
    assert TSHARK
    if path.suffix == ".xz":  # this tshark does not unpack it
        unpacked = scratch / path.stem
        with lzma.open(path) as packed, unpacked.open("wb") as out:
            shutil.copyfileobj(packed, out)
        path = unpacked
    command = [TSHARK, "-n", "-2", *PREFERENCES, "-r", str(path), "-Y", FILTER, "-T", "pdml", "-j", UNFOLDED]
    # without a home it has no profile: the user's own preferences must not matter
    done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "HOME": str(scratch)})
    complaint = done.stderr.decode(errors="replace").strip().splitlines()
    return done.stdout, complaint[-1] if done.returncode and complaint else ""


def read(xml: bytes) -> list[Message]:
    """The messages of portmap, NLM, NSM and MOUNT, in the order in which tshark shows them.

    Marks:  "quoted": inside of an ICMP error; "undecoded": tshark gave up on the body; "malformed": it ran into the end;
            "fragmented": of a record of several fragments.
    """
    if not xml:
        return []
    text = NO_XML.sub(b"?", xml).decode(errors="replace")  # names are shown as they are, whatever bytes they have
    return [m for packet in ET.fromstring(text).iterfind("packet") for m in _packet(packet) if m.program in KEPT]


def _packet(packet: ET.Element) -> Iterator[Message]:
    frame, quoted, message = 0, False, None
    src = dst = ""
    sport, dport, tcp, size = 0, 0, False, 0
    for proto in packet.iterfind("proto"):
        name = proto.get("name", "")
        if name == "geninfo":
            frame = int(_show(proto, "num"))
        elif name in ("ip", "ipv6"):
            src, dst = _show(proto, f"{name}.src"), _show(proto, f"{name}.dst")
        elif name in ("icmp", "icmpv6"):
            quoted = True
        elif name in ("udp", "tcp"):
            sport, dport = int(_show(proto, f"{name}.srcport")), int(_show(proto, f"{name}.dstport"))
            tcp = name == "tcp"
            size = 0 if tcp else int(_show(proto, "udp.length")) - 8
        elif name == "rpc":
            kind, xid = _show(proto, "rpc.msgtyp"), _show(proto, "rpc.xid")
            if kind and xid:
                if message is not None:
                    yield message
                message = Message(frame, int(kind), int(xid, 16), src, sport, dst, dport, tcp)
                message.program = int(_show(proto, "rpc.program") or -1)
                message.version = int(_show(proto, "rpc.programversion") or -1)
                message.procedure = int(_show(proto, "rpc.procedure") or -1)
                message.add(
                    "length",
                    size or sum(int(f.get("show", "")) for f in proto.iter("field") if f.get("name") == "rpc.fraglen"),
                )
                if quoted:
                    message.marks.add("quoted")
                _leaves(proto, message, "")
        elif name in BODIES and message is not None:
            _leaves(proto, message, "")
        elif name == "_ws.malformed" and message is not None:
            message.marks.add("malformed")
    if message is not None:
        yield message


def _leaves(element: ET.Element, message: Message, prefix: str) -> None:
    for child in element.iterfind("field"):
        name, show = child.get("name", ""), child.get("show", "")
        below = prefix
        if name == "nlm.holder":
            below = "holder."
        elif not name and show == "Credentials":
            below = "cred."
        elif not name and show == "Verifier":
            below = "verf."
        elif not name and show.startswith("Auxiliary GIDs"):
            below = "cred.s"  # the field inside is called gid, as the one outside is
        if name in CLOSED:
            message.marks.add(CLOSED[name])
        else:
            _leaf(message, name, child, below)
            _leaves(child, message, below)


def _leaf(message: Message, name: str, leaf: ET.Element, prefix: str) -> None:
    if name in LINKS:
        message.links[LINKS[name]] = int(leaf.get("show", ""))
    elif name in TEXTS:
        message.add(prefix + TEXTS[name], bytes.fromhex(leaf.get("value", "")))
    elif name in NUMBERS:
        ours = "cred.gids" if prefix == "cred.s" else prefix + NUMBERS[name]
        message.add(ours, int(leaf.get("show", ""), 0))
    elif name == "filtered":
        message.add(f"box {leaf.get('value')} was not unfolded", b"")
    elif name and name not in IGNORED:
        message.add(name, bytes.fromhex(leaf.get("value", "")))


def _show(proto: ET.Element, name: str) -> str:
    return next((f.get("show", "") for f in proto.iterfind("field") if f.get("name") == name), "")
