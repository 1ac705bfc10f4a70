"""Expressions that choose rows, for ``show --where``: ``procedure == "LOCK" and reclaim and status != "GRANTED"``.

Theory of operation. Python's own parser makes the tree, so that precedence, chains and literals are Python's. Nothing
of it is ever run: ``truth`` and ``_operand`` know the few kinds of nodes that are a condition or a value, and whatever
else stands there is refused with its place. Each comparison is made for all rows at once and gives one mask; ``and``,
``or`` and ``not`` join masks.

A missing value is None: it equals the word None and nothing else (not even another missing one), and is neither less
nor greater than anything. So ``status != "GRANTED"`` is true of a call without an answer too, as an engineer expects.
Parts of text are found whatever the case.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlmdissect.errors import UsageError, near
from nlmdissect.tables.pointing import WrongError, parsed, pointing

Mask = NDArray[np.bool_]

LONG = 4000  # characters of an expression
LARGEST = 2**64 - 1

ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
MIRRORED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE,
}  # fmt: skip
SUMS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {ast.Add: operator.add, ast.Sub: operator.sub}
MAY = "It may hold columns, numbers, text in quotes, + and -, comparisons, in, and, or, not."
INSTEAD = {ast.BitAnd: "and", ast.BitOr: "or", ast.Invert: "not"}  # pandas' words for it


class Kind(StrEnum):
    NUMBER = "a number"
    TEXT = "text"
    FLAG = "true or false"
    TIME = "a time"


def itself(literal: Any) -> frozenset[Any]:
    return frozenset({literal})


@dataclass(frozen=True, slots=True)
class Field:
    """A name that expressions know.

    ``values`` makes one value a row, None where there is none. ``meaning`` gives the values that a literal stands for
    (the name of a host: its addresses); it raises UsageError for one that can stand for nothing.
    ``shown`` is the text of a value, in which parts of text are looked for.
    """

    kind: Kind
    values: Callable[[], Sequence[Any]]
    meaning: Callable[[Any], frozenset[Any]] = itself
    shown: Callable[[Any], str] = str


def rows(expression: str, fields: Mapping[str, Field], count: int) -> Mask:
    """Of which of ``count`` rows the expression is true. Raises UsageError, which points at the wrong word."""
    text = " ".join(expression.split("\n")).strip()
    if not text:
        raise UsageError("the expression is empty", 'Write a condition, such as procedure == "LOCK".')
    if len(text) > LONG:
        raise UsageError(f"an expression of {len(text)} characters is too long", f"{LONG} are enough.")
    with pointing(text):
        return _Reader(fields, count).truth(parsed(text))


class _Literal(NamedTuple):
    value: Any
    node: ast.expr


class _Operand(NamedTuple):
    """A column, or a sum with columns in it."""

    name: str
    field: Field
    values: Sequence[Any]


class _Reader:
    def __init__(self, fields: Mapping[str, Field], count: int) -> None:
        self._fields, self._count = fields, count
        self._values: dict[str, Sequence[Any]] = {}

    def truth(self, node: ast.expr) -> Mask:
        match node:
            case ast.BoolOp(op=ast.And(), values=parts):
                return reduce(np.logical_and, map(self.truth, parts))
            case ast.BoolOp(values=parts):
                return reduce(np.logical_or, map(self.truth, parts))
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return ~self.truth(inner)
            case ast.Compare(left=left, ops=ops, comparators=others):
                sides = [left, *others]
                pairs = zip(sides, ops, sides[1:], strict=False)
                return reduce(np.logical_and, [self._comparison(node, *pair) for pair in pairs])
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr() as op) | ast.UnaryOp(op=ast.Invert() as op):
                raise WrongError(node, "this operator joins bits, not conditions", f"Write {INSTEAD[type(op)]}.")
        operand = self._operand(node)
        if isinstance(operand, _Literal):
            raise WrongError(node, "this is no condition", 'Compare a column with it: procedure == "LOCK".')
        if operand.field.kind is not Kind.FLAG:
            what = f"{operand.name} is {operand.field.kind}, and no condition by itself"
            raise WrongError(node, what, f"Compare it with something, such as {operand.name} is not None.")
        return self._mask(value is True for value in operand.values)

    def _comparison(self, whole: ast.expr, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Mask:
        if isinstance(op, ast.In | ast.NotIn):
            found = self._within(whole, left, right)
            return ~found if isinstance(op, ast.NotIn) else found
        a, b = self._operand(left), self._operand(right)
        if isinstance(op, ast.Is | ast.IsNot) and not (
            isinstance(b, _Literal) and (b.value is None or isinstance(b.value, bool))
        ):
            raise WrongError(right, "'is' compares with None, True and False only", "Write == or !=.")
        if isinstance(op, ast.Eq | ast.NotEq | ast.Is | ast.IsNot):
            found = self._equal(whole, a, b)
            return ~found if isinstance(op, ast.NotEq | ast.IsNot) else found
        return self._ordered(whole, a, type(op), b)

    def _within(self, whole: ast.expr, left: ast.expr, right: ast.expr) -> Mask:
        operand = self._operand(left)
        if isinstance(right, ast.Tuple | ast.List | ast.Set):
            others = [self._operand(element) for element in right.elts]
            equal = [self._equal(whole, operand, other) for other in others]
            return reduce(np.logical_or, equal, np.zeros(self._count, np.bool_))
        text = self._operand(right)
        if isinstance(text, _Literal) or text.field.kind is not Kind.TEXT:
            raise WrongError(
                right, "'in' looks into a list, or into a column of text", 'Write program in ("NLM", "NSM").'
            )
        if not isinstance(operand, _Literal) or not isinstance(operand.value, str):
            raise WrongError(left, "only text can be a part of text", f'Write "..." in {text.name}.')
        part, shown = operand.value.casefold(), text.field.shown
        hits = {value: part in shown(value).casefold() for value in set(text.values) if value is not None}
        return self._mask(hits.get(value, False) for value in text.values)

    def _equal(self, whole: ast.expr, a: _Operand | _Literal, b: _Operand | _Literal) -> Mask:
        if isinstance(a, _Literal):
            a, b = b, a
        if isinstance(a, _Literal):
            raise WrongError(whole, "no column is compared here", _columns(self._fields))
        if isinstance(b, _Operand):
            self._alike(whole, a, b)
            return self._mask(x is not None and x == y for x, y in zip(a.values, b.values, strict=True))
        if b.value is None:
            return self._mask(value is None for value in a.values)
        wanted = _meaning(a, b)
        return self._mask(value in wanted for value in a.values)

    def _ordered(self, whole: ast.expr, a: _Operand | _Literal, op: type[ast.cmpop], b: _Operand | _Literal) -> Mask:
        if isinstance(a, _Literal):
            a, op, b = b, MIRRORED[op], a
        if isinstance(a, _Literal):
            raise WrongError(whole, "no column is compared here", _columns(self._fields))
        if a.field.kind not in (Kind.NUMBER, Kind.TIME):
            raise WrongError(whole, f"{a.name} is {a.field.kind}, which has no order", "Write ==, != or in.")
        less = ORDER[op]
        if isinstance(b, _Operand):
            self._alike(whole, a, b)
            pairs = zip(a.values, b.values, strict=True)
            return self._mask(x is not None and y is not None and less(x, y) for x, y in pairs)
        if b.value is None:
            raise WrongError(b.node, "None has no order", "Write 'is None' or 'is not None'.")
        (limit,) = _meaning(a, b)
        return self._mask(value is not None and less(value, limit) for value in a.values)

    def _operand(self, node: ast.expr) -> _Operand | _Literal:
        match node:
            case ast.Constant(value=int() as value) if value > LARGEST:
                raise WrongError(node, "no column holds a number as large as this")
            case ast.Constant(value=None | bool() | int() | float() | str() as value):
                return _Literal(value, node)
            case ast.Name(id=name):
                return self._column(node, name)
            case ast.UnaryOp(op=ast.UAdd() | ast.USub() as sign, operand=inner):
                number = self._number(inner)
                if isinstance(sign, ast.UAdd):
                    return _Literal(number.value, node) if isinstance(number, _Literal) else number
                return self._sum(node, _Literal(0, node), operator.sub, number)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
                return self._sum(node, self._number(left), SUMS[type(op)], self._number(right))
            case ast.Call():
                raise WrongError(node, "functions cannot be called here", 'A part of text is found with "..." in fh.')
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                raise WrongError(node, "a condition is no value", "Join conditions with and, or, not.")
            case _:
                raise WrongError(node, "this cannot stand in an expression", MAY)

    def _column(self, node: ast.expr, name: str) -> _Operand:
        field = self._fields.get(name)
        if field is None:
            hint = near(name, self._fields) or f'Text stands in quotes: "{name}". {_columns(self._fields)}'
            raise WrongError(node, f"there is no column {name}", hint)
        if name not in self._values:
            self._values[name] = field.values()
        return _Operand(name, field, self._values[name])

    def _number(self, node: ast.expr) -> _Operand | _Literal:
        operand = self._operand(node)
        if isinstance(operand, _Literal):
            if isinstance(operand.value, bool) or not isinstance(operand.value, int | float):
                raise WrongError(node, "only numbers are added")
        elif operand.field.kind is not Kind.NUMBER:
            raise WrongError(node, f"{operand.name} is {operand.field.kind}; only numbers are added")
        return operand

    def _sum(
        self, node: ast.expr, a: _Operand | _Literal, add: Callable[[Any, Any], Any], b: _Operand | _Literal
    ) -> _Operand | _Literal:
        if isinstance(a, _Literal) and isinstance(b, _Literal):
            return _Literal(add(a.value, b.value), node)
        left, right = ([side.value] * self._count if isinstance(side, _Literal) else side.values for side in (a, b))
        values = [None if x is None or y is None else add(x, y) for x, y in zip(left, right, strict=True)]
        return _Operand("the sum", Field(Kind.NUMBER, lambda: values), values)

    def _alike(self, whole: ast.expr, a: _Operand, b: _Operand) -> None:
        if a.field.kind is not b.field.kind or a.field.shown != b.field.shown:
            raise WrongError(whole, f"{a.name} and {b.name} are of different sorts, and never equal")

    def _mask(self, found: Iterable[bool]) -> Mask:
        return np.fromiter(found, np.bool_, self._count)


def _meaning(column: _Operand, literal: _Literal) -> frozenset[Any]:
    """The values that a literal beside a column stands for."""
    value, kind = literal.value, column.field.kind
    match kind, value:
        case (Kind.FLAG, bool()) | (Kind.TEXT, str()) | (Kind.TIME, str()):
            pass
        case (Kind.NUMBER | Kind.TIME, int() | float()) if not isinstance(value, bool):
            pass
        case _:
            example = {
                Kind.FLAG: f"Write {column.name}, or not {column.name}.",
                Kind.TEXT: f'Text stands in quotes: {column.name} == "{value}".',
                Kind.NUMBER: "Write it without quotes: 17, 0x11 or 1.5.",
                Kind.TIME: 'Write "11:30:20", "2026-01-31T11:30:20" or +12.5, seconds from the first frame.',
            }
            raise WrongError(literal.node, f"{column.name} is {kind}, and this is not", example[kind])
    try:
        return column.field.meaning(value)
    except UsageError as error:
        raise WrongError(literal.node, error.message, error.hint) from None


def _columns(fields: Mapping[str, Field]) -> str:
    return f"The columns are {', '.join(fields)}."
