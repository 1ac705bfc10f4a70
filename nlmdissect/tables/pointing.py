"""Python's parser for expressions, and complaints that point at the wrong word of one."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from nlmdissect.errors import UsageError


class WrongError(Exception):
    """What is wrong with a part of an expression; never leaves ``pointing``."""

    def __init__(self, node: ast.expr, message: str, hint: str = "") -> None:
        self.node, self.message, self.hint = node, message, hint


def parsed(text: str) -> ast.expr:
    """The tree of an expression, of which nothing is run. Raises what ``pointing`` turns into UsageError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the parser's remarks on style
        return ast.parse(text, mode="eval").body


@contextmanager
def pointing(text: str) -> Iterator[None]:
    """Raise what is wrong with an expression as UsageError: the complaint, the expression, and marks under the word."""
    try:
        yield
    except WrongError as error:
        at, end = _characters(text, error.node)
        raise _error(text, at, end, error.message, error.hint) from None
    except SyntaxError as error:
        at = max((error.offset or 1) - 1, 0)
        raise _error(text, at, at + 1, _plain(error.msg, text, at)) from None
    except (RecursionError, MemoryError, ValueError):  # ValueError: a character that Python does not read
        raise UsageError("the expression cannot be read", "It is nested too deeply, or is not text.") from None


def _plain(message: str, text: str, at: int) -> str:
    """The parser's complaint, or what it most often means."""
    if "&&" in text or "||" in text:
        return "conditions are joined with 'and' and 'or'"
    if text[at : at + 1] == "=" or "'=='" in message:
        return "two values are compared with =="
    return f"the expression cannot be read: {message}"


def _characters(text: str, node: ast.expr) -> tuple[int, int]:
    """Where a node stands; the parser counts bytes of UTF-8."""
    raw = text.encode()
    at, end = (len(raw[:count].decode()) for count in (node.col_offset, node.end_col_offset or 0))
    return at, max(end, at + 1)


def _error(text: str, at: int, end: int, message: str, hint: str = "") -> UsageError:
    return UsageError(message, "\n".join([text, " " * at + "^" * (end - at), *([hint] if hint else [])]))
