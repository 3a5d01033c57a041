"""Content-addressed storage: an object's name is its SHA-256, and its bytes never change.

ROOT/objects/sha256/ab/abcd….bin
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from ec_closure import files
from ec_node.errors import ArchiveError

if TYPE_CHECKING:
    from pathlib import Path

MAX_OBJECT = 256 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Objects:
    """The objects below *root*. Methods raise `ArchiveError` with what the system said."""

    def __init__(self, root: Path) -> None:
        self._root = root / "objects" / "sha256"

    def path(self, digest: str) -> Path:
        """Return where the object *digest* is, or would be."""
        if not _DIGEST.fullmatch(digest):
            raise ArchiveError("is no digest of an object", place=str(self._root))
        return self._root / digest[:2] / f"{digest}.bin"

    def put(self, data: bytes) -> str:
        """Keep *data*, once, and return its digest. It is on the disk when this returns."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.path(digest)
        try:
            if path.exists() and path.stat().st_size == len(data):
                return digest
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            with files.replacing(path, mode=0o644) as file:
                file.write(data)
        except OSError as error:
            raise failed(error, path) from error
        return digest

    def get(self, digest: str) -> bytes:
        """Return the object *digest*. Raises `ArchiveError`, also when its bytes are not those of its name."""
        path = self.path(digest)
        try:
            with files.open_regular(path) as file:
                data = file.read(MAX_OBJECT + 1)
        except OSError as error:
            raise failed(error, path) from error
        if len(data) > MAX_OBJECT or hashlib.sha256(data).hexdigest() != digest:
            raise ArchiveError("is damaged: its bytes are not those of its name", place=str(path), hint="delete it")
        return data


def failed(error: OSError, path: Path) -> ArchiveError:
    """Return the error for a failed system call on *path*."""
    return ArchiveError(
        (error.strerror or str(error)).lower(), place=str(path), hint="see [archive] in ec-node.toml, and who may write"
    )
