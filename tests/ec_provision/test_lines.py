"""Where a key stands that a message names."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure import node_config, toml_text
from ec_closure.errors import BadInputError
from ec_provision import lines

TEXT = """# a comment with name = "x"
schema = "ec-runner.node.v1"
ssh_keys = [
  "one",  # first
  "two",
  "three",
]
[dashboard]
url = \"\"\"
  name = 1
\"\"\"
[[broadcast]]
name = "a"
[[broadcast]]
input = "x"
name = "b"
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("schema", 2),
        ("ssh_keys", 7),
        ("ssh_keys[0]", 4),
        ("ssh_keys[2]", 6),
        ("ssh_keys[3]", None),
        ("dashboard", 8),
        ("dashboard.url", 11),
        ("dashboard.token", None),
        ("broadcast[0].name", 13),
        ("broadcast[1].name", 16),
        ("broadcast[2]", None),
        ("name", None),
        ("schema.x", None),
    ],
)
def test_a_line_is_that_of_the_value(path: str, line: int | None) -> None:
    """Comments and texts that look like keys are none."""
    assert line == lines.line_of(TEXT.encode(), path)


def test_a_long_file_is_not_searched() -> None:
    """It is read once for each of its lines."""
    assert lines.line_of(b"a = 1\n" + b"\n" * 400, "a") is None
    assert 1 == lines.line_of(b"a = 1\n" + b"\n" * 399, "a")


def test_bytes_that_are_no_text_have_no_lines() -> None:
    """The message says so already."""
    assert lines.line_of(b"\xff", "a") is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('schema = "ec-runner.node.v1"\n\nname = "A"\n', "n.toml: line 3: name"),
        ('schema = "ec-runner.node.v1"\nnames = "A"\n', "n.toml: line 2: names"),
        ('schema = "ec-runner.node.v1"\n[dashboard]\nurl = "https://a"\nTokén = 1\n', "n.toml: line 4, column 4"),
        (
            'schema = "ec-runner.node.v1"\n[dashboard]\nurl = "https://a"\ntokens = 1\n',
            "n.toml: line 4: dashboard.tokens",
        ),
        ('schema = "ec-runner.node.v1"\nssh_keys = [\n"x",\n]\n', "n.toml: line 3: ssh_keys[0]"),
        ("", "n.toml"),
        ("x", "n.toml"),
    ],
)
def test_a_message_names_line_and_key(text: str, place: str) -> None:
    """What cannot be told is left out."""
    with pytest.raises(BadInputError) as caught:
        node_config.decode(text.encode(), what="n.toml")
    error = lines.located(caught.value, text.encode(), "n.toml")

    assert error.place is not None
    assert error.place.startswith(place)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), st.text("ab \n#=\"'[]", max_size=8), max_size=6))
def test_the_line_found_is_the_first_that_completes_the_value(table: dict[str, str]) -> None:
    """Whatever the values look like."""
    text = toml_text.render(table)
    for number, key in enumerate(table, 1):
        assert tomllib.loads(text)[key] == table[key]
        assert number == lines.line_of(text.encode(), key) or table[key]
