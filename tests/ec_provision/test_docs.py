"""The operators' document says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from ec_closure import node_config
from ec_closure.node_config import DashboardTable, NodeConfig
from ec_provision import command_line, sources, state, tree
from ec_provision.commands import apply

TEXT = (Path(__file__).parents[2] / "docs/node-data.md").read_text()
SECTIONS = {match[1]: match[2] for match in re.finditer(r"^#+ (.+?)\n(.*?)(?=^#+ |\Z)", TEXT, re.DOTALL | re.MULTILINE)}


def rows(section: str) -> dict[str, str]:
    """Return the third column of a section's table by its first."""
    found = re.findall(r"^\| `(.+?)` \| .+? \| (.+?) \| .+ \|$", SECTIONS[section], re.MULTILINE)
    return dict(found)


@pytest.mark.parametrize(("section", "kind"), [("Top level", NodeConfig), ("`[dashboard]`", DashboardTable)])
def test_every_key_is_documented_as_it_is(section: str, kind: type[msgspec.Struct]) -> None:
    """None is missing, none is invented, and defaults are those of the code."""
    expected = {
        field.name: "required" if field.required else {None: "none", (): "empty"}[field.default]
        for field in msgspec.structs.fields(kind)
    }

    assert expected == rows(section)


def test_the_example_is_valid() -> None:
    """What is shown can be copied."""
    (example,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)

    assert 1 == len(node_config.decode(example.encode()).broadcast)


def test_places_and_figures_are_those_of_the_code() -> None:
    """In the order in which they are looked at."""
    names = ("systemd credential", "kernel's command line", "partition labelled EC-NODE", f"/{sources.FILE}")
    headings = [heading for heading in SECTIONS if re.match(r"[1-4]\. ", heading)]

    assert len(node_config.SOURCES) == len(headings)
    assert all(name in heading for name, heading in zip(names, headings, strict=True))
    assert f"{apply.DEADLINE:g} seconds, at most {node_config.MAX_BYTES >> 10} KiB" in TEXT
    assert {f"`{command_line.ADDRESS}=https://…`", f"`{command_line.PIN}=HEX`"} <= set(re.findall(r"`[^`\n]+`", TEXT))


def test_files_have_the_modes_that_are_documented() -> None:
    """Every file that is written stands in the table."""
    listed = dict(re.findall(r"^\| `([a-z.A-Z/]+)` \| (\d{4}) \|", SECTIONS["What is applied"], re.MULTILINE))
    (example,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    written = {
        path.replace("channel-4", "NAME"): f"{file.mode:04o}"
        for path, file in tree.tree_of(node_config.decode(example.encode())).items()
    }

    assert listed == {state.APPLIED: "0644", **written}
