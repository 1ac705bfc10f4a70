"""Stories in which every address has a network card of its own, and may change it."""

from __future__ import annotations

from ipaddress import ip_address

from support import packets
from support.story import Host, Story
from support.told import Told, history_of

from nlmdissect.findings import Rule
from nlmdissect.rules import run

IPV4, ARP = b"\x08\x00", b"\x08\x06"


def told_with_cards(rule: Rule, *parts: str, cards: dict[str, str] | None = None, moved: int = 0) -> Told:
    """As ``told``. From frame ``moved`` on, the server's address is at another card.

    ``cards`` gives hosts the letter of a card; the others have one each.
    """
    story = Story()
    story.tell("\n".join(parts))
    letters = {_packed(story.hosts[name]): letter for name, letter in (cards or {}).items()}
    server = _packed(story.hosts["server"]) if "server" in story.hosts else b""
    frames = []
    for number, (at, frame) in enumerate(story.frames, 1):
        sender = frame[26:30] if frame[12:14] == IPV4 else frame[28:32]
        letter = letters.get(sender, sender.hex())
        card = _card(letter if sender != server or not moved or number < moved else "moved")
        data = frame[:6] + card + frame[12:]
        if frame[12:14] == ARP:
            data = data[:22] + card + data[28:]
        frames.append((at, data))
    history = history_of(packets.pcap(frames))
    findings, results = run(history)
    assert not [r.error for r in results if r.error]
    return Told(history, findings, next(r for r in results if r.rule is rule), story.hosts)


def _packed(host: Host) -> bytes:
    return ip_address(host.addresses[0]).packed


def _card(letter: str) -> bytes:
    return b"\x02" + letter.encode().rjust(8, b".")[-5:]
