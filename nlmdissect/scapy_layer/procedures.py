"""A Packet class for every call and every answer: ``NLM4_LOCK_Call``, ``NLM4_LOCK_Reply``, ``NSM1_NOTIFY_Call``."""

from __future__ import annotations

from scapy.packet import Packet

from nlmdissect.protocols import PROGRAMS
from nlmdissect.protocols.program import Procedure, Program
from nlmdissect.scapy_layer.xdr import layer
from nlmdissect.xdr.schema import Struct


def _class(program: Program, procedure: Procedure, kind: str, t: Struct) -> type[Packet]:
    name = f"{program.name}{program.version}_{procedure.name}_{kind}"
    return type(name, (layer(t),), {
        "__module__": __name__,
        "__doc__": f"{program.name} version {program.version}, procedure {procedure.number}: ``{t.name}``.",
        "name": f"{program.name}{program.version} {procedure.name} {kind}",
        "fields_desc": layer(t).fields_desc,
        "extract_padding": lambda self, s: (s, None),  # what a sender put behind its arguments is Raw
        "hashret": lambda self: b"",
        "answers": lambda self, other: 1,  # the headers know
    })  # fmt: skip


# (program, version, procedure) -> arguments, results
PROCEDURES: dict[tuple[int, int, int], tuple[type[Packet], type[Packet]]] = {
    (program.number, program.version, procedure.number): (
        _class(program, procedure, "Call", procedure.args),
        _class(program, procedure, "Reply", procedure.res),
    )
    for program in PROGRAMS.values()
    for procedure in program.procedures
}
CLASSES = {cls.__name__: cls for pair in PROCEDURES.values() for cls in pair}
