"""How reports show text from packets: as ``nlmdissect/escape.py`` decides for all."""

from __future__ import annotations

from nlmdissect.escape import LONG, shorten, show, show_bytes

__all__ = ["LONG", "shorten", "show", "show_bytes"]
