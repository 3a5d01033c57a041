"""Every asset that metadata vouch for under a tag, downloaded again and measured; what is small and read is kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError

from ec_closure.decoding import excerpt
from ec_closure.manifest import MAX_COMPRESSED
from ec_fetch.errors import FetchError
from ec_release.attesting import cyclonedx, provenance, seal
from ec_release.attesting.file import MANIFEST_SUFFIX
from ec_release.publishing.plan import SUMS, SUMS_SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ec_fetch.fetcher import ReleaseFetcher
    from ec_fetch.targets import Asset
    from ec_release.audit.checking import Seen

_CHUNK = 1 << 20
_MAX_SUMS = 16 << 20
_ABSENT = frozenset({404, 410})


@dataclass
class Files:
    """What is vouched for and was found so: *digests* of all, *kept* the bytes of those that are read."""

    digests: dict[str, str] = field(default_factory=dict)
    kept: dict[str, bytes] = field(default_factory=dict)


def fetch(
    assets: Sequence[Asset], base: str, fetcher: ReleaseFetcher, seen: Seen, report: Callable[[str], None]
) -> Files:
    """Download *assets* from below *base*; what is absent, or is not what was signed, becomes a problem of *seen*.

    *report* is told each name. Only bytes that are what was signed are kept. Raises `FetchError` when the place cannot
    be read.
    """
    files = Files()
    for asset in assets:
        report(asset.asset)
        kept = limit(asset.asset)
        try:
            digest, length, data = _measure(f"{base}{asset.name}", asset, fetcher, kept)
        except DownloadHTTPError as error:
            if error.status_code not in _ABSENT:
                raise FetchError(excerpt(str(error)), place=asset.name) from error
            seen.problems.append(f"{asset.asset}: is signed, and is not there")
            continue
        except DownloadLengthMismatchError:
            seen.problems.append(f"{asset.asset}: is longer than the {asset.length} bytes that are signed")
            continue
        except DownloadError as error:
            raise FetchError(excerpt(str(error)), place=asset.name) from error
        if length != asset.length:
            seen.problems.append(f"{asset.asset}: has {length} bytes where {asset.length} are signed")
        elif digest != asset.sha256:
            seen.problems.append(f"{asset.asset}: has another SHA-256 than is signed")
        else:
            files.digests[asset.asset] = digest
            if data is not None:
                files.kept[asset.asset] = data
    return files


def limit(name: str) -> int:
    """Return how many bytes of the asset *name* are read, 0 for one that is only measured."""
    if name.endswith(MANIFEST_SUFFIX):
        return MAX_COMPRESSED
    if name.endswith(cyclonedx.SUFFIX):
        return cyclonedx.MAX_BYTES
    return {SUMS: _MAX_SUMS, SUMS_SIGNATURE: seal.MAX_BYTES, provenance.NAME: provenance.MAX_BYTES}.get(name, 0)


def _measure(url: str, asset: Asset, fetcher: ReleaseFetcher, kept: int) -> tuple[str, int, bytes | None]:
    digest = hashlib.sha256()
    length = 0
    parts: list[bytes] | None = [] if asset.length <= kept else None
    with fetcher.download_file(url, asset.length) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            length += len(chunk)
            if parts is not None:
                parts.append(chunk)
    return digest.hexdigest(), length, None if parts is None else b"".join(parts)
