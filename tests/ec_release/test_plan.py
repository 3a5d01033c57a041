"""What may be published under which name, checked before anything is written."""

from __future__ import annotations

from typing import Any

import pytest

from ec_closure.errors import BadInputError, UsageError
from ec_release.errors import AssetError
from ec_release.publishing import plan


def test_a_manifest_of_another_release_is_refused(place: Any) -> None:
    """Nodes would look for a release that does not hold them."""
    images, closures = place.assets(1)
    with pytest.raises(UsageError, match="describes release v1 version 1"):
        plan.make("v2", 2, images, closures)


def test_a_malformed_manifest_is_refused(place: Any) -> None:
    """What nodes would not read is not signed."""
    images, closures = place.assets(1)
    closures[0].write_bytes(closures[0].read_bytes()[:-1])
    with pytest.raises(BadInputError, match=r"runner\.closure\.json\.zst"):
        plan.make("v1", 1, images, closures)


def test_a_manifest_given_as_an_ordinary_asset_is_refused(place: Any) -> None:
    """It would be published but never found."""
    images, closures = place.assets(1)
    with pytest.raises(UsageError, match="is a manifest"):
        plan.make("v1", 1, [*images, *closures], [])


@pytest.mark.parametrize(
    ("name", "content", "message"), [("disk.img", b"other", "another"), ("gone.img", b"x", "promises")]
)
def test_a_manifest_and_its_artifacts_agree(place: Any, name: str, content: bytes, message: str) -> None:
    """What a manifest says about published files is what is published."""
    images, closures = place.assets(1, **{name: content})
    with pytest.raises(AssetError, match=message):
        plan.make("v1", 1, images, closures)


def test_two_manifests_of_one_system_are_refused(place: Any) -> None:
    """Readers look for the system, and could not tell which of two is meant."""
    _, closures = place.assets(1)
    second = place.path / "again.closure.json.zst"
    second.write_bytes(closures[0].read_bytes())
    with pytest.raises(UsageError, match="same system"):
        plan.make("v1", 1, [], [*closures, second])


@pytest.mark.parametrize("tag", ["", "trust", "../x", "a/b", ".hidden", "a b", "é", "a?b", "-x", "a" * 300])
def test_tags_that_lead_elsewhere_are_refused(place: Any, tag: str) -> None:
    """A tag names a directory, and only that."""
    images, _ = place.assets(1)
    with pytest.raises(UsageError):
        plan.make(tag, 1, images, [])


@pytest.mark.parametrize("name", ["SHA256SUMS", ".hidden", "a b", "a\nb", "-x", "é.img"])
def test_asset_names_that_need_quoting_are_refused(place: Any, name: str) -> None:
    """Names travel in addresses and check-sum files."""
    (place.path / name).write_bytes(b"x")
    with pytest.raises(UsageError):
        plan.make("v1", 1, [place.path / name], [])


def test_two_assets_of_one_name_are_refused(place: Any) -> None:
    """Some release servers would accept both, and serve either."""
    images, closures = place.assets(1)
    (place.path / "disk.img").write_bytes(b"another")
    with pytest.raises(UsageError, match="two assets"):
        plan.make("v1", 1, [*images, place.path / "disk.img"], closures)


@pytest.mark.parametrize("version", [0, -1, 2**53 + 1])
def test_versions_are_counters(place: Any, version: int) -> None:
    """From one, and no further than every reader of JSON can count."""
    with pytest.raises(UsageError):
        plan.make("v1", version, place.assets(1)[0], [])


def test_a_file_that_cannot_be_read_is_named(place: Any) -> None:
    """Which of fifty assets it was is in the message."""
    with pytest.raises(AssetError, match="nowhere"):
        plan.make("v1", 1, [place.path / "nowhere"], [])


def test_an_empty_release_is_refused() -> None:
    """Nothing to publish is a mistake in the pipeline."""
    with pytest.raises(UsageError, match="nothing"):
        plan.make("v1", 1, [], [])
