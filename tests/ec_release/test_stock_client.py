"""Our repository is an ordinary TUF repository: the library's own client accepts it, without any code of ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import Updater, UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Files(FetcherInterface):
    """Reads below a directory."""

    def __init__(self, top: Path) -> None:
        self._top = top

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = self._top / url.removeprefix("test:///")
        if not path.exists():
            raise DownloadHTTPError("not there", 404)
        yield path.read_bytes()


def updater(place: Any, tmp_path: Path) -> Updater:
    """Return the library's client with nothing but the settings that the documents name."""
    (tmp_path / "metadata").mkdir(exist_ok=True)
    return Updater(
        metadata_dir=str(tmp_path / "metadata"),
        metadata_base_url="test:///trust/",
        target_dir=str(tmp_path),
        target_base_url="test:///",
        fetcher=Files(place.tree / "download"),
        config=UpdaterConfig(prefix_targets_with_hash=False),
        bootstrap=place.root,
    )


def test_the_librarys_client_accepts_releases(new_place: Any, tmp_path: Path) -> None:
    """Refresh, find and download, at the time of its own clock."""
    new_place.time = datetime.now(UTC)
    new_place.initialise(keys=3, threshold=2)
    new_place.publish(1)
    new_place.publish(2)
    client = updater(new_place, tmp_path)
    client.refresh()
    target = client.get_targetinfo("v2/runner.closure.json.zst")
    assert target is not None
    assert target.custom["version"] == 2
    path = client.download_target(target, str(tmp_path / "got"))
    assert path == str(tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == new_place.manifest(2)
