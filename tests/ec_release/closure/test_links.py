"""Symlinks inside a store that lies elsewhere never lead out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ec_release.closure.errors import DamagedStoreError
from ec_release.closure.links import resolve
from ec_release.closure.location import Location

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def location(tmp_path: Path) -> Location:
    """Give a root with /a/b/file in it."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("x")
    return Location(tmp_path)


@pytest.mark.parametrize("target", ["/a/b/file", "b/file", "../a/b/file", "../../../../a/./b//file", "/../a/b/file"])
def test_targets_are_taken_as_inside_the_root(location: Location, target: str) -> None:
    """Absolute targets are logical, and `..` stops at the root."""
    (location.root / "a" / "link").symlink_to(target)

    assert "/a/b/file" == resolve(location, "/a/link")


def test_links_on_the_way_are_followed(location: Location) -> None:
    """Not only the last name may be a link."""
    (location.root / "x").symlink_to("/a")
    (location.root / "a" / "y").symlink_to("b")

    assert "/a/b/file" == resolve(location, "/x/y/file")


def test_loop_is_an_error(location: Location) -> None:
    """A loop ends, with its place."""
    (location.root / "one").symlink_to("two")
    (location.root / "two").symlink_to("/one")

    with pytest.raises(DamagedStoreError, match="/one: leads through more than 40 symlinks"):
        resolve(location, "/one")


def test_dangling_link_is_an_error(location: Location) -> None:
    """What is not there is named."""
    (location.root / "a" / "link").symlink_to("/nix/store/nothing")

    with pytest.raises(DamagedStoreError, match="which is not there"):
        resolve(location, "/a/link")
