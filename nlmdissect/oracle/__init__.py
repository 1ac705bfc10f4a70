"""The second opinion: what tshark reads in the same capture, by way of pyshark.

    from nlmdissect.oracle import crosscheck

    crosscheck("capture.pcap")
"""

from __future__ import annotations

from nlmdissect.oracle.check import Crosscheck, crosscheck

__all__ = ["Crosscheck", "crosscheck"]
