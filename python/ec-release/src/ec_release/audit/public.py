"""Where everybody downloads releases, and what is listed there. No token: an auditor is a stranger."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import msgspec
from tuf.api.exceptions import DownloadError

from ec_closure import strict_json
from ec_closure.decoding import excerpt
from ec_closure.errors import UsageError
from ec_fetch.errors import FetchError
from ec_fetch.origin import check_address
from ec_release.audit.checking import NotDone

if TYPE_CHECKING:
    from pathlib import Path

    from ec_fetch.fetcher import ReleaseFetcher

TRUST = "trust"
_PAGE = 50
_MAX_PAGES = 200
_MAX_LISTING = 16 << 20


@dataclass(frozen=True)
class Public:
    """One place: *base* is the address of ``…/releases/download/``; *directory* or *api* is where it is listed."""

    base: str
    directory: Path | None = None
    api: str | None = None

    def listed(self, tag: str, fetcher: ReleaseFetcher) -> Counter[str]:
        """Return the names of what lies under *tag*, each with how often.

        Raises `NotDone` where nothing lists them, `FetchError`, `BadInputError`.
        """
        if self.directory is not None:
            return self._of_directory(self.directory / tag)
        if self.api is None:
            raise NotDone("a plain web server lists nothing: give --server and --repository, or --directory")
        return self._of_api(self.api, tag, fetcher)

    def _of_directory(self, directory: Path) -> Counter[str]:
        try:
            return Counter(path.name for path in directory.iterdir())
        except OSError as error:
            raise FetchError(f"cannot be read: {error.strerror}", place=str(directory)) from error

    def _of_api(self, api: str, tag: str, fetcher: ReleaseFetcher) -> Counter[str]:
        found: Counter[str] = Counter()
        for page in range(1, _MAX_PAGES + 1):
            releases = _page(f"{api}?page={page}&limit={_PAGE}", fetcher)
            # Two releases of one tag are counted together: readers would get either.
            found.update(asset.name for one in releases if one.tag_name == tag for asset in one.assets)
            if not releases:
                return found
        raise NotDone(f"more than {_MAX_PAGES} pages of releases are listed", place=api)


def directory(path: Path) -> Public:
    """Return the place of a published tree. Raises `UsageError`."""
    download = path.resolve() / "download"
    if not download.is_dir():
        raise UsageError("holds no published tree", place=str(path), hint="its releases lie in download/<tag>/")
    return Public(f"{download.as_uri()}/", directory=download)


def forge(server: str, repository: str) -> Public:
    """Return the place of *repository*, OWNER/NAME, on *server*. Raises `UsageError`."""
    owner, slash, name = repository.partition("/")
    if not (owner and slash and name) or "/" in name:
        raise UsageError(f"{repository!r} is no repository", place="--repository", hint="--repository OWNER/NAME")
    server = server.rstrip("/")
    check_address(server, what="--server")
    path = f"{quote(owner, safe='')}/{quote(name, safe='')}"
    return Public(f"{server}/{path}/releases/download/", api=f"{server}/api/v1/repos/{path}/releases")


def address(base: str) -> Public:
    """Return the place below the address *base*. Raises `UsageError`."""
    check_address(base, what="--base-url")
    return Public(base if base.endswith("/") else f"{base}/")


class _Asset(msgspec.Struct, frozen=True):
    name: str


class _Release(msgspec.Struct, frozen=True):
    tag_name: str
    assets: Annotated[tuple[_Asset, ...], msgspec.Meta(max_length=10_000)] = ()


def _page(url: str, fetcher: ReleaseFetcher) -> tuple[_Release, ...]:
    try:
        data = fetcher.download_bytes(url, _MAX_LISTING)
    except DownloadError as error:
        raise FetchError(excerpt(str(error)), place="the list of releases") from error
    return decode_page(data)


def decode_page(data: bytes) -> tuple[_Release, ...]:
    """Decode one page of a forge's list of releases. Raises `BadInputError`, `LimitError`."""
    return strict_json.decode(data, tuple[_Release, ...], what="the list of releases", max_bytes=_MAX_LISTING)
