"""The programs this project takes apart, and the names of their neighbours.

KLM (100020) and Sun's private 200048 speak of locks too, between a kernel and its own lock daemon: they are not NLM,
and are not found here.
"""

from __future__ import annotations

from nlmdissect.protocols import mount, nfs2, nfs3, nlm, nsm, portmap
from nlmdissect.protocols.program import Procedure, Program

__all__ = ["MOUNT", "NFS", "NLM", "NSM", "PORTMAP", "PROGRAMS", "Procedure", "Program", "find", "program_name"]

PORTMAP = portmap.PORTMAP
NLM = nlm.NLM
NSM = nsm.NSM
NFS = nfs2.NFS
MOUNT = mount.MOUNT

PROGRAMS: dict[tuple[int, int], Program] = {
    (program.number, program.version): program
    for pages in (portmap, nlm, nsm, mount, nfs2, nfs3)
    for program in pages.PROGRAMS
}

_NAMES = {PORTMAP: "PORTMAP", NLM: "NLM", NSM: "NSM", NFS: "NFS", MOUNT: "MOUNT"}
_PROCEDURES = {
    (number, version, procedure.number): procedure
    for (number, version), program in PROGRAMS.items()
    for procedure in program.procedures
}


def find(program: int, version: int, procedure: int) -> Procedure | None:
    """The procedure, or None where this version of the program has none of this number."""
    return _PROCEDURES.get((program, version, procedure))


def program_name(program: int) -> str:
    """``NLM``, ``NSM``, ``PORTMAP``, ``NFS``, ``MOUNT``; the number as text for any other."""
    return _NAMES.get(program, str(program))
