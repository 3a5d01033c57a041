"""Rules that do not come from the store, on a small machine below a directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_verify.location import StoreLocation
from ec_verify.observe import rules
from ec_verify.observe.places import HostPlaces

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.observe.rules import RuleFile

STORED = f"/nix/store/{'1' * 32}-rules"


def seen(root: Path) -> dict[str, RuleFile]:
    """Return what is found, by path."""
    found = rules.observe(HostPlaces(StoreLocation(root)))
    assert () == found.gaps
    return {one.path: one for one in found.files}


def at(root: Path, path: str) -> Path:
    """Return where *path* is; its directory exists."""
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


@pytest.mark.parametrize("directory", rules.DIRECTORIES)
def test_every_directory_of_rules_is_looked_into(tmp_path: Path, directory: str) -> None:
    """Whoever reads it."""
    at(tmp_path, f"{directory}/a").write_text("")

    assert [f"{directory}/a"] == list(seen(tmp_path))


def test_rules_of_the_system_are_passed_over(tmp_path: Path) -> None:
    """Directories that are one link into the store, and single links of /etc."""
    at(tmp_path, f"{STORED}/a").write_text("a")
    at(tmp_path, "/etc/udev/rules.d").symlink_to(STORED)
    at(tmp_path, "/etc/modprobe.d/nixos.conf").symlink_to("/etc/static/a")
    at(tmp_path, "/etc/static").symlink_to(STORED)

    assert {} == seen(tmp_path)


def test_what_the_system_copies_for_its_mode_is_compared_with_the_rest_of_etc(tmp_path: Path) -> None:
    """And with nothing here; a file beside it is somebody's."""
    at(tmp_path, f"{STORED}/etc/modprobe.d/secret.conf.mode").write_text("0400")
    at(tmp_path, "/etc/modprobe.d/secret.conf").write_text("install a /nix/store/x")
    at(tmp_path, "/etc/modprobe.d/other.conf").write_text("install a /evil")
    at(tmp_path, "/run/modprobe.d/secret.conf").write_text("install a /evil")
    found = rules.observe(HostPlaces(StoreLocation(tmp_path)), STORED)

    assert ["/etc/modprobe.d/other.conf", "/run/modprobe.d/secret.conf"] == [one.path for one in found.files]


def test_links_are_told_by_what_they_do(tmp_path: Path) -> None:
    """They mask, choose a file of the store, or lead to a file of somebody's."""
    at(tmp_path, f"{STORED}/a").write_text("a")
    at(tmp_path, "/srv/rules").write_text("rule\n")
    at(tmp_path, "/run/udev/rules.d/a").symlink_to("/dev/null")
    at(tmp_path, "/run/udev/rules.d/b").symlink_to(f"{STORED}/a")
    at(tmp_path, "/run/udev/rules.d/c").symlink_to("../../../srv/rules")
    at(tmp_path, "/run/udev/rules.d/d").symlink_to("d")
    at(tmp_path, "/run/udev/rules.d/e").symlink_to("gone")

    assert [("/dev/null", ()), (f"{STORED}/a", ()), (None, ("rule",))] == [
        (one.target, one.lines) for one in seen(tmp_path).values()
    ]


def test_what_is_no_file_is_neither_waited_for_nor_read_without_end(tmp_path: Path) -> None:
    """A pipe without a writer, and a file of a gigabyte, which takes no room."""
    os.mkfifo(at(tmp_path, "/run/udev/rules.d/a"))
    with at(tmp_path, "/run/udev/rules.d/b").open("wb") as file:
        file.truncate(1 << 30)
    at(tmp_path, "/run/udev/rules.d/c/d").write_text("")

    assert ["is no regular file", "has 1073741824 bytes, too many to be read"] == [
        one.flaw for one in seen(tmp_path).values()
    ]


@pytest.mark.parametrize(
    "text",
    [
        "evil",
        "#a\nevil",
        " # a\\\nevil",
        "a\\\nevil",
        "e\\\nvil",
        "e\\\n# a\nvil",
        "a\revil",
        "a\0evil",
        "\\\n\\\n evil",
    ],
)
def test_a_line_is_found_as_some_reader_reads_it(text: str) -> None:
    """With and without continued lines, and comments in them."""
    assert "evil" in rules.parse(text)


@given(st.text(max_size=200) | st.text("a#\\\n\r\0", max_size=200))
def test_no_text_breaks_the_reading_of_rules(text: str) -> None:
    """And no comment is returned, nor an empty line."""
    assert not any(line.startswith("#") or not line for line in rules.parse(text))
    assert "evil" in rules.parse(f"{text}\nevil\n") or text.endswith("\\")
