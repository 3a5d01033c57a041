"""Verify stored metadata again: the library's whole workflow, with the stored bytes as the server.

Used offline, and after each refresh, so that both give their answer on the same path.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.ngclient.fetcher import FetcherInterface

from ec_fetch import updater
from ec_fetch.strict import StrictFetcher, check_root
from ec_fetch.translate import translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class Verified:
    """The signed parts of one complete and consistent state of the repository."""

    root: Root
    timestamp: Timestamp
    snapshot: Snapshot
    targets: Targets


class Stored(FetcherInterface):
    """Serves metadata *files* by name instead of the network."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = PurePosixPath(urlsplit(url).path).name
        number, _, rest = name.partition(".")
        # The library asks for `7.snapshot.json`; only one snapshot and one targets file are kept.
        data = self._files.get(name) or (self._files.get(rest) if number.isdigit() else None)
        if data is None:
            raise DownloadHTTPError(f"{name} is not stored", 404)
        yield data


def replay(files: Mapping[str, bytes], root: bytes) -> Verified:
    """Verify *files* (``2.root.json`` …, ``timestamp.json``, …) by name, starting from the pinned *root*.

    Signatures, thresholds, versions, hashes and names are checked; expiry is not (see `NEVER_EXPIRED`): the caller
    reports it. Raises `MetadataError` and its subclasses, `RefusedError` or `FetchError` for absent files.
    """
    fetcher = StrictFetcher(Stored(files))
    check_root(root)
    with tempfile.TemporaryDirectory(prefix="ec-fetch-") as scratch, translated(fetcher):
        client = updater.make(
            Path(scratch),
            fetcher,
            metadata_base="stored:///",
            target_base="stored:///",
            root=root,
            time=updater.NEVER_EXPIRED,
        )
        client.refresh()
        return Verified(
            root=Metadata[Root].from_file(f"{scratch}/root.json").signed,
            timestamp=Metadata[Timestamp].from_file(f"{scratch}/timestamp.json").signed,
            snapshot=Metadata[Snapshot].from_file(f"{scratch}/snapshot.json").signed,
            targets=Metadata[Targets].from_file(f"{scratch}/targets.json").signed,
        )
