"""Machine code in files, and how it is called: the door to llvmlite.

Theory of operation. numba compiles a function to the LLVM language; here that becomes an object file, which can be
kept. To run it again neither numba nor what it knows of Python is needed, so it is there ten times as soon. What it
calls of them is for exceptions, which this code never raises: those calls end the process, and get names of their own,
for names of numba belong to numba, which may come into this process later.

A kept file is the SHA-256 of the rest, one line that says how many such names there are, and the object.
Arrays go as an address and a length, the tables as an address, numbers as 64 bits; results are written to an array.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

ENTRY = "nlmdissect"  # what the function is called in its object
NEVER = "nlmdissect_never_"
DIGEST = 32  # bytes
BYTES, INTS, RECORD, NUMBER, TRUTH = "bytes", "ints", "record", "number", "truth"
KINDS = {"bytes": BYTES, "Ints": INTS, "list[int]": INTS, "Tables": RECORD, "int": NUMBER, "bool": TRUTH}
SIZES = {BYTES: 1, INTS: 8}  # of an item, in bytes

_loaded: list[Any] = []  # the code goes with its owner


def arguments(plain: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    """The names and kinds of what a function takes, by its annotations."""
    return ((name, KINDS[str(kind)]) for name, kind in plain.__annotations__.items() if name != "return")


def results(plain: Callable[..., Any]) -> int:
    """How many numbers a function returns."""
    return str(plain.__annotations__["return"]).count("int")


@cache
def processor() -> str:
    """A short name for what this machine's code may be made of."""
    llvm, cpu, features = _target()
    return hashlib.sha256(f"{llvm.get_process_triple()} {cpu} {features}".encode()).hexdigest()[:16]


def keep(text: str, name: str) -> bytes:
    """A kept file with the function ``name`` of a module in the LLVM language."""
    llvm, _, _ = _target()
    module = llvm.parse_assembly(text)
    module.get_function(name).name = ENTRY
    named = [*module.functions, *module.global_variables]
    outside = [value for value in named if value.is_declaration and not value.name.startswith("llvm.")]
    for number, value in enumerate(outside):
        value.name = f"{NEVER}{number}"
    rest: bytes = b"%d\n" % len(outside) + _machine().emit_object(module)
    return hashlib.sha256(rest).digest() + rest


def load(kept: bytes, plain: Callable[..., Any]) -> Callable[..., Any]:
    """The function of a kept file, which is called as ``plain`` is. Raises ValueError for a damaged file."""
    digest, rest = kept[:DIGEST], kept[DIGEST:]
    if hashlib.sha256(rest).digest() != digest:
        raise ValueError("not what was written")
    outside, _, code = rest.partition(b"\n")
    llvm, _, _ = _target()
    end = ctypes.cast(ctypes.pythonapi.Py_FatalError, ctypes.c_void_p).value
    for number in range(int(outside)):
        llvm.add_symbol(f"{NEVER}{number}", end)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _loaded.append(engine)
    return _caller(engine.get_function_address(ENTRY), plain)


def _caller(address: int, plain: Callable[..., Any]) -> Callable[..., Any]:
    kinds = [kind for _, kind in arguments(plain)]
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    types: list[Any] = [pointer]
    for kind in kinds:
        types += [pointer, number] if kind in SIZES else [pointer] if kind is RECORD else [number]
    function = ctypes.CFUNCTYPE(None, *types)(address)
    found, only = number * results(plain), plain.__annotations__["return"] == "int"

    def call(*given: Any) -> Any:
        told = found()
        passed = [ctypes.addressof(told)]
        for kind, value in zip(kinds, given, strict=True):
            if kind in SIZES:
                if value.itemsize != SIZES[kind] or not value.flags.c_contiguous:
                    raise TypeError(f"{kind} are expected, one behind the other, not {value.dtype}")
                passed += value.ctypes.data, len(value)
            else:
                passed.append(value.ctypes.data if kind is RECORD else value)
        function(*passed)  # lets go of the interpreter
        return told[0] if only else tuple(told)

    return call


@cache
def _target() -> tuple[Any, str, str]:
    """llvmlite, ready for this machine; its processor, and what that can do."""
    from llvmlite import binding

    with suppress(Exception):  # needed by old versions, refused by new ones
        binding.initialize()
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding, binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()


def _machine() -> Any:
    llvm, cpu, features = _target()
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=cpu, features=features, opt=3, reloc="pic", codemodel="jitdefault", jit=True
    )
