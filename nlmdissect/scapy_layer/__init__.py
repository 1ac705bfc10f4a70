"""The door to Scapy: every message of portmap, NLM, NSM and MOUNT (and what names files in NFS) as a Packet class.

    from nlmdissect.scapy_layer import *

    call = RpcCall(cred=auth_sys("client-a")) / NSM1_NOTIFY_Call(mon_name="nfs-server", state=5)
    answer = sr1(IP(dst="10.77.0.21") / UDP(sport=700, dport=39896) / call)
    sniff(offline="x.pcap", session=RpcSession)

Importing it teaches Scapy to find RPC in UDP and TCP. All classes are made from the schema (``protocols``): those of a
procedure are ``NLM4_LOCK_Call`` and ``NLM4_LOCK_Reply``; ``layer(nlm4_lockargs)`` is the class of any other struct.
Lengths, padding, program, version and procedure fill in themselves. ``docs/scapy.md`` is a tour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nlmdissect.scapy_layer.procedures import CLASSES, PROCEDURES
from nlmdissect.scapy_layer.rpc import OpaqueAuth, RpcCall, RpcRecord, RpcReply, auth_sys
from nlmdissect.scapy_layer.session import RpcSession
from nlmdissect.scapy_layer.xdr import layer

globals().update(CLASSES)

if TYPE_CHECKING:  # the names of the classes are made

    def __getattr__(name: str) -> Any: ...


__all__ = [
    "PROCEDURES", "OpaqueAuth", "RpcCall", "RpcRecord", "RpcReply", "RpcSession", "auth_sys", "layer", *CLASSES,
]  # fmt: skip
