"""docs/dashboard.md says what the program does: keys, defaults, commands, codes, scopes."""

from __future__ import annotations

import re
import typing
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
import pytest

from runner_dashboard import config, main
from runner_dashboard.config import Config
from runner_dashboard.identity.roles import GRANTS, PEOPLE, SCOPES
from runner_dashboard.ingest.suspicion import KINDS

TEXT = (Path(__file__).parents[2] / "docs" / "dashboard.md").read_text()
ROW = re.compile(r"\| `(?P<key>[a-z_]+)` \| (?P<type>[^|]+) \| (?P<default>[^|]+) \| (?P<text>[^|]+) \|")
WORDS: dict[Any, str] = {
    config.Absolute: "absolute path",
    config.AbsoluteOrEmpty: "absolute path or empty",
    config.OriginOrEmpty: "origin or empty",
    config.Host: "host",
    config.Secret: "secret",
    config.IssuerOrEmpty: "address or empty",
    config.AddressOrEmpty: "address or empty",
    config.Header: "header",
    tuple[config.Name, ...]: "list of names",
    tuple[config.Network, ...]: "list of networks",
    tuple[config.Word, ...]: "list of words",
}
PATTERNS = {
    r"^[A-Za-z0-9._/:-]{0,300}$(?!\n)": "scope or empty",
    r"^[^\x00-\x1f\x7f]{0,60}$(?!\n)": "text or empty",
    r"^[\x21-\x7e]{0,200}$(?!\n)": "word or empty",
    r"^[A-Za-z0-9_.:/-]{0,100}$(?!\n)": "word or empty",
}
TABLES = {"Top level": Config} | {
    f"`[{field.name}]`": type(field.default)
    for field in msgspec.structs.fields(Config)
    if isinstance(field.default, config.Table)
}


def rows(heading: str) -> dict[str, tuple[str, str]]:
    """Return type and default of each key below *heading*."""
    section = TEXT.partition(f"\n### {heading}\n")[2].partition("\n##")[0]
    return {row["key"]: (row["type"].strip(), row["default"].strip()) for row in ROW.finditer(section)}


def type_of(hint: Any) -> str:
    """Return how the document calls a type."""
    if hint in WORDS:
        return WORDS[hint]
    if get_origin(hint) is Literal:
        *first, last = (f"`{word}`" for word in get_args(hint))
        return f"{', '.join(first)} or {last}" if first else last
    if get_origin(hint) is tuple:
        return f"list of {type_of(get_args(hint)[0])}"
    if get_origin(hint) is Annotated:
        (meta,) = get_args(hint)[1:]
        if meta.pattern is not None:
            return PATTERNS[meta.pattern]
        return f"number, {meta.ge} to {meta.le}"
    assert hint is bool
    return "true or false"


def default_of(value: Any) -> str:
    """Return how the document writes a default."""
    if value == "":
        return "empty"
    if isinstance(value, tuple):
        return ", ".join(f"`{word}`" for word in value) or "none"
    return f"`{value}`".lower() if isinstance(value, bool) else f"`{value}`"


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_is_documented_as_it_is(heading: str) -> None:
    """None is missing, none is invented, and types and defaults are those of the code."""
    kind = TABLES[heading]
    hints = typing.get_type_hints(kind, include_extras=True)
    expected = {
        field.name: (type_of(hints[field.name]), default_of(field.default))
        for field in msgspec.structs.fields(kind)
        if not isinstance(field.default, config.Table)
    }

    assert expected == rows(heading)


def test_every_command_is_documented() -> None:
    """In the table at the top."""
    documented = set(re.findall(r"^\| `runner-dashboard ([a-z]+)", TEXT, re.MULTILINE))

    assert documented == {*main._COMMANDS, "token"}
    (row,) = re.findall(r"^\| `runner-dashboard token …` \|.*", TEXT, re.MULTILINE)
    assert {f"`{name}`" for name in main._TOKEN} <= set(re.findall(r"`[a-z]+`", row))


def test_roles_and_scopes_are_documented() -> None:
    """Each role's row names what it may have more than those before it."""
    seen: set[str] = set()
    for role in PEOPLE:
        (row,) = re.findall(rf"^\| `{role.word}` \| (.*) \|$", TEXT, re.MULTILINE)
        seen |= {word for word in re.findall(r"`(\w+)`", row) if word in SCOPES}
        assert seen == GRANTS[role]


def test_every_suspicion_is_documented() -> None:
    """With what it means."""
    assert KINDS.keys() == set(re.findall(r"^\| `(RD\d{3})` \|", TEXT, re.MULTILINE))


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL))
def test_the_examples_are_valid(example: str) -> None:
    """What is shown can be copied."""
    assert config.decode(example.encode()).remarks() == []
