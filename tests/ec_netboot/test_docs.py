"""The boot server's documents say what the code does: every key, its type, its default, and every command."""

from __future__ import annotations

import re
import typing
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
import pytest

from ec_netboot import config
from ec_netboot.boot.dnsmasq import PORTS
from ec_netboot.main import _COMMANDS
from ec_netboot.release import Platform

DOCS = Path(__file__).parents[2] / "docs"
ROW = re.compile(r"\| `(?P<key>[a-z0-9_]+)` \| (?P<type>[^|]+) \| (?P<default>[^|]+) \| (?P<text>[^|]+) \|")
WORDS: dict[Any, str] = {
    config.Absolute: "absolute path",
    config.AbsoluteOrEmpty: "absolute path or empty",
    config.Plain: "plain path",
    config.Url: "address",
    config.UrlOrEmpty: "address or empty",
    config.ProxyOrEmpty: "address or empty",
    config.Sha256OrEmpty: "digest or empty",
    config.TagOrEmpty: "tag or empty",
    config.Interface: "interface or empty",
    config.User: "user or empty",
    config.Line: "text",
    bool: "true or false",
    Platform: "platform",
}
# What is checked by more than a pattern.
SPECIAL = {
    "address": "address of this machine",
    "allowed": "list of networks",
    "subnet": "network",
    "user": "user",
}
TABLES = {"Top level": config.Config} | {
    f"`[{field.name}]`": type(field.default)
    for field in msgspec.structs.fields(config.Config)
    if isinstance(field.default, config.Table)
}


def rows(heading: str) -> dict[str, tuple[str, str]]:
    """Return type and default of each key in the table below *heading*."""
    found: dict[str, tuple[str, str]] = {}
    current = ""
    for line in (DOCS / "netboot.md").read_text().splitlines():
        if line.startswith("## "):
            current = line.removeprefix("## ")
        elif current == heading and (row := ROW.fullmatch(line)):
            assert row["key"] not in found
            found[row["key"]] = (row["type"].strip(), row["default"].strip())
    return found


def type_of(name: str, hint: Any) -> str:
    """Return how the document calls a type."""
    if name in SPECIAL:
        return SPECIAL[name]
    if hint in WORDS:
        return WORDS[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in arguments)
    if origin is tuple:
        return f"list of {WORDS[arguments[0]]}s"
    if origin is Annotated and arguments[0] is int:
        return f"number, {arguments[1].ge} to {arguments[1].le}"
    (inner,) = (one for one in arguments if one is not type(None))
    return type_of(name, inner)


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """Return how the document writes a default."""
    value = field.default
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{value}`".lower()
    if isinstance(value, tuple) and value:
        return ", ".join(f"`{one}`" for one in value)
    return f"`{value}`" if value not in ("", ()) else "empty"


@pytest.mark.parametrize(("heading", "kind"), TABLES.items())
def test_every_key_is_documented_as_it_is(heading: str, kind: type[msgspec.Struct]) -> None:
    """No key is missing, none is invented, and types and defaults are those of the code."""
    hints = typing.get_type_hints(kind, include_extras=True)

    assert {
        field.name: (type_of(field.name, hints[field.name]), default_of(field))
        for field in msgspec.structs.fields(kind)
        if not isinstance(field.default, config.Table)
    } == rows(heading)


@pytest.mark.parametrize("file", ["netboot.md", "netboot-unifi.md"])
def test_the_examples_are_valid(file: str) -> None:
    """What is shown can be copied."""
    examples = re.findall(r"```toml\n(.*?)```", (DOCS / file).read_text(), re.DOTALL)
    assert examples
    for example in examples:
        config.decode(example.encode())


def test_every_command_is_documented() -> None:
    """In the table of commands."""
    text = (DOCS / "netboot.md").read_text().partition("## Commands")[2].partition("\n## ")[0]

    assert set(re.findall(r"^\| `([a-z]+)` \|", text, re.MULTILINE)) == set(_COMMANDS)


@pytest.mark.parametrize("file", ["netboot.md", "netboot-unifi.md"])
def test_the_ports_are_those_of_the_code(file: str) -> None:
    """A firewall that opens others lets no transfer through."""
    assert f"{PORTS[0]} to {PORTS[1]}" in (DOCS / file).read_text()


def test_links_lead_somewhere() -> None:
    """From one document to the other, and to headings in it."""
    for file in ("netboot.md", "netboot-unifi.md"):
        for target in re.findall(r"\]\(([^)]+)\)", (DOCS / file).read_text()):
            name, _, heading = target.partition("#")
            text = (DOCS / (name or file)).read_text()
            headings = {one.strip().lower() for one in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
            assert not heading or heading in headings
