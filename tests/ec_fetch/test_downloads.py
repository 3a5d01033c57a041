"""What was downloaded: kept, hashed again, forgotten."""

from __future__ import annotations

import hashlib
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from ec_closure.errors import TrustError, UsageError
from ec_fetch.errors import (
    OfflineError,
)

if TYPE_CHECKING:
    from pathlib import Path

RUNNER = "/nix/store/" + "0" * 32 + "-runner"


def test_the_cache_is_hashed_again_each_time(world: Any) -> None:
    """A manifest changed on the disk is fetched again, never used."""
    client = world.client()
    client.refresh()
    target = client.find(RUNNER)
    genuine = client.download(target)
    (world.path / "state/targets" / target.sha256).write_bytes(b"x" * target.length)
    assert genuine == client.download(target)


def test_a_changed_cache_is_no_answer_offline(world: Any) -> None:
    """Without network there is no genuine copy to be had, so there is none."""
    client = world.client()
    client.refresh()
    target = client.find(RUNNER)
    client.download(target)
    (world.path / "state/targets" / target.sha256).write_bytes(b"x" * target.length)
    client = world.client()
    client.offline()
    with pytest.raises(OfflineError):
        client.download(target)


def test_the_cache_forgets_the_oldest(world: Any) -> None:
    """Nodes live for years; their disks do not fill with manifests."""
    client = world.client()
    client.refresh()
    cache = world.path / "state/targets"
    for number in range(40):
        (cache / f"{number:064x}").write_bytes(b"old")
    client.download(client.find(RUNNER))
    assert len(list(cache.iterdir())) == 16


def test_a_large_target_goes_straight_to_its_file(world: Any, tmp_path: Path) -> None:
    """Boot images are downloaded by name, verified, and appear whole."""
    client = world.client()
    client.refresh()
    client.download_to("v1/disk.img", tmp_path / "disk.img")
    assert (tmp_path / "disk.img").read_bytes() == b"image v1"


def test_a_large_target_that_fails_leaves_nothing(world: Any, tmp_path: Path) -> None:
    """What does not verify never appears under its name, and no scrap remains."""
    (world.tree / "download/v1/disk.img").write_bytes(b"other v1")
    client = world.client()
    client.refresh()
    (tmp_path / "staged").mkdir()
    with pytest.raises(TrustError):
        client.download_to("v1/disk.img", tmp_path / "staged/disk.img")
    assert list((tmp_path / "staged").iterdir()) == []


def test_what_is_not_verified_yet_lies_where_there_is_room(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A boot image does not go through a temporary directory in memory."""
    seen: list[Any] = []
    real = tempfile.TemporaryFile

    def temporary_file(*arguments: Any, **options: Any) -> Any:
        seen.append(options.get("dir"))
        return real(*arguments, **options)

    client = world.client(scratch=tmp_path)
    client.refresh()
    monkeypatch.setattr(tempfile, "TemporaryFile", temporary_file)
    client.download_to("v1/disk.img", tmp_path / "disk.img")

    assert seen == [tmp_path]


def test_every_published_file_is_listed(world: Any) -> None:
    """With its release, its length and its digest, as they are signed."""
    client = world.client()
    with pytest.raises(UsageError):
        client.assets()
    client.refresh()

    found = {one.name: one for one in client.assets()}

    assert {"v1/SHA256SUMS", "v1/disk.img", "v1/runner.closure.json.zst"} <= found.keys()
    image = found["v1/disk.img"]
    assert (image.tag, image.asset, image.length) == ("v1", "disk.img", len(b"image v1"))
    assert image.sha256 == hashlib.sha256(b"image v1").hexdigest()
