"""Small files that commands read and write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure import files
from ec_closure.errors import LimitError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 4 << 20


def read(path: Path) -> bytes:
    """Return what is in a regular file. Raises `UsageError`, and `LimitError` above `MAX_BYTES`."""
    try:
        with files.open_regular(path) as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", place=str(path)) from error
    if len(data) > MAX_BYTES:
        raise LimitError(f"larger than the {MAX_BYTES} bytes that are accepted", place=str(path))
    return data


def write(path: Path, data: bytes) -> None:
    """Put *data* at *path*, whole or not at all. Raises `UsageError`."""
    try:
        with files.replacing(path, mode=0o644) as stream:
            stream.write(data)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", place=str(path)) from error
