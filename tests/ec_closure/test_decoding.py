from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.decoding import excerpt, explain


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("Expected `int`, got `str` - at `$.paths[3].narSize`", "Expected `int`, got `str`", "doc: paths[3].narSize"),
        ("Expected `int`, got `str` - at `$[3]`", "Expected `int`, got `str`", "doc: [3]"),
        ("Expected '=' (at line 3, column 7)", "Expected '='", "doc: line 3, column 7"),
        ("Unterminated string (at end of document)", "Unterminated string", "doc: end of document"),
        ("JSON is malformed: trailing characters (byte 8)", "JSON is malformed: trailing characters (byte 8)", "doc"),
        ("unknown field `a - at `$.b`` - at `$.c`", "unknown field `a - at `$.b``", "doc: c"),
        ("unknown field `a\n - at `$.b`", r"unknown field `a\n", "doc: b"),
        ("", "", "doc"),
    ],
)
def test_the_place_is_split_off(text: str, message: str, place: str) -> None:
    """As msgspec and tomllib write it, at the end alone: names that strangers chose may look like it."""
    assert explain(ValueError(text), "doc") == (message, place)


@given(st.text(max_size=40), st.integers(0, 50))
def test_an_excerpt_is_one_printable_line(text: str, limit: int) -> None:
    """Which shows that it was cut, and only then."""
    shown = excerpt(text, limit)

    assert shown.isprintable()
    assert shown.endswith("…") == (len(text) > limit or text.endswith("…"))


def test_what_is_printable_stays_as_it_is() -> None:
    """Up to the limit itself."""
    assert excerpt("grün und gut", 12) == "grün und gut"
    assert excerpt("grün und gut", 11) == "grün und gu…"
    assert excerpt("a\x1b\u202e\udcff") == r"a\x1b\u202e\udcff"
