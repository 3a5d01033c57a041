"""What is written as TOML is read back as the same value, by Python's own reader."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure import toml_text

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
VALUES = SCALARS | st.lists(SCALARS, max_size=4)
TABLES = st.recursive(
    st.dictionaries(TEXT, VALUES, max_size=4),
    lambda inner: st.dictionaries(TEXT, VALUES | inner, max_size=4),
    max_leaves=10,
)


@given(TABLES)
def test_what_is_written_is_what_is_read(table: dict[str, Any]) -> None:
    """Whatever keys and texts hold: quotes, line breaks, control characters, nothing at all."""
    assert table == tomllib.loads(toml_text.render(table))


def test_tables_follow_what_stands_above_them() -> None:
    """A key after a table's header would belong to the table."""
    assert 'b = "x"\nd = [1, true]\n\n[a]\n\n[a."c d"]\ne = 1.5\n' == toml_text.render(
        {"a": {"c d": {"e": 1.5}}, "b": "x", "d": [1, True], "n": None}
    )


@pytest.mark.parametrize("value", [b"x", object(), [{"a": 1}], [None]])
def test_what_has_no_spelling_here_is_refused(value: object) -> None:
    """Before half of a document is written."""
    with pytest.raises(TypeError, match="no TOML for"):
        toml_text.render({"a": value})
