"""Text from strangers on its way to a terminal, a log and JSON."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_verify.text import clip, lines, one_line, printable

anything = st.text(st.characters(), max_size=40)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain words, ünïcödé, 漢字 and 🦉", "plain words, ünïcödé, 漢字 and 🦉"),
        ("a\\x1bb", "a\\x1bb"),
        ("\x1b[2K", r"\x1b[2K"),
        ("a\nb\rc\td", r"a\x0ab\x0dc\x09d"),
        ("\x7f\x85\xa0", r"\x7f\x85\xa0"),
        ("\u202eevil\u2066", r"\u202eevil\u2066"),
        ("\udcff\udc80", r"\xff\x80"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_does_not_print_as_itself_is_spelled_out(text: str, shown: str) -> None:
    """Control characters, direction marks, bytes that are no UTF-8; letters of all scripts stay."""
    assert shown == printable(text)


@given(anything)
def test_the_result_prints_and_encodes_and_stays(text: str) -> None:
    """Whatever it was, and however often it is done."""
    shown = printable(text)

    assert shown.isprintable()
    assert shown == printable(shown) == msgspec.json.decode(msgspec.json.encode(shown))


@given(anything, st.integers(1, 30))
def test_one_line_is_one_line_of_limited_length(text: str, limit: int) -> None:
    """Fit for a message."""
    assert (True, True) == ((found := one_line(text, limit)).isprintable(), len(found) <= limit)


def test_white_space_runs_together() -> None:
    """Logs of builders become one line."""
    assert "its builder failed: no space" == one_line(" its builder failed:\n\n\tno  space\r\n")


@given(anything)
def test_lines_stay_lines(text: str) -> None:
    """A log keeps its line breaks and nothing else that moves a cursor."""
    assert all(line.isprintable() for line in lines(text).split("\n"))


@pytest.mark.parametrize(("text", "shown"), [("abc", "abc"), ("abcd", "ab…"), ("", "")])
def test_what_is_too_long_is_cut(text: str, shown: str) -> None:
    """And said to be."""
    assert shown == clip(text, 3)
