"""The documents of the configuration say what the code does: every key, its type, its default."""

from __future__ import annotations

import datetime
import re
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
import pytest

from ec_closure import policy
from ec_closure.findings import KINDS
from ec_closure.record import Line
from ec_verify import config, config_tables
from ec_verify.judge.etc import MUTABLE

DOCS = Path(__file__).parents[2] / "docs"
ROW = re.compile(r"\| `(?P<key>[a-z_]+)` \| (?P<type>[^|]+) \| (?P<default>[^|]+) \| (?P<text>[^|]+) \|")
HEADING = re.compile(r"## (?P<name>.+)")
WORDS: dict[Any, str] = {
    config_tables.Absolute: "absolute path",
    config_tables.AbsoluteOrEmpty: "absolute path or empty",
    config_tables.Url: "address",
    config_tables.UrlOrEmpty: "address or empty",
    config_tables.Size: "size",
    config_tables.Attribute: "flake attribute",
    Line: "text",
    datetime.date: "date",
}
DOCUMENTED: dict[str, dict[str, type[msgspec.Struct]]] = {
    "configuration.md": {
        "Top level": config.Config,
        "`[store]`": config_tables.StoreTable,
        "`[trust]`": config_tables.TrustTable,
        "`[courier]`": config_tables.CourierTable,
        "`[source]`": config_tables.SourceTable,
        "`[system]`": config_tables.SystemTable,
        "`[nix]`": config_tables.NixTable,
        "`[rescan]`": config_tables.RescanTable,
        "`[boot]`": config_tables.BootTable,
        "`[rebuild]`": config_tables.RebuildTable,
        "`[budget]`": config_tables.BudgetTable,
        "`[fleet]`": config_tables.FleetTable,
        "`[report]`": config_tables.ReportTable,
    },
    "policy.md": {
        "Top level": policy.Policy,
        "`[freshness]`": policy.Freshness,
        "`[memory]`": policy.Memory,
        "`[fleet]`": policy.Fleet,
        "`[metadata]`": policy.Metadata,
        "`[[unreproducible]]`": policy.Unreproducible,
        "`[[accept]]`": policy.Accepted,
    },
}
TABLES = [(file, heading, kind) for file, tables in DOCUMENTED.items() for heading, kind in tables.items()]


def rows(file: str, heading: str) -> dict[str, tuple[str, str]]:
    """Return type and default of each key in the table below *heading*."""
    found: dict[str, tuple[str, str]] = {}
    current = ""
    for line in (DOCS / file).read_text().splitlines():
        if match := HEADING.fullmatch(line):
            current = match["name"]
        elif current == heading and (row := ROW.fullmatch(line)):
            assert row["key"] not in found
            found[row["key"]] = (row["type"].strip(), row["default"].strip())
    return found


def type_of(hint: Any) -> str:
    """Return how the documents call a type."""
    if hint in WORDS:
        return WORDS[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        quoted = [f"`{one}`" for one in arguments]
        return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if quoted[1:] else quoted)
    if origin is Annotated and arguments[0] is int:
        (meta,) = arguments[1:]
        return f"number, {meta.ge} to {meta.le}" if meta.le is not None else f"number, {meta.ge} or more"
    if origin in (types.UnionType, typing.Union):
        (inner,) = (one for one in arguments if one is not type(None))
        # An address that is not given has no default to fall back on: its own row says "none".
        return type_of(inner) + ("" if inner == config_tables.Url else " or none")
    if origin is tuple:
        return f"list of {items_of(arguments[0])}"
    if hint is bool:
        return "true or false"
    if origin is dict:
        return f"table of {type_of(arguments[1])}"
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return "table"
    raise TypeError(f"no word for {hint}")


def items_of(hint: Any) -> str:
    """Return how the documents call the items of a list."""
    if get_origin(hint) is Annotated and get_args(hint)[0] is int:
        return "numbers"
    if hint in WORDS:
        return f"{WORDS[hint]}s"
    return "tables" if isinstance(hint, type) else "texts"


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """Return how the documents write a default."""
    if field.required:
        return "required"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if isinstance(value, msgspec.Struct):
        return "see below"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{value}`".lower()
    if isinstance(value, tuple) and value:
        return ", ".join(f"`{one}`" for one in value)
    return f"`{value}`" if value not in ("", (), {}) else "empty"


@pytest.mark.parametrize(("file", "heading", "kind"), TABLES)
def test_every_key_is_documented_as_it_is(file: str, heading: str, kind: type[msgspec.Struct]) -> None:
    """No key is missing, none is invented, and types and defaults are those of the code."""
    hints = typing.get_type_hints(kind, include_extras=True)
    tables = (
        {
            "store",
            "trust",
            "courier",
            "source",
            "nix",
            "rescan",
            "rebuild",
            "budget",
            "fleet",
            "report",
            "system",
            "boot",
        }
        if kind is config.Config
        else set()
    )
    expected = {
        field.name: (type_of(hints[field.name]), default_of(field))
        for field in msgspec.structs.fields(kind)
        if field.name not in tables
    }

    assert expected == rows(file, heading)


def test_what_changes_in_etc_by_itself_is_listed() -> None:
    """Nobody has to read code to know which files of /etc are not judged."""
    (listed,) = re.findall(r"```text\n(.*?)```", (DOCS / "policy.md").read_text(), re.DOTALL)

    assert list(MUTABLE) == listed.split()


def test_every_table_of_the_configuration_has_its_heading() -> None:
    """A new table must not stay undocumented."""
    tables = {
        field.name
        for field in msgspec.structs.fields(config.Config)
        if issubclass(type(field.default), config_tables.Table)
    }

    assert {f"`[{name}]`" for name in tables} | {"Top level"} == DOCUMENTED["configuration.md"].keys()


@pytest.mark.parametrize("file", DOCUMENTED)
def test_the_examples_are_valid(file: str) -> None:
    """What is shown can be copied."""
    (example,) = re.findall(r"```toml\n(.*?)```", (DOCS / file).read_text(), re.DOTALL)

    if file == "policy.md":
        policy.decode(example.encode())
    else:
        config.decode(example.encode())


@pytest.mark.parametrize("file", DOCUMENTED)
def test_the_codes_that_are_named_exist(file: str) -> None:
    """A code that is gone, or was never there, must not be looked for."""
    assert set(re.findall(r"\bEV\d{3}\b", (DOCS / file).read_text())) <= KINDS.keys()
