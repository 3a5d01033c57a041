"""Files that attestations are made from and written to, named in messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure import files, manifest
from ec_closure.errors import LimitError, UsageError
from ec_release.errors import AssetError

if TYPE_CHECKING:
    from pathlib import Path

    from ec_closure.manifest import Manifest

MANIFEST_SUFFIX = ".closure.json.zst"


def read(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file. Raises `AssetError`, `LimitError` above *limit*."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise AssetError(f"cannot be read: {error.strerror}", place=str(path)) from error
    if len(data) > limit:
        raise LimitError(f"larger than the {limit} bytes that are accepted", place=str(path))
    return data


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in *path*. Raises `UsageError` for its name, `AssetError`, `BadInputError`."""
    if not path.name.endswith(MANIFEST_SUFFIX):
        raise UsageError(f"is not called <system>{MANIFEST_SUFFIX}", place=str(path))
    return manifest.decode(read(path, manifest.MAX_COMPRESSED), what=str(path))


def write(path: Path, data: bytes) -> None:
    """Put *data* at *path*, whole or not at all; its directory is made. Raises `UsageError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(path, mode=0o644) as file:
            file.write(data)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", place=str(path)) from error
