"""Text from packets cannot act on a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlmdissect.escape import in_html, shorten, show, show_bytes


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("client-a.example.com", "client-a.example.com"),
        ("größe-日本", "größe-日本"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("user\u202etxt.exe\u2066", "user\\u202etxt.exe\\u2066"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("line\u2028para\u2029", "line\\u2028para\\u2029"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("no\u00a0break", "no\\xa0break"),
        ("[bold red]not markup[/]", "[bold red]not markup[/]"),
    ],
)
def test_what_is_not_printable_becomes_its_escape(text: str, shown: str) -> None:
    assert show(text) == shown


@given(st.text())
def test_nothing_that_acts_is_left(text: str) -> None:
    shown = show(text)
    assert not [c for c in shown if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}]
    shown.encode("utf-8")
    assert show(shown) == shown


@given(st.text(), st.integers(8, 100))
def test_a_long_text_keeps_its_ends(text: str, most: int) -> None:
    short, whole = shorten(text, most), show(text)
    assert len(short) <= most
    assert short == whole or (whole.startswith(short.partition("..")[0]) and len(whole) > most)


def test_bytes_that_are_no_text() -> None:
    assert show_bytes(b"0@cl\xff\x1b") == "0@cl\\xff\\x1b"


def test_text_cannot_act_on_a_page() -> None:
    assert in_html("<b>\x1b[2J\u202e") == "&lt;b&gt;\\x1b[2J\\u202e"
    assert in_html("\"' &amp;") == "&quot;&#x27; &amp;amp;"
