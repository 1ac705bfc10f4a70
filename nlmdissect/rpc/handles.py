"""What a file handle is called. A handle is opaque: without the calls that named it, its own bytes are all there is
to say.
"""

from __future__ import annotations

SHOWN = 12  # bytes of a handle that a sentence shows; tables and JSON show all


def handle_text(fh: bytes) -> str:
    """A file handle for a sentence: its last bytes tell files of one export apart, the first ones are the export's."""
    if len(fh) <= SHOWN:
        return f"fh {fh.hex()}" if fh else "an unknown file"
    return f"fh ..{fh.rstrip(bytes(1))[-SHOWN:].hex()}"
