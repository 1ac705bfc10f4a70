"""The plain functions, compiled: the door to numba.

Each function gets a copy whose globals are the compiled copies of what it calls, and numba compiles those. The types
are those of the annotations, and no others: numba would make another copy of a function for each constant that it is
called with.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

import numpy as np

from . import native

Function = Callable[..., Any]


class Jit:
    """Functions that take numpy arrays where the plain ones take lists, and ``Tables`` as an array of one record."""

    def __init__(self, layout: np.dtype[np.void], *, boundscheck: bool = False) -> None:
        self._layout = layout
        self._made: dict[Any, Any] = {}
        self._options: dict[str, Any] = {"error_model": "numpy", "boundscheck": boundscheck}

    def __call__(self, entry: Function) -> Function:
        """The compiled form of a function, for Python."""
        inner = self._compile(entry, nogil=True)
        return lambda *given: inner(*(value[0] if _is_record(value) else value for value in given))

    def text(self, entry: Function) -> tuple[str, str]:
        """The compiled form of a function in the LLVM language, as ``native`` calls it, and its name there."""
        import numba

        plain = self._compile(entry, no_cpython_wrapper=True, no_cfunc_wrapper=True)
        parts: dict[str, Any] = {"plain": plain, "carray": numba.carray}
        exec(_source(entry), parts)
        made = numba.cfunc(self._flat(entry), error_model="numpy")(parts["entry"])
        return made.inspect_llvm(), made.native_name

    def _compile(self, plain: Any, **options: Any) -> Any:
        """Compile what a function calls, and then it."""
        import numba

        if plain not in self._made:
            for inner in called(plain):
                self._compile(inner, no_cpython_wrapper=True, no_cfunc_wrapper=True)
            names = {name: value for name, value in plain.__globals__.items() if name in plain.__code__.co_names}
            copy = FunctionType(plain.__code__, {n: self._made.get(v, v) for n, v in names.items()}, plain.__name__)
            copy.__module__ = plain.__module__
            made = self._made[plain] = numba.njit(**self._options, **options)(copy)
            made.compile(self._signature(plain))
            made.disable_compile()
        return self._made[plain]

    def _signature(self, plain: Any) -> Any:
        """The types of a function, as numba names them."""
        from numba import boolean, from_dtype, int64, types, void

        ints, several = int64[::1], cast(Any, types.UniTuple)
        known = {
            "int": int64, "bool": boolean, "None": void, "Ints": ints, "list[int]": ints,
            "Tables": from_dtype(self._layout), "bytes": types.Array(types.uint8, 1, "C", readonly=True),
            "tuple[int, int]": several(int64, 2), "tuple[int, int, int]": several(int64, 3),
        }  # fmt: skip
        of = {name: known[str(annotation)] for name, annotation in plain.__annotations__.items()}
        return of.pop("return")(*of.values())

    def _flat(self, entry: Function) -> Any:
        """The types of ``_source``."""
        from numba import from_dtype, int64, types, void

        pointer = types.CPointer
        flat = {
            native.BYTES: (pointer(types.uint8), int64), native.INTS: (pointer(int64), int64),
            native.RECORD: (pointer(from_dtype(self._layout)),), native.NUMBER: (int64,), native.TRUTH: (int64,),
        }  # fmt: skip
        return void(pointer(int64), *(one for _, kind in native.arguments(entry) for one in flat[kind]))


def called(function: Any) -> list[Any]:
    """The functions of this package that a function calls, callees first."""
    found: dict[Function, None] = {}
    for name in function.__code__.co_names:
        inner = function.__globals__.get(name)
        if isinstance(inner, FunctionType):
            found |= dict.fromkeys((*called(inner), inner))
    return list(found)


def _source(entry: Function) -> str:
    """A function that takes addresses and numbers only, and calls ``plain`` with what is there."""
    flat, passed = ["results"], []
    for name, kind in native.arguments(entry):
        flat += [name, f"{name}_size"] if kind in native.SIZES else [name]
        match kind:
            case native.BYTES | native.INTS:
                passed.append(f"carray({name}, {name}_size)")
            case native.RECORD:
                passed.append(f"carray({name}, 1)[0]")
            case native.NUMBER:
                passed.append(name)
            case native.TRUTH:
                passed.append(f"{name} != 0")
    one = entry.__annotations__["return"] == "int"
    told = "\n".join(f"    results[{n}] = found{'' if one else f'[{n}]'}" for n in range(native.results(entry)))
    return f"def entry({', '.join(flat)}):\n    found = plain({', '.join(passed)})\n{told}\n"


def _is_record(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.names is not None
