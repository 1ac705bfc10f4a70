"""How text from packets is shown to people. The one place that decides it.

Names, file handles and error texts come from the network, and whoever sent them may want to steer the reader's
terminal: clear it, hide a line, turn the order of letters round. So nothing is shown that is not a printable
character: control characters (ESC among them), line ends, marks that change the direction of text, invisible and
unassigned characters become their escapes, as Python and Wireshark write them. Reports add their own line ends and
colours afterwards, and read no markup in what comes from here.
"""

from __future__ import annotations

from html import escape

LONG = 64  # characters of a name that a sentence shows; the protocols allow 1024


def show(text: str) -> str:
    """Printable text on one line."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def shorten(text: str, most: int = LONG) -> str:
    """Printable text of at most ``most`` characters; the middle of a longer one is left out."""
    shown = show(text)
    if len(shown) <= most:
        return shown
    tail = most // 3
    return f"{shown[: most - tail - 2]}..{shown[-tail:]}"


def show_bytes(data: bytes) -> str:
    """Bytes that are usually text, as printable text; what is no UTF-8 as ``\\xNN``."""
    return show(data.decode("utf-8", "backslashreplace"))


def in_html(text: str) -> str:
    """Printable text for HTML, in an element or in an attribute that stands in quotes."""
    return escape(show(text))


def _escape(c: str) -> str:
    code = ord(c)
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(c)
    return named or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
