"""Hashing the store anew, one path or many at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ec_closure.content_address import source_store_path
from ec_closure.hashes import Hash
from ec_closure.nar.errors import UnsupportedFileError
from ec_closure.nar.hash import hash_path
from ec_closure.store_db import PathInfo
from ec_release.closure import disk
from ec_release.closure.errors import DamagedStoreError
from ec_release.closure.location import Location

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["in this process", "in a pool"])
def location(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Location:
    """Give an empty store, and have it hashed in either way."""
    if request.param == "in a pool":
        monkeypatch.setattr(disk, "_WORTH_A_POOL", 0)
        monkeypatch.setattr("os.cpu_count", lambda: 2)
    (tmp_path / "nix" / "store").mkdir(parents=True)
    return Location(tmp_path)


def _add(location: Location, number: int, content: bytes) -> PathInfo:
    path = f"/nix/store/{str(number) * 32}-file"
    location.physical(path).write_bytes(content)
    found = hash_path(location.physical(path))
    return PathInfo(path, found.hash, found.size, ())


def test_honest_store_passes(location: Location) -> None:
    """Rows that say what is there."""
    disk.check(location, [_add(location, number, bytes(number)) for number in range(5)])


def test_one_path_that_differs_is_named(location: Location) -> None:
    """With its place, from whichever process read it."""
    infos = [_add(location, number, bytes(number)) for number in range(5)]
    location.physical(infos[3].path).write_bytes(b"evil")

    with pytest.raises(DamagedStoreError) as caught:
        disk.check(location, infos)
    assert infos[3].path == caught.value.place
    assert caught.value.hint is not None


def test_path_that_its_name_does_not_promise_is_named(location: Location) -> None:
    """The database's word for a content address is not believed."""
    info = _add(location, 7, b"evil")
    claimed = PathInfo(info.path, info.nar_hash, info.nar_size, (), ca=f"fixed:r:{info.nar_hash.nix32}")

    with pytest.raises(DamagedStoreError, match="its bytes are not those that its name promises") as caught:
        disk.check(location, [claimed])
    assert source_store_path(info.nar_hash, "file") in (caught.value.hint or "")


def test_size_is_compared_too(location: Location) -> None:
    """A row with the right hash and another size was not written by Nix."""
    info = _add(location, 1, b"x")

    with pytest.raises(DamagedStoreError):
        disk.check(location, [PathInfo(info.path, info.nar_hash, info.nar_size + 8, ())])


def test_what_cannot_be_in_a_store_is_told(location: Location) -> None:
    """A socket, a device, a pipe."""
    path = f"/nix/store/{'0' * 32}-pipe"
    os.mkfifo(location.physical(path))

    with pytest.raises(UnsupportedFileError):
        disk.check(location, [PathInfo(path, Hash.of("sha256", b""), 120, ())])
