"""Publishing a release: what readers get, what is refused, what a second run changes."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from tuf.api.metadata import Metadata

from ec_closure.errors import UsageError
from ec_release.errors import BackendError, ConflictError, MissingKeysError, PublishedMetadataError
from ec_release.publishing import plan
from ec_release.publishing.publish import publish
from ec_release.trust.roles import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def toplevel(version: int) -> str:
    """Return the store path of the system of a release."""
    return f"/nix/store/{'0' * 32}-runner-{version}"


def test_a_reader_finds_what_was_published(place: Any) -> None:
    """Publisher and node agree on every name."""
    place.publish(1)
    reader = place.reader()
    state = reader.refresh()
    assert state.latest_version == 1
    assert reader.download(reader.find(toplevel(1))) == place.manifest(1)
    reader.download_to("v1/disk.img", place.path / "disk.img")
    assert (place.path / "disk.img").read_bytes() == b"image 1"


def test_sha256sum_accepts_the_sums(place: Any) -> None:
    """People check a download with the tool they have."""
    place.publish(1)
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=place.tree / "download/v1",
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0
    assert done.stdout == b"disk.img: OK\nrunner.closure.json.zst: OK\n"


def test_the_sums_are_signed_too(place: Any) -> None:
    """Also the file for people is a target, so that it cannot be exchanged unnoticed by nodes."""
    place.publish(1)
    reader = place.reader()
    reader.refresh()
    reader.download_to("v1/SHA256SUMS", place.path / "SHA256SUMS")


def test_publishing_twice_changes_nothing(place: Any) -> None:
    """A pipeline that runs again leaves every byte as it is."""
    assert place.publish(1).metadata_published
    before = place.files()
    place.later(hours=1)
    outcome = place.publish(1)
    assert (outcome.assets_published, outcome.metadata_published) == (False, False)
    assert place.files() == before


def test_later_releases_leave_earlier_ones_alone(place: Any) -> None:
    """Numbered metadata and assets are added, never changed."""
    place.publish(1)
    before = place.files()
    place.publish(2)
    after = place.files()
    assert {name for name in before if after.get(name) != before[name]} == {"trust/timestamp.json"}
    reader = place.reader()
    reader.refresh()
    assert (reader.find(toplevel(1)).version, reader.find(toplevel(2)).version) == (1, 2)


def test_nothing_but_releases_and_metadata_is_served(place: Any) -> None:
    """Drafts, locks and half files lie outside what a web server is pointed at."""
    place.publish(1)
    assert sorted(path.name for path in (place.tree / "download").iterdir()) == ["trust", "v1"]
    names = {path.name for path in (place.tree / "download/trust").iterdir()}
    assert names == {
        "1.root.json",
        *(f"{number}.{role}.json" for number in (1, 2) for role in ("targets", "snapshot")),
        "timestamp.json",
    }


def test_a_tag_keeps_its_bytes(place: Any) -> None:
    """The same tag with other bytes is refused, and readers see the first."""
    place.publish(1)
    before = place.files()
    images, closures = place.assets(1)
    images[0].write_bytes(b"another")
    with pytest.raises(ConflictError, match="v1"):
        publish(place.backend, plan.make("v1", 1, images, closures), place.signing, place.root)
    assert place.files() == before


def test_a_tag_that_was_published_but_not_signed_keeps_its_bytes(place: Any) -> None:
    """Also where the first run was interrupted before it signed."""
    images, closures = place.assets(1)
    release = plan.make("v1", 1, images, closures)
    place.backend.draft("v1")
    for asset in release.assets.values():
        place.backend.upload("v1", asset.name, asset.length, asset.chunks)
    place.backend.publish("v1")
    images[0].write_bytes(b"another")
    with pytest.raises(ConflictError, match=r"v1/"):
        publish(place.backend, plan.make("v1", 1, images, closures), place.signing, place.root)
    with pytest.raises(ConflictError, match="other assets"):
        publish(place.backend, plan.make("v1", 1, [], closures), place.signing, place.root)


@pytest.mark.parametrize("version", [1, 2])
def test_versions_grow(place: Any, version: int) -> None:
    """A version that is not higher than the newest is refused before anything is uploaded."""
    place.publish(2)
    images, _ = place.assets(1)
    with pytest.raises(UsageError, match="does not follow 2"):
        publish(place.backend, plan.make("again", version, images, []), place.signing, place.root)
    assert not (place.tree / "download/again").exists()


def test_more_than_readers_accept_is_not_signed(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata that every node refuses for their size stay unpublished."""
    monkeypatch.setitem(LIMITS, "targets", 800)
    before = place.files()
    with pytest.raises(UsageError, match="readers accept 800"):
        place.publish(1)
    assert {name for name in place.files() if name.startswith("trust/")} == set(before)


def test_a_file_that_changes_while_it_is_published_is_noticed(place: Any) -> None:
    """What reads back is compared with what was planned; the release stays a draft."""
    images, closures = place.assets(1)
    release = plan.make("v1", 1, images, closures)
    images[0].write_bytes(b"swapped")
    with pytest.raises(BackendError, match="reads back"):
        publish(place.backend, release, place.signing, place.root)
    assert not (place.tree / "download/v1").exists()


def test_a_faulty_place_is_noticed(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that returns other bytes than it was given does not get a signature for them."""

    def read(_tag: str, _name: str) -> Iterator[bytes]:
        yield b"other bytes"

    monkeypatch.setattr(place.backend, "read", read)
    with pytest.raises(BackendError, match="reads back"):
        place.publish(1)


def test_a_draft_is_continued(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an interrupted run uploaded is not uploaded again; what does not belong is discarded."""
    images, closures = place.assets(1)
    release = plan.make("v1", 1, images, closures)
    place.backend.draft("v1")
    place.backend.upload("v1", "disk.img", 7, release.assets["disk.img"].chunks)
    place.backend.upload("v1", "leftover", 1, lambda: iter([b"x"]))
    place.backend.upload("v1", "SHA256SUMS", 4, lambda: iter([b"half"]))
    uploaded: list[str] = []
    genuine = place.backend.upload

    def upload(tag: str, name: str, length: int, chunks: Callable[[], Iterator[bytes]]) -> None:
        uploaded.append(name)
        genuine(tag, name, length, chunks)

    monkeypatch.setattr(place.backend, "upload", upload)
    publish(place.backend, release, place.signing, place.root)
    assert uploaded == ["SHA256SUMS", "runner.closure.json.zst"]
    assert not (place.tree / "download/v1/leftover").exists()


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_a_missing_key_is_noticed_before_anything_is_published(place: Any, role: str) -> None:
    """No release without a signature."""
    (place.keys / f"{role}-1.pem").unlink()
    with pytest.raises(MissingKeysError, match=role):
        place.publish(1)
    assert not (place.tree / "download/v1").exists()


def test_the_root_key_is_not_needed(place: Any) -> None:
    """CI publishes without it."""
    (place.keys / "OFFLINE-root-1.pem").unlink()
    assert place.publish(1).metadata_published


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_tampered_metadata_are_not_signed_over(place: Any, role: str) -> None:
    """Who changes what lies on the server does not get it signed by the next release."""
    place.publish(1)
    path = max((place.tree / "download/trust").glob(f"*{role}.json"))
    metadata: Metadata[Any] = Metadata.from_bytes(path.read_bytes())
    metadata.signed.unrecognized_fields["added"] = "by a stranger"
    path.write_bytes(metadata.to_bytes())
    with pytest.raises(PublishedMetadataError, match=role):
        place.publish(2)


@pytest.mark.parametrize("role", ["targets", "snapshot"])
def test_metadata_of_two_states_are_not_signed_over(place: Any, role: str) -> None:
    """An older file under a newer name is validly signed, and still not what the timestamp names."""
    place.publish(1)
    trust = place.tree / "download/trust"
    (trust / f"2.{role}.json").write_bytes((trust / f"1.{role}.json").read_bytes())
    with pytest.raises(PublishedMetadataError, match=rf"2\.{role}\.json"):
        place.publish(2)


def test_a_repository_that_was_replaced_is_not_signed_over(place: Any, make_place: Any, tmp_path: Path) -> None:
    """Another repository in the place of ours, valid in itself, does not follow from the pinned root."""
    (tmp_path / "impostor").mkdir()
    impostor = make_place(tmp_path / "impostor")
    impostor.initialise()
    trust = place.tree / "download/trust"
    trust.rename(place.path / "away")
    (impostor.tree / "download/trust").rename(trust)
    with pytest.raises(PublishedMetadataError):
        place.publish(1)


def test_two_publishers_at_once_are_refused(place: Any) -> None:
    """The second one is told to wait, and nothing is mixed."""
    with place.backend.locked(), pytest.raises(BackendError, match="another publisher"):
        place.publish(1)


def test_a_release_without_manifests_is_signed_too(place: Any) -> None:
    """Images alone can be published; their version still counts."""
    images, _ = place.assets(1)
    publish(place.backend, plan.make("v1", 1, images, []), place.signing, place.root)
    assert place.reader().refresh().latest_version == 1
