"""Loops as machine code that looks at every bound: a read without a test before it is an IndexError."""

from __future__ import annotations

from functools import cache

import pytest

from nlmdissect.capture import compiled, jit

Code = dict[compiled.Function, compiled.Function]


@cache
def checked(*entries: compiled.Function) -> Code:
    """The compiled forms of these loops. Without numba the test is skipped."""
    pytest.importorskip("numba")
    made = jit.Jit(compiled.layout(), boundscheck=True)
    return {entry: made(entry) for entry in entries}
