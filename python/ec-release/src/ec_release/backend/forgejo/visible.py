"""What readers get from the addresses that they use, caches and all."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog

from ec_fetch.budget import Budget
from ec_release.backend.forgejo.answers import bare
from ec_release.backend.forgejo.http import TemporaryError
from ec_release.errors import AccessError, BackendError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ec_release.backend.forgejo.api import Attachment
    from ec_release.backend.forgejo.http import Http

log = structlog.get_logger()


def check(http: Http, assets: Sequence[Attachment], tag: str) -> None:
    """See that each of *assets* of the release *tag* is served with its length; its bytes were read back before.

    A cache that remembers an address as absent forgets it with time: it is asked again. Raises `BackendError`.
    """
    for asset in assets:
        length = http.trying(lambda asset=asset: _length(http, asset.browser_download_url))  # type: ignore[misc]
        if length is not None and length != asset.size:
            raise BackendError(
                f"is published, and served with {length} bytes where there are {asset.size}",
                place=f"{tag}/{asset.name}",
                hint="a cache in front of the server is stale; run the same command again later",
            )


def await_timestamp(http: Http, asset: Attachment, data: bytes) -> None:
    """Wait a while until readers get *data*. Only warns: a cache that is slow is not a release that is wrong."""

    def look() -> None:
        if _bytes(http, asset.browser_download_url, len(data)) != data:
            raise TemporaryError(BackendError("readers still get an older one", place=bare(asset.browser_download_url)))

    try:
        http.trying(look)
    except BackendError as error:
        log.warning("a cache in front of the server serves an old timestamp", reason=str(error))


def _length(http: Http, url: str) -> int | None:
    """Return the length that the server announces, None when it announces none."""
    budget = Budget(http.patience.call, 0, window=http.patience.window)
    try:
        with http.download(url, {}, budget) as response:
            announced = response.headers.get("content-length", "")
            return int(announced) if announced.isascii() and announced.isdigit() else None
    except AccessError as error:
        raise TemporaryError(error) from error


def _bytes(http: Http, url: str, limit: int) -> bytes:
    budget = Budget(http.patience.call, 0, window=http.patience.window)
    data = bytearray()
    try:
        with http.download(url, {}, budget) as response:
            if response.status_code != HTTPStatus.OK:
                raise TemporaryError(BackendError("answers with a part of it", place=bare(url)))
            for chunk in response.iter_raw():
                data += chunk
                if len(data) > limit:
                    break
    except AccessError as error:
        raise TemporaryError(error) from error
    return bytes(data)
