"""What is published on a forge is an ordinary TUF repository, and an ordinary directory with check sums."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
from tests.ec_release.forge.server import REPOSITORY
from tuf.api.exceptions import DownloadHTTPError, RepositoryError
from tuf.ngclient import Updater, UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface

from ec_closure.errors import EcError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Plain(FetcherInterface):
    """Reads what an address says, with the standard library and nothing else."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            with urlopen(url) as answer:  # noqa: S310 - of a server on the loopback
                yield answer.read()
        except OSError as error:
            raise DownloadHTTPError(str(error), getattr(error, "code", 500)) from error


def updater(place: Any, tmp_path: Path) -> Updater:
    """Return the library's client with nothing but addresses."""
    (tmp_path / "metadata").mkdir(exist_ok=True)
    base = f"{place.forge.url}/{REPOSITORY}/releases/download/"
    return Updater(
        metadata_dir=str(tmp_path / "metadata"),
        metadata_base_url=f"{base}trust/",
        target_dir=str(tmp_path),
        target_base_url=base,
        fetcher=Plain(),
        config=UpdaterConfig(prefix_targets_with_hash=False),
        bootstrap=place.root,
    )


@pytest.fixture
def published(new_place: Any) -> Any:
    """Give a repository with two releases, at the time of the library's own clock."""
    new_place.time = datetime.now(UTC)
    new_place.initialise(keys=3, threshold=2)
    new_place.publish(1)
    new_place.publish(2)
    return new_place


def test_the_librarys_client_accepts_releases(published: Any, tmp_path: Path) -> None:
    """Refresh, find and download, by the addresses that the forge gives its assets."""
    client = updater(published, tmp_path)
    client.refresh()
    target = client.get_targetinfo("v2/runner.closure.json.zst")
    assert target is not None
    assert target.custom["version"] == 2
    client.download_target(target, str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == published.manifest(2)


def test_check_sums_are_those_of_the_files(published: Any, tmp_path: Path) -> None:
    """`sha256sum --check` on what a person downloaded."""
    (tmp_path / "downloads").mkdir()
    for name, data in published.files().items():
        if name.startswith("v2/"):
            (tmp_path / "downloads" / name.removeprefix("v2/")).write_bytes(data)
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=tmp_path / "downloads",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "disk.img: OK" in done.stdout


@pytest.mark.parametrize("tag", ["trust", "v2"])
def test_what_the_forge_changes_is_refused(published: Any, tmp_path: Path, tag: str) -> None:
    """By the library's client and by ours: a byte in the timestamp, or in a manifest."""
    (release,) = published.forge.state.of_tag(tag)
    name = "timestamp.json" if tag == "trust" else "runner.closure.json.zst"
    asset = next(asset for asset in release["assets"] if asset["name"] == name)
    path = published.forge.state.files / asset["uuid"]
    data = path.read_bytes()
    path.write_bytes(data[:-30] + bytes([data[-30] ^ 1]) + data[-29:])

    def stock() -> None:
        client = updater(published, tmp_path)
        client.refresh()
        target = client.get_targetinfo("v2/runner.closure.json.zst")
        assert target is not None
        client.download_target(target, str(tmp_path / "got"))

    def ours() -> None:
        reader = published.reader()
        reader.refresh()
        for closure in reader.closures():
            reader.download(closure)

    with pytest.raises((RepositoryError, DownloadHTTPError)):
        stock()
    with pytest.raises(EcError):
        ours()
