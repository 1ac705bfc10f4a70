"""Expressions that choose rows: what they mean, against Python's own evaluation of the same text, and what is refused."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlmdissect.errors import UsageError
from nlmdissect.tables.where import Field, Kind, rows

ROWS: list[dict[str, Any]] = [
    {"n": 0, "m": 3, "t": "lock", "u": "lock", "f": True, "g": False},
    {"n": 2, "m": 2, "t": "unlock", "u": "lock", "f": False, "g": False},
    {"n": 2**64 - 1, "m": -1, "t": "a b", "u": None, "f": None, "g": True},
    {"n": None, "m": None, "t": None, "u": None, "f": None, "g": None},
    {"n": None, "m": 0, "t": "test", "u": "", "f": True, "g": None},
]
KINDS = {"n": Kind.NUMBER, "m": Kind.NUMBER, "t": Kind.TEXT, "u": Kind.TEXT, "f": Kind.FLAG, "g": Kind.FLAG}


def column(name: str) -> Field:
    return Field(KINDS[name], lambda: [row[name] for row in ROWS])


FIELDS = {name: column(name) for name in KINDS}


def chosen(expression: str) -> list[int]:
    return rows(expression, FIELDS, len(ROWS)).nonzero()[0].tolist()  # type: ignore[no-any-return]


class Missing:
    """What stands for a missing value in Python's evaluation: it equals None alone and has no order."""

    def __eq__(self, other: object) -> bool:
        return other is None

    def __ne__(self, other: object) -> bool:
        return other is not None

    def __lt__(self, other: object) -> bool:
        return False

    __gt__ = __le__ = __ge__ = __contains__ = __lt__

    def __add__(self, other: object) -> Missing:
        return self

    __sub__ = __radd__ = __rsub__ = __add__

    def __neg__(self) -> Missing:
        return self

    __pos__ = __neg__

    def __bool__(self) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


def by_python(expression: str) -> list[int]:
    text = expression.replace(" is not None", " != None").replace(" is None", " == None")
    names = [{name: Missing() if value is None else value for name, value in row.items()} for row in ROWS]
    return [number for number, row in enumerate(names) if eval(text, {}, row)]


# the grammar, as text
number = st.sampled_from(["0", "2", "3", "-1", "0x10", "1.5", "18446744073709551615"])
word = st.sampled_from(['"lock"', '"unlock"', '"ock"', '""', '" "', '"none"'])
numbers = st.recursive(
    st.sampled_from(["n", "m"]),
    lambda inner: st.one_of(
        st.builds("({} + {})".format, inner, number),
        st.builds("({} - {})".format, inner, inner),
        st.builds("-{}".format, inner),
        st.builds("{} + {}".format, number, inner),
    ),
    max_leaves=4,
)
order = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
same = st.sampled_from(["==", "!="])
within = st.sampled_from(["in", "not in"])
texts = st.sampled_from(["t", "u"])
flags = st.sampled_from(["f", "g"])
conditions = st.recursive(
    st.one_of(
        st.builds("{} {} {}".format, numbers, order, st.one_of(number, numbers)),
        st.builds("{} {} {} {} {}".format, number, order, numbers, order, st.one_of(number, numbers)),
        st.builds("{} {} {}".format, texts, same, st.one_of(word, texts, st.just("None"))),
        st.builds("{} {} {}".format, word, same, texts),
        st.builds("{} {} {}".format, word, within, texts),
        st.builds("{} {} ({}, {})".format, texts, within, word, st.one_of(word, st.just("None"))),
        st.builds("{} {} [{}]".format, numbers, within, number),
        st.builds("{} is {}None".format, st.one_of(numbers, texts, flags), st.sampled_from(["", "not "])),
        st.builds("{} {} {}".format, flags, same, st.one_of(flags, st.sampled_from(["True", "False", "None"]))),
        flags,
    ),
    lambda inner: st.one_of(
        st.builds("not ({})".format, inner),
        st.builds("({} and {})".format, inner, inner),
        st.builds("{} or {}".format, inner, inner),
        st.builds("{} and not {}".format, inner, flags),
    ),
    max_leaves=6,
)


@given(conditions)
def test_as_python_evaluates_it(expression: str) -> None:
    assert chosen(expression) == by_python(expression)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('t != "lock"', [1, 2, 3, 4]),  # what is missing is not "lock"
        ('not t == "lock"', [1, 2, 3, 4]),
        ("t is None", [3]),
        ("u == None", [2, 3]),
        ("t == u", [0]),  # two that are missing are not known to be equal
        ("n < 5", [0, 1]),
        ("n >= 0 or n < 0", [0, 1, 2]),
        ("not f", [1, 2, 3]),
        ("f is False", [1]),
        ('"LOCK" in t', [0, 1]),
        ("n in {0, 18446744073709551615}", [0, 2]),
        ("n in ()", []),
        ("0 <= m < 3", [1, 4]),
        ("n - m == 0x0", [1]),
        ("f\nand\nnot g", [0, 4]),
    ],
)
def test_what_it_means(expression: str, expected: list[int]) -> None:
    assert chosen(expression) == expected


@pytest.mark.parametrize(
    ("expression", "message", "under", "hint"),
    [
        ('tt == "lock"', "there is no column tt", "tt", "Did you mean t?"),
        ("t == lock", "there is no column lock", "lock", '"lock"'),
        ("n == 1 and q", "there is no column q", "q", "The columns are n, m"),
        ('n == "1"', "n is a number", '"1"', "without quotes"),
        ("t == 1", "t is text", "1", 't == "1"'),
        ("f == 1", "f is true or false", "1", "Write f"),
        ("t < 'x'", "t is text, which has no order", "t < 'x'", "=="),
        ("n < None", "None has no order", "None", "is None"),
        ("n and f", "n is a number, and no condition", "n", "n is not None"),
        ("'lock' and f", "no condition", "'lock'", "=="),
        ("1 < 2", "no column", "1 < 2", "The columns are"),
        ("n == t", "never equal", "n == t", ""),
        ("n = 1", "compared with ==", "=", ""),
        ("f && g", "'and' and 'or'", "&", ""),
        ("f & g", "joins bits", "f & g", "and"),
        ("~f", "joins bits", "~f", "not"),
        ("n is 1", "None, True and False only", "1", "=="),
        ("1 in n", "column of text", "n", "in ("),
        ("n in 'lock'", "column of text", "'lock'", ""),
        ("1 in t", "part of text", "1", ""),
        ("t + 'x' == 'lockx'", "only numbers are added", "t", ""),
        ("True + n == 1", "only numbers are added", "True", ""),
        ("(n == 1) == f", "a condition is no value", "n == 1", "and, or, not"),
        ('t == "ä" and nn == "é"', "there is no column nn", "nn", "Did you mean n?"),
    ],
)
def test_it_points_at_the_wrong_word(expression: str, message: str, under: str, hint: str) -> None:
    with pytest.raises(UsageError) as found:
        chosen(expression)
    assert message in found.value.message
    shown, marks, *rest = found.value.hint.split("\n")
    assert shown == expression
    at = marks.index("^")
    assert expression[at : at + marks.count("^")] == under
    assert hint in "\n".join(rest)


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "n.__class__ == 1",
        "t.upper() == 'X'",
        "(lambda: 1) == n",
        "[x for x in (1, 2)] == n",
        "n in [x for x in (1, 2)]",
        "9 ** 9 ** 9 == n",
        "'x' * 999999999 == t",
        "n << 999999999 == 1",
        "n == 9999999999999999999999",
        "f'{n}' == t",
        "t[0] == 'l'",
        "(n := 1) == 1",
        "1 if f else 2",
        "print",
        "b'x' == t",
        "1j == n",
        "... == n",
        "*n",
        "yield n",
        "await n",
        "{1: 2} == n",
        "n in {**t}",
        "n @ m == 1",
        "",
        "   ",
        "f\x00",
        "f; g",
        "import os",
        "\ud800",
        "'\\ud800' == n",
        "(" * 300 + "f" + ")" * 300,
        "-" * 3000 + "n == 1",
        "not " * 999 + "q",
        "f and " * 800 + "f",
    ],
)
def test_nothing_else_is_read(expression: str) -> None:
    with pytest.raises(UsageError) as found:
        chosen(expression)
    assert "\n" not in found.value.message
    assert found.value.hint


@given(st.text(max_size=40) | st.text("nmtufg()<=>!'\"+-.,[]{} \\0x1", max_size=30))
def test_no_text_does_harm(expression: str) -> None:
    with contextlib.suppress(UsageError):
        assert set(chosen(expression)) <= set(range(len(ROWS)))


def test_a_literal_means_what_its_column_says() -> None:
    def meaning(text: str) -> frozenset[str]:
        if text == "nobody":
            raise UsageError("there is no nobody", "Ask somebody.")
        return frozenset({"lock", "unlock"})

    fields = {"t": Field(Kind.TEXT, FIELDS["t"].values, meaning, lambda value: f"<{value}>")}
    assert rows('t == "any"', fields, 5).tolist() == [True, True, False, False, False]
    assert rows('t in ("any",)', fields, 5).tolist() == [True, True, False, False, False]
    assert rows('"<l" in t', fields, 5).tolist() == [True, False, False, False, False]
    with pytest.raises(UsageError, match=r"there is no nobody\n.*\n     \^{8}\nAsk somebody"):
        rows('t == "nobody"', fields, 5)
