"""An audit of releases on a forge, by what it shows to everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.ec_release.forge.server import REPOSITORY, TOKEN, Forge, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    """Give an empty repository on a forge; at the end, every request and answer was as described."""
    with serving(tmp_path / "forge") as made:
        yield made
    assert made.violations == []


@pytest.fixture
def on_forge(unpublished: Any, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a release that our own command published there, after `trust init`."""
    monkeypatch.setenv("EC_RELEASE_TOKEN", TOKEN)
    place = unpublished.place
    where = ("--server", forge.url, "--repository", REPOSITORY, "--time", place.time.isoformat())
    keys = place.path / "forge-keys"
    unpublished.run("trust", "init", "--keys", keys, *where)
    place.keys = keys
    (place.path / "pinned.json").write_bytes((keys / "root.json").read_bytes())
    unpublished.run_provenance()
    unpublished.run(
        *("publish", "--tag", "v1", "--version", "1", "--closure", unpublished.manifest_file, "--keys", keys, *where),
        *("--assets", *unpublished.assets),
    )
    monkeypatch.delenv("EC_RELEASE_TOKEN")
    forge.seen.clear()
    unpublished.where = {"server": forge.url, "repository": REPOSITORY}
    return unpublished


def test_a_release_on_a_forge_holds(on_forge: Any, forge: Forge) -> None:
    """As a stranger: every request is a GET, and none carries a token."""
    code, result = on_forge.audit(**on_forge.where)

    assert (code, result["verdict"]) == (0, "passed"), result
    assert {method for method, _, _ in forge.seen} == {"GET"}
    assert not any("authorization" in headers for _, _, headers in forge.seen)


def test_two_assets_of_one_name_are_noticed(on_forge: Any, forge: Forge, tmp_path: Path) -> None:
    """A forge allows them, and serves either: today the right one."""
    copy = tmp_path / "copy"
    copy.write_bytes(b"image")
    release = next(one for one in forge.state.releases.values() if one["tag_name"] == "v1")
    forge.state.add_asset(release, "disk.img", copy, 5)

    assert on_forge.failing(**on_forge.where) == {"listing": ["disk.img: 2 assets have this name"]}


def test_two_timestamps_are_noticed(on_forge: Any, forge: Forge, tmp_path: Path) -> None:
    """Readers would get either; one of them may be old."""
    copy = tmp_path / "copy"
    copy.write_bytes(b"{}")
    release = next(one for one in forge.state.releases.values() if one["tag_name"] == "trust")
    forge.state.add_asset(release, "timestamp.json", copy, 2)

    assert on_forge.failing(**on_forge.where) == {"listing": ["timestamp.json: 2 metadata files have this name"]}


def test_an_asset_that_nobody_signed_is_noticed(on_forge: Any, forge: Forge, tmp_path: Path) -> None:
    """Uploaded by somebody with write access, beside what CI published."""
    copy = tmp_path / "copy"
    copy.write_bytes(b"evil")
    release = next(one for one in forge.state.releases.values() if one["tag_name"] == "v1")
    forge.state.add_asset(release, "fixed.img", copy, 4)

    assert on_forge.failing(**on_forge.where) == {"listing": ["fixed.img: no metadata vouch for it"]}


def test_a_list_of_many_pages_is_read_to_its_end(on_forge: Any, forge: Forge) -> None:
    """Servers cut pages as they like."""
    forge.page_size = 1

    assert on_forge.audit(**on_forge.where)[0] == 0
    assert len(forge.requests("GET", r"/releases\?")) > 2


def test_a_private_repository_shows_nothing_to_a_stranger(on_forge: Any, forge: Forge) -> None:
    """Which decides nothing."""
    forge.private = True

    assert on_forge.audit(**on_forge.where)[0] == 3
